"""`erc-harness show` and `erc-harness compare`: one run, and one pair of systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import Annotated

import typer

from harness.cli.options import Json, Quiet, ResultsDir, find_layout
from harness.cli.output import note, print_json, print_table, print_text
from harness.errors import UnknownNameError
from harness.store.run_store import StoredRun


def show(
    run: Annotated[str, typer.Argument(help="Run id, or path of a run's folder.")],
    results_dir: ResultsDir = None,
    as_json: Json = False,
) -> None:
    """Show what a stored run scored and how it was made."""
    from harness.evaluation.scoring import all_metric_names, score_table
    from harness.store import RunStore

    stored = RunStore(find_layout(results_dir)).find(run)
    manifest = stored.manifest
    data = manifest.data
    table = stored.dialogues()
    metrics = score_table(table, all_metric_names(data.labels, data.neutral), data.neutral)
    document = {
        "run_id": manifest.run_id,
        "predictor": manifest.predictor.label,
        "dataset": data.dataset,
        "split": data.split,
        "seed": manifest.seed,
        "n_utterances": data.n_utterances,
        "n_dialogues": data.n_dialogues,
        "coverage": manifest.coverage,
        "statuses": dict(manifest.statuses),
        "metrics": metrics,
    }
    if as_json:
        print_json({**document, "manifest": asdict(manifest)})
        return
    print_text(f"{manifest.predictor.label} on {data.dataset} ({data.split}), seed {manifest.seed}: {manifest.run_id}")
    print_text(f"{data.n_utterances} utterances in {data.n_dialogues} dialogues, fingerprint {data.fingerprint[:16]}")
    answers = ", ".join(f"{count} {status}" for status, count in manifest.statuses.items() if count)
    print_text(f"coverage {manifest.coverage:.1%} ({answers})\n")
    print_table([{"metric": name, "value": _shown(name, value)} for name, value in metrics.items() if not isnan(value)])
    git = manifest.git
    made = f"{git['commit'][:10]}{' with changes' if git['dirty'] else ''}" if git else "an installed package"
    times = manifest.times
    print_text(
        f"\nmade {times['started']} with erc-harness {manifest.versions.get('erc-harness', '?')} from {made}; "
        f"learning {times['fit_seconds']} s, predicting {times['predict_seconds']} s\nfolder {stored.path}"
    )


def compare(
    a: Annotated[
        str, typer.Argument(help="A system: a predictor's name, or a row label such as 'tfidf-svm[history=2]'.")
    ],
    b: Annotated[str, typer.Argument(help="Another system.")],
    dataset: Annotated[str, typer.Option(help="Dataset they were run on.")],
    split: Annotated[str, typer.Option(help="Split.")] = "test",
    metric: Annotated[str | None, typer.Option(help="Metric; default: the main one of the dataset.")] = None,
    scope: Annotated[
        str | None, typer.Option(help="checkpoint (these predictions) or procedure (seeds too); default: by the runs.")
    ] = None,
    results_dir: ResultsDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether two systems differ: difference, interval and p-value, paired over dialogues."""
    from harness.evaluation.scoring import compare_runs
    from harness.store import RunStore

    runs = RunStore(find_layout(results_dir)).runs(dataset, split)
    result = compare_runs(
        _system(runs, a, dataset, scope), _system(runs, b, dataset, scope), metric=metric, scope=scope
    )
    if not quiet:
        for warning in result.warnings:
            note(f"warning: {warning}")
    if as_json:
        print_json(asdict(result))
        return
    seeds = f"{result.n_seeds_a} and {result.n_seeds_b} seeds"
    print_text(f"{result.metric} on {result.dataset}: {result.a} {result.score_a:.2%}, {result.b} {result.score_b:.2%}")
    print_text(
        f"difference {100 * result.difference:+.2f} points, {1 - result.alpha:.0%} interval "
        f"[{100 * result.low:+.2f}, {100 * result.high:+.2f}], p = {result.p_value:.2g}"
    )
    print_text(
        f"{result.test}, scope {result.scope}, unit {result.unit}: {result.n_dialogues} dialogues, {seeds}; "
        "one pair, so no correction"
    )


def _system(runs: Sequence[StoredRun], label: str, dataset: str, scope: str | None) -> list[StoredRun]:
    """Returns the runs of a system by row label; one of them in checkpoint scope, or if it is deterministic."""
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


def _shown(name: str, value: float) -> str:
    return f"{value:.4f}" if name in ("brier", "nll") else f"{value:.2%}"
