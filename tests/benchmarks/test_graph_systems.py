"""Training the graph systems: ours, over padded batches, against loops written from the equations, in the same run.

The loops (graph_loops.py) take one Python step for every utterance and edge, with the same weights and the same
numbers. Dialogues have about MELD's lengths and numbers of speakers, and random features of MiniLM's width. Time is
that of one processor, with one thread, so that what else the machine does matters little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from graph_loops import dag_erc_logits, dialogue_gcn_logits  # noqa: E402

from baselines.graph.dag_erc import DagErc  # noqa: E402
from baselines.graph.dialogue_gcn import DialogueGcn  # noqa: E402
from baselines.neural.batch import make_batch  # noqa: E402
from baselines.neural.numbering import NumberedDialogue, number_speakers  # noqa: E402
from baselines.neural.predictor import Dimensions, NeuralPredictor  # noqa: E402

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]

Loop = Callable[[Any, Any], Any]

SYSTEMS: dict[str, tuple[type[NeuralPredictor], Loop]] = {
    "dialogue-gcn": (DialogueGcn, dialogue_gcn_logits),
    "dag-erc": (DagErc, dag_erc_logits),
}

WIDTH, N_LABELS = 384, 7

N_DIALOGUES, N_UTTERANCES = 1038, 9989
"""Of MELD's training split."""

N_SPEAKERS = np.array([96, 463, 264, 122, 58, 25, 8, 1, 1]) / 1038
"""Shares of its dialogues with 1, 2, .. 9 speakers."""

N_TIMED = 64
"""Dialogues, of every sixteenth length: two updates."""

BATCH_SIZE = 32

N_ROUNDS = 3

TIMES_FASTER = 3.0

LARGEST_DIFFERENCE = 1e-5
"""Of two logits."""

LENGTHS = (16, 32, 64)
"""Utterances of a dialogue whose training is measured for growth."""

LINEAR = 1.2
"""Seconds for an utterance in the longest dialogues, to those in the shortest, at most."""


@pytest.fixture(autouse=True)
def single_thread(one_thread: None) -> None:
    """All are timed with one thread."""


def draw_dialogues(lengths: Sequence[int]) -> list[NumberedDialogue]:
    """Returns dialogues of given lengths whose speakers take turns at random."""
    rng = np.random.default_rng(0)
    return [
        NumberedDialogue(
            {"text": rng.normal(size=(n, WIDTH)).astype(np.float32)},
            number_speakers([str(rng.integers(n_speakers)) for _ in range(n)]),
            rng.integers(0, N_LABELS, n),
        )
        for n, n_speakers in zip(lengths, 1 + rng.choice(9, len(lengths), p=N_SPEAKERS), strict=True)
    ]


def batches(dialogues: list[NumberedDialogue]) -> Iterator[list[NumberedDialogue]]:
    """Yields dialogues of similar length together, as training does."""
    ordered = sorted(dialogues, key=len)
    for start in range(0, len(ordered), BATCH_SIZE):
        yield ordered[start : start + BATCH_SIZE]


def build(system: type[NeuralPredictor]) -> tuple[NeuralPredictor, Any]:
    """Returns a system and a network without dropout, so that it and the loop do the same mathematics."""
    predictor = system(dropout=0.0)
    torch.manual_seed(0)
    return predictor, predictor.build(Dimensions({"text": WIDTH}, N_LABELS, 9))


def train(
    predictor: NeuralPredictor, network: Any, dialogues: list[NumberedDialogue], loop: Loop | None = None
) -> None:
    """Makes the updates of an epoch, by our network or by a loop over its weights."""
    optimizer = predictor.make_optimizer(network)
    for some in batches(dialogues):
        network.zero_grad()
        if loop is None:
            loss = predictor.loss(network, make_batch(some), None)
        else:
            gold = torch.from_numpy(np.concatenate([dialogue.labels for dialogue in some]))
            loss = torch.nn.functional.cross_entropy(torch.cat([loop(network, dialogue) for dialogue in some]), gold)
        loss.backward()
        optimizer.step()


def processor_seconds(things: dict[Any, Callable[[], None]]) -> dict[Any, float]:
    """Returns the least processor time of several rounds of each thing, in turn and warm."""
    times: dict[Any, list[float]] = {name: [] for name in things}
    for _ in range(1 + N_ROUNDS):
        for name, thing in things.items():
            begin = time.process_time()
            thing()
            times[name].append(time.process_time() - begin)
    return {name: min(found[1:]) for name, found in times.items()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_training_is_faster_than_a_loop(name: str, corpus: Callable[..., Any], keep: Callable[..., None]) -> None:
    system, loop = SYSTEMS[name]
    lengths = np.sort(np.bincount(corpus(n_dialogues=N_DIALOGUES, n_utterances=N_UTTERANCES).dialogue))
    dialogues = draw_dialogues(lengths[N_DIALOGUES // N_TIMED // 2 :: N_DIALOGUES // N_TIMED][:N_TIMED])
    predictor, network = build(system)
    with torch.inference_mode():
        batch = make_batch(dialogues)
        theirs = torch.cat([loop(network, dialogue) for dialogue in dialogues])
        difference = float((network(batch)[batch.mask] - theirs).abs().max())
    ours = partial(train, predictor, network, dialogues)
    seconds = processor_seconds({"ours": ours, "loop": partial(ours, loop=loop)})
    n_utterances = sum(map(len, dialogues))
    ratio = seconds["loop"] / seconds["ours"]
    keep(
        f"graph_{name.replace('-', '_')}_speed",
        {
            "peer": "a loop of one step for every utterance and edge: tests/benchmarks/graph_loops.py",
            "n_parameters": sum(p.numel() for p in network.parameters()),
            "n_dialogues": len(dialogues),
            "n_utterances": n_utterances,
            "largest_difference": float(f"{difference:.2g}"),
            "processor_seconds": {what: round(found, 3) for what, found in seconds.items()},
            "processor_seconds_of_a_meld_epoch": {
                what: round(found / n_utterances * N_UTTERANCES, 1) for what, found in seconds.items()
            },
            "times_faster": round(ratio, 1),
            "bound": TIMES_FASTER,
        },
    )
    assert difference < LARGEST_DIFFERENCE
    assert ratio >= TIMES_FASTER


@pytest.mark.parametrize("name", SYSTEMS)
def test_cost_is_linear_in_utterances(name: str, keep: Callable[..., None]) -> None:
    predictor, network = build(SYSTEMS[name][0])
    dialogues = {n: draw_dialogues([n] * BATCH_SIZE) for n in LENGTHS}
    seconds = processor_seconds({n: partial(train, predictor, network, own) for n, own in dialogues.items()})
    small, large = LENGTHS[0], LENGTHS[-1]
    growth = (seconds[large] / large) / (seconds[small] / small)
    keep(
        f"graph_{name.replace('-', '_')}_growth",
        {
            "n_dialogues": BATCH_SIZE,
            "processor_seconds_by_length": {str(n): round(found, 3) for n, found in seconds.items()},
            "seconds_per_utterance_longest_to_shortest": round(growth, 3),
            "bound": LINEAR,
        },
    )
    assert growth <= LINEAR
