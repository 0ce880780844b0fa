"""`erc-harness show`: one run."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Json, ResultsDir, find_layout
from harness.cli.output import print_json, print_table, print_text

if TYPE_CHECKING:
    from harness.evaluation.usage import RunUsage
    from harness.schema.run import Manifest


def show(
    run: Annotated[str, typer.Argument(help="Run id, or path of a run's folder.")],
    results_dir: ResultsDir = None,
    as_json: Json = False,
) -> None:
    """Show what a stored run scored and how it was made."""
    from harness.evaluation.scoring import all_metric_names, score_table
    from harness.evaluation.usage import sum_usage
    from harness.export import numbers
    from harness.metrics import get_metric, metric_names
    from harness.metrics.bounds import bound_metric
    from harness.store import RunStore

    stored = RunStore(find_layout(results_dir)).find(run)
    manifest = stored.manifest
    data = manifest.data
    table = stored.dialogues()
    metrics = score_table(table, all_metric_names(data.labels, data.neutral), data.neutral)
    neutral = None if data.neutral is None else data.labels.index(data.neutral)
    bounds = None
    if manifest.coverage < 1:
        bounds = {
            name: bound_metric(table.confusion.counts, get_metric(name, data.labels, data.neutral), neutral)
            for name in metric_names(data.labels, data.neutral)
        }
    generations = stored.generations()
    usage = sum_usage(generations.values()) if generations else None
    imported = manifest.predictor.imported
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
        "bounds": None if bounds is None else {name: asdict(bound) for name, bound in bounds.items()},
        "usage": None if usage is None else asdict(usage),
        "imported": imported,
    }
    if as_json:
        print_json({**document, "manifest": asdict(manifest)})
        return
    origin = "" if imported is None else f", imported from {imported['from']}"
    print_text(
        f"{manifest.predictor.label} on {data.dataset} ({data.split}), seed {manifest.seed}: {manifest.run_id}{origin}"
    )
    print_text(f"{data.n_utterances} utterances in {data.n_dialogues} dialogues, fingerprint {data.fingerprint[:16]}")
    answers = ", ".join(f"{count} {status}" for status, count in manifest.statuses.items() if count)
    print_text(f"coverage {numbers.coverage(manifest.coverage)} % ({answers})")
    if bounds is not None:
        name, bound = data.metric, bounds[data.metric]
        as_neutral = "" if bound.neutral is None else f", {numbers.percent(bound.neutral)} if {data.neutral!r}"
        print_text(
            f"{name} counts what has no label as wrong: {numbers.percent(bound.wrong)}; it would be "
            f"{numbers.percent(bound.right)} if all of that were right{as_neutral}"
        )
    if usage is not None:
        if imported is None:
            is_local = manifest.predictor.facts.get("model", {}).get("backend") == "transformers"
            print_text(_describe(usage, is_local))
        print_text("read by rule: " + ", ".join(f"{count} {rule}" for rule, count in usage.rules.items()))
    print_text("")
    print_text("scores in percent; Brier score and NLL (nats) as they are")
    print_table(
        [{"metric": name, "value": numbers.metric(name, value)} for name, value in metrics.items() if not isnan(value)]
    )
    git = manifest.git
    made = f"{git['commit'][:10]}{' with changes' if git['dirty'] else ''}" if git else "an installed package"
    code, times = f"erc-harness {manifest.versions.get('erc-harness', '?')} from {made}", manifest.times
    if imported is None:
        print_text(
            f"\nmade {times['started']} with {code}; "
            f"learning {times['fit_seconds']} s, predicting {times['predict_seconds']} s"
        )
    else:
        print_text(f"\n{_describe_import(manifest)}\nanswers read with {code}")
    print_text(f"folder {stored.path}")


def _describe_import(manifest: Manifest) -> str:
    """Returns where an imported run comes from, in two lines."""
    made, found = manifest.predictor, manifest.predictor.imported or {}
    model = made.facts["model"]
    about = ", ".join(f"{key} {value}" for key, value in model.items() if key not in ("backend", "model") and value)
    version = manifest.versions.get(found["from"], "of unknown version")
    named = f"{model['model'] or 'not told'}{f' ({about})' if about else ''}"
    return (
        f"imported from {found['from']} {version}, model {named}\n"
        f"{found['samples']['name']}, SHA-256 {found['samples']['sha256']}"
    )


def _describe(usage: RunUsage, is_local: bool) -> str:
    """Returns what a run with a language model took, in a line; what runs on one's own machine has no price."""
    unknown = f" and {usage.n_usd_unknown} answers of unknown price" if usage.n_usd_unknown else ""
    untold = f" (not told for {usage.n_tokens_unknown})" if usage.n_tokens_unknown else ""
    latency = "" if usage.median_seconds is None else f", median latency {usage.median_seconds:.3g} s"
    return (
        f"{usage.n_answers} different answers, {usage.n_cached} of them stored before; {usage.n_attempts} calls, "
        f"{usage.n_prompt_tokens} prompt and {usage.n_completion_tokens} completion tokens{untold}, "
        f"{'no price' if is_local else f'{usage.usd:.4f} US dollars{unknown}'}{latency}"
    )
