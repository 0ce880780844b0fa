"""Layers against torch's packed sequences and against loops written from the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.layers import SpeakerTurns, masked_softmax, run_rnn  # noqa: E402
from baselines.neural.numbering import number_speakers  # noqa: E402


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_layers_agree_with_packed_sequences(kind: Any, both: bool, n_layers: int, bias: bool) -> None:
    torch.manual_seed(0)
    rnn = kind(5, 4, n_layers, batch_first=True, bidirectional=both, bias=bias)
    inputs, lengths = torch.randn(6, 9, 5, requires_grad=True), torch.tensor([1, 8, 3, 4, 2, 7])
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    expected = pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=9)[0]
    found = run_rnn(rnn, inputs, lengths)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(x.pow(2).sum(), [inputs, *rnn.parameters()]) for x in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_speaker_turns_are_the_sequences_of_each_speaker(random_dialogues: Callable[..., list[Any]]) -> None:
    dialogues = random_dialogues({"text": 4})
    batch = make_batch(dialogues, extra=2)
    turns = SpeakerTurns.of(batch)
    gathered = turns.gather(batch.text)
    expected = [
        dialogue.features["text"][dialogue.speakers == speaker]
        for dialogue in dialogues
        for speaker in range(dialogue.speakers.max() + 1)
    ]
    assert turns.lengths.tolist() == [len(own) for own in expected]
    for own, found in zip(expected, gathered, strict=True):
        np.testing.assert_array_equal(found[: len(own)].numpy(), own)
        assert not found[len(own) :].any()
    torch.testing.assert_close(turns.scatter(gathered, batch.speakers), batch.text)


def test_speakers_are_numbered_by_first_appearance(random_dialogues: Callable[..., list[Any]]) -> None:
    assert number_speakers(["Joey", "Ross", "Joey", "Ross & Joey", "Ross"]).tolist() == [0, 1, 0, 2, 1]
    dialogues = random_dialogues({"text": 4, "audio": 2})
    batch = make_batch(dialogues, extra=1)
    assert batch.n_speakers == 1 + max(int(d.speakers.max()) for d in dialogues)
    assert batch.mask.sum(dim=1).tolist() == batch.lengths.tolist()
    assert (batch.labels[~batch.mask] == -1).all() and not batch.features["audio"][~batch.mask].any()


def test_masked_softmax_gives_nothing_to_what_is_masked() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0], [1e4, -1e4, 0.0], [5.0, 5.0, 5.0]])
    mask = torch.tensor([[True, False, True], [False, True, True], [False, False, False]])
    weights = masked_softmax(scores, mask)
    e = np.exp([1.0, 3.0])
    np.testing.assert_allclose(weights, [[e[0] / e.sum(), 0, e[1] / e.sum()], [0, 0, 1], [0, 0, 0]], atol=1e-6)
