"""Documents and scores of tasks for lm-eval; `erc-harness export-tasks` copies this file, as it is, beside the tasks.

The choice task needs lm-eval alone. The generate task reads answers by the rules of erc-harness, which must be
installed beside lm-eval: a copy of the rules could count other answers as right. Pairs are (gold, predicted) as numbers
of labels; NONE as prediction is an answer without a label, which is wrong and no label's false alarm.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

NONE = -1
"""The prediction where there is no label."""

Pair = tuple[int, int]


@cache
def _export() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("export.json").read_text(encoding="utf-8"))
    return found


def load_documents(**ignored: object) -> dict[str, Any]:
    """Returns the documents as lm-eval wants them; reads a file beside this one and asks no hub.

    Raises:
        ValueError: the file is not whole.
    """
    from datasets import Dataset

    path = Path(__file__).with_name("documents.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    if len(rows) != _export()["n_documents"]:
        raise ValueError(f"{path} holds {len(rows)} documents of {_export()['n_documents']}; export the tasks again")
    return {"test": Dataset.from_list(rows)}


def process_choice(doc: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Returns the scores of one document from the log-likelihoods of its choices; equal ones single out no label."""
    sums = [float(logprob) for logprob, _ in results]
    means = [value / len(name.strip().encode()) for value, name in zip(sums, _export()["shown"], strict=True)]
    return _scores(doc["gold"], _best(sums)) | _scores(doc["gold"], _best(means), "_bytes")


def process_generate(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Returns the scores of one document from what was written.

    lm-eval does not tell which texts were cut by the limit of tokens: each is read as if it had ended by itself.
    """
    from harness.llm.reading.parsing import read_answer
    from harness.llm.request import Response
    from harness.prompting.label_names import LabelNames
    from harness.schema import LabelSet

    labels = LabelSet(tuple(_export()["labels"]))
    reading = read_answer(Response("stop", results[0]), LabelNames(labels, tuple(_export()["shown"])))
    predicted = NONE if reading.label is None else labels.index(reading.label)
    return _scores(doc["gold"], predicted) | {"no_label": float(predicted == NONE)}


def require_reader(documents: Any) -> Any:
    """Returns the documents unchanged, before anything is generated in vain.

    Raises:
        ImportError: erc-harness is not installed.
    """
    try:
        import harness.llm.reading.parsing  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "this task reads answers by the rules of erc-harness, which is not installed beside lm-eval; "
            "type: pip install erc-harness, or run the choice task, which does without"
        ) from error
    return documents


def weighted_f1(pairs: Sequence[Pair]) -> float:
    """Returns the mean of F1 per label, weighted by gold count, as a fraction."""
    gold = Counter(one for one, _ in pairs)
    return sum(count * f1 for label, f1 in _f1(pairs).items() if (count := gold[label])) / len(pairs)


def macro_f1(pairs: Sequence[Pair]) -> float:
    """Returns the mean of F1 over the labels that occur in gold or predictions, as a fraction."""
    scores = _f1(pairs)
    return sum(scores.values()) / len(scores)


def _f1(pairs: Sequence[Pair]) -> dict[int, float]:
    """F1 of every label that occurs. Source: scikit-learn's f1_score with zero_division=0."""
    gold, predicted = (Counter(column) for column in zip(*pairs, strict=True))
    right = Counter(one for one, other in pairs if one == other)
    return {
        label: 2 * right[label] / (gold[label] + predicted[label])
        for label in sorted(gold.keys() | predicted.keys() - {NONE})
    }


def _best(weights: Sequence[float]) -> int:
    best = max(weights)
    return weights.index(best) if weights.count(best) == 1 else NONE


def _scores(gold: int, predicted: int, suffix: str = "") -> dict[str, Any]:
    pair = (gold, predicted)
    return {
        f"weighted_f1{suffix}": pair,
        f"macro_f1{suffix}": pair,
        f"acc{suffix}": float(gold == predicted),
    }
