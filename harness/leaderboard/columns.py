"""The columns of a leaderboard's tables as CSV, JSON and pandas have them, each with what it holds: `COLUMNS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """Capitals stand for what a board puts in their place: "metric.NAME"."""
    kind: Literal["text", "number", "count", "flag"]
    about: str


def _columns(kind: Literal["text", "number", "count", "flag"], **about: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, sentence) for name, sentence in about.items())


PLACE = _columns(
    "text",
    board="Name of the board.",
    dataset="Name of the dataset.",
    split="Its split.",
)
ROW = _columns(
    "text",
    predictor="Row label: the registered name, with the parameters that differ from its defaults in brackets.",
    title="What the board calls the row; empty if it gives no title.",
)
METRIC = _columns("text", metric="Name of the primary metric.")
INTERVAL = _columns(
    "number",
    low="Lower end of the (1 - alpha) interval.",
    high="Upper end.",
)
ENTRY = (
    *_columns(
        "number",
        score="Primary metric, mean over seeds.",
        se="Standard error of the score.",
        se_dialogue="Part of it that more dialogues would reduce.",
        se_seed="Part of it that more seeds would reduce.",
        se_interaction="What these two parts share.",
    ),
    *INTERVAL,
    *_columns(
        "count",
        rank_low="Best rank that the tests leave open; nothing if untested.",
        rank_high="Worst rank that they leave open.",
    ),
    *_columns("text", letters="Rows that share a letter are not separable; empty if untested."),
    *_columns("flag", top="Whether the tests cannot separate it from the best.", best="Highest score, ties included."),
    *_columns(
        "number",
        to_top="Score minus that of the leader, the best tested row of the dataset.",
        to_top_low="Lower end of the interval of that difference; nothing for the leader, as in the following.",
        to_top_high="Upper end.",
        to_top_p_adjusted="Its p-value, corrected over all pairs of the dataset.",
        to_top_detectable="Smallest true difference to the leader that the corrected test finds with 80% power.",
    ),
    *_columns("count", n_seeds="Runs behind the row."),
    *_columns("number", coverage="Share of targets with a usable label."),
    *_columns("text", context="What the predictor sees of a dialogue: none, past or full."),
)
MODALITIES = _columns("text", modalities="Modalities that it reads, joined with +.")
EVERY_METRIC = Column("metric.NAME", "number", "Every metric of the board, the primary one first.")
BOARD = (
    *_columns(
        "text",
        scope="What the tests speak of: checkpoint or procedure.",
        test="Name of the test.",
        correction="Correction of its p-values over all pairs of a dataset.",
    ),
    *_columns("number", alpha="Level of tests and intervals."),
    *_columns("count", n_resamples="Resamples of the test; nothing for a closed form.", seed="Of the resampling."),
)
UNIT = _columns("text", unit="What is resampled.")
SIZE = _columns(
    "count",
    n_utterances="Annotated utterances.",
    n_dialogues="Dialogues.",
    n_clusters="Units of resampling.",
)
POWER = (
    *_columns("number", effective_clusters="How many units of equal size they are worth."),
    *_columns("count", n_pairs="Tested pairs of the dataset."),
    *_columns(
        "number",
        critical_value="Standard errors that a difference needs to be found while all others are 0.",
        median_pair_se="Standard error of a difference, median over the tested pairs.",
        detectable="Smallest true difference that one uncorrected test finds with 80% power, at the median pair.",
        detectable_adjusted="The same after the correction.",
    ),
)
SIGNATURE = _columns("text", signature="What another table must share to be compared with this row.")
MAIN = (*PLACE, *ROW, *METRIC, *ENTRY, *MODALITIES, EVERY_METRIC, *BOARD, *UNIT, *SIZE, *POWER, *SIGNATURE)

PAIRS = (
    *PLACE,
    *METRIC,
    *_columns("text", a="Row label of the one, which scores higher or stands first.", b="Row label of the other."),
    *_columns(
        "number",
        difference="Score of a minus score of b.",
        se="Its standard error.",
        low="Lower end of its (1 - alpha) interval, which is of this pair and not widened for the others.",
        high="Upper end.",
        p_value="Of no difference.",
        p_adjusted="The same corrected over all pairs of the dataset.",
    ),
    *_columns("flag", rejected="Whether the corrected test calls the two different."),
    BOARD[0],
    *UNIT,
    *BOARD[1:],
    *SIGNATURE,
)

LABELS = (
    *PLACE,
    *ROW,
    *_columns("text", label="Name of the label."),
    *_columns("count", n_utterances="Gold utterances with the label."),
    *_columns("number", f1="F1 of the label, mean over seeds.", se="Its standard error."),
    *INTERVAL,
    *_columns("text", letters="Rows that share a letter are not separable on this label; empty if untested."),
    *_columns(
        "flag",
        top="Whether the tests cannot separate it from the best on this label.",
        best="Highest F1 of the label, ties included.",
    ),
    *BOARD,
    *SIGNATURE,
)

ABLATION = (
    PLACE[0],
    *_columns("text", dataset="Name of the dataset; empty for the average over all."),
    *METRIC,
    *_columns("text", full="What tables call the full system.", predictor="What they call this row."),
    *_columns(
        "number",
        score="Primary metric, mean over seeds.",
        difference="Score minus that of the full system; nothing for itself.",
        se="Standard error of the difference; nothing if untested, as in the following.",
        low="Lower end of its (1 - alpha) interval, of this one difference.",
        high="Upper end.",
        p_value="Of no difference.",
        p_adjusted="The same corrected over the variants of the dataset.",
    ),
    *_columns("flag", different="Whether the corrected test calls it different from the full system."),
    BOARD[0],
    *_columns("text", test="Name of the test.", correction="Correction over the variants of the dataset."),
    *BOARD[3:],
    *SIGNATURE,
)

SIDE = (
    Column(
        "DATASET.score", "number", "Primary metric on a dataset, mean over seeds; nothing where the row is missing."
    ),
    Column("DATASET.low", "number", "Lower end of its interval."),
    Column("DATASET.high", "number", "Upper end."),
    Column("DATASET.letters", "text", "Rows that share a letter are not separable on the dataset."),
    Column("DATASET.top", "flag", "Whether the tests cannot separate it from the best there."),
    Column("DATASET.metric.NAME", "number", "Further metrics of the board there."),
)
"""Columns of each dataset, and of the average, in the table of datasets side by side."""

AVERAGE = Column("average.FIELD", "number", "The same of the mean over datasets; nothing if the row is missing on any.")
DATASETS_BEFORE = (PLACE[0], *_columns("text", predictor="What tables call the row."), *METRIC)
DATASETS_AFTER = (BOARD[0], *BOARD[3:], *SIGNATURE)

COLUMNS: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "main": MAIN,
        "datasets": (*DATASETS_BEFORE, *SIDE, AVERAGE, *DATASETS_AFTER),
        "labels": LABELS,
        "ablation": ABLATION,
        "pairs": PAIRS,
    }
)
"""What there is to know of the columns of each table; names in capitals are filled in by the board."""
