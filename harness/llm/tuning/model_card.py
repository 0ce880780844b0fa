"""The page that stands beside trained weights: what they are, what they learned from, and how good they are on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def model_card(record: Mapping[str, Any]) -> str:
    """Returns the README of a training, in Markdown with the header that model hubs read.

    Args:
        record: what `training_results.json` holds: base, method, recipe, data, examples, tuning and versions.
    """
    base, tuning, recipe, examples = (record[key] for key in ("base", "tuning", "recipe", "examples"))
    lora = record["method"] == "lora"
    datasets = ", ".join(dict.fromkeys(part["dataset"] for part in record["data"]))
    labels = "; ".join(f"{name}: {', '.join(shown)}" for name, shown in record["labels"].items())
    best = tuning["best_score"]
    chosen = "the last" if best is None else f"the best by {record['selected_by']} ({best:.4f})"
    commit = f" at {base['revision']}" if base["revision"] else ""
    return f"""---
base_model: {base["model"]}
library_name: {"peft" if lora else "transformers"}
pipeline_tag: text-generation
tags: [emotion-recognition-in-conversations{", lora" if lora else ""}]
---

# {record["predictor"]} on {datasets}, seed {record["seed"]}

{f"LoRA of rank {recipe['rank']}" if lora else "All weights"} over `{base["model"]}`{commit}, trained by erc-harness to
answer which emotion an utterance of a dialogue has, by the recipe `{record["recipe_name"]}`: {recipe["source"]}.

These are the weights after update {tuning["best_step"]:,} of {tuning["n_steps"]:,}: {chosen}.
{tuning["n_trainable"]:,} of {tuning["n_parameters"]:,} parameters were trained. The last session took
{tuning["seconds"]:,.0f} seconds on {tuning["device"]} and {tuning["peak_bytes"] / 2**30:.1f} GiB.

## Data

{_table(("dataset", "split", "examples", "fingerprint"), [_part(part) for part in record["data"]])}

{examples["n_shortened"]:,} examples lost {examples["n_lines_dropped"]:,} lines of history to fit {recipe["max_tokens"]}
tokens; {examples["n_too_long"]:,} are longer even without history, and whole all the same. No answer was cut.
Labels as answered: {labels}.

## Recipe

{_table(("setting", "value"), [(key, value) for key, value in recipe.items() if key != "source"])}

## Use

`erc-harness run {record["predictor"]} -P adapter=THIS_FOLDER -P base=BASE --dataset DATASET`

The prompt is that of template `{record["template"]["name"]}`. Weights may have learned texts of these corpora by heart:
the licences of the corpora hold for what the model writes.

Made with {", ".join(f"{name} {version}" for name, version in record["versions"].items())}.
"""


def _part(part: Mapping[str, Any]) -> tuple[Any, ...]:
    return part["dataset"], part["split"], f"{part['n_examples']:,}", f"`{part['fingerprint'][:16]}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
