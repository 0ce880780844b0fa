"""Whether weights that somebody gives fit what they are asked: the same base, the same labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.features.weights import HUB_NAME, locate
from harness.llm import ModelSettings
from harness.prompting import LabelNames
from harness.store.trained import read_record

MARKER = "adapter_config.json"
"""By this file a folder of LoRA weights is known."""

TOLD = (
    "base", "recipe_name", "selected_by", "data", "examples", "quantization", "precision", "versions"
)  # fmt: skip
"""What manifests say of a training, beside what came of it."""


def check_adapter(
    adapter: str, base: ModelSettings, names: LabelNames, dataset: str, download: bool
) -> Mapping[str, Any] | None:
    """Returns the record of the training that made an adapter; None for somebody else's, or one at a hub.

    Args:
        adapter: folder, or name at a hub.
        base: the model that it will be added to.
        names: labels that it will be asked for.
        dataset: of these labels.
        download: whether a hub may be asked.

    Raises:
        ConfigError: it was made for another base, or for other labels.
        ModelError: there is none, or no base.
    """
    found = locate(adapter, download=download, marker=MARKER)
    own = locate(base.model, base.revision, download=download)
    if found.commit is not None:
        return None
    record = read_record(Path(found.source))
    if record is None or not record.keys() >= {*TOLD, "tuning", "labels"}:  # somebody else's, by the same name
        named = json.loads((Path(found.source) / MARKER).read_text(encoding="utf-8")).get("base_model_name_or_path")
        if _is_elsewhere(named) and named != own.name:
            raise ConfigError(
                f"adapter {adapter!r} is for {named!r}, and the base is {own.name!r}; give that base: -P base=..."
            )
        return None
    if record["base"] != {"model": own.name, "revision": own.commit}:
        raise ConfigError(
            f"adapter {adapter!r} was trained over {record['base']['model']!r}, and the base is {own.name!r}; "
            "give that base: -P base=..."
        )
    if not any(set(labels) == set(names.shown) for labels in record["labels"].values()):
        answers = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in record["labels"].items())
        raise ConfigError(
            f"adapter {adapter!r} answers with the labels of {answers}; {dataset!r} asks for "
            f"{', '.join(sorted(names.shown))}: give an adapter for these, or -P label_names="
        )
    return record


def summarise(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the manifest says of a training: all but the loss of every update."""
    tuning = dict(record["tuning"])
    tuning["dev"] = [row for row in tuning.pop("history") if "eval_score" in row]
    return {key: record[key] for key in TOLD} | {"tuning": tuning}


def _is_elsewhere(name: object) -> bool:
    """Returns whether a name is that of a model at a hub, and of no folder here."""
    return isinstance(name, str) and "/" in name and bool(HUB_NAME.fullmatch(name)) and not Path(name).exists()
