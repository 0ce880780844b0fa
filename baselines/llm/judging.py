"""What checkpoints of a fine-tuning are judged by: the dev split, or examples held out of training. Never test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.llm.local.choice_tree import Candidates
from harness.metrics import get_metric, tally, totals_of
from harness.prompting.instructions import Instruction
from harness.schema import LabelSet

if TYPE_CHECKING:
    from harness.llm.tuning.trainer import DevSet

HELD_OUT_SEED = 42
"""Of the draw of held-out examples. Source: the released training script of DialogueLLM."""


def hold_out(instructions: Sequence[Instruction], n: int) -> tuple[list[Instruction], list[Instruction]]:
    """Returns n drawn instructions, a tenth of them at most, and the others, in order."""
    order = np.random.default_rng(HELD_OUT_SEED).permutation(len(instructions))
    drawn = set(order[: min(n, len(instructions) // 10)].tolist())
    held_out = [one for i, one in enumerate(instructions) if i in drawn]
    return held_out, [one for i, one in enumerate(instructions) if i not in drawn]


def judge_by_loss(examples: Sequence[Candidates]) -> DevSet:
    """Returns held-out examples, judged by minus their mean loss in nats per learned token."""
    from harness.llm.tuning.trainer import DevSet

    n_tokens = sum(len(one.continuations[0]) for one in examples)
    return DevSet(examples, lambda scores: sum(score[0] for score in scores) / n_tokens, "minus the held-out loss")


def judge_by_f1(questions: Sequence[Candidates], gold: Sequence[str], labels: LabelSet) -> DevSet:
    """Returns the questions of the dev split, judged by weighted F1 as `weighted_f1` computes it."""
    from harness.llm.tuning.trainer import DevSet

    return DevSet(questions, lambda scores: weighted_f1(gold, scores, labels), "dev weighted F1")


def weighted_f1(gold: Sequence[str], scores: Sequence[tuple[float, ...]], labels: LabelSet) -> float:
    """Returns the weighted F1 of the likeliest labels; an answer with a score that is not finite counts as wrong.

    Args:
        gold: labels of the set, (n,).
        scores: log-likelihoods of the labels in the order of the set, (n, n_labels), nats.
        labels: the set.
    """
    likelihoods = np.array(scores)
    usable = np.isfinite(likelihoods).all(axis=1)
    predicted = np.where(usable, likelihoods.argmax(axis=1), len(labels))
    truth = np.array([labels.index(label) for label in gold])
    counts = tally(np.zeros_like(truth), truth, predicted, n_dialogues=1, n_labels=len(labels))
    return float(get_metric("weighted_f1").value(totals_of(counts[0])))
