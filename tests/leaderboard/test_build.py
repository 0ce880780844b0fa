"""A board is a pure function of stored runs: which rows it has, what it says of them, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.data import load_dataset
from harness.errors import ConfigError, IncompatibleRunsError, UnknownNameError
from harness.evaluation.jobs import Settings
from harness.export import EXPORTERS, export_leaderboard
from harness.leaderboard.build import build_leaderboard, missing_runs
from harness.leaderboard.spec import BoardSpec, PredictorEntry, load_spec
from harness.store import RunStore, StoredRun
from harness.store.run_store import read_manifest

MakeRuns = Callable[..., list[Path]]

SPEC = BoardSpec(title="Toy", datasets=("toy",), seeds=(0, 1, 2), other_runs=True)


def test_scores_are_means_over_seeds_as_scikit_learn_has_them(
    make_runs: MakeRuns, store: RunStore, toy_corpus: Path
) -> None:
    paths = make_runs("good", 0.8)
    board = build_leaderboard("toy", SPEC, store)
    split = load_dataset("toy", toy_corpus).split("test")
    gold, labels = list(split.gold.values()), list(split.label_set.labels)
    said = [
        [p.label for p in StoredRun(path, read_manifest(path / "manifest.json")).predictions().values()]
        for path in paths
    ]
    (entry,) = board.entries
    weighted = [f1_score(gold, one, labels=labels, average="weighted", zero_division=0) for one in said]
    assert entry.score == pytest.approx(np.mean(weighted), abs=1e-12)
    assert entry.metrics["accuracy"] == pytest.approx(np.mean([accuracy_score(gold, one) for one in said]), abs=1e-12)
    assert entry.n_seeds == 3


def test_rows_are_sorted_and_a_clear_difference_is_found(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("poor", 0.1)
    make_runs("good", 0.95)
    make_runs("twin", 0.94)
    board = build_leaderboard("toy", SPEC, store)
    assert [entry.score for entry in board.entries] == sorted((e.score for e in board.entries), reverse=True)
    by_name = {entry.predictor.split("[")[0]: entry for entry in board.entries}
    assert by_name["lab/poor"].rank_low == 3
    assert not by_name["lab/poor"].top
    assert by_name["lab/good"].top
    assert not set(by_name["lab/poor"].letters) & set(by_name["lab/good"].letters)
    assert len(board.comparisons) == 3
    assert all(pair.p_adjusted >= pair.p_value > 0 for pair in board.comparisons)


def test_the_same_runs_give_the_same_bytes_whatever_the_order_of_folders(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("b", 0.5)
    make_runs("a", 0.9)
    first = build_leaderboard("toy", SPEC, store)
    again = build_leaderboard("toy", SPEC, store)
    for exporter in EXPORTERS:
        assert export_leaderboard(first, exporter) == export_leaderboard(again, exporter)


def test_no_corpus_is_needed(make_runs: MakeRuns, store: RunStore, toy_corpus: Path) -> None:
    make_runs("good", 0.9)
    with_corpus = build_leaderboard("toy", SPEC, store)
    toy_corpus.rename(toy_corpus.with_name("gone"))
    assert build_leaderboard("toy", SPEC, store) == with_corpus


def test_a_stochastic_predictor_with_one_seed_is_shown_and_not_tested(
    make_runs: MakeRuns, store: RunStore, predictors: None
) -> None:
    make_runs("good", 0.9)
    make_runs("bad", 0.2)
    paths = make_runs("young", 0.8, seeds=(0, 1))
    spec = SPEC.model_copy(update={"seeds": (0,)})
    assert len(paths) == 2
    board = build_leaderboard("toy", spec, store)
    young = next(entry for entry in board.entries if "young" in entry.predictor)
    assert (young.rank_low, young.letters, young.top) == (None, "", False)
    assert not [pair for pair in board.comparisons if "young" in pair.a + pair.b]
    assert any("young" in warning and "3 seeds" in warning for warning in board.datasets[0].warnings)


def test_only_named_rows_and_seeds_are_shown_unless_others_are_asked_for(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9, seeds=(0, 1, 2, 3))
    make_runs("other", 0.5)
    spec = SPEC.model_copy(
        update={"other_runs": False, "predictors": (PredictorEntry(name="lab/good", params={"skill": 0.9}),)}
    )
    (entry,) = build_leaderboard("toy", spec, store).entries
    assert entry.predictor == "lab/good[skill=0.9]"
    assert entry.n_seeds == 3


def test_missing_runs_are_named(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9, seeds=(0, 2, 3))
    entries = (PredictorEntry(name="lab/good", params={"skill": 0.9}), PredictorEntry(name="majority"))
    spec = SPEC.model_copy(update={"predictors": entries})
    assert missing_runs(spec, store) == [
        "lab/good[skill=0.9] on toy, seed 1",
        "majority on toy, seed 0",
        "majority on toy, seed 1",
        "majority on toy, seed 2",
    ]


def test_runs_on_another_release_are_refused_with_both_fingerprints(
    make_runs: MakeRuns, store: RunStore, toy_corpus: Path
) -> None:
    from harness.evaluation import jobs

    (path, *_) = make_runs("good", 0.9)
    test = toy_corpus / "toy" / "test.jsonl"
    test.write_text(test.read_text().replace("lovely", "charming"))
    jobs._load.cache_clear()
    (other, *_) = make_runs("new", 0.9)
    prints = [read_manifest(p / "manifest.json").data.fingerprint for p in (path, other)]
    with pytest.raises(IncompatibleRunsError) as caught:
        build_leaderboard("toy", SPEC, store)
    assert all(value in str(caught.value) for value in prints)


def test_the_signature_says_what_two_tables_must_share(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    board = build_leaderboard("toy", SPEC, store)
    header = board.datasets[0]
    parts = dict(part.split(":", 1) for part in header.signature.split("|")[1:])
    assert header.signature.startswith("wF1|")
    assert parts["data"] == f"toy@{header.fingerprint[:8]}"
    assert parts["n"] == f"{header.n_utterances}/{header.n_dialogues}"
    assert (parts["scope"], parts["test"], parts["adj"], parts["seeds"]) == ("procedure", "satterthwaite", "holm", "3")


def test_the_signature_names_how_answers_of_language_models_are_read(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("classic", 0.9)
    assert "answers:" not in build_leaderboard("toy", SPEC, store).signature
    make_runs("likely", 0.5, answers="choice:pmi")
    make_runs("written", 0.5, answers="generate")
    assert "|answers:choice:pmi,generate|" in build_leaderboard("toy", SPEC, store).signature


def test_notes_of_the_specification_stand_under_the_table(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    board = build_leaderboard("toy", SPEC.model_copy(update={"notes": ("Random weights.",)}), store)
    assert "Random weights." in board.datasets[0].warnings


def test_checkpoint_scope_compares_one_run_a_row(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    make_runs("bad", 0.2)
    board = build_leaderboard("toy", SPEC.model_copy(update={"scope": "checkpoint", "n_resamples": 999}), store)
    assert [entry.n_seeds for entry in board.entries] == [1, 1]
    assert (board.scope, board.test, board.correction) == ("checkpoint", "sign-flip", "max-t")


def test_an_empty_board_says_what_to_type(store: RunStore) -> None:
    with pytest.raises(ConfigError, match="erc-harness run --board toy"):
        build_leaderboard("toy", SPEC, store)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("datasets = []", "datasets"),
        ('datasets = ["toy"]\nmetrik = "x"', "'metrik'"),
        ('datasets = ["toy"]\nscope = "world"', "'world'"),
        ('datasets = ["toy"]\nalpha = 2', "alpha"),
        ('datasets = ["toy"', "not a TOML file"),
        ('datasets = ["toy"]\nsplit = "train"', "'train'"),
    ],
)
def test_a_bad_board_file_is_named_with_its_key(store: RunStore, toml: str, said: str) -> None:
    path = store.layout.board_spec("toy")
    path.parent.mkdir(parents=True)
    path.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load_spec("toy", store.layout)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_an_unknown_metric_is_refused(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    with pytest.raises(UnknownNameError, match="did you mean 'weighted_f1'"):
        build_leaderboard("toy", SPEC.model_copy(update={"metric": "weigthed_f1"}), store)
    with pytest.raises(ConfigError, match="not tested"):
        build_leaderboard("toy", SPEC.model_copy(update={"metric": "ece"}), store)
    with pytest.raises(UnknownNameError):
        build_leaderboard("toy", SPEC.model_copy(update={"metrics": ("f1:bliss",)}), store)


def test_a_dataset_with_runs_is_a_board_by_itself(make_runs: MakeRuns, store: RunStore, settings: Settings) -> None:
    make_runs("good", 0.9)
    spec = load_spec("toy", store.layout)
    assert spec.other_runs
    assert len(build_leaderboard("toy", spec, store).entries) == 1
    with pytest.raises(UnknownNameError, match="erc-harness run PREDICTOR --dataset nothing"):
        load_spec("nothing", store.layout)


def test_json_view_follows_the_contract(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    make_runs("bad", 0.3)
    document = json.loads(export_leaderboard(build_leaderboard("toy", SPEC, store), "json"))
    entry, pair = document["entries"][0], document["comparisons"][0]
    assert {"board", "signature", "metric", "datasets", "entries", "comparisons"} <= set(document)
    assert {"predictor", "dataset", "score", "se", "low", "high", "rank_low", "rank_high"} <= set(entry)
    assert {"letters", "top", "n_seeds", "coverage"} <= set(entry)
    assert {"dataset", "a", "b", "difference", "low", "high", "p_value", "p_adjusted"} <= set(pair)
    assert 0 <= entry["score"] <= 1


def test_the_order_of_predictors_in_the_spec_changes_nothing(make_runs: MakeRuns, store: RunStore) -> None:
    skills = {"lab/good": 0.9, "lab/fair": 0.6, "lab/bad": 0.2}
    for name, skill in skills.items():
        make_runs(name.removeprefix("lab/"), skill)
    entries = tuple(PredictorEntry(name=name, params={"skill": skill}) for name, skill in skills.items())
    for changes in ({}, {"scope": "checkpoint", "n_resamples": 999}):
        spec = SPEC.model_copy(update={"other_runs": False, "predictors": entries, **changes})
        turned = spec.model_copy(update={"predictors": (entries[1], entries[2], entries[0])})
        board, again = build_leaderboard("toy", spec, store), build_leaderboard("toy", turned, store)
        assert len(board.entries) == 3
        for exporter in EXPORTERS:
            assert export_leaderboard(board, exporter) == export_leaderboard(again, exporter)
