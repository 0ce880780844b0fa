"""EmoBERTa: what stands in the sequence, and a head like that of transformers' own classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.transformers.emoberta import SEEN, EmoBerta, span_around
from harness.errors import ConfigError
from harness.predictors import PREDICTORS
from harness.predictors.build import resolve_params
from harness.predictors.plugins import load_plugins
from harness.schema import DialogueView, LabelSet, UtteranceView

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = LabelSet(("neutral", "joy", "anger"), "neutral")

Base = Callable[[str], Path]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Base) -> Any:
    return transformers.AutoTokenizer.from_pretrained(tiny_base("roberta"))


def view(*texts: str, targets: tuple[int, ...] = (1,)) -> DialogueView:
    utterances = tuple(UtteranceView(f"u{i}", ("Ann", "Bo")[i % 2 : i % 2 + 1], text) for i, text in enumerate(texts))
    return DialogueView("d", utterances, targets, LABELS)


WORDS = ("Well, hello there.", "What a day!", "Indeed.")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("none", "<s> BO: What a day!</s>"),
        ("past", "<s> ANN: Well, hello there.</s></s> BO: What a day!</s>"),
        ("future", "<s> BO: What a day!</s></s> ANN: Indeed.</s>"),
        ("both", "<s> ANN: Well, hello there.</s></s> BO: What a day!</s></s> ANN: Indeed.</s>"),
    ],
)
def test_the_sequence_holds_what_the_setting_says(context: Any, expected: str, tokenizer: Any) -> None:
    (passage,) = EmoBerta(context=context).read(view(*WORDS), tokenizer)
    assert tokenizer.decode(passage.tokens[0]) == expected
    assert passage.answers == (1,)


def test_separators_stand_where_a_dialogue_ends_too(tokenizer: Any) -> None:
    (passage,) = EmoBerta().read(view("Alone.", targets=(0,)), tokenizer)
    assert tokenizer.decode(passage.tokens[0]) == "<s></s></s> ANN: Alone.</s></s></s>"


def test_a_long_dialogue_keeps_to_the_limit_and_drops_whole_utterances(tokenizer: Any) -> None:
    long = view(*[f"Utterance number {i}." for i in range(40)], targets=tuple(range(40)))
    whole = [f" {'AB'[i % 2]}{('NN', 'O')[i % 2]}: Utterance number {i}." for i in range(40)]
    for passage in EmoBerta(n_tokens=64).read(long, tokenizer):
        (tokens,), (target,) = passage.tokens, passage.answers
        assert len(tokens) <= 64
        before, own, after = tokenizer.decode(tokens).removeprefix("<s>").removesuffix("</s>").split("</s></s>")
        n_before, n_after = before.count("Utterance"), after.count("Utterance")
        assert own == whole[target]
        assert before == "".join(whole[target - n_before : target])
        assert after == "".join(whole[target + 1 : target + 1 + n_after])
    (passage,) = EmoBerta(n_tokens=16, context="past").read(view("Short.", "word " * 99), tokenizer)
    assert len(passage.tokens[0]) == 16, "an utterance that is too long is cut, not dropped"


def naive_span(target: int, sizes: list[int], room: int, past: bool, future: bool) -> tuple[int, int]:
    taken = {target}
    open_sides = {-1: past, 1: future}
    for step in range(1, len(sizes)):
        for side in (-1, 1):
            i = target + side * step
            if open_sides[side] and 0 <= i < len(sizes) and sizes[i] <= room:
                room -= sizes[i]
                taken.add(i)
            else:
                open_sides[side] = False
    return min(taken), max(taken) + 1


def test_spans_are_those_of_a_walk_outwards() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        sizes = rng.integers(1, 9, size=rng.integers(1, 9)).tolist()
        target, room = int(rng.integers(len(sizes))), int(rng.integers(0, 30))
        past, future = bool(rng.integers(2)), bool(rng.integers(2))
        found = span_around(target, len(sizes), sizes.__getitem__, room, past=past, future=future)
        assert found == naive_span(target, sizes, room, past, future)


def test_the_network_is_transformers_own_classifier(tiny_base: Base, tokenizer: Any) -> None:
    """Source of the oracle: RobertaForSequenceClassification, whose head RoBERTa was published with."""
    encoder = transformers.AutoModel.from_pretrained(tiny_base("roberta"))
    network = EmoBerta(dropout=0.0).build(encoder, tokenizer, 3).eval()
    config = transformers.AutoConfig.from_pretrained(tiny_base("roberta"), num_labels=3)
    oracle = transformers.RobertaForSequenceClassification.from_pretrained(tiny_base("roberta"), config=config).eval()
    names = {"1": "dense", "4": "out_proj"}
    oracle.classifier.load_state_dict(
        {f"{names[key.split('.')[0]]}.{key.split('.')[1]}": value for key, value in network.head.state_dict().items()}
    )
    passages = list(EmoBerta(n_tokens=64).read(view(*WORDS, *WORDS, targets=(0, 2, 3, 5)), tokenizer))
    padded = tokenizer.pad({"input_ids": [list(p.tokens[0]) for p in passages]}, return_tensors="pt")
    ours, theirs = network(passages), oracle(**padded).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    for logits in (ours, theirs):
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1])).backward()
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"):
        torch.testing.assert_close(
            network.encoder.get_parameter(name).grad, oracle.roberta.get_parameter(name).grad, atol=1e-5, rtol=0
        )


def test_the_card_follows_the_context() -> None:
    load_plugins()
    spec = PREDICTORS.get("emoberta")
    for context, seen in SEEN.items():
        assert spec.build.refine_card(spec.card, resolve_params(spec, {"context": context})).context == seen


def test_settings_are_checked(tiny_base: Base) -> None:
    with pytest.raises(ConfigError, match="n_tokens 7: expected 8 or more"):
        EmoBerta(n_tokens=7)
    with pytest.raises(ConfigError, match="'warmup': got 1.0"):
        EmoBerta(warmup=1.0)
    with pytest.raises(ConfigError, match="n_tokens 512: encoder .* reads 128 at most"):
        EmoBerta(encoder=str(tiny_base("roberta"))).new_network()
