"""The atlas of committed runs on the bundled sample: every number against another way to it."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.data import load_dataset
from harness.errors import ConfigError, IncompatibleRunsError
from harness.evaluation.comparison import compare_runs
from harness.evaluation.scoring import group_runs
from harness.export import read_leaderboard
from harness.export.slices import export_atlas
from harness.slices import Slice, Sources, choose_slices
from harness.slices.atlas import WHOLE, Atlas, build_atlas
from harness.store import Layout, RunStore, StoredRun

RESULTS = Path(__file__).parents[2] / "results"
STORE = RunStore(Layout(RESULTS))


@cache
def systems() -> dict[str, list[StoredRun]]:
    return {group[0].manifest.predictor.label: group for group in group_runs(STORE.runs("sample", "test"))}


@cache
def sources() -> Sources:
    corpus = load_dataset("sample")
    return Sources(corpus.split("test"), corpus.split("train"))


@cache
def atlas(*names: str) -> Atlas:
    return build_atlas([systems()[name] for name in names], sources(), choose_slices())


def members(name: str, value: str) -> list[int]:
    (one,) = choose_slices((name,))
    return [i for i, own in enumerate(one.sort(sources())) if own == value]


def test_scores_are_those_of_scikit_learn_on_the_subset() -> None:
    gold = list(sources().split.gold.values())
    runs = systems()["stratified"]
    said = [[p.label or "" for p in run.predictions().values()] for run in runs]
    assert len(runs) > 1
    found = atlas("stratified")
    for row in found.rows[1:]:
        own = members(row.slice, row.value)
        truth = [gold[i] for i in own]
        wanted = [
            sum(score(truth, [one[i] for i in own]) for one in said) / len(said)
            for score in (lambda y, z: f1_score(y, z, average="weighted", zero_division=0), accuracy_score)
        ]
        assert [row.scores[0].score, row.scores[0].accuracy] == pytest.approx(wanted, abs=1e-12), row
        dialogues = [d.id for d in sources().split.dialogues for _ in d.labelled()]
        assert (row.n_utterances, row.n_dialogues) == (len(own), len({dialogues[i] for i in own}))


def test_the_whole_split_is_the_row_of_the_board() -> None:
    board = read_leaderboard((RESULTS / "leaderboards/sample/leaderboard.json").read_text(encoding="utf-8"))
    for name in ("stratified", "tfidf-svm"):
        (entry,) = [entry for entry in board.entries if entry.predictor == name]
        whole = build_atlas([systems()[name]], sources(), (), scope=board.scope).rows[0]
        assert (whole.slice, whole.value, whole.n_utterances) == (WHOLE, "", board.datasets[0].n_utterances)
        shown = (whole.scores[0].score, whole.scores[0].low, whole.scores[0].high, whole.scores[0].accuracy)
        assert shown == pytest.approx((entry.score, entry.low, entry.high, entry.metrics["accuracy"]), rel=1e-9)


@pytest.mark.parametrize("pair", [("tfidf-svm", "majority"), ("tfidf-svm", "stratified")])
def test_the_whole_split_is_what_compare_says_and_a_slice_of_it_all_is_left_out(pair: tuple[str, str]) -> None:
    everything = Slice("lab/all", "all", lambda one: ["x"] * len(one.split.gold), (), ())
    groups = [systems()[name] for name in pair]
    for metric in ("weighted_f1", "accuracy"):
        found = build_atlas(groups, sources(), [everything], metric=metric)
        (whole,) = found.rows
        compared = compare_runs(*groups, metric=metric)
        assert whole.difference is not None
        own = (whole.difference.difference, whole.difference.low, whole.difference.high, whole.difference.p_value)
        wanted = (compared.difference, compared.low, compared.high, compared.p_value)
        assert own == pytest.approx(wanted, rel=1e-12)
        assert whole.difference.p_adjusted == whole.difference.p_value, "a family of one"
        assert (found.left_out, found.n_tests, found.meanings) == ({"lab/all": "all are 'x'"}, 0, {})
        shown = " ".join(export_atlas(found, "console").split())
        assert "No slice was tested" in shown and "Tests:" not in shown and "after the correction" not in shown


def test_p_values_are_corrected_over_all_slices_that_are_tested() -> None:
    found = atlas("tfidf-svm", "majority")
    gaps = [row.difference for row in found.rows[1:] if row.difference is not None]
    raw = sorted(gap.p_value for gap in gaps if not math.isnan(gap.p_value))
    assert found.n_tests == len(raw) > 10
    for gap in gaps:
        if math.isnan(gap.p_value):
            assert math.isnan(gap.p_adjusted)
            continue
        # Holm by its definition: the largest of the Bonferroni products up to this p, each over those not yet rejected.
        products = [(len(raw) - i) * p for i, p in enumerate(raw) if p <= gap.p_value]
        assert gap.p_adjusted == pytest.approx(min(1.0, max(products)), rel=1e-12)


def test_differences_change_sign_with_the_order_of_the_systems() -> None:
    rows = zip(atlas("tfidf-svm", "majority").rows, atlas("majority", "tfidf-svm").rows, strict=True)
    for one, other in rows:
        a, b = one.difference, other.difference
        assert a is not None and b is not None
        forth = (a.difference, a.low, a.high, a.p_value, a.p_adjusted)
        back = (-b.difference, -b.high, -b.low, b.p_value, b.p_adjusted)
        assert forth == pytest.approx(back, rel=1e-9, abs=1e-12, nan_ok=True)
        assert [score.score for score in one.scores] == [score.score for score in other.scores[::-1]]


def test_too_few_dialogues_give_a_point_and_say_why() -> None:
    for row in atlas("tfidf-svm", "majority").rows:
        assert row.difference is not None
        numbers = [row.difference.low, row.difference.high, row.difference.p_value]
        numbers += [end for score in row.scores for end in (score.low, score.high, score.accuracy_low)]
        if row.n_dialogues < 10:
            assert all(map(math.isnan, numbers))
            assert row.warnings == (f"an interval needs 10 dialogues; this slice has {row.n_dialogues}",)
        else:
            assert not any(map(math.isnan, numbers))
            assert any("below 30" in warning for warning in row.warnings), "the sample has 20 dialogues"
        assert row.difference.difference == pytest.approx(row.scores[0].score - row.scores[1].score, abs=1e-12)


def test_the_number_of_seeds_decides_on_scope_and_intervals() -> None:
    runs = systems()["stratified"]
    procedure = build_atlas([runs], sources(), choose_slices(("turn",)))
    checkpoint = build_atlas([runs[:1]], sources(), choose_slices(("turn",)))
    assert (procedure.scope, checkpoint.scope) == ("procedure", "checkpoint")
    assert (procedure.n_seeds, checkpoint.n_seeds) == ((len(runs),), (1,))
    few = build_atlas([runs[:2]], sources(), choose_slices(("turn",)))
    assert math.isnan(few.rows[1].scores[0].low)
    assert any("2 of the 3 seeds" in warning for warning in few.warnings)


def test_slices_that_lack_something_are_left_out_and_named() -> None:
    found = atlas("majority")
    assert found.left_out == {
        "other-corpus": "add --other DATASET", "video": "add --video FILE", "seen-in-train": "all are 'new'"
    }  # fmt: skip
    assert {row.slice for row in found.rows} == {WHOLE, *found.meanings}
    assert not found.meanings.keys() & found.left_out.keys()


def test_what_does_not_fit_is_refused() -> None:
    three = [systems()[name] for name in ("majority", "tfidf-svm", "stratified")]
    with pytest.raises(ConfigError, match="3 systems given; give one, or two"):
        build_atlas(three, sources(), ())
    meld = STORE.runs("meld", "test")[:1]
    with pytest.raises(IncompatibleRunsError, match="runs of different dataset"):
        build_atlas([three[0], meld], sources(), ())
    with pytest.raises(IncompatibleRunsError, match="is not the one predicted"):
        build_atlas([meld], sources(), ())


def test_shift_and_inertia_on_meld(data_dir: Path) -> None:
    """Real runs, against scikit-learn: where the speaker's emotion changes, errors are more."""
    split = load_dataset("meld", data_dir).split("test")
    (run,) = [run for run in STORE.runs("meld", "test") if run.manifest.predictor.label == "tfidf-svm"]
    rows = build_atlas([[run]], Sources(split), choose_slices(("emotion-shift",))).rows[1:]
    said, kinds = run.predictions(), list(choose_slices(("emotion-shift",))[0].sort(Sources(split)))
    for row in rows:
        own = [u for u, kind in zip(split.gold, kinds, strict=True) if kind == row.value]
        wanted = f1_score([split.gold[u] for u in own], [said[u].label for u in own], average="weighted")
        assert row.scores[0].score == pytest.approx(wanted, abs=1e-12)
    assert rows[0].scores[0].high < rows[1].scores[0].low
