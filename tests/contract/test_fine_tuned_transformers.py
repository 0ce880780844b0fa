"""What every transformer fine-tuned end to end must do; a system is found by its base class, nobody lists it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from telling_dialogues import LABELS, split

from baselines import BUILTIN
from baselines.transformers.fine_tuned import FineTunedTransformer
from harness.data import Split
from harness.errors import DataError, ModelError
from harness.features import FeatureSource
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.check import CHECKS, check_predictor
from harness.predictors.plugins import load_plugins
from harness.predictors.session import FitProgress, Session
from harness.schema import Dialogue, DialogueView, Utterance

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread", "words_encoder")


def is_transformer(target: str) -> bool:
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name)
    return isinstance(found, type) and issubclass(found, FineTunedTransformer)


SYSTEMS = [name for name, target in BUILTIN.items() if is_transformer(target)]

BASES: Mapping[str, str] = {"cog-bart": "bart", "dialog-xl": "xlnet"}
"""Architecture of the encoder by system, where it is not RoBERTa's; see the fixture `tiny_base`."""

SMALL: Mapping[str, Mapping[str, object]] = {
    "cog-bart": {"alpha": 0.1, "warmup": 0.1, "dropout": 0.0},
    "dialog-xl": {"heads": [1, 1, 1, 1], "window": 2, "memory": 40, "hidden": 16, "batch_size": 2},
    "todkat": {"knowledge": "lab/words", "topic_epochs": 1, "dropout": 0.0, "batch_size": 2},
    "todkat-no-kb": {"topic_epochs": 1, "dropout": 0.0, "batch_size": 2},
}
"""Parameters by system that make it quick to train; beside few epochs, passages and tokens, which all get."""

Base = Callable[[str], Path]


def settings(name: str, tiny_base: Base, **params: object) -> dict[str, object]:
    small = {"epochs": 2, "batch_size": 8, "n_tokens": 64, "learning_rate": 1e-3, **SMALL.get(name, {})}
    return {**small, "encoder": str(tiny_base(BASES.get(name, "roberta"))), **params}


def make(name: str, tiny_base: Base, seed: int = 3, **params: object) -> FineTunedTransformer:
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), settings(name, tiny_base, **params), seed)
    assert isinstance(predictor, FineTunedTransformer)
    return predictor


def views(predictor: FineTunedTransformer, name: str, of: Split, tiny_base: Base) -> list[DialogueView]:
    spec = PREDICTORS.get(name)
    card = predictor.refine_card(spec.card, resolve_params(spec, settings(name, tiny_base)))
    return [view for dialogue in of.dialogues for view in dialogue.views(card.context, of.label_set)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_keeps_every_rule(name: str, tiny_base: Base) -> None:
    load_plugins()
    results = check_predictor(PREDICTORS.get(name), settings(name, tiny_base))
    assert [r.detail for r in results if not r.passed] == []
    assert [r.name for r in results] == [check.name for check in CHECKS]


def read_to_answer(name: str, tiny_base: Base) -> tuple[FineTunedTransformer, Any, list[Any]]:
    """Returns a predictor, a new network of it that answers, and the passages of dialogues of many lengths."""
    predictor = make(name, tiny_base)
    predictor.use(Session(features=FeatureSource([split("train", 4)])))
    predictor._labels = LABELS.labels
    network = predictor.new_network().eval()
    dialogues = [*split("train", 4).dialogues, *split("test", 2, n_utterances=23, people="XY").dialogues]
    passages, _ = predictor.read_views([next(d.views("full", LABELS)) for d in dialogues])
    return predictor, network, passages


@pytest.mark.parametrize("name", SYSTEMS)
def test_answers_do_not_depend_on_company_or_padding(name: str, tiny_base: Base) -> None:
    predictor, network, passages = read_to_answer(name, tiny_base)
    with torch.inference_mode():
        alone = np.concatenate([network([passage]).numpy() for passage in passages])
        together = network(passages).numpy()
        order = np.random.default_rng(0).permutation(len(passages))
        shuffled = predictor.logits(network, [passages[i] for i in order])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    back = dict(zip(order.tolist(), shuffled, strict=True))
    np.testing.assert_allclose(np.concatenate([back[i] for i in range(len(passages))]), alone, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize("name", SYSTEMS)
def test_answers_on_a_gpu_are_those_of_the_processor(name: str, tiny_base: Base) -> None:
    predictor, network, passages = read_to_answer(name, tiny_base)
    with torch.inference_mode():
        logits = {device: predictor.logits(network.to(device), passages) for device in ("cpu", "cuda")}
    for own, other in zip(logits["cuda"], logits["cpu"], strict=True):
        np.testing.assert_allclose(own, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_training_has_not_seen_is_answered(name: str, tiny_base: Base) -> None:
    """Longer dialogues, other and more speakers, a label that train lacks, one utterance, one turn, no label."""
    predictor = make(name, tiny_base)
    predictor.fit(split("train", 6), split("dev", 3, fear=True))
    test = split("test", 3, n_utterances=60, people="XY", fear=True)
    answers = list(predictor.predict_batch(views(predictor, name, test, tiny_base)))
    told = [p for answer in answers for p in answer]
    assert [p.utterance_id for p in told] == list(test.gold)
    assert all(p.scores is not None and p.label in LABELS for p in told)


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_learns_and_leaves_random_numbers_alone(name: str, tiny_base: Base) -> None:
    told: list[FitProgress] = []
    predictor = make(name, tiny_base, epochs=20, learning_rate=0.003)
    predictor.use(Session(report=told.append))
    before = torch.get_rng_state(), torch.get_num_threads()
    predictor.fit(split("train", 30), split("dev", 8))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert predictor.facts()["training"]["dev_weighted_f1"] > 0.8, "words tell the label"
    assert [p.done for p in told] == sorted(p.done for p in told) and told[-1].done == told[-1].total


@pytest.mark.parametrize("name", SYSTEMS)
def test_interrupted_training_ends_with_the_same_weights(name: str, tiny_base: Base, tmp_path: Path) -> None:
    train, dev = split("train", 8), split("dev", 3)

    def weights(folder: Path | None, stop_after: int | None) -> dict[str, Any]:
        def report(progress: FitProgress) -> None:
            if progress.text.startswith("loss") and progress.done * 3 == progress.total * (stop_after or 9):
                raise KeyboardInterrupt

        predictor = make(name, tiny_base, epochs=3, class_weights="train")
        predictor.use(Session(checkpoints=folder, report=report))
        predictor.fit(train, dev)
        assert predictor._network is not None
        if folder is not None:
            epochs = list(predictor.predict_epochs(views(predictor, name, dev, tiny_base)))
            assert [epoch for epoch, _ in epochs] == [1, 2, 3]
        return dict(predictor._network.state_dict())

    whole = weights(None, None)
    with pytest.raises(KeyboardInterrupt):
        weights(tmp_path / "checkpoints", 2)
    resumed = weights(tmp_path / "checkpoints", None)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize("name", SYSTEMS)
def test_half_precision_has_nearly_the_same_loss_and_answers_in_full(name: str, tiny_base: Base) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        told: list[FitProgress] = []
        predictor = make(name, tiny_base, precision=precision)
        predictor.use(Session(report=told.append))
        predictor.fit(split("train", 8), split("dev", 3))
        losses[precision] = [float(p.text.split()[-1]) for p in told if p.text.startswith("fine-tuning")]
        assert predictor._network is not None
        assert all(weight.dtype == torch.float32 for weight in predictor._network.parameters())
    passages = predictor._read_split(split("dev", 8))
    with torch.inference_mode():
        full = predictor._network.eval()(passages).numpy()
        np.testing.assert_allclose(np.concatenate(predictor.logits(predictor._network, passages)), full, atol=1e-5)
    assert losses["bf16"][0] == pytest.approx(losses["fp32"][0], rel=0.05)
    assert losses["bf16"] != losses["fp32"], "the products were rounded"


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_missing_is_told_in_one_line(name: str, tiny_base: Base, tmp_path: Path) -> None:
    train, dev = split("train", 3), split("dev", 2)
    with pytest.raises(ModelError, match="no such folder"):
        make(name, tiny_base, encoder="/nowhere/at/all").fit(train, dev)
    with pytest.raises(ModelError, match="not in the hub's cache .* type: hf download lab/nothing, or add --download"):
        make(name, tiny_base, encoder="lab/nothing").fit(train, dev)
    unlabelled = Dialogue("d", (Utterance("u", ("A",), "words", None),))
    with pytest.raises(DataError, match="split 'dev': no utterance has a label"):
        make(name, tiny_base).fit(train, Split("lab", "dev", (unlabelled,), LABELS))


@pytest.mark.parametrize("name", SYSTEMS)
def test_results_name_the_weights_and_no_path(name: str, tiny_base: Base) -> None:
    load_plugins()
    spec = PREDICTORS.get(name)
    assert issubclass(spec.build, FineTunedTransformer)
    base = tiny_base(BASES.get(name, "roberta"))
    named = spec.build.identify(resolve_params(spec, settings(name, tiny_base)))["encoder"]
    assert named.startswith(f"{base.name}@")
    facts = make(name, tiny_base).facts()
    assert facts["encoder"] == {"name": named, "revision": None}
    assert str(base.parent) not in str(facts)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_card_says_what_the_network_sees(name: str) -> None:
    load_plugins()
    spec = PREDICTORS.get(name)
    assert issubclass(spec.build, FineTunedTransformer)
    assert spec.card.trained_on == ("train",)
    assert spec.card.family == "transformer"
    assert not spec.build.causal or spec.card.context == "past"
    assert spec.card.source, "a system names the paper it follows"
    assert all(importlib.util.find_spec(module) for module in spec.build.code_modules)
