"""MTL against its equations, one utterance and one pair at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.recurrent.mtl import Mtl  # noqa: E402
from harness.errors import ConfigError  # noqa: E402


def network_of(system: Mtl) -> Any:
    torch.manual_seed(0)
    return system.build(Dimensions({"text": 4}, 5, 2)).eval()


def read(query: Any, states: list[Any]) -> Any:
    exponents = [torch.exp(query @ state / len(state) ** 0.5) for state in states]
    return sum(e / sum(exponents) * state for e, state in zip(exponents, states, strict=True))


def test_both_answers_and_the_loss_follow_from_the_equations(random_dialogues: Callable[..., list[Any]]) -> None:
    system = Mtl(hidden=3)
    network = network_of(system)
    w = dict(network.named_parameters())
    dialogues = [d for d in random_dialogues({"text": 4}, 5) if len(d) < 13]
    emotion_losses, pair_losses = [], []
    batch = make_batch(dialogues, extra=2)
    logits = network(batch)
    for own, dialogue in zip(logits, dialogues, strict=True):
        rows = torch.from_numpy(dialogue.features["text"])[None]
        e, s, c = (list(rnn(rows)[0][0]) for rnn in (network.emotion, network.speaker, network.shared))
        voices = []
        for t in range(len(dialogue)):
            told = torch.cat([e[t], c[t], read(w["ask_speaker.weight"] @ e[t], s)])
            expected = w["emotion_head.weight"] @ told + w["emotion_head.bias"]
            torch.testing.assert_close(own[t], expected, atol=1e-5, rtol=1e-5)
            if dialogue.labels[t] >= 0:
                emotion_losses.append(-torch.log_softmax(expected, dim=0)[dialogue.labels[t]])
            heard = torch.cat([s[t], c[t], read(w["ask_emotion.weight"] @ s[t], e)])
            voices.append(torch.tanh(w["speaker_head.weight"] @ heard + w["speaker_head.bias"]))
            for k in range(t):
                p = torch.sigmoid(voices[t] @ voices[k] / 3**0.5 + w["offset"])
                pair_losses.append(-torch.log(p if dialogue.speakers[t] == dialogue.speakers[k] else 1 - p))
    total = torch.stack(emotion_losses).mean() + torch.stack(pair_losses).mean()
    loss = system.loss(network, batch, None)
    torch.testing.assert_close(loss, total, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(of, list(w.values())) for of in (loss, total)]
    for name, ours, theirs in zip(w, *gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4, msg=name)


def test_who_speaks_is_not_read_when_it_answers(random_dialogues: Callable[..., list[Any]]) -> None:
    network = network_of(Mtl(hidden=3))
    dialogues = random_dialogues({"text": 4}, 5)
    batch, renamed = make_batch(dialogues), make_batch(dialogues)
    renamed.speakers[renamed.mask] = 0
    torch.testing.assert_close(network(batch), network(renamed), rtol=0, atol=0)


def test_a_batch_without_pairs_has_a_loss(random_dialogues: Callable[..., list[Any]]) -> None:
    system = Mtl(hidden=3)
    (single, *_) = (d for d in random_dialogues({"text": 4}, 5) if len(d) == 1)
    batch = make_batch([single])
    batch.labels[0, 0] = 2
    assert system.loss(network_of(system), batch, None).isfinite()


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="'hidden': got 0"):
        Mtl(hidden=0)
