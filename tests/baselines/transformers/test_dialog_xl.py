"""DialogXL against a walk over single tokens and heads; masks and memory against enumeration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.transformers.dialog_xl import PRESETS, DialogXl
from baselines.transformers.passage import Passage
from harness.errors import ConfigError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")

HEADS = (1, 1, 1, 1)
KINDS = ("local", "global", "self", "listener")
WINDOW, N_SLOTS = 2, 9

Base = Callable[[str], Path]


@pytest.fixture
def network(tiny_base: Base) -> Any:
    """An XLNet of four heads, each of its own kind, with weights large enough to tell a wrong mask."""
    encoder = transformers.AutoModel.from_pretrained(tiny_base("xlnet"))
    system = DialogXl(heads=HEADS, window=WINDOW, memory=N_SLOTS, hidden=8)
    network: Any = system.build(encoder, transformers.AutoTokenizer.from_pretrained(tiny_base("xlnet")), 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0.0, 0.4, generator=generator)
    return network.eval()


def passage(lengths: tuple[int, ...], speakers: tuple[int, ...], seed: int) -> Passage:
    rng = np.random.default_rng(seed)
    tokens = tuple((0, *rng.integers(5, 250, n - 1).tolist()) for n in lengths)
    return Passage(tokens, tuple(range(len(tokens))), speakers)


DIALOGUES = (
    passage((3, 1, 4, 2, 5, 2), (0, 1, 0, 2, 1, 0), 0),
    passage((2,), (0,), 1),
    passage((12, 3, 2), (0, 0, 0), 2),
    passage((2, 2, 2, 2), (0, 1, 2, 3), 3),
)


def is_visible(kind: str, then: int, now: int, speakers: tuple[int, ...]) -> bool:
    """What a kind of head sees, in words: of the memory, the token of utterance `then`, while `now` is read."""
    same = speakers[then] == speakers[now]
    return {"local": now - then <= WINDOW, "global": True, "self": same, "listener": not same}[kind]


def position(distance: int, width: int) -> Any:
    """Sinusoids of a relative position; source: Dai et al. 2019, "Transformer-XL", section 3.3."""
    angles = distance / 10000 ** (torch.arange(0, width, 2.0) / width)
    return torch.cat([angles.sin(), angles.cos()])


def naive_logits(network: Any, dialogue: Passage) -> Any:
    """One token, head and key at a time.

    Source: Yang et al. 2019, "XLNet", appendix A.2; Shen et al. 2021, section 4.
    """
    model = network.encoder
    width, n_layers = model.config.d_model, len(model.layer)
    memory: list[tuple[int, list[Any]]] = []  # (utterance, what each layer got) of a token
    rows = []
    for now, tokens in enumerate(dialogue.tokens):
        states = [model.word_embedding.weight[token] for token in tokens]
        got: list[list[Any]] = [[] for _ in tokens]
        for n_layer in range(n_layers):
            a, ff = model.layer[n_layer].rel_attn, model.layer[n_layer].ff
            keys = [(then, inputs[n_layer]) for then, inputs in memory] + [(now, state) for state in states]
            outputs = []
            for i, state in enumerate(states):
                told = []
                for head, kind in enumerate(KINDS):
                    query = state @ a.q[:, head]
                    scores, values = [], []
                    for j, (then, key) in enumerate(keys):
                        if j < len(memory) and not is_visible(kind, then, now, dialogue.speakers):
                            continue
                        place = position(len(memory) + i - j, width) @ a.r[:, head]
                        content = (query + a.r_w_bias[head]) @ (key @ a.k[:, head])
                        scores.append((content + (query + a.r_r_bias[head]) @ place) / a.d_head**0.5)
                        values.append(key @ a.v[:, head])
                    told.append(torch.softmax(torch.stack(scores), 0) @ torch.stack(values))
                attended = sum(a.o[:, head] @ own for head, own in enumerate(told))
                outputs.append(ff(a.layer_norm(attended + state)))
            for own, state in zip(got, states, strict=True):
                own.append(state.detach())
            states = outputs
        memory = [*memory, *((now, own) for own in got)][-N_SLOTS:]
        rows.append(network.head(states[0]))
    return torch.stack(rows)


def test_logits_and_gradients_are_those_of_a_walk_over_tokens(network: Any) -> None:
    watched = [network.encoder.layer[1].rel_attn.k, network.encoder.layer[0].rel_attn.r, network.head[0].weight]
    gold = torch.tensor([i % 3 for i in range(sum(len(d.tokens) for d in DIALOGUES))])
    gradients = []
    for logits in (network(DIALOGUES), torch.cat([naive_logits(network, d) for d in DIALOGUES])):
        gradients.append((logits, *torch.autograd.grad(torch.nn.functional.cross_entropy(logits, gold), watched)))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_each_kind_of_head_sees_what_the_words_say() -> None:
    from baselines.transformers.dialog_xl_network import visible_slots

    speakers = torch.tensor([[0, 1, 0, 2, 0], [0, 0, 1, -1, -1]])
    turns = torch.tensor([[-1, 0, 0, 1, 2, 3], [-1, -1, -1, 0, 1, 1]])
    for now in (2, 3, 4):
        seen = visible_slots(turns, speakers, now, WINDOW)
        for k, kind in enumerate(KINDS):
            for b in range(2):
                expected = [
                    then >= 0 and is_visible(kind, then, now, tuple(speakers[b].tolist())) for then in turns[b].tolist()
                ]
                assert seen[k, b].tolist() == expected, (kind, b, now)


def test_the_memory_holds_the_last_tokens_and_puts_free_slots_first() -> None:
    from baselines.transformers.dialog_xl_network import Memory

    memory = Memory.empty(1, 2, 1, torch.device("cpu"))
    kept: list[list[tuple[int, float]]] = [[], []]
    number = 0.0
    for turn, lengths in enumerate([(3, 1), (1, 2), (4, 1), (2, 9)]):
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        inputs = torch.full((max(lengths), 2, 1), -7.0)  # padding must never be kept
        for b, length in enumerate(lengths):
            for i in range(length):
                inputs[i, b, 0] = number
                kept[b] = [*kept[b], (turn, number)][-5:]
                number += 1
        memory = memory.with_turn([inputs], mask, turn, 5)
        for b in range(2):
            free = memory.turns.shape[1] - len(kept[b])
            assert memory.turns[b].tolist() == [*[-1] * free, *(then for then, _ in kept[b])]
            assert memory.states[0][free:, b, 0].tolist() == [value for _, value in kept[b]]


def test_settings_of_a_corpus_can_be_changed_singly() -> None:
    assert DialogXl().heads == (5, 5, 1, 1)
    system = DialogXl(preset="iemocap", window=3)
    assert (system.heads, system.window, system.memory, system.epochs) == ((2, 2, 4, 4), 3, 900, 50)
    assert (DialogXl(preset="dailydialog").dropout, DialogXl(preset="emorynlp").peak_rate) == (0.3, 7e-6)
    assert all(sum(preset["heads"]) == 12 for preset in PRESETS.values())


def test_settings_are_checked(tiny_base: Base) -> None:
    with pytest.raises(ConfigError, match=r"heads \[5, -1, 4, 4\]: expected four numbers, 0 or more heads"):
        DialogXl(heads=(5, -1, 4, 4))
    with pytest.raises(ConfigError, match="'window': got 0"):
        DialogXl(window=0)
    with pytest.raises(ConfigError, match=r"heads \[5, 5, 1, 1\]: expected 4 together"):
        DialogXl(encoder=str(tiny_base("xlnet")), n_tokens=64).new_network()
    with pytest.raises(ConfigError, match="is 'roberta'; expected an 'xlnet'"):
        DialogXl(encoder=str(tiny_base("roberta")), n_tokens=64).new_network()
