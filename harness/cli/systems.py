"""How commands name the runs of a system: by row label, or by one of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.errors import UnknownNameError

if TYPE_CHECKING:
    from harness.store import RunStore, StoredRun


def find_system(runs: Sequence[StoredRun], label: str, dataset: str, scope: str | None) -> list[StoredRun]:
    """Returns the runs of a system by row label; one of them in checkpoint scope, or if it is deterministic.

    Raises:
        UnknownNameError: no system, or several, are called so.
    """
    from harness.evaluation.scoring import group_runs

    groups = group_runs(runs)
    exact = [g for g in groups if g[0].manifest.predictor.label == label]
    named = exact or [g for g in groups if g[0].manifest.predictor.name == label]
    if len(named) != 1:
        labels = [g[0].manifest.predictor.label for g in (named or groups)]
        if named:
            raise UnknownNameError(
                f"system {label!r} is not unique on {dataset!r}; give one of {', '.join(sorted(labels))}"
            )
        raise UnknownNameError.of("system", label, labels, f"type: erc-harness run {label} --dataset {dataset}")
    group = sorted(named[0], key=lambda run: run.manifest.seed)
    single = scope == "checkpoint" or group[0].manifest.predictor.card["deterministic"]
    return group[:1] if single else group


def find_seeds(store: RunStore, reference: str, scope: str | None) -> list[StoredRun]:
    """Returns a run, named as `RunStore.find` takes it, with those of the same configuration and other seeds.

    Alone in checkpoint scope, or if the predictor is deterministic.

    Raises:
        UnknownNameError: there is no such run.
        StoreError: a manifest is corrupt.
    """
    try:
        run = store.find(reference)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error}; or add --dataset DATASET to give a system's name") from error
    manifest = run.manifest
    if scope == "checkpoint" or manifest.predictor.card["deterministic"]:
        return [run]
    config = manifest.run_id.partition("-")[2]
    every = store.runs(manifest.data.dataset, manifest.data.split)
    seeds = [one for one in every if one.manifest.run_id.partition("-")[2] == config]
    return sorted(seeds or [run], key=lambda one: one.manifest.seed)
