"""The page that stands beside trained weights: what they are, what they learned from, and how good they are on dev."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_card(record: Mapping[str, Any]) -> str:
    """Returns the README of a training, in Markdown with the header that model hubs read.

    Args:
        record: what `training_results.json` holds: base, method, recipe, data, examples, tuning and versions.
    """
    base, tuning, recipe = record["base"], record["tuning"], record["recipe"]
    data = record["data"]
    lora = record["method"] == "lora"
    what = f"LoRA of rank {recipe['rank']}" if lora else "All weights"
    best = "the last ones" if tuning["best_score"] is None else f"best on {record['selected_by']}"
    rows = "\n".join(
        f"| {part['dataset']} | {part['split']} | {part['n_examples']:,} | `{part['fingerprint'][:16]}` |"
        for part in data
    )
    settings = "\n".join(f"| {key} | {_cell(value)} |" for key, value in recipe.items() if key != "source")
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"""---
base_model: {base["model"]}
library_name: {"peft" if lora else "transformers"}
pipeline_tag: text-generation
tags: [emotion-recognition-in-conversations{", lora" if lora else ""}]
---

# {record["predictor"]} on {", ".join(dict.fromkeys(part["dataset"] for part in data))}, seed {record["seed"]}

{what} over `{base["model"]}`{f" at {base['revision']}" if base["revision"] else ""}, trained by erc-harness to answer
which emotion an utterance of a dialogue has. The recipe is `{record["recipe_name"]}`: {recipe["source"]}.

Weights after update {tuning["best_step"]:,} of {tuning["n_steps"]:,}, {best}{
        "" if tuning["best_score"] is None else f" ({tuning['best_score']:.4f})"
    }. {tuning["n_trainable"]:,} of {tuning["n_parameters"]:,} parameters were trained, in {
        tuning["seconds"]:,.0f} seconds on
{tuning["device"]}, with {tuning["peak_bytes"] / 2**30:.1f} GiB.

## Data

| dataset | split | examples | fingerprint |
|---|---|---|---|
{rows}

{record["examples"]["n_shortened"]:,} examples lost {record["examples"]["n_lines_dropped"]:,} lines of history to fit;
{record["examples"]["n_too_long"]:,} are longer than the limit without history and were kept whole. No answer was cut.
Labels, as answered: {"; ".join(f"{name}: {', '.join(labels)}" for name, labels in record["labels"].items())}.

## Recipe

| setting | value |
|---|---|
{settings}

## Use

`erc-harness run {
        record["predictor"]
    } -P adapter=THIS_FOLDER -P base=BASE --dataset DATASET`; the prompt is that of template
`{
        record["template"]["name"]
    }`. Weights may have learned texts of these corpora by heart: their licences hold for what the
model writes.

Made with {versions}.
"""


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
