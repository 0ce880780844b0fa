"""What a board says beside scores: the way to the leader, where errors come from, what the tests could find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from harness.export import export_leaderboard, read_leaderboard
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.leaderboard import Leaderboard
from harness.leaderboard.spec import BoardSpec
from harness.store import RunStore
from harness.store.layout import Layout

MakeRuns = Callable[..., list[Path]]

SPEC = BoardSpec(title="Toy", datasets=("toy",), seeds=(0, 1, 2), other_runs=True)
COMMITTED = RunStore(Layout(Path(__file__).parents[2] / "results"))


@pytest.fixture
def board(make_runs: MakeRuns, store: RunStore) -> Leaderboard:
    for name, skill in (("good", 0.95), ("fair", 0.8), ("poor", 0.1)):
        make_runs(name, skill)
    make_runs("young", 0.99, seeds=(0, 1))
    return build_leaderboard("toy", SPEC, store)


def test_every_row_is_compared_with_the_best_tested_one(board: Leaderboard) -> None:
    tested = [entry for entry in board.entries if entry.letters]
    leader = tested[0]
    assert board.entries[0].predictor.startswith("lab/young"), "the untested one is best, and no yardstick"
    assert (leader.to_top, leader.to_top_low, leader.to_top_p_adjusted) == (0.0, None, None)
    to_leader = {pair.b: pair for pair in board.comparisons if pair.a == leader.predictor}
    for entry in tested[1:]:
        pair = to_leader[entry.predictor]
        assert entry.to_top == pytest.approx(entry.score - leader.score, abs=1e-12)
        assert entry.to_top_p_adjusted == pair.p_adjusted
        assert (entry.to_top_low, entry.to_top_high) == pytest.approx((-pair.high, -pair.low), abs=1e-12)
        critical = norm.ppf(1 - 0.05 / (2 * 3))  # Holm over three pairs: as Bonferroni while nothing is rejected
        assert entry.to_top_detectable == pytest.approx((critical + norm.ppf(0.8)) * pair.se, rel=1e-9)


def test_an_untested_row_has_its_distance_and_nothing_else(board: Leaderboard) -> None:
    young = board.entries[0]
    assert young.to_top is not None
    assert young.to_top > 0
    assert (young.to_top_low, young.to_top_high, young.to_top_p_adjusted, young.to_top_detectable) == (None,) * 4


def test_errors_add_up_from_dialogues_seeds_and_their_interaction(board: Leaderboard) -> None:
    for entry in board.entries[1:]:
        net = max(entry.se_seed**2 - entry.se_interaction**2, 0.0)
        assert entry.se_seed > 0
        assert entry.se**2 == pytest.approx(entry.se_dialogue**2 + net, rel=1e-9)


def test_the_header_says_what_the_tests_could_find(board: Leaderboard) -> None:
    (header,) = board.datasets
    standard_errors = [pair.se for pair in board.comparisons]
    assert header.n_pairs == len(standard_errors) == 3
    assert header.median_pair_se == pytest.approx(np.median(standard_errors), rel=1e-12)
    assert header.detectable == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * np.median(standard_errors), rel=1e-9)
    assert header.detectable_adjusted is not None
    assert header.detectable is not None
    assert header.detectable_adjusted > header.detectable
    assert (header.metric, header.unit, header.n_clusters) == ("weighted_f1", "dialogue", header.n_dialogues)


def test_one_row_alone_finds_nothing_and_is_stored(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    board = build_leaderboard("toy", SPEC, store)
    (header,) = board.datasets
    assert (header.n_pairs, header.critical_value, header.detectable) == (0, None, None)
    stored = read_leaderboard(export_leaderboard(board, "json"))
    assert stored.datasets[0].detectable is None
    assert replace(stored.entries[0], se=0.0).to_top == 0.0


def test_few_dialogues_are_warned_about(board: Leaderboard) -> None:
    assert any("only 14 dialogues" in warning for warning in board.datasets[0].warnings)


def test_a_coarser_unit_sums_the_counts_of_its_dialogues() -> None:
    """The error of a difference in accuracy by episode, against its closed form from the stored counts."""
    names = ("tfidf-svm", "tfidf-logreg")
    spec = BoardSpec(datasets=("meld",), scope="checkpoint", metric="accuracy", unit="episode", test="t", seeds=(0,))
    board = build_leaderboard("meld", spec.model_copy(update={"other_runs": True}), COMMITTED)
    runs = {run.manifest.predictor.label: run for run in COMMITTED.runs("meld", "test") if run.manifest.seed == 0}
    tables = [runs[name].dialogues() for name in names]
    episodes = [own["episode"] for own in tables[0].attributes]
    right, size = dict.fromkeys(episodes, 0), dict.fromkeys(episodes, 0)
    for d, episode in enumerate(episodes):
        a, b = (table.confusion.counts[d] for table in tables)
        right[episode] += int(np.trace(a) - np.trace(b))
        size[episode] += int(a.sum())
    n, n_clusters = sum(size.values()), len(size)
    difference = sum(right.values()) / n
    residuals = np.array([right[e] - difference * size[e] for e in size]) / n
    expected = np.sqrt(n_clusters / (n_clusters - 1) * (residuals**2).sum())
    (pair,) = [p for p in board.comparisons if {p.a, p.b} == set(names)]
    (header,) = board.datasets
    assert pair.se == pytest.approx(expected, rel=1e-9)
    assert header.n_clusters == n_clusters == 143  # episodes of MELD's test split
    assert header.n_dialogues == 280
    assert "|unit:episode|" in header.signature
    assert board.test_title == "t-test over episodes"
