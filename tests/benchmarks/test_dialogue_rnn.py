"""Training epochs of DialogueRNN: all dialogues and parties at once, against one utterance and party after the other.

Both compute the same with the same weights, which the logits and the losses of an epoch show. Dialogues are made up in
the shape of MELD's training split: 9.6 utterances on average, a few with more than thirty, two or three people in most.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dialogue_rnn_loop import loop_logits  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.numbering import NumberedDialogue, number_speakers  # noqa: E402
from baselines.neural.predictor import Dimensions  # noqa: E402
from baselines.neural.training import one_thread  # noqa: E402
from baselines.recurrent.dialogue_rnn import DialogueRnn  # noqa: E402
from harness.features.grouping import draw_batches  # noqa: E402

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

WIDTH = 384
"""Of the features: that of MiniLM."""

N_LABELS = 7
MEAN_LENGTH = 9.6
DIALOGUE_SHAPE = 2.5
"""Gamma shape at which lengths spread like MELD's."""

N_SPEAKERS = (0.08, 0.44, 0.24, 0.12, 0.06, 0.03, 0.03)
"""Share of the dialogues with one, two, ... people to draw from."""

N_TIMED = 96
"""Dialogues of the epochs that are compared: three batches."""

TIMES_FASTER = 3.0
LARGEST_DIFFERENCE = 1e-5

SIZES = (128, 256, 512)
"""Dialogues, and utterances of a dialogue divided by 4, whose training is measured for growth."""

LINEAR = 1.25
"""Seconds for an utterance among the most, to those among the fewest, at most."""

Logits = Callable[[Any, Any], Any]


def draw_dialogues(n_dialogues: int, mean_length: float = MEAN_LENGTH) -> list[NumberedDialogue]:
    rng = np.random.default_rng(0)
    shares = rng.gamma(DIALOGUE_SHAPE, size=n_dialogues)
    lengths = 1 + rng.multinomial(round(n_dialogues * (mean_length - 1)), shares / shares.sum())
    people = 1 + rng.choice(len(N_SPEAKERS), n_dialogues, p=N_SPEAKERS)
    return [
        NumberedDialogue(
            {"text": rng.normal(size=(n, WIDTH)).astype(np.float32)},
            number_speakers([str(rng.integers(k)) for _ in range(n)]),
            rng.integers(0, N_LABELS, n),
        )
        for n, k in zip(lengths.tolist(), people.tolist(), strict=True)
    ]


def build(listener: bool) -> Any:
    torch.manual_seed(0)
    system = DialogueRnn(dropout=0.0, state_dropout=0.0, listener=listener)
    return system.build(Dimensions({"text": WIDTH}, N_LABELS, len(N_SPEAKERS)))


def ours(network: Any, batch: Any) -> Any:
    return network(batch)


def train_epoch(network: Any, dialogues: Sequence[NumberedDialogue], logits: Logits) -> list[float]:
    """Makes the updates of one epoch, of 32 dialogues each; returns their losses."""
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    losses = []
    for numbers in draw_batches([len(d) for d in dialogues], 32, 0, 1):
        batch = make_batch([dialogues[i] for i in numbers])
        loss = cross_entropy(logits(network, batch)[batch.mask], batch.labels[batch.mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("listener", [True, False])
def test_an_epoch_is_several_times_faster(
    alternate: Callable[..., dict[str, float]], record: Callable[..., None], listener: bool
) -> None:
    dialogues, network = draw_dialogues(N_TIMED), build(listener)
    batch = make_batch(dialogues[:16])
    losses: dict[str, list[float]] = {}

    def epoch(name: str, logits: Logits) -> None:
        losses[name] = train_epoch(copy.deepcopy(network), dialogues, logits)

    with one_thread():
        with torch.inference_mode():
            apart = float((ours(network, batch) - loop_logits(network, batch))[batch.mask].abs().max())
        things = {"ours": lambda: epoch("ours", ours), "loop": lambda: epoch("loop", loop_logits)}
        seconds = alternate(things, 3)
    by_loss = max(abs(a - b) for a, b in zip(losses["ours"], losses["loop"], strict=True))
    faster = seconds["loop"] / seconds["ours"]
    record(
        f"dialogue_rnn_epoch_{'with' if listener else 'without'}_listener", seconds["ours"], 1 / TIMES_FASTER,
        "one utterance and party after the other: tests/benchmarks/dialogue_rnn_loop.py", seconds["loop"], ["torch"],
        times_faster=round(faster, 1), n_dialogues=len(dialogues), n_utterances=sum(map(len, dialogues)),
        n_parameters=sum(p.numel() for p in network.parameters()), width=WIDTH,
        largest_difference_logits=float(f"{apart:.2g}"), largest_difference_loss=float(f"{by_loss:.2g}"),
    )  # fmt: skip
    assert apart <= LARGEST_DIFFERENCE
    assert by_loss <= LARGEST_DIFFERENCE
    assert faster >= TIMES_FASTER


@pytest.mark.parametrize("what", ["dialogues", "lengths"])
def test_cost_grows_with_the_number_of_utterances(keep: Callable[..., None], what: str) -> None:
    """Lengths are 8, 16 and 32 on average. Attention to the whole past weighs beyond: at 128 1.9 times as at 32."""
    network = build(listener=True)
    corpora = [draw_dialogues(n) if what == "dialogues" else draw_dialogues(64, n / 16) for n in SIZES]
    n_utterances = [sum(map(len, dialogues)) for dialogues in corpora]
    times: list[list[float]] = [[] for _ in corpora]
    with one_thread():
        for _ in range(4):
            for dialogues, own in zip(corpora, times, strict=True):
                begin = time.process_time()
                train_epoch(network, dialogues, ours)
                own.append(time.process_time() - begin)
    each = [min(own) / n for own, n in zip(times, n_utterances, strict=True)]
    figures = {
        "n_utterances": n_utterances,
        "processor_milliseconds_per_utterance": [round(1000 * seconds, 4) for seconds in each],
        "ratio_most_to_fewest": round(each[-1] / each[0], 3),
        "bound": LINEAR,
    }
    keep(f"dialogue_rnn_growth_{what}", figures, ["torch"])
    assert each[-1] / each[0] <= LINEAR, figures
