"""IEMOCAP, transcripts and categorical labels, from the folders of the official release; split by protocol C.

Order and text come from `dialog/transcriptions`, labels from `dialog/EmoEvaluation`, which is grouped by speaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.data.catalogue import register_dataset
from harness.data.dataset import DatasetCard
from harness.data.files import read_text
from harness.errors import DataError
from harness.schema import Dialogue, LabelSet, Utterance

N_DIALOGUES = {"Session1": 28, "Session2": 30, "Session3": 32, "Session4": 30, "Session5": 31}
"""Dialogues per session of the release."""

DEV_DIALOGUES = frozenset(
    [f"Ses04F_{name}" for name in ("script01_3", "script02_1", "script02_2", "script03_1", "script03_2")]
    + [f"Ses04M_impro0{i}" for i in range(1, 9)]
    + [f"Ses04M_script0{i}_{j}" for i, n_parts in ((1, 3), (2, 2), (3, 2)) for j in range(1, n_parts + 1)]
)
"""Protocol C, of DialogXL, DAG-ERC, CoG-BART, SPCL and EmoBERTa: these are dev, Session5 is test, the rest train."""

_CODES = ("neu", "fru", "ang", "sad", "exc", "hap", "sur", "fea", "dis", "oth", "xxx")
"""Majority votes that the release knows; xxx: no majority."""

_TURN = re.compile(
    r"(?P<id>(?P<session>Ses\d\d)[FM]_\w+_(?P<actor>[FM])\w{3})\s+"
    r"\[\s*(?P<start>\d+\.\d+)\s*-\s*\d+\.\d+\s*\]\s*:(?P<text>.*)"
)
_ASIDE = re.compile(r"[FM]\s*:.*")
"""A remark under a turn, such as "M: Yeah.", with neither name nor time; the release has some and rates none."""
_UNRATED = re.compile(r".*_[FM]XX\w")
"""Names of the turns that the release transcribes but does not rate."""
_RATING = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\t(?P<id>\S+)\t(?P<code>\S+)\t\[.*\]\s*")

CARD = DatasetCard(
    title="IEMOCAP, six emotions",
    label_set=LabelSet(("hap", "sad", "neu", "ang", "exc", "fru"), neutral="neu"),
    language="en",
    license="USC-SAIL release form: research only, no redistribution",
    source="Signal Analysis and Interpretation Laboratory, University of Southern California (Busso et al., 2008)",
    folder="iemocap",
    files=tuple(N_DIALOGUES),
    redistributable=False,
    obtain="ask USC-SAIL (sail.usc.edu/iemocap) for the release, then put or link its Session1 to Session5 in there",
    anomalies=(
        "Turns with another label or no majority (xxx), and 48 turns that nobody rated, are kept as context only.",
        "Remarks without turn name and time, such as 'M: Yeah.', are left out.",
    ),
    table_notes=(
        "The test split, Session5, holds two speakers: a result does not tell how far it carries to other people.",
        "Splits are protocol C (100 / 20 / 31 dialogues, 4,778 / 980 / 1,622 labelled turns); scores do not compare "
        "with protocols A and B, which count 7,433 labelled turns that the release cannot reproduce.",
    ),
)

CARD_4 = replace(
    CARD,
    title="IEMOCAP, four emotions",
    label_set=LabelSet(("hap", "sad", "neu", "ang"), neutral="neu"),
    table_notes=(
        CARD.table_notes[0],
        "Excitement (exc) counts as happiness (hap), frustration (fru) is context only; splits are protocol C.",
    ),
)


@register_dataset("iemocap", card=CARD)
def read_iemocap(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads IEMOCAP with six emotions.

    Args:
        folder: holds Session1 to Session5 of the release; only `dialog/transcriptions` and `dialog/EmoEvaluation`
            are read.

    Returns:
        Dialogues by split, sorted by name; turns by start time; speakers like "Ses01_F"; the session as an attribute.

    Raises:
        DataError: a file does not follow the release, or files are missing.
    """
    return _read(folder, {code: code for code in CARD.label_set.labels})


@register_dataset("iemocap-4", card=CARD_4)
def read_iemocap_4(folder: Path) -> Mapping[str, Sequence[Dialogue]]:
    """Reads IEMOCAP with four emotions, exc as hap and fru as context; otherwise as `read_iemocap`."""
    return _read(folder, {code: code for code in CARD_4.label_set.labels} | {"exc": "hap"})


def _read(folder: Path, label_of_code: Mapping[str, str]) -> Mapping[str, Sequence[Dialogue]]:
    splits: dict[str, list[Dialogue]] = {"train": [], "dev": [], "test": []}
    for session, n_dialogues in N_DIALOGUES.items():
        transcripts = folder / session / "dialog" / "transcriptions"
        paths = sorted(path for path in transcripts.glob("*.txt") if not path.name.startswith("._"))
        if len(paths) != n_dialogues:
            raise DataError.at(transcripts, f"holds {len(paths)} transcripts (*.txt); expected {n_dialogues}")
        for path in paths:
            split = "test" if session == "Session5" else "dev" if path.stem in DEV_DIALOGUES else "train"
            splits[split].append(_read_dialogue(path, session, label_of_code))
    missing = DEV_DIALOGUES - {dialogue.id for dialogue in splits["dev"]}
    if missing:
        raise DataError.at(folder / "Session4", f"dialogue {min(missing)!r} is missing; expected it for the dev split")
    return splits


def _read_dialogue(path: Path, session: str, label_of_code: Mapping[str, str]) -> Dialogue:
    """Returns a dialogue, its turns sorted by start time."""
    rating_path = path.parents[1] / "EmoEvaluation" / path.name
    codes = _read_codes(rating_path)
    turns: dict[str, tuple[float, Utterance]] = {}
    for number, line in enumerate(read_text(path, cp1252=True).split("\n"), 1):
        stripped = line.strip()
        if not stripped or _ASIDE.fullmatch(stripped):
            continue
        turn = _TURN.fullmatch(stripped)
        if turn is None:
            example = "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me."
            raise DataError.at(path, f"{stripped!r:.80} is not a turn; expected a form like {example!r}", line=number)
        name = turn["id"]
        if name in turns:
            raise DataError.at(path, f"duplicate id {name!r}; expected unique turns", line=number)
        if name not in codes and not _UNRATED.fullmatch(name):
            problem = f"turn {name!r} is not rated in {rating_path}; expected a line for it, the file may be cut off"
            raise DataError.at(path, problem, line=number)
        label = label_of_code.get(codes.pop(name, ""))
        utterance = Utterance(name, (f"{turn['session']}_{turn['actor']}",), turn["text"].strip(), label)
        turns[name] = (float(turn["start"]), utterance)
    if codes:
        raise DataError.at(path, f"turn {min(codes)!r} of {rating_path} is missing; the transcript may be cut off")
    in_time = sorted(turns.values(), key=lambda turn: turn[0])
    return Dialogue(path.stem, tuple(utterance for _, utterance in in_time), (("session", session),))


def _read_codes(path: Path) -> dict[str, str]:
    """Returns the majority vote by turn name."""
    codes: dict[str, str] = {}
    for number, line in enumerate(read_text(path, cp1252=True).split("\n"), 1):
        if not line.startswith("["):  # the header, or the single votes below a turn
            continue
        rating = _RATING.fullmatch(line)
        if rating is None:
            example = "[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]"
            raise DataError.at(path, f"{line!r:.80} is not a rated turn; expected a form like {example}", line=number)
        if rating["code"] not in _CODES:
            raise DataError.at(path, f"unknown label {rating['code']!r}; expected one of {list(_CODES)}", line=number)
        if rating["id"] in codes:
            raise DataError.at(path, f"duplicate id {rating['id']!r}; expected unique turns", line=number)
        codes[rating["id"]] = rating["code"]
    return codes
