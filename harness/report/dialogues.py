"""Dialogues of a corpus with every system's label: the one part of a page with corpus text, for the reader alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.data import Split
from harness.errors import DataError
from harness.evaluation.utterances import check_release
from harness.export.escape import one_line
from harness.leaderboard.leaderboard import Entry
from harness.report.systems import read_runs
from harness.slices.builtin import emotion_shifts
from harness.store import RunStore

CODES = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""One character a label, so that the answers of a system are one string."""

NO_LABEL = "."


def browse(split: Split, entries: Sequence[Entry], store: RunStore) -> dict[str, Any]:
    """Returns {"dialogues", "answers", "seeds"} for the page.

    dialogues: one a dialogue, {"id", "utterances": [[speaker, text, gold or -1, shift], ...]}; gold is an index of the
        label set; shift is 1 at an emotion shift, see `emotion_shifts`.
    answers: one string an entry, one character of `CODES` a target in the order of the split; "." is no usable label.
    seeds: the seed of the run behind each string, the lowest of the entry.

    Raises:
        DataError: more labels than there are characters.
        IncompatibleRunsError: another release than the one predicted.
        StoreError: a file of predictions is missing or corrupt.
        UnknownNameError: a run of the board is not in the store.
    """
    labels = split.label_set
    if len(labels) > len(CODES):
        raise DataError(f"{split.dataset!r} has {len(labels)} labels; the page can show {len(CODES)} at most")
    answers, seeds = [], []
    for entry in entries:
        run = read_runs(entry, store)[0]
        check_release(run, split)
        given = run.predictions()
        said = (given[utterance].label for utterance in split.gold)
        answers.append("".join(NO_LABEL if label is None else CODES[labels.index(label)] for label in said))
        seeds.append(run.manifest.seed)
    return {"dialogues": [_dialogue(split, i) for i in range(len(split.dialogues))], "answers": answers, "seeds": seeds}


def _dialogue(split: Split, position: int) -> dict[str, Any]:
    dialogue = split.dialogues[position]
    rows: list[tuple[str, str, int, int]] = []
    for utterance, shift in zip(dialogue.utterances, emotion_shifts(dialogue), strict=True):
        gold = -1 if utterance.label is None else split.label_set.index(utterance.label)
        rows.append((one_line(utterance.view().speaker), one_line(utterance.text), gold, int(shift is True)))
    return {"id": one_line(dialogue.id), "utterances": rows}
