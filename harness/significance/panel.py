"""All runs of all systems side by side: what every procedure starts from, checked once.

Owns the refusals and warnings about the data. Must not know scopes, tests or corrections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.errors import ConfigError, IncompatibleRunsError
from harness.metrics import Metric, Totals, totals_of
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.influence import influence_values
from harness.significance.units import DIALOGUE, UTTERANCE, UTTERANCE_WARNING

FEWEST_DIALOGUES = 10


@dataclass(frozen=True, eq=False)
class Panel:
    """Scores and influence values per system, one row per seed."""

    metric: Metric
    totals: tuple[Totals, ...]
    """Per system, statistics per dialogue: tp, pred (n_seeds, n_dialogues, n_labels), sup (n_dialogues, n_labels)."""
    scores: tuple[FloatArray, ...]
    """Per system, float64 (n_seeds,)."""
    influences: tuple[FloatArray, ...]
    """Per system, float64 (n_seeds, n_dialogues)."""

    @property
    def n_systems(self) -> int:
        """Number of systems."""
        return len(self.scores)

    @property
    def n_dialogues(self) -> int:
        """Number of dialogues."""
        return int(self.sizes.size)

    @cached_property
    def n_seeds(self) -> IntArray:
        """int64 (n_systems,): runs per system."""
        return np.array([score.size for score in self.scores], np.int64)

    @cached_property
    def sizes(self) -> FloatArray:
        """float64 (n_dialogues,): utterances per dialogue."""
        return self.totals[0].n_utterances

    @cached_property
    def mean_score(self) -> FloatArray:
        """float64 (n_systems,): mean over seeds of the per-seed score, never the score of pooled predictions."""
        return np.array([score.mean() for score in self.scores])

    @cached_property
    def mean_influence(self) -> FloatArray:
        """float64 (n_systems, n_dialogues): mean over seeds."""
        return np.stack([influence.mean(axis=0) for influence in self.influences])

    @cached_property
    def contributions(self) -> FloatArray:
        """float64 (n_systems, n_dialogues): what each dialogue adds to the score; rows sum to `mean_score`."""
        shares: FloatArray = self.sizes / self.sizes.sum()
        return self.mean_influence + self.mean_score[:, None] * shares

    @cached_property
    def all_runs(self) -> Totals:
        """Totals of every run of every system in turn: tp and pred (n_runs, n_dialogues, n_labels)."""
        tp, pred = ([getattr(own, part) for own in self.totals] for part in ("tp", "pred"))
        return Totals(np.concatenate(tp), np.concatenate(pred), self.totals[0].sup)

    @property
    def effective_clusters(self) -> float:
        """(sum n)^2 / sum n^2 over dialogue sizes: how many equal dialogues this split is worth."""
        return float(self.sizes.sum() ** 2 / (self.sizes**2).sum())

    def check_one_run_each(self) -> None:
        """Raises ConfigError if a system has several runs, which a claim about fixed predictions cannot use."""
        several = np.flatnonzero(self.n_seeds != 1)
        if several.size:
            raise ConfigError(
                f"system {int(several[0])} has {int(self.n_seeds[several[0]])} seeds; checkpoint scope takes one run "
                "per system: choose a run, or use scope='procedure'"
            )

    def warnings(self, unit: str = DIALOGUE) -> list[str]:
        """Returns one line for each reason to trust results less; `unit` is the word for a row of counts."""
        if unit == UTTERANCE:
            return [UTTERANCE_WARNING]
        found = []
        share = float(self.sizes.max() / self.sizes.sum())
        if self.n_dialogues < 30:
            found.append(f"only {self.n_dialogues} {unit}s: intervals and tests are approximate below 30")
        if share > 0.1:
            found.append(f"one {unit} holds {share:.0%} of the utterances (more than 10%)")
        if self.effective_clusters < 20:
            found.append(f"unequal {unit}s are worth only {self.effective_clusters:.1f} equal ones (fewer than 20)")
        return found


def build_panel(counts: Sequence[IntArray], metric: Metric) -> Panel:
    """Returns scores and influence values of all runs.

    Args:
        counts: per system, int64 (n_seeds, n_dialogues, n_labels, n_labels + 1) as `harness.metrics.tally` lays out.
        metric: what to score.

    Raises:
        ConfigError: no system, counts of another shape, or fewer than 10 dialogues with gold.
        IncompatibleRunsError: systems were scored on different dialogues, labels or gold.
    """
    _check_counts(counts)
    gold = counts[0][0].sum(axis=-1)
    # A dialogue without gold says nothing; counted in, it would pass for an independent observation.
    labelled = gold.sum(axis=-1) > 0
    if labelled.sum() < FEWEST_DIALOGUES:
        raise ConfigError(f"{int(labelled.sum())} dialogues with gold are too few; give at least {FEWEST_DIALOGUES}")
    sup = gold[labelled].astype(np.float64)
    totals = []
    for system in counts:
        own = totals_of(system[:, labelled])
        totals.append(Totals(np.ascontiguousarray(own.tp), own.pred, sup))
    return Panel(
        metric=metric,
        totals=tuple(totals),
        scores=tuple(metric.value(own.over_dialogues()) for own in totals),
        influences=tuple(influence_values(own, metric) for own in totals),
    )


def _check_counts(counts: Sequence[IntArray]) -> None:
    if not counts:
        raise ConfigError("counts is empty; give one array per system")
    for system, own in enumerate(counts):
        if own.ndim != 4 or own.shape[0] < 1 or own.shape[3] != own.shape[2] + 1:
            raise ConfigError(
                f"counts[{system}] has shape {own.shape!r}; give (n_seeds, n_dialogues, n_labels, n_labels + 1)"
            )
        if own.shape[1:] != counts[0].shape[1:]:
            raise IncompatibleRunsError(
                f"systems 0 and {system} have counts of shape {counts[0].shape[1:]!r} and {own.shape[1:]!r}; "
                "score both on the same dialogues and labels"
            )
    gold = counts[0][0].sum(axis=-1)
    for system, own in enumerate(counts):
        differs = (own.sum(axis=-1) != gold).any(axis=2)
        if differs.any():
            seed, dialogue = (int(i) for i in np.argwhere(differs)[0])
            raise IncompatibleRunsError(
                f"systems 0 and {system} were scored on different gold: dialogue {dialogue} has label counts "
                f"{gold[dialogue].tolist()!r} and {own[seed, dialogue].sum(axis=-1).tolist()!r}; use one split"
            )
