"""Stored runs compared: two systems in detail, or all pairs of several. No model; a corpus only where one is given."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.data import Split
from harness.errors import ConfigError
from harness.evaluation.results import Comparison, LabelledComparison
from harness.evaluation.scoring import DIALOGUE, check_comparable, group_runs, load_system, resolve_metric
from harness.evaluation.utterances import design_effect, unit_counts
from harness.significance import compare_systems, dialogues_needed, posterior, seeds_needed, smallest_detectable
from harness.store import StoredRun

__all__ = [
    "SEED_SHARE",
    "Comparison",
    "LabelledComparison",
    "compare_all",
    "compare_groups",
    "compare_runs",
    "default_scope",
]

SEED_SHARE = 0.1
"""What seeds may add to the variance of dialogues before more of them are advised."""


def compare_all(
    runs: Sequence[StoredRun],
    *,
    metric: str | None = None,
    scope: str | None = None,
    unit: str = DIALOGUE,
    test: str | None = None,
    correction: str | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> LabelledComparison:
    """Returns all pairs of the systems that these runs make up, for example of `RunStore(...).runs("meld", "test")`.

    A system is the runs of one predictor with one set of parameters. Checkpoint scope takes its run of lowest seed.

    Args:
        runs: on one split, in any order; systems keep the order of their first run.
        metric: name; default: the main metric of the dataset.
        scope: "checkpoint" or "procedure"; default: checkpoint if every system has one run, else procedure.
        unit: "dialogue", or an attribute of dialogues such as "episode".
        test: as `compare_systems` says, as is all that follows.
        correction: over all pairs.
        alpha: level of tests and intervals.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.

    Raises:
        IncompatibleRunsError: the runs may not meet in one table.
        ConfigError: no runs, or an option is not allowed.
        UnknownNameError: no such metric.
        StoreError: a file is missing or corrupt.
    """
    groups = [sorted(group, key=lambda run: run.manifest.seed) for group in group_runs(runs)]
    chosen = scope or default_scope(groups)
    fixed = [chosen == "checkpoint" or group[0].manifest.predictor.card["deterministic"] for group in groups]
    kept = [group[:1] if one else group for group, one in zip(groups, fixed, strict=True)]
    return compare_groups(kept, metric, chosen, unit, test, correction, alpha, n_resamples, seed)


def compare_runs(
    a: Sequence[StoredRun],
    b: Sequence[StoredRun],
    *,
    metric: str | None = None,
    scope: str | None = None,
    unit: str = DIALOGUE,
    test: str | None = None,
    alpha: float = 0.05,
    n_resamples: int = 10_000,
    seed: int = 0,
    split: Split | None = None,
    rope: float | None = None,
) -> Comparison:
    """Returns the difference between two systems with its interval and p-value, and what would sharpen it.

    Args:
        a: runs of one system, one a seed.
        b: runs of the other.
        metric: this and what follows as in `compare_all`; one pair needs no correction.
        scope: "checkpoint" or "procedure".
        unit: "dialogue", an attribute of dialogues, or, with `split`, "utterance" (too optimistic, with a warning).
        test: name of a test of the scope.
        alpha: level of test and interval.
        n_resamples: replicates of a resampling test.
        seed: key of its random streams.
        split: the split that they predicted, for the design effect; see `harness.evaluation.utterances.find_split`.
        rope: differences smaller than this fraction do not matter: adds the Bayesian bootstrap, a description.

    Raises:
        IncompatibleRunsError: the runs may not meet in one table, or predicted another release of the split.
        ConfigError: the scope needs another number of seeds, or an option is not allowed.
        UnknownNameError: no such metric.
        StoreError: a file is missing or corrupt.
    """
    chosen = scope or default_scope([a, b])
    compared = compare_groups([a, b], metric, chosen, unit, test, "none", alpha, n_resamples, seed, split)
    result, data = compared.result, a[0].manifest.data
    for system, tested in zip(compared.systems, result.tested, strict=True):
        if not tested:
            raise ConfigError(
                f"{system.label!r} has {len(system.runs)} seed(s): scope 'procedure' needs 3 or more; type: "
                f"erc-harness run {system.runs[0].manifest.predictor.name} --dataset {data.dataset} --seed 0 1 2, "
                "or use scope 'checkpoint'"
            )
    chosen_metric = resolve_metric(result.metric, a[0])
    belief = None
    if rope is not None:
        counts = [counts[:1] for counts in unit_counts(compared.systems, unit, split)]
        belief = posterior(counts, chosen_metric, rope=rope, n_resamples=n_resamples, seed=seed)
    difference, se = float(result.difference[0, 1]), float(result.pair_se[0, 1])
    seed_variances, interactions = (result.se_seed**2).tolist(), (result.se_interaction**2).tolist()
    net = [max(own - shared, 0.0) for own, shared in zip(seed_variances, interactions, strict=True)]
    in_procedure = result.scope == "procedure"
    dialogue_variance = max(se**2 - sum(net), 0.0) if in_procedure else se**2
    per_run = (net[0] * result.n_seeds[0], net[1] * result.n_seeds[1])
    return Comparison(
        dataset=data.dataset,
        metric=result.metric,
        a=compared.labels[0],
        b=compared.labels[1],
        score_a=float(result.score[0]),
        score_b=float(result.score[1]),
        difference=difference,
        se=se,
        se_dialogue=math.sqrt(dialogue_variance),
        se_seed=math.sqrt(sum(seed_variances)),
        se_interaction=math.sqrt(sum(interactions)),
        low=float(result.pair_low[0, 1]),
        high=float(result.pair_high[0, 1]),
        p_value=float(result.p_value[0, 1]),
        scope=result.scope,
        unit=unit,
        test=result.test,
        n_dialogues=compared.n_dialogues,
        n_clusters=result.n_dialogues,
        effective_clusters=result.effective_clusters,
        n_utterances=result.n_utterances,
        n_seeds_a=result.n_seeds[0],
        n_seeds_b=result.n_seeds[1],
        alpha=result.alpha,
        n_resamples=result.n_resamples,
        seed=result.seed,
        detectable=float(smallest_detectable(result.pair_se, result.critical_value)[0, 1]),
        seeds_needed=seeds_needed(per_run, dialogue_variance, SEED_SHARE)
        if in_procedure and dialogue_variance
        else None,
        dialogues_needed=(
            dialogues_needed(difference, math.sqrt(dialogue_variance), compared.n_dialogues, result.critical_value)
            if difference and dialogue_variance
            else None
        ),
        design_effect=None if split is None else design_effect(compared.systems, chosen_metric, split),
        rope=rope,
        probability_better=None if belief is None else float(belief.better[0, 1]),
        probability_equivalent=None if belief is None else float(belief.equivalent[0, 1]),
        warnings=(*data.notes, *result.warnings),
    )


def compare_groups(
    groups: Sequence[Sequence[StoredRun]],
    metric: str | None,
    scope: str,
    unit: str,
    test: str | None,
    correction: str | None,
    alpha: float,
    n_resamples: int,
    seed: int,
    split: Split | None = None,
) -> LabelledComparison:
    """Returns all pairs of systems, each given as its runs; arguments and errors as in `compare_runs`."""
    runs = [run for group in groups for run in group]
    if not runs:
        raise ConfigError("no runs given; give stored runs, such as RunStore(layout).runs('meld', 'test')")
    check_comparable(runs)
    systems = tuple(load_system(group) for group in groups)
    data, table = runs[0].manifest.data, systems[0].tables[0]
    result = compare_systems(
        unit_counts(systems, unit, split),
        resolve_metric(metric or data.metric, runs[0]),
        scope=scope,  # type: ignore[arg-type]  # compare_systems refuses other words itself
        deterministic=[system.deterministic for system in systems],
        names=[system.label for system in systems],
        test=test,
        correction=correction,
        alpha=alpha,
        n_resamples=n_resamples,
        seed=seed,
        unit=unit,
    )
    labels = tuple(system.label for system in systems)
    return LabelledComparison(data.dataset, labels, systems, unit, len(table.attributes), result)


def default_scope(groups: Sequence[Sequence[StoredRun]]) -> str:
    """Returns "checkpoint" if every system has one run, else "procedure"."""
    return "checkpoint" if all(len(group) == 1 for group in groups) else "procedure"
