"""Reads what lm-eval logs of exported tasks: samples_*.jsonl, one document with its answer a line.

Answers are read by the rules of our own runs. A file is taken whole or not at all: every utterance of the split once,
and of each what lm-eval itself counted, so that the scores are those that it prints. Knows no store and no run.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.data import Split
from harness.data.files import UniqueIds, Value, parse_json, read_lines
from harness.errors import ConfigError, DataError, IncompatibleRunsError
from harness.llm.lm_eval.origin import TaskOrigin, read_origin
from harness.llm.lm_eval.task_utils import NONE
from harness.llm.reading.choices import pick_choice
from harness.llm.reading.parsing import Reading, read_answer
from harness.llm.request import Response
from harness.prompting import LabelNames
from harness.schema import Generation, Prediction

LogNormalisation = Literal["sum", "byte-mean"]
"""Those normalisations of likelihoods that the choice task scores."""

ENDS = {"sum": "", "byte-mean": "_bytes"}
"""What the scores of the choice task end in."""

EXPORT = "type: erc-harness export-tasks {dataset} --split {split} --to lm-eval DIR, and run lm-eval on those tasks"


@dataclass(frozen=True, slots=True)
class LoggedSamples:
    """A file of samples, read."""

    origin: TaskOrigin
    answers: Literal["choice", "generate"]
    """What the task asked for."""
    greedy: bool
    """Whether another evaluation would give the same answers: nothing was drawn."""
    predictions: dict[str, Prediction]
    """By utterance id, in the order of the split."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """One line."""

    origin: TaskOrigin
    answers: Literal["choice", "generate"]
    greedy: bool
    prediction: Prediction


def read_samples(path: Path, split: Split, normalisation: LogNormalisation = "sum") -> LoggedSamples:
    """Returns the predictions that a file of samples holds for a split.

    Args:
        path: samples_*.jsonl.
        split: what the tasks were exported from.
        normalisation: of likelihoods, for the choice task: "sum" is its weighted_f1, "byte-mean" weighted_f1_bytes.

    Raises:
        DataError: the file cannot be read, a line is broken or no sample of an exported task, an utterance is missing,
            there twice or not in the split, its gold label is another, or lm-eval counted another answer.
        IncompatibleRunsError: the tasks were exported from other data.
    """
    ids = UniqueIds("utterance")
    first: _Sample | None = None
    found: dict[str, Prediction] = {}
    for line, text in read_lines(path):
        value = parse_json(text, path, line)
        sample = _read_sample(value, split, ids, normalisation)
        first = first or sample
        if (sample.origin, sample.answers, sample.greedy) != (first.origin, first.answers, first.greedy):
            raise value.error("a sample of another task or decoding than the first one; give one file of one task")
        found[sample.prediction.utterance_id] = sample.prediction
    missing = [utterance_id for utterance_id in split.gold if utterance_id not in found]
    if missing or first is None:
        raise DataError.at(
            path,
            f"{len(missing)} of the {len(split.gold)} utterances of {split.dataset!r}, split {split.name!r}, have no "
            f"sample, the first is {missing[0]!r}; run lm-eval without --limit, to its end",
        )
    return LoggedSamples(first.origin, first.answers, first.greedy, {key: found[key] for key in split.gold})


def _read_sample(value: Value, split: Split, ids: UniqueIds, normalisation: LogNormalisation) -> _Sample:
    sample = value.mapping()
    doc = value.field("doc")
    if "origin" not in doc.mapping() or not {"no_label", "weighted_f1_bytes"} & sample.keys():
        hint = EXPORT.format(dataset=split.dataset, split=split.name)
        raise value.error(f"no sample of a task that erc-harness exports; {hint}")
    origin = read_origin(doc.field("origin"))
    _check_origin(origin, split, value.path)
    gold = _check_target(doc, split, ids)
    names = _label_names(origin, split, doc.field("origin"))
    answers: Literal["choice", "generate"] = "generate" if "no_label" in sample else "choice"
    if answers == "choice":
        reading, scores = _read_choice(value, names, normalisation)
        counted, greedy = value.field(f"weighted_f1{ENDS[normalisation]}"), True
    else:
        written = value.field("filtered_resps").items()[0].text(blank=True)
        reading, scores = read_answer(Response("stop", written), names), None
        counted, greedy = value.field("weighted_f1"), _is_greedy(value)
    _check_counted(counted, gold, reading, split)
    generation = Generation(
        rule=reading.rule,
        response=_sha256(str(value.field("filtered_resps").content)),
        prompt=_sha256(_sent(value)),
    )
    prediction = Prediction(doc.field("id").text(), reading.label, scores, reading.status, generation)
    return _Sample(origin, answers, greedy, prediction)


def _check_origin(origin: TaskOrigin, split: Split, path: Path) -> None:
    for what, theirs, ours in (
        ("dataset", origin.dataset, split.dataset),
        ("split", origin.split, split.name),
        ("fingerprint", origin.fingerprint, split.fingerprint),
    ):
        if theirs != ours:
            raise IncompatibleRunsError(
                f"{path}: its tasks were exported from {what} {theirs!r}, and this is {ours!r}; name what they were "
                f"exported from, or {EXPORT.format(dataset=split.dataset, split=split.name)}"
            )


def _check_target(doc: Value, split: Split, ids: UniqueIds) -> int:
    """Returns the number of the gold label of a document, after checking that the split has it so."""
    place = doc.field("id")
    utterance_id = ids.claim(place.text(), place)
    if utterance_id not in split.gold:
        raise place.error(f"{utterance_id!r} is no annotated utterance of {split.dataset!r}, split {split.name!r}")
    gold = split.label_set.index(split.gold[utterance_id])
    told = doc.field("gold")
    if told.whole() != gold:
        raise told.error(
            f"gold label {told.content} of {utterance_id!r}; the corpus has {gold}, {split.gold[utterance_id]!r}: "
            "the file was altered, or is of other tasks"
        )
    return gold


def _label_names(origin: TaskOrigin, split: Split, place: Value) -> LabelNames:
    try:
        if origin.labels != split.label_set.labels:
            raise ConfigError(f"labels {list(origin.labels)!r}: expected {list(split.label_set.labels)!r}")
        return LabelNames(split.label_set, origin.shown)
    except ConfigError as error:
        raise place.error(str(error)) from None


def _read_choice(
    value: Value, names: LabelNames, normalisation: LogNormalisation
) -> tuple[Reading, dict[str, float] | None]:
    answers = value.field("filtered_resps").items()
    if len(answers) != len(names.shown):
        raise value.error(f"{len(answers)} likelihoods; expected one for each of {list(names.shown)!r}")
    logprobs = tuple(_logprob(answer.items()[0]) for answer in answers)
    return pick_choice(Response("stop", choice_logprobs=logprobs), names, normalisation)


def _logprob(value: Value) -> float:
    """Returns a log-likelihood; lm-eval logs numbers as text."""
    try:
        logprob = float(value.text())
    except ValueError:
        logprob = math.nan
    if not math.isfinite(logprob):
        raise value.error(f"log-likelihood {value.content!r} is no finite number; run the model in full precision")
    return logprob


def _sent(value: Value) -> str:
    """Returns what the model was given, its chat template applied; messages as JSON."""
    place = value.field("arguments").field("gen_args_0").field("arg_0")
    return place.text(blank=True) if isinstance(place.content, str) else json.dumps(place.content)


def _is_greedy(value: Value) -> bool:
    """Whether a text was written without drawing."""
    settings = value.field("arguments").field("gen_args_0").field("arg_1").mapping()
    return all(key in settings and not settings[key].content for key in ("do_sample", "temperature"))


def _check_counted(counted: Value, gold: int, reading: Reading, split: Split) -> None:
    """Checks that lm-eval counted the answer as we do."""
    theirs = [number.whole() for number in counted.items()]
    ours = [gold, NONE if reading.label is None else split.label_set.index(reading.label)]
    if theirs != ours:
        raise counted.error(
            f"lm-eval counted {theirs} as gold and predicted label, and the answer reads as {ours}: the file was "
            "altered, or the answer was read by another version of erc-harness; run lm-eval again on tasks of this one"
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
