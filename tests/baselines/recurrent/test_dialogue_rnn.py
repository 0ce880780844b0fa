"""DialogueRNN against its equations, one utterance and one party after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from dialogue_rnn_loop import loop_logits  # noqa: E402

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.dialogue_rnn import DialogueRnn  # noqa: E402
from baselines.recurrent.party_cells import AttentionOverDialogue, Ways  # noqa: E402
from harness.errors import ConfigError  # noqa: E402

Draw = Callable[..., list[Any]]


@pytest.mark.parametrize("listener", [False, True])
def test_logits_and_gradients_follow_from_the_equations(listener: bool, random_dialogues: Draw) -> None:
    torch.manual_seed(0)
    batch = make_batch(random_dialogues({"text": 6}, 5), extra=2)
    network: Any = DialogueRnn(party=5, emotion=3, listener=listener).build(Dimensions({"text": 6}, 5, 2)).eval()
    found, expected = network(batch), loop_logits(network, batch)
    torch.testing.assert_close(found * batch.mask[..., None], expected, atol=1e-5, rtol=0)
    weights = dict(network.named_parameters())
    direction = torch.randn_like(expected) * batch.mask[..., None]
    ours, theirs = (torch.autograd.grad((x * direction).sum(), list(weights.values())) for x in (found, expected))
    for name, a, b in zip(weights, ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
        assert b.any(), f"{name} makes no difference"


def test_the_backward_way_reads_each_dialogue_from_its_true_end(random_dialogues: Draw) -> None:
    dialogues = random_dialogues({"text": 1})
    ways = Ways.of(make_batch(dialogues, extra=3))
    for i, dialogue in enumerate(dialogues):
        n = len(dialogue)
        assert ways.backwards[i].tolist() == [*range(n - 1, -1, -1), *range(n, ways.backwards.shape[1])]
        said = torch.stack(ways.speakers, dim=-1)[:, i, :n].tolist()
        assert said == [dialogue.speakers.tolist(), dialogue.speakers.tolist()[::-1]]


def test_attention_stays_within_the_dialogue() -> None:
    torch.manual_seed(0)
    attention = AttentionOverDialogue(4)
    states = torch.randn(2, 5, 4)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    found = attention(states, mask)
    torch.testing.assert_close(found[1, :2], attention(states[1:, :2], mask[1:, :2])[0])


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'emotion': got 0"):
        DialogueRnn(emotion=0)
    with pytest.raises(ConfigError, match="'state_dropout': got 1"):
        DialogueRnn(state_dropout=1.0)
