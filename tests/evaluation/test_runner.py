"""The runner: what a run leaves behind, how it resumes, and what it says when a predictor misbehaves."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.data import Split, load_dataset
from harness.errors import StoreError
from harness.evaluation.jobs import Settings
from harness.evaluation.scoring import score_table
from harness.predictors import Predictor
from harness.schema import DialogueView, Prediction
from harness.schema.run import RunOutcome
from harness.store import Layout, RunStore, StoredRun
from harness.store.run_store import encode_manifest, read_manifest

RunIt = Callable[..., RunOutcome]


class Keyword(Predictor):
    """Says joy where it reads 'lovely', else neutral; counts what it is asked."""

    asked: ClassVar[list[str]] = []
    fits: ClassVar[list[int]] = []

    def __init__(self, word: str = "lovely", seed: int = 0) -> None:
        self.word, self.seed = word, seed

    def fit(self, train: Split, dev: Split) -> None:
        self.fits.append(self.seed)

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        self.asked.extend(u.id for u in dialogue.targets)
        return [self.answer(u.id, u.text) for u in dialogue.targets]

    def answer(self, utterance_id: str, text: str) -> Prediction:
        joy = 0.7 if self.word in text else 0.2
        rest = {"neutral": 0.9 - joy, "anger": 0.1}
        return Prediction(utterance_id, "joy" if joy > 0.5 else "neutral", {"joy": joy, **rest})


@pytest.fixture(autouse=True)
def forget() -> None:
    Keyword.asked.clear()
    Keyword.fits.clear()


def sealed(outcome: RunOutcome) -> StoredRun:
    return StoredRun(Path(outcome.path), read_manifest(Path(outcome.path) / "manifest.json"))


def test_a_run_leaves_a_manifest_predictions_and_counts_and_nothing_else(run_it: RunIt, settings: Settings) -> None:
    outcome = run_it(Keyword, seed=3)
    assert outcome.status == "done"
    assert Path(outcome.path).relative_to(settings.results_dir).parts[:-1] == ("runs", "toy", "test", "lab", "test")
    assert outcome.run_id.startswith("seed3-")
    assert sorted(p.name for p in Path(outcome.path).iterdir()) == [
        "dialogues.parquet", "manifest.json", "predictions.parquet",
    ]  # fmt: skip


def test_the_manifest_says_how_the_run_was_made(run_it: RunIt) -> None:
    manifest = sealed(run_it(Keyword, {"word": "awful"})).manifest
    assert manifest.predictor.params_given == {"word": "awful"}
    assert manifest.predictor.params == {"word": "awful"}
    assert manifest.predictor.label == "lab/test[word=awful]"
    assert manifest.predictor.code_sha256 == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert manifest.data.labels == ("neutral", "joy", "anger")
    assert len(manifest.data.fingerprint) == 64
    assert {"python", "numpy"} <= set(manifest.versions)
    assert manifest.hardware["n_cores"] >= 1
    assert manifest.times["n_sessions"] == 1


def test_stored_predictions_are_those_given_and_hold_no_text(run_it: RunIt, toy_corpus: Path) -> None:
    stored = sealed(run_it(Keyword))
    split = load_dataset("toy", toy_corpus).split("test")
    predictions = stored.predictions()
    assert list(predictions) == list(split.gold)
    for utterance in split.utterances():
        expected = Keyword().answer(utterance.id, utterance.text)
        given = predictions[utterance.id]
        assert (given.label, given.status) == (expected.label, "ok")
        assert given.scores == pytest.approx(expected.scores, abs=1e-6)
    for path in stored.path.iterdir():
        assert b"That is" not in path.read_bytes()


def test_stored_counts_score_as_scikit_learn_does(run_it: RunIt, toy_corpus: Path) -> None:
    stored = sealed(run_it(Keyword))
    gold = load_dataset("toy", toy_corpus).split("test").gold
    said = [p.label for p in stored.predictions().values()]
    scores = score_table(stored.dialogues(), ["weighted_f1", "accuracy"], "neutral")
    labels = ["neutral", "joy", "anger"]
    expected = f1_score(list(gold.values()), said, labels=labels, average="weighted", zero_division=0)
    assert scores["weighted_f1"] == pytest.approx(expected, abs=1e-12)


def test_a_sealed_run_is_skipped_without_asking_the_predictor(run_it: RunIt) -> None:
    first = run_it(Keyword)
    asked = len(Keyword.asked)
    second = run_it(Keyword)
    assert (second.status, second.path) == ("skipped", first.path)
    assert len(Keyword.asked) == asked


def test_rerun_makes_the_same_bytes_again(run_it: RunIt) -> None:
    first = sealed(run_it(Keyword))
    again = sealed(run_it(Keyword, rerun=True))
    assert again.manifest.files == first.manifest.files
    assert Keyword.fits == [0, 0]


class Dies(Keyword):
    """Fails at the target with this number."""

    at: ClassVar[int] = 10**9

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        if len(self.asked) >= self.at:
            raise RuntimeError("out of luck")
        return super().predict(dialogue)


def test_an_exception_fails_the_run_keeps_the_traceback_and_what_was_done(
    run_it: RunIt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dies, "at", 20)
    failed = run_it(Dies)
    assert failed.status == "failed"
    assert "RuntimeError: out of luck" in failed.detail
    assert "out of luck" in (Path(failed.path) / "error.log").read_text()
    kept = [json.loads(line) for line in (Path(failed.path) / "run.log.jsonl").read_text().splitlines()]
    done = [row[0] for record in kept if "predictions" in record for row in record["predictions"]]
    assert done

    Keyword.asked.clear()
    monkeypatch.setattr(Dies, "at", 10**9)
    resumed = run_it(Dies)
    assert resumed.status == "done"
    assert not set(done) & set(Keyword.asked), "a prediction was made twice"
    assert sealed(resumed).manifest.times["n_sessions"] == 2
    undisturbed = sealed(run_it(Dies, rerun=True))
    assert undisturbed.manifest.files == sealed(resumed).manifest.files
    assert not (Path(resumed.path) / "error.log").exists()


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_cut_in_the_middle_is_dropped_and_done_again(
    run_it: RunIt, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(Dies, "at", 20)
    log = Path(run_it(Dies).path) / "run.log.jsonl"
    log.write_bytes(log.read_bytes()[:-cut])
    monkeypatch.setattr(Dies, "at", 10**9)
    resumed = sealed(run_it(Dies))
    assert resumed.manifest.files == sealed(run_it(Dies, rerun=True)).manifest.files


def test_a_corrupt_log_is_named_and_moved_aside(
    run_it: RunIt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Dies, "at", 5)
    log = Path(run_it(Dies).path) / "run.log.jsonl"
    corrupt = b"nonsense\n" + log.read_bytes()
    log.write_bytes(corrupt)
    monkeypatch.setattr(Dies, "at", 10**9)
    assert run_it(Dies).status == "done"
    assert "run.log.jsonl is damaged (line 1: " in caplog.text
    assert log.with_name("run.log.jsonl.damaged").read_bytes() == corrupt


class Saves(Keyword):
    """Keeps its word in a file, so that an interrupted run need not learn again."""

    def save(self, folder: Path) -> None:
        (folder / "word.txt").write_text(self.word)

    def load(self, folder: Path) -> None:
        self.word = (folder / "word.txt").read_text()

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        if len(self.asked) >= Dies.at:
            raise RuntimeError("out of luck")
        return super().predict_batch(dialogues)


def test_what_was_learned_is_not_learned_again(run_it: RunIt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.evaluation.making.BATCH_DIALOGUES", 2)
    monkeypatch.setattr(Dies, "at", 10)
    assert run_it(Saves).status == "failed"
    monkeypatch.setattr(Dies, "at", 10**9)
    assert run_it(Saves).status == "done"
    assert Saves.fits == [0]


class Skips(Keyword):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return []


class Invents(Keyword):
    def answer(self, utterance_id: str, text: str) -> Prediction:
        return Prediction(utterance_id, "bliss")


class HalfScores(Keyword):
    def answer(self, utterance_id: str, text: str) -> Prediction:
        return Prediction(utterance_id, "joy", {"joy": 1.0})


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Skips, "one prediction per target"),
        (Invents, "is 'bliss', expected one of"),
        (HalfScores, "expected every label"),
    ],
)
def test_answers_that_break_the_rules_fail_the_run(run_it: RunIt, cls: type[Predictor], said: str) -> None:
    outcome = run_it(cls)
    assert outcome.status == "failed"
    assert said in outcome.detail
    assert not (Path(outcome.path) / "manifest.json").exists()


class Refuses(Keyword):
    def answer(self, utterance_id: str, text: str) -> Prediction:
        if "awful" in text:
            return Prediction(utterance_id, None, status="refused")
        return super().answer(utterance_id, text)


def test_answers_without_a_label_count_as_wrong_and_lower_coverage(run_it: RunIt, toy_corpus: Path) -> None:
    stored = sealed(run_it(Refuses))
    split = load_dataset("toy", toy_corpus).split("test")
    refused = sum("awful" in u.text for u in split.utterances())
    assert refused > 0
    assert stored.manifest.statuses["refused"] == refused
    assert stored.manifest.coverage == pytest.approx(1 - refused / len(split.gold))
    assert stored.dialogues().confusion.counts[:, :, -1].sum() == refused
    said = [p.label or "none" for p in stored.predictions().values()]
    expected = f1_score(list(split.gold.values()), said, labels=list(split.label_set.labels), average="weighted")
    assert score_table(stored.dialogues(), ["weighted_f1"], None)["weighted_f1"] == pytest.approx(expected, abs=1e-12)


def test_changed_code_is_pointed_out(run_it: RunIt, monkeypatch: pytest.MonkeyPatch) -> None:
    run_it(Keyword)
    monkeypatch.setattr("harness.evaluation.runner.code_sha256", lambda build: "another")
    assert "--rerun" in run_it(Keyword).detail


@pytest.mark.parametrize("name", ["predictions.parquet", "dialogues.parquet"])
def test_a_changed_file_is_named_and_never_used(run_it: RunIt, name: str) -> None:
    path = Path(run_it(Keyword).path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome = run_it(Keyword)
    assert outcome.status == "failed"
    assert f"{name} is not the file that was sealed" in outcome.detail


def test_a_run_is_found_by_id_by_path_and_by_path_below_results(run_it: RunIt, settings: Settings) -> None:
    outcome = run_it(Keyword)
    store = RunStore(Layout(settings.results_dir))
    below = Path(outcome.path).relative_to(settings.results_dir)
    for reference in (outcome.run_id, outcome.path, str(below), str(below.relative_to("runs"))):
        assert store.find(reference).manifest.run_id == outcome.run_id


def test_a_run_begun_by_other_code_is_begun_anew(run_it: RunIt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dies, "at", 10)
    assert run_it(Dies).status == "failed"
    asked = set(Keyword.asked)
    Keyword.asked.clear()
    monkeypatch.setattr(Dies, "at", 10**9)
    monkeypatch.setattr("harness.evaluation.making.code_sha256", lambda build: "edited since")
    assert run_it(Dies).status == "done"
    assert asked <= set(Keyword.asked), "a prediction of the old code was kept"


class Lazy(Keyword):
    """Returns generators and numpy scores, as careless code does."""

    def predict_batch(self, dialogues: Sequence[DialogueView]) -> Sequence[Sequence[Prediction]]:
        return ((self.lazily(u.id) for u in d.targets) for d in dialogues)  # type: ignore[return-value]

    def lazily(self, utterance_id: str) -> Prediction:
        scores = np.array([0.2, 0.7, 0.1], dtype=np.float32)
        return Prediction(utterance_id, "joy", dict(zip(("neutral", "joy", "anger"), scores, strict=True)))


def test_generators_and_numpy_scores_are_taken(run_it: RunIt) -> None:
    outcome = run_it(Lazy)
    assert outcome.status == "done", outcome.detail
    assert {p.label for p in sealed(outcome).predictions().values()} == {"joy"}


class Quits(Keyword):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        raise SystemExit


def test_a_predictor_that_quits_fails_its_run(run_it: RunIt) -> None:
    outcome = run_it(Quits)
    assert outcome.status == "failed"
    assert "SystemExit" in outcome.detail


def test_a_rerun_that_fails_leaves_the_sealed_run(run_it: RunIt, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sealed(run_it(Dies))
    monkeypatch.setattr(Dies, "at", 0)
    assert run_it(Dies, rerun=True).status == "failed"
    after = sealed(run_it(Dies))
    assert after.manifest == before.manifest
    assert after.predictions() == before.predictions()


def test_a_copied_run_is_refused(run_it: RunIt, settings: Settings) -> None:
    path = Path(run_it(Keyword).path)
    copy = path.with_name(path.name.replace("seed0", "seed9"))
    shutil.copytree(path, copy)
    with pytest.raises(StoreError, match="does not belong here"):
        RunStore(Layout(settings.results_dir)).runs("toy", "test")
    shutil.rmtree(copy)
    manifest = path / "manifest.json"
    manifest.write_bytes(encode_manifest(replace(read_manifest(manifest), seed=5)))
    with pytest.raises(StoreError, match="does not belong here"):
        RunStore(Layout(settings.results_dir)).runs("toy", "test")


class Shouts(Keyword):
    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        print("hello from the predictor")
        return super().predict(dialogue)


def test_what_a_predictor_prints_goes_to_stderr(run_it: RunIt, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_it(Shouts).status == "done"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello from the predictor" in captured.err
