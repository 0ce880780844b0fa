"""A leaderboard as data: what every exporter gets, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Entry:
    """One predictor on one dataset. Scores are fractions in [0, 1]."""

    predictor: str
    """Row label: the registered name, with the parameters that differ from its defaults in brackets."""
    dataset: str
    score: float
    """Primary metric, mean over seeds."""
    se: float
    """Standard error of the score in the board's scope."""
    se_dialogue: float
    """Part of it that more dialogues would reduce."""
    se_seed: float
    """Part of it that more seeds would reduce; 0 for a deterministic predictor."""
    se_interaction: float
    """Part of `se_seed` that `se_dialogue` already holds."""
    low: float
    """Lower end of the (1 - alpha) interval."""
    high: float
    """Upper end."""
    rank_low: int | None
    """Best rank compatible with the tests; None if the entry took no part in them."""
    rank_high: int | None
    """Worst rank compatible with the tests."""
    letters: str
    """Entries that share a letter are not separable; '' if untested."""
    top: bool
    """Whether the tests cannot separate it from the best."""
    to_top: float | None
    """Score minus that of the leader, the best tested entry: 0 for the leader; None where nothing is tested."""
    to_top_low: float | None
    """Lower end of its (1 - alpha) interval, for this one pair; None for the leader and for the untested."""
    to_top_high: float | None
    """Upper end."""
    to_top_p_adjusted: float | None
    """p-value of that pair, corrected over all pairs of the dataset."""
    to_top_detectable: float | None
    """Smallest true difference to the leader that the corrected test finds with 80% power."""
    best: bool
    """Whether it has the highest score of its dataset, ties at the printed precision included."""
    n_seeds: int
    coverage: float
    """Share of targets that got a usable label."""
    context: str
    """What the predictor sees: none, past or full."""
    modalities: tuple[str, ...]
    metrics: Mapping[str, float]
    """Every metric of the board by name, mean over seeds; the primary one included."""
    runs: tuple[str, ...]
    """Run paths relative to results/, one a seed."""
    title: str = ""
    """What the board calls it; '' if it gives no title."""

    @property
    def name(self) -> str:
        """What tables for people call it: the title, else the row label; no two of a dataset are called alike."""
        return self.title or self.predictor


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two entries of one dataset, a before b in the order of the table."""

    dataset: str
    a: str
    b: str
    difference: float
    """Score of a minus score of b, fraction."""
    se: float
    """Standard error of the difference."""
    low: float
    high: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class Average:
    """The plain mean over all datasets of a board of one row that is on each of them. Scores are fractions."""

    predictor: str
    """What tables call the row."""
    score: float
    """Primary metric: mean over datasets of the means over seeds."""
    se: float
    """Standard error; NaN, as the ends of the interval, of a row that is untested on some dataset."""
    low: float
    high: float
    rank_low: int | None
    """As of an entry, among the rows with an average; None if untested."""
    rank_high: int | None
    letters: str
    top: bool
    best: bool
    metrics: Mapping[str, float]
    """Every metric of the board by name; the primary one included."""

    @property
    def name(self) -> str:
        """As of an entry."""
        return self.predictor


@dataclass(frozen=True, slots=True)
class Averages:
    """The average over datasets: they are fixed, not a sample, and taken as independent of each other."""

    rows: tuple[Average, ...]
    """Best first. A row that is missing on a dataset has no average."""
    comparisons: tuple[PairComparison, ...]
    """All tested pairs, with rows by what tables call them, and "" as dataset."""
    test: str
    """Name of the test."""
    test_title: str
    """For captions."""
    correction: str


@dataclass(frozen=True, slots=True)
class LabelScore:
    """F1 of one label of one entry. Scores are fractions."""

    dataset: str
    predictor: str
    """Row label, as of the entry."""
    label: str
    n_utterances: int
    """Gold utterances with the label."""
    f1: float
    """Mean over seeds."""
    se: float
    """Standard error in the board's scope."""
    low: float
    """Lower end of the (1 - alpha) interval, of this one score."""
    high: float
    letters: str
    """Entries that share a letter are not separable in the F1 of this label; '' if untested."""
    top: bool
    """Whether the tests cannot separate it from the best on this label, corrected over all pairs of the dataset."""
    best: bool


@dataclass(frozen=True, slots=True)
class DatasetHeader:
    """What is common to the entries of one dataset."""

    dataset: str
    split: str
    fingerprint: str
    """SHA-256 of the split, 64 hex digits."""
    labels: tuple[str, ...]
    n_utterances: int
    """Annotated utterances."""
    n_dialogues: int
    metric: str
    """Name of its primary metric: the board's, or the dataset's own where the board names none."""
    unit: str
    """What was resampled: "dialogue", or an attribute of dialogues such as "episode"."""
    n_clusters: int
    """Number of units."""
    effective_clusters: float
    """(sum n)^2 / sum n^2 over units: how many of equal size they are worth. The design effect of a difference cannot
    be given beside it: it needs counts by utterance, which runs do not store."""
    n_pairs: int
    """Pairs that were tested, the family of the correction."""
    critical_value: float | None
    """Standard errors that a difference needs to be found while all others are 0; None without pairs."""
    median_pair_se: float | None
    """Standard error of a difference, median over the tested pairs."""
    detectable: float | None
    """Smallest true difference that one uncorrected test finds with 80% power, at the median pair."""
    detectable_adjusted: float | None
    """The same after the correction over all pairs."""
    signature: str
    """Everything that two tables must share to be compared, on one line."""
    warnings: tuple[str, ...]
    """What a reader of the table must know, one sentence each."""


@dataclass(frozen=True, slots=True)
class PublishedEntry:
    """What a paper prints for one system on one dataset; without predictions it is never ranked or tested."""

    dataset: str
    """Of the board; the paper's data may differ, see `differs`."""
    system: str
    name: str
    """What the source calls it."""
    variant: str
    """'' for the system itself."""
    metrics: Mapping[str, float]
    """Those metrics of the board that are printed, as fractions."""
    table: str
    """SOURCE/KEY."""
    cited: str
    """Source and table in words."""
    provenance: str
    """own (the system's authors), re-run (by others) or copied (from the authors)."""
    verified: bool
    """Whether it was seen in a primary source."""
    selection: str
    """Split that chose the epoch: dev, test, none or unknown."""
    n_seeds: int | None
    """None: not stated."""
    features: str
    """What the system read, in words."""
    modalities: tuple[str, ...]
    differs: tuple[str, ...]
    """In what its data are not those of the board, one sentence each."""
    problems: tuple[str, ...]
    """What is known to be wrong with it."""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Entries sorted by dataset (in the order of the board) and falling score, with the tests behind them."""

    board: str
    title: str
    metric: str
    """Name of the primary metric."""
    metric_title: str
    """For table heads, such as 'Weighted F1'."""
    metrics: tuple[str, ...]
    """Names of all metrics shown, primary first."""
    datasets: tuple[DatasetHeader, ...]
    entries: tuple[Entry, ...]
    comparisons: tuple[PairComparison, ...]
    """All tested pairs."""
    scope: str
    test: str
    test_title: str
    """For captions, such as 'Satterthwaite t-test over dialogues and seeds'."""
    correction: str
    alpha: float
    n_resamples: int | None
    """Number of resamples where the test draws any."""
    seed: int
    version: str
    """Of erc-harness."""
    averages: Averages | None = None
    """Over its datasets; None of one dataset, and of datasets with different primary metrics."""
    label_scores: tuple[LabelScore, ...] = ()
    """F1 by label, by dataset, entry and label; empty unless it was asked for."""
    published: tuple[PublishedEntry, ...] = ()
    """What the board shows from papers, apart from its entries, in the order of the papers' tables."""
    published_slips: tuple[str, ...] = ()
    """What those tables contradict in themselves, one sentence each."""

    @property
    def signature(self) -> str:
        """The signatures of all datasets, joined with ' ; '."""
        return " ; ".join(header.signature for header in self.datasets)

    def to_frame(self, table: str = "main", full: str | None = None) -> pd.DataFrame:
        """Returns one of the board's tables as a pandas frame; scores are fractions.

        The columns of each table are listed, with what they hold, in `harness.leaderboard.columns`.

        Args:
            table: "main", one row an entry; "datasets", one a system, datasets side by side with their average;
                "labels", one an entry and label, of a board that was built with `labels=True`; "ablation", one an entry
                and one an average, against the full system; "pairs", one a tested pair.
            full: for "ablation", what tables call the full system.

        Raises:
            UnknownNameError: there is no such table, or no such row.
            ConfigError: the board has no averages or label scores to show, or no full system is named.
        """
        from harness.leaderboard.frames import make_frame

        return make_frame(self, table, full)

    def of_dataset(self, dataset: str) -> tuple[Entry, ...]:
        """Returns the entries of one dataset, best first."""
        return tuple(entry for entry in self.entries if entry.dataset == dataset)
