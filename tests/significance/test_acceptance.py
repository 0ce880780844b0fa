"""Acceptance checks of the engine against other packages, each beside the known-wrong method it must catch.

Every test of significance that carries `check_NN` in its name belongs to one list of 24. Those here: 4, 5, 7, 9, 10,
14, 23, 24. Elsewhere: replicates and exact sums (1, 2) in test_bootstrap, corner cases of labels (3) and corrections
(11, 12) in test_corner_cases and test_corrections, influence values (6, 8) in test_influence, symmetry (13) in
test_compare, letters (15) in test_ranks, simulated error rates, coverage and power (16 to 22) in test_error_rates.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
import tracemalloc
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.metrics import Metric, get_metric, tally, totals_of
from harness.significance import (
    compare_arrays,
    compare_systems,
    pair_tests,
    posterior,
    replicate_intervals,
    resampling_tests,
    simultaneous_intervals,
)
from harness.significance.bootstrap import bootstrap_scores
from harness.significance.influence import clustered_se, gradient_influence, jackknife_se
from harness.significance.pair_tests import random_signs, sign_flip
from harness.significance.panel import build_panel
from harness.store import Layout, RunStore

WF1, ACCURACY = get_metric("weighted_f1"), get_metric("accuracy")
RESULTS = Path(__file__).resolve().parents[2] / "results"


def score(counts):
    return float(WF1.value(totals_of(counts.sum(axis=0))))


def test_every_check_has_a_test():
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    numbers = {int(n) for text in sources for n in re.findall(r"def test_check_(\d+)", text)}
    assert numbers == set(range(1, 25))


def test_check_04_all_swaps_equal_scipy(simulator, meld_sizes):
    """Twelve dialogues, 2^12 swaps of weighted F1: null distribution and p; a strict inequality gives another p."""
    rng = np.random.default_rng(3)
    counts = [own[0] for own in simulator(rng, meld_sizes(rng, 12), offsets=(0.0, 0.1)).counts()]
    pool = np.concatenate(counts)

    def gap(x, y):
        return abs(score(pool[np.asarray(x, int)]) - score(pool[np.asarray(y, int)]))

    oracle = stats.permutation_test(
        (np.arange(12.0), np.arange(12.0, 24.0)), gap, permutation_type="samples", n_resamples=np.inf,
        alternative="greater", vectorized=False,
    )  # fmt: skip
    ours = compare_systems([own[None] for own in counts], WF1, test="swap", correction="none")
    null, observed = oracle.null_distribution, gap(np.arange(12), np.arange(12, 24))
    assert null.size == 2**12 and ours.n_resamples == 2**11  # half of them: the other half mirrors it
    assert ours.p_value[0, 1] == pytest.approx(oracle.pvalue, abs=1e-9)
    assert (null > observed + 1e-9).mean() != pytest.approx(oracle.pvalue, abs=1e-9)


def test_check_05_single_utterances_and_accuracy_equal_mcnemar():
    """Differences of counts tie often: a strict inequality misses the exact p by far more than Monte-Carlo error."""
    rng = np.random.default_rng(8)
    gold = rng.integers(0, 3, 80)
    runs = np.stack([np.where(rng.random(80) < skill, gold, (gold + 1) % 3) for skill in (0.6, 0.7)])
    right = runs == gold
    only_one = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    exact = stats.binomtest(min(only_one), sum(only_one)).pvalue
    flip = compare_arrays(
        gold, np.arange(80), runs[:, None], 3, metric="accuracy", correction="none", n_resamples=20_000
    )
    error = np.sqrt(exact * (1 - exact) / 20_000)
    assert flip.p_value[0, 1] == pytest.approx(exact, abs=3 * error)
    v = right[0].astype(float) - right[1]
    null = np.concatenate([np.abs(v @ signs) for signs in random_signs(80, 20_000, 0)])
    assert (null > abs(v.sum())).mean() < exact - 10 * error


@pytest.mark.parametrize("pattern", ["tfidf-logreg", "tfidf-svm"])
def test_check_07_standard_errors_agree_on_stored_runs_of_meld(pattern):
    """Five TF-IDF variants: influence, jackknife and bootstrap within 3 %; utterances as unit are not."""
    runs = [run for run in RunStore(Layout(RESULTS)).runs("meld", "test") if run.manifest.predictor.name == pattern]
    assert len(runs) >= 2
    for run in runs:
        totals = totals_of(run.dialogues().confusion.counts)
        by_influence = float(clustered_se(gradient_influence(totals, WF1)))
        n_dialogues = totals.tp.shape[0]
        replicates = bootstrap_scores(
            build_panel([run.dialogues().confusion.counts[None]], WF1).all_runs, WF1, n_resamples=20_000, seed=0
        )
        by_bootstrap = float(replicates.std(ddof=1)) * np.sqrt(n_dialogues / (n_dialogues - 1))
        assert n_dialogues == 280
        assert by_influence == pytest.approx(float(jackknife_se(totals, WF1)), rel=0.03)
        assert by_influence == pytest.approx(by_bootstrap, rel=0.03)
        assert by_utterance(run.dialogues().confusion.counts) < 0.9 * by_influence


def by_utterance(counts):
    """The standard error that the utterance as unit gives: every cell of the counts holds utterances all alike."""
    whole = counts.sum(axis=0)
    cells = np.argwhere(whole)
    alone = np.zeros((len(cells), *whole.shape), np.int64)
    alone[np.arange(len(cells)), *cells.T] = 1
    slope = WF1.gradient(totals_of(whole))
    parts = totals_of(alone)
    u = parts.tp @ slope.tp + parts.den @ slope.den + parts.sup @ slope.sup
    n = whole.sum()
    return np.sqrt(n / (n - 1) * (whole[tuple(cells.T)] * u**2).sum())


def test_check_07_five_variants_of_tf_idf_are_stored():
    runs = RunStore(Layout(RESULTS)).runs("meld", "test")
    assert len({run.path for run in runs if run.manifest.predictor.name.startswith("tfidf")}) >= 5


def test_check_09_bootstrap_standard_error_equals_scipy_on_dialogue_ids(meld_like):
    counts = meld_like.counts()[0]

    def of_dialogues(chosen):
        return score(counts[0][chosen])

    oracle = stats.bootstrap(
        (np.arange(280),), of_dialogues, n_resamples=4000, vectorized=False, method="percentile",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    ours = bootstrap_scores(build_panel([counts], WF1).all_runs, WF1, n_resamples=20_000, seed=0).std(ddof=1)
    assert ours == pytest.approx(oracle.standard_error, rel=0.03)
    assert by_utterance(counts[0]) < 0.93 * oracle.standard_error


def test_check_10_single_step_max_t_equals_mne(simulator, meld_sizes):
    """Without studentisation the pair of near-identical systems comes out elsewhere."""
    from mne.stats import permutation_t_test

    rng = np.random.default_rng(5)
    split = simulator(rng, meld_sizes(rng, 60), offsets=(0, -0.04, -0.08, -0.3, -0.25), n_alike=3)
    rows = build_panel(split.counts(), WF1).contributions
    a, b = np.triu_indices(5, 1)
    ours = sign_flip(rows, a, b, n_resamples=20_000, seed=0, step_down=True)
    t, p, _ = permutation_t_test((rows[a] - rows[b]).T, n_permutations=20_000, tail=0, seed=0, verbose=False)
    assert t == pytest.approx((rows[a] - rows[b]).mean(axis=1) / stats.sem(rows[a] - rows[b], axis=1))
    assert ours.p_single_step == pytest.approx(p, abs=0.01)
    assert (ours.p_step_down <= ours.p_single_step).all() and (ours.p_value <= ours.p_step_down).all()
    flips = np.concatenate(list(random_signs(60, 20_000, 0)), axis=1)
    largest = np.abs((rows[a] - rows[b]) @ flips).max(axis=0)
    unstudentised = (largest >= np.abs((rows[a] - rows[b]).sum(axis=1))[:, None]).mean(axis=1)
    assert np.abs(unstudentised - p).max() > 0.05


DIGEST = """
import sys
sys.path.insert(0, {here!r})
from test_acceptance import digest_of_everything
print(digest_of_everything())
"""


def digest_of_everything():
    """Returns a hash of all that every test and interval gives on one split, to be had from any process."""
    rng = np.random.default_rng(0)
    dialogue = np.repeat(np.arange(120), rng.integers(1, 15, 120))
    gold = rng.integers(0, 7, dialogue.size)
    skill = np.array([0.5, 0.53, 0.55, 0.55, 0.6, 0.62])[:, None, None]
    right = rng.random((6, 3, dialogue.size)) < skill
    runs = np.where(right, gold, rng.integers(-1, 7, right.shape))
    counts = [np.stack([tally(dialogue, gold, run, 120, 7) for run in system]) for system in runs]
    digest = hashlib.sha256()
    options = [{"test": name} for name in ("sign-flip", "t", "bootstrap-t", "swap", "shifted-bootstrap")]
    options += [{"test": "t", "interval": name} for name in ("percentile", "bca", "bootstrap-t")]
    options += [{"scope": "procedure", "test": name} for name in ("satterthwaite", "crossed-bootstrap")]
    for chosen in options:
        n_seeds = 3 if "scope" in chosen else 1
        result = compare_systems([own[:n_seeds] for own in counts], WF1, n_resamples=2000, **chosen)
        for field in fields(result):
            value = getattr(result, field.name)
            digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def test_check_14_the_same_bytes_for_any_number_of_threads():
    found = set()
    for n_threads in ("1", "2"):
        environment = os.environ | {f"{name}_NUM_THREADS": n_threads for name in ("OPENBLAS", "OMP", "MKL")}
        code = DIGEST.format(here=str(Path(__file__).parent))
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        found.add(run.stdout.strip())
    assert found == {digest_of_everything()}


@pytest.mark.parametrize("n_at_once", [1, 5])
def test_check_14_the_same_bytes_for_any_memory_batch(monkeypatch, n_at_once):
    plain = digest_of_everything()
    for module in (resampling_tests, replicate_intervals):
        monkeypatch.setattr(module, "PAIRS_AT_ONCE", n_at_once)
    monkeypatch.setattr(pair_tests, "ONE_THREAD", 2**14 * n_at_once)
    assert digest_of_everything() == plain


def test_check_14_streams_are_keyed_by_block():
    """More replicates extend fewer; one generator drawn from batch by batch would give others."""
    few, many = (np.concatenate(list(random_signs(280, n, 0)), axis=1) for n in (700, 1700))
    assert (few == many[:, :700]).all()
    in_one = np.random.default_rng(0).random((280, 700))
    rng = np.random.default_rng(0)
    assert (np.concatenate([rng.random((280, 350)) for _ in range(2)], axis=1) != in_one).any()


ORDERS = [[3, 0, 4, 1, 2], [4, 3, 2, 1, 0]]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "options",
    [
        *({"test": name} for name in ("sign-flip", "t", "bootstrap-t", "swap", "shifted-bootstrap")),
        *({"interval": name} for name in ("percentile", "basic", "bca", "bootstrap-t")),
        *({"scope": "procedure", "test": name} for name in ("satterthwaite", "crossed-bootstrap")),
    ],
    ids=str,
)
def test_check_14_the_same_bytes_for_any_order_of_systems(simulator, meld_sizes, options, order):
    rng = np.random.default_rng(2)
    split = simulator(
        rng,
        meld_sizes(rng, 90),
        offsets=(0, 0.1, 0.2, 0.3, 0.3),
        n_seeds=3 if "scope" in options else 1,
        seed_shift=0.05,
    )
    counts = split.counts()
    plain = compare_systems(counts, WF1, n_resamples=1500, **options)
    moved = compare_systems([counts[i] for i in order], WF1, n_resamples=1500, **options)
    for field in fields(plain):
        there, back = getattr(plain, field.name), getattr(moved, field.name)
        if isinstance(there, np.ndarray):
            there = there[order] if there.ndim == 1 else there[np.ix_(order, order)]
        elif isinstance(there, tuple) and field.name != "warnings":
            there = tuple(there[i] for i in order)
        np.testing.assert_array_equal(there, back, err_msg=field.name)


def test_check_14_simultaneous_intervals_and_posterior_for_any_order_of_systems(meld_like):
    counts, order = meld_like.counts(), [2, 0, 3, 1]
    moved, pairs = [counts[i] for i in order], np.ix_([2, 0, 3, 1], [2, 0, 3, 1])
    one, two = (simultaneous_intervals(own, WF1, n_resamples=500) for own in (counts, moved))
    assert (one.low[pairs] == two.low).all() and one.critical_value == two.critical_value
    first, second = (posterior(own, WF1, n_resamples=500) for own in (counts, moved))
    assert (first.better[pairs] == second.better).all() and (first.equivalent[pairs] == second.equivalent).all()


def test_check_23_speed_and_memory(simulator, meld_sizes):
    """Twenty systems of MELD's shape: processor seconds, best of three, five times the bound on two idle cores."""
    rng = np.random.default_rng(0)
    counts = simulator(rng, meld_sizes(rng), offsets=np.linspace(0, 0.5, 20)).counts()
    panel = build_panel(counts, WF1)
    rows, (a, b) = panel.contributions, np.triu_indices(20, 1)
    bounds = {
        lambda: bootstrap_scores(panel.all_runs, WF1, n_resamples=10_000, seed=0): 0.06,
        lambda: sign_flip(rows, a, b, n_resamples=10_000, seed=0, step_down=True): 0.08,
        lambda: compare_systems(counts, WF1): 0.5,
    }
    for work, seconds in bounds.items():
        taken = []
        for _ in range(3):
            begin = time.process_time()
            work()
            taken.append(time.process_time() - begin)
        assert min(taken) < 5 * seconds
    tracemalloc.start()
    compare_systems(counts, WF1)
    assert tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_check_24_ten_thousand_replicates_come_near_a_million(simulator, meld_sizes):
    """At p near .05 within .0043, which 95 % of draws keep; a thousand replicates do not. A close call is flagged."""
    rng = np.random.default_rng(12)
    while True:
        counts = simulator(rng, meld_sizes(rng)).counts()
        rows, pair = build_panel(counts, WF1).contributions, (np.array([0]), np.array([1]))
        if 0.045 < sign_flip(rows, *pair, n_resamples=10_000, seed=0).p_value[0] < 0.055:
            break
    best = sign_flip(rows, *pair, n_resamples=10**6, seed=1).p_value[0]

    def share_near(n_resamples):
        drawn = [sign_flip(rows, *pair, n_resamples=n_resamples, seed=seed).p_value[0] for seed in range(2, 102)]
        return (np.abs(np.array(drawn) - best) <= 0.0043).mean()

    assert share_near(10_000) >= 0.88  # 3 Monte-Carlo SE below .95
    assert share_near(1_000) < 0.7
    flagged = compare_systems(counts, WF1, alpha=best + 0.002).warnings
    assert any("use n_resamples=100000 or more" in line for line in flagged)
    assert not any("n_resamples" in line for line in compare_systems(counts, WF1, alpha=best + 0.01).warnings)


def test_metrics_without_gradient_are_tested_too(meld_like):
    """Every metric of counts can be tested; what is no function of counts has no `Metric` at all."""
    bare = Metric("mine", "mine", "No calculus.", get_metric("macro_f1").value)
    names = ("macro_f1", "micro_f1", "accuracy", "weighted_f1")
    for metric in (bare, *(get_metric(name) for name in names), get_metric("f1:b", "abcdefg")):
        result = compare_systems(meld_like.counts(), metric, n_resamples=999)
        assert np.isfinite(result.p_adjusted).all() and (result.se > 0).all()
