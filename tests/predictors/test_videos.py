"""Video descriptions in the prompts of a predictor: of the right split, masked if asked, and never of nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.data import Dataset, load_dataset
from harness.errors import ConfigError, DataError
from harness.evaluation.executors import ExecutorSettings
from harness.evaluation.executors.serial import SerialExecutor
from harness.evaluation.executors.sharding import ShardingExecutor
from harness.evaluation.jobs import Settings, prepare, prompting_predictor
from harness.evaluation.runner import execute_run
from harness.llm import BACKENDS, CallSettings, Keep, ModelSettings, Request, Response, register_backend
from harness.predictors import PREDICTORS
from harness.predictors.build import resolve_params
from harness.predictors.videos import Videos
from harness.prompting import Form, Prompt, name_labels
from harness.schema.run import Job, RunOutcome
from harness.store import StoredRun
from harness.store.run_store import read_manifest


class Mute:
    """A back end that answers "joy" and keeps what it was asked."""

    repeats_prompt = False
    asked: ClassVar[list[str]] = []

    def __init__(self, model: ModelSettings, calls: CallSettings) -> None:
        pass

    def identity(self) -> Mapping[str, object]:
        return {"backend": "mute", "model": "m"}

    def preferred_form(self) -> Form:
        return "chat"

    def render(self, prompt: Prompt) -> str:
        return prompt.text

    def count_tokens(self, text: str) -> int | None:
        return None

    def answer(self, requests: Iterator[Request], keep: Keep) -> Iterator[tuple[int, Response]]:
        for n, request in enumerate(requests):
            self.asked.append(request.prompt.text)
            response = Response("stop", "joy", n_prompt_tokens=1, n_completion_tokens=1)
            keep(n, response)
            yield n, response

    def close(self) -> None:
        pass


@pytest.fixture
def mute(predictors: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    before = dict(BACKENDS._rows)
    register_backend("mute")(Mute)
    Mute.asked.clear()
    yield
    BACKENDS._rows.clear()
    BACKENDS._rows.update(before)


@pytest.fixture
def twins(toy_corpus: Path) -> Dataset:
    """The toy corpus with dialogues that are called alike in every split, as in MELD."""
    for split in ("train", "dev", "test"):
        path = toy_corpus / "toy" / f"{split}.jsonl"
        path.write_text(path.read_text().replace(f'"{split}', '"d'))
    return load_dataset("toy", toy_corpus)


Run = Callable[..., RunOutcome]


@pytest.fixture
def run(twins: Dataset, toy_corpus: Path, tmp_path: Path, mute: None) -> Run:
    def execute(split: str = "test", name: str = "zero-shot", **params: Any) -> RunOutcome:
        settings = Settings(tmp_path / "results", toy_corpus)
        job = Job(name, {"model": "m", "backend": "mute", **params}, "toy", split, 0)
        return execute_run(prepare(job, settings), settings, lambda progress: None)

    return execute


def write(folder: Path, rows: Mapping[tuple[str | None, str], str], name: str = "videos.jsonl") -> str:
    path = folder / name
    lines = [
        {"utterance_id": i, "description": text, **({} if split is None else {"split": split})}
        for (split, i), text in rows.items()
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_prompts_show_the_descriptions_of_the_split_that_is_predicted(twins: Dataset, run: Run, tmp_path: Path) -> None:
    first = {split: next(iter(twins.split(split).gold)) for split in ("train", "dev", "test")}
    assert len(set(first.values())) == 1
    file = write(tmp_path, {(split, i): f"seen in {split}" for split, i in first.items()})
    for split in ("dev", "test"):
        Mute.asked.clear()
        assert run(split, video=file).status == "done"
        assert f"seen in {split}" in Mute.asked[0]
        others = {"train", "dev", "test"} - {split}
        assert not any(f"seen in {other}" in prompt for other in others for prompt in Mute.asked)


def test_a_run_in_shards_tells_the_same_of_its_videos(
    twins: Dataset, run: Run, toy_corpus: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, {("test", i): "a joyful cup" for i in twins.split("test").gold})
    whole = run(video=file)
    settings = Settings(tmp_path / "cut", toy_corpus)
    job = Job("zero-shot", {"model": "m", "backend": "mute", "video": file}, "toy", "test", 0)
    executor = ShardingExecutor(SerialExecutor(ExecutorSettings()), 3)
    (cut,) = executor.execute([prepare(job, settings)], settings, lambda *_: None, lambda *_: None)
    facts = [read_manifest(Path(one.path) / "manifest.json").predictor.facts for one in (whole, cut)]
    assert facts[0] == facts[1]
    assert facts[0]["video"]["share_with_emotion_words"] == 1.0
    assert cut.detail == whole.detail


def test_descriptions_of_training_are_there_for_who_learns(twins: Dataset, tmp_path: Path) -> None:
    names = name_labels(twins.card.label_set, "natural")
    i = next(iter(twins.split("test").gold))
    videos = Videos(write(tmp_path, {("train", i): "a sad cup", ("test", i): "a joyful cup"}), True)
    videos.expect("test", twins.utterance_ids)
    assert videos.of(names) == {i: "a [...] cup"}
    assert videos.of(names, "train") == {i: "a [...] cup"}
    assert videos.of(names, "dev") == {}
    assert Videos(None, False).of(names) == {}
    assert Videos(None, False).count_leaks(names) is None


@pytest.mark.parametrize(
    ("split", "ids", "message"),
    [
        (
            "test",
            ["nope", "d0-0"],
            "not an utterance of split 'test' of the dataset: 'nope', 'd0-0'; expected ids like 'd",
        ),
        (None, ["{first}"], "in several splits of the dataset: '{first}'; add \"split\" to each line"),
        ("train", ["{first}"], "describes no utterance of split 'test'; leave it out"),
    ],
)
def test_descriptions_of_nobody_fail_the_run_before_anybody_is_asked(
    twins: Dataset, run: Run, tmp_path: Path, split: str | None, ids: list[str], message: str
) -> None:
    first = next(iter(twins.split("test").gold))
    outcome = run(video=write(tmp_path, {(split, i.format(first=first)): "A cup." for i in ids}))
    assert outcome.status == "failed"
    assert message.format(first=first) in outcome.detail
    assert "\n" not in outcome.detail
    assert not Mute.asked


def test_commands_that_show_a_prompt_refuse_them_too(
    twins: Dataset, toy_corpus: Path, mute: None, tmp_path: Path
) -> None:
    params = {"model": "m", "backend": "mute", "video": write(tmp_path, {("test", "nope"): "A cup."})}
    settings = Settings(tmp_path, toy_corpus)
    prepared = prepare(Job("zero-shot", params, "toy", "test", 0), settings)
    with pytest.raises(DataError, match="'nope'"):
        prompting_predictor(prepared, settings)


def facts_of(outcome: RunOutcome) -> Any:
    assert outcome.status == "done", outcome.detail
    path = Path(outcome.path)
    return StoredRun(path, read_manifest(path / "manifest.json")).manifest.predictor.facts["video"]


def test_emotion_words_are_told_recorded_and_masked(twins: Dataset, run: Run, tmp_path: Path) -> None:
    first, second, *_ = twins.split("test").gold
    rows = {("test", first): "He is ANGRILY calm-eyed.", ("test", second): "a chair", ("train", first): "a cup"}
    file = write(tmp_path, rows)
    told = run(video=file)
    assert told.detail == (
        "33.3% of the video descriptions contain an emotion word; -P mask_emotion_words=true hides them"
    )
    assert facts_of(told) == {"n_descriptions": 3, "share_with_emotion_words": 0.3333, "described_by": []}
    assert "ANGRILY" in Mute.asked[0]
    Mute.asked.clear()
    masked = run(video=file, mask_emotion_words=True)
    assert masked.detail == ""
    assert facts_of(masked)["share_with_emotion_words"] == 0.0
    assert "He is [...] [...]-eyed." in Mute.asked[0]
    assert masked.run_id != told.run_id


def test_names_of_labels_as_shown_are_masked_too(twins: Dataset, run: Run, tmp_path: Path) -> None:
    first = next(iter(twins.split("test").gold))
    names = {"neutral": "no feeling", "joy": "zest", "anger": "anger"}
    file = write(tmp_path, {("test", first): "No feeling, no Zest."})
    run(video=file, mask_emotion_words=True, label_names=names)
    assert "[...], no [...]." in Mute.asked[0]


def test_masking_without_descriptions_is_refused(run: Run) -> None:
    with pytest.raises(ConfigError) as caught:
        run(mask_emotion_words=True)
    assert "mask_emotion_words=True without descriptions to mask; add -P video=FILE, or leave it out" in str(
        caught.value
    )


def test_who_described_is_recorded(twins: Dataset, run: Run, tmp_path: Path) -> None:
    first = next(iter(twins.split("test").gold))
    path = tmp_path / "videos.jsonl"
    row = {"split": "test", "utterance_id": first, "description": "A cup.", "described_by": "m at local, 4 frames"}
    path.write_text(json.dumps(row))
    assert facts_of(run(video=str(path)))["described_by"] == ["m at local, 4 frames"]


def test_descriptions_make_a_run_visual(predictors: None) -> None:
    spec = PREDICTORS.get("zero-shot")
    card = spec.build.refine_card(spec.card, resolve_params(spec, {"model": "m", "video": "videos.jsonl"}))
    assert card == replace(spec.card, modalities=("text", "visual"))
