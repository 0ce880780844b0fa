"""What runs would take in tokens and dollars, without calling anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.output import note, print_json, print_table
from harness.schema.run import row_label

if TYPE_CHECKING:
    from harness.evaluation.jobs import PreparedRun, Settings


def show_estimates(runs: Sequence[PreparedRun], settings: Settings, as_json: bool) -> None:
    """Prints one row a run: requests, how many are answered already, tokens, dollars."""
    rows = [_estimate(run, settings) for run in runs]
    if as_json:
        print_json({"runs": rows})
        return
    print_table([_shown(row) for row in rows])
    if any(row["approximate"] for row in rows):
        note("~ tokens guessed from the length of the text: no tokenizer is at hand")
    if any(row["n_requests"] and row["usd_high"] is None for row in rows):
        note("no price is known for some models: their cost is unknown, not 0; give --prices FILE")


def _estimate(run: PreparedRun, settings: Settings) -> dict[str, Any]:
    """Returns the estimate of one run; a run that prompts nobody takes no request."""
    from harness.evaluation.jobs import prompting_predictor

    row: dict[str, Any] = {
        "run_id": run.config.run_id,
        "predictor": row_label(run.spec.name, run.job.params),
        "dataset": run.dataset.name,
        "split": run.split.name,
        "seed": run.job.seed,
    }
    predictor = prompting_predictor(run, settings)
    if predictor is None:
        empty = dict.fromkeys(("n_prompt_tokens", "n_completion_tokens_max", "usd_low", "usd_high"))
        return {**row, "n_requests": 0, "n_cached": 0, **empty, "approximate": False}
    views = [v for d in run.split.dialogues for v in d.views(run.card.context, run.split.label_set)]
    return {**row, **asdict(predictor.estimate(views))}


def _shown(row: dict[str, Any]) -> dict[str, object]:
    """Returns a row for people."""
    guess = "~" if row["approximate"] else ""
    usd = None if row["usd_high"] is None else f"{row['usd_low']:.4f} to {row['usd_high']:.4f}"
    return {
        "predictor": row["predictor"],
        "dataset": row["dataset"],
        "seed": row["seed"],
        "requests": row["n_requests"],
        "stored": row["n_cached"],
        "prompt tokens": None if row["n_prompt_tokens"] is None else f"{guess}{row['n_prompt_tokens']}",
        "answer tokens at most": row["n_completion_tokens_max"],
        "US dollars": usd if row["n_requests"] else None,
    }
