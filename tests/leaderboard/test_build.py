"""A board is a pure function of stored runs: which rows it has, what it says of them, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from harness.data import load_dataset
from harness.errors import ConfigError, IncompatibleRunsError, UnknownNameError
from harness.evaluation.jobs import Settings, prepare
from harness.evaluation.runner import execute_run
from harness.export import FORMATS, export_leaderboard
from harness.features.weights import content_name
from harness.leaderboard.build import board_progress, build_leaderboard, missing_runs
from harness.leaderboard.spec import BoardSpec, PredictorEntry, load_spec
from harness.predictors import Predictor, PredictorCard, register_predictor
from harness.schema import DialogueView, Prediction
from harness.schema.run import Job
from harness.store import RunStore, StoredRun
from harness.store.run_store import read_manifest

MakeRuns = Callable[..., list[Path]]

SPEC = BoardSpec(title="Toy", datasets=("toy",), seeds=(0, 1, 2), other_runs=True)


class _Reader(Predictor):
    """Says joy where a word of its file is said; runs are named by what the file holds."""

    def __init__(self, words: str = "") -> None:
        self.words = words

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        word = Path(self.words).read_text()
        return [Prediction(u.id, "joy" if word in u.text else "neutral") for u in dialogue.targets]

    @classmethod
    def identify(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"words": content_name(Path(params["words"])) if params["words"] else ""}


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
    for table in ("main", "pairs"):
        for to in FORMATS:
            assert export_leaderboard(first, to, table) == export_leaderboard(again, to, table)


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


def test_what_is_shared_holds_for_every_entry_of_that_name_unless_it_says_otherwise(
    make_runs: MakeRuns, store: RunStore
) -> None:
    make_runs("good", 0.9)
    make_runs("good", 0.7)
    make_runs("good", 0.2)
    spec = BoardSpec.model_validate(
        {
            "datasets": ["toy"],
            "seeds": [0, 1, 2],
            "shared": {"lab/good": {"skill": 0.9}},
            "predictors": [{"name": "lab/good"}, {"name": "lab/good", "params": {"skill": 0.7}}, {"name": "majority"}],
        }
    )
    assert [(job.predictor, job.params) for job in spec.jobs() if job.seed == 0] == [
        ("lab/good", {"skill": 0.9}), ("lab/good", {"skill": 0.7}), ("majority", {}),
    ]  # fmt: skip
    assert {label.split(" on ")[0] for label in missing_runs(spec, store)} == {"majority"}
    entries = build_leaderboard("toy", spec, store).entries
    assert [entry.predictor for entry in entries] == ["lab/good[skill=0.9]", "lab/good[skill=0.7]"]


def test_an_entry_runs_on_its_own_datasets_only(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    make_runs("bad", 0.2)
    elsewhere = {"name": "lab/bad", "params": {"skill": 0.2}, "datasets": ["tales"]}
    everywhere = {"name": "lab/good", "params": {"skill": 0.9}}
    spec = BoardSpec.model_validate(
        {"datasets": ["toy", "tales"], "seeds": [0, 1, 2], "predictors": [everywhere, elsewhere]}
    )
    assert {(job.predictor, job.dataset) for job in spec.jobs()} == {
        ("lab/good", "toy"), ("lab/good", "tales"), ("lab/bad", "tales"),
    }  # fmt: skip
    assert {label.split(",")[0] for label in missing_runs(spec, store)} == {
        "lab/good[skill=0.9] on tales", "lab/bad[skill=0.2] on tales",
    }  # fmt: skip
    on_toy = spec.model_copy(update={"datasets": ("toy",)})
    assert [entry.predictor for entry in build_leaderboard("toy", on_toy, store).entries] == ["lab/good[skill=0.9]"]


def test_a_title_names_the_row_and_two_rows_of_one_name_are_refused(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    make_runs("bad", 0.2)
    make_runs("other", 0.5, seeds=(0, 1))
    titled = PredictorEntry(name="lab/good", params={"skill": 0.9}, title="full")
    spec = SPEC.model_copy(update={"predictors": (titled,)})
    full, _, bad = build_leaderboard("toy", spec, store).entries
    assert (full.title, full.predictor, full.name) == ("full", "lab/good[skill=0.9]", "full")
    assert (bad.title, bad.name) == ("", "lab/bad[skill=0.2]")
    twin = PredictorEntry(name="lab/bad", params={"skill": 0.2}, title="full")
    with pytest.raises(IncompatibleRunsError, match=r"'full'.*lab/bad.*lab/good.*other titles"):
        build_leaderboard("toy", SPEC.model_copy(update={"predictors": (titled, twin)}), store)


def test_warnings_call_a_row_by_its_title(make_runs: MakeRuns, store: RunStore) -> None:
    make_runs("good", 0.9)
    make_runs("young", 0.5, seeds=(0, 1))
    young = PredictorEntry(name="lab/young", params={"skill": 0.5}, title="few seeds")
    board = build_leaderboard("toy", SPEC.model_copy(update={"predictors": (young,)}), store)
    assert any(warning.startswith("few seeds has 2 of the 3 seeds") for warning in board.datasets[0].warnings)


def test_a_board_names_a_file_and_takes_any_content_of_it(
    store: RunStore, predictors: None, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    register_predictor("lab/reader", card=PredictorCard(family="test", deterministic=True))(_Reader)
    spec = BoardSpec.model_validate(
        {
            "datasets": ["toy"],
            "seeds": [0],
            "scope": "checkpoint",
            "shared": {"lab/reader": {"words": "My Words.txt"}},
            "predictors": [{"name": "lab/reader"}],
        }
    )
    assert len(missing_runs(spec, store)) == 1
    for words in ("lovely", "awful"):
        path = tmp_path / words / "My Words.txt"
        path.parent.mkdir()
        path.write_text(words)
        run = prepare(Job("lab/reader", {"words": str(path)}, "toy", "test", 0), settings)
        assert execute_run(run, settings, lambda progress: None).status == "done"
    assert missing_runs(spec, store) == []
    labels = [entry.predictor for entry in build_leaderboard("toy", spec, store).entries]
    assert len(labels) == 2
    assert all(label.startswith("lab/reader[words=my-words.txt@") for label in labels)
    other = spec.model_copy(update={"shared": {"lab/reader": {"words": "other.txt"}}})
    assert len(missing_runs(other, store)) == 1
    pinned = labels[0].removeprefix("lab/reader[words=").removesuffix("]")
    alone = spec.model_copy(update={"shared": {"lab/reader": {"words": pinned}}})
    assert [entry.predictor for entry in build_leaderboard("toy", alone, store).entries] == labels[:1]


def test_a_board_is_planned_until_a_run_or_a_view_is_there(make_runs: MakeRuns, store: RunStore) -> None:
    entry = PredictorEntry(name="lab/good", params={"skill": 0.9})
    spec = SPEC.model_copy(update={"predictors": (entry,), "other_runs": False})
    make_runs("other", 0.5)
    progress = board_progress("mine", spec, store)
    assert (progress.n_runs, len(progress.missing), progress.planned) == (0, 3, True)
    view = store.layout.view("mine", "csv")
    view.parent.mkdir(parents=True)
    view.touch()
    assert not board_progress("mine", spec, store).planned
    view.unlink()
    make_runs("good", 0.9, seeds=(0, 1))
    progress = board_progress("mine", spec, store)
    assert (progress.n_runs, len(progress.missing), progress.planned) == (2, 1, False)
    with_others = spec.model_copy(update={"other_runs": True})
    assert board_progress("mine", with_others, store).n_runs == 5


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
        ('datasets = ["toy"]\n[shared.majority]\nhistory = 2', "'majority', which the board does not list"),
        ('datasets = ["toy"]\n[[predictors]]\nname = "majority"\ndatasets = ["tales"]', "no dataset of the board"),
        ('datasets = ["toy"]\n[[predictors]]\nname = "majority"\ndatasets = []', "predictors.0.datasets"),
        (
            'datasets = ["toy"]\n[[predictors]]\nname = "majority"\nparam = {}',
            "known keys: name, params, datasets, title",
        ),
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
        for table in ("main", "pairs"):
            for to in FORMATS:
                assert export_leaderboard(board, to, table) == export_leaderboard(again, to, table)
