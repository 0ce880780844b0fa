"""Reads what lm-eval says of an evaluation beside its samples: results_*.json, with the model and the printed scores.

Nothing of the machine it ran on is taken over: no path, no address, no key.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.data.files import Value, parse_json, read_text
from harness.errors import DataError
from harness.redaction import redact

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
"""How lm-eval names files of samples; the results have the same date."""

UNCOUNTED = -1
"""What lm-eval writes where it does not know the number of parameters."""


@dataclass(frozen=True, slots=True)
class LoggedResults:
    """An evaluation as lm-eval tells of it."""

    path: Path
    task: str
    model: str
    """Its name for lm-eval, of a path the last part; the kind of model where it has none."""
    about: dict[str, str | int]
    """What else is told of the model, such as its revision."""
    versions: dict[str, str]
    """Of lm-eval and transformers, as far as told."""
    started: str
    """ISO 8601 UTC; '': not told."""
    scores: dict[str, float]
    """What was printed for the task, by metric: fractions."""


def find_results(samples: Path) -> LoggedResults | None:
    """Returns what lm-eval says of the evaluation that a file of samples is from; None where there is no such file.

    Raises:
        DataError: the file is broken, or knows no such task.
    """
    named = _SAMPLES.fullmatch(samples.name)
    found = sorted(samples.parent.glob(f"*_{named['date']}.json")) if named else []
    return _read_results(found[0], named["task"]) if named and found else None


def _read_results(path: Path, task: str) -> LoggedResults:
    document = parse_json(read_text(path), path)
    results = document.field("results").mapping()
    if task not in results:
        raise DataError.at(path, f"no results of task {task!r}, whose samples lie beside; expected {sorted(results)}")
    told, config = document.mapping(), document.field("config").mapping()
    about: dict[str, str | int] = {
        "model_type": _told(config.get("model")),
        "revision": _told(config.get("model_revision")),
        "commit": _told(config.get("model_sha")),
        "dtype": _told(config.get("model_dtype")),
        "chat_template": _told(told.get("chat_template_sha")),
        "n_parameters": _number(config.get("model_num_parameters")),
    }
    versions = {"lm-eval": _told(told.get("lm_eval_version")), "transformers": _told(told.get("transformers_version"))}
    return LoggedResults(
        path=path,
        task=task,
        model=_public(_told(told.get("model_name"))) or _told(told.get("model_source")) or "unknown",
        about={key: value for key, value in about.items() if value and value != UNCOUNTED},
        versions={key: value for key, value in versions.items() if value},
        started=_time(told.get("date")),
        scores={
            name.removesuffix(",none"): value.content
            for name, value in results[task].mapping().items()
            if name.endswith(",none") and isinstance(value.content, float) and math.isfinite(value.content)
        },
    )


def _public(name: str) -> str:
    """Returns the name of a model without the folders that it lies in."""
    parts = name.replace("\\", "/").rstrip("/").split("/")
    return redact(name if len(parts) <= 2 and parts[0] not in ("", ".", "..", "~") else parts[-1], ())


def _told(value: Value | None) -> str:
    return redact(value.text(), ()) if value is not None and isinstance(value.content, str) and value.content else ""


def _number(value: Value | None) -> int:
    return value.whole() if value is not None and value.content is not None else 0


def _time(value: Value | None) -> str:
    """Returns seconds since 1970 as a time; '' where there are none."""
    if value is None or not isinstance(value.content, int | float):
        return ""
    try:
        return datetime.fromtimestamp(value.content, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        raise value.error(f"{value.content!r} is no time; expected seconds since 1970") from None
