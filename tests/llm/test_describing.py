"""Descriptions of clips: by the command and the real client, from a loopback server that looks at what it is shown."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.descriptions import read_descriptions
from harness.llm import CallSettings
from harness.llm.describing import N_TOKENS, Clip, Describer
from harness.llm.server.calls import _NO_IMAGES

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
N_DIALOGUES = {"train": 12, "dev": 4, "test": 6}
"""Of three utterances each."""
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def look(call: Any, n_frames: int = 4) -> str:
    """Checks that a call shows whole JPEG files in order of time, and returns what is said."""
    image: Any = pytest.importorskip("PIL.Image")
    *frames, text = call.body["messages"][-1]["content"]
    bright = []
    for frame in frames:
        kind, encoded = frame["image_url"]["url"].split(",")
        assert (frame["type"], kind) == ("image_url", "data:image/jpeg;base64")
        shown = image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
        shown.load()
        assert shown.format == "JPEG"
        bright.append(float(np.asarray(shown).mean()))
    assert len(frames) == n_frames
    assert bright == sorted(bright)
    assert text["type"] == "text"
    return str(text["text"])


class Commands:
    """The command in a folder with a small MELD, text and clips, as a user with a server of their own has it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.out = folder, url, folder / "videos.jsonl"
        self.clips = folder / "clips"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ERC_", "OPENAI"))},
            "ERC_DATA_DIR": str(folder / "data"),
            "ERC_CACHE_DIR": str(folder / "cache"),
            "ERC_RESULTS_DIR": str(folder / "results"),
        }

    def words(self, *more: str) -> list[str]:
        given = ("--clips", self.clips, "--model", "m", "--base-url", self.url, "-o", self.out)
        return [sys.executable, "-m", "harness", "data", "describe-video", "meld", *map(str, given), *more]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self.words(*more), env=self.environment, stdout=quiet, stderr=quiet)

    def run(self, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.words(*more), env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    def clip(self, split: str, utterance_id: str) -> Path:
        return self.clips / FOLDERS[split] / f"{utterance_id}.mp4"


Open = Callable[..., tuple[Commands, Any]]


@pytest.fixture
def commands(loopback: Callable[..., Any], write_clip: Callable[..., None], tmp_path: Path) -> Open:
    """Starts a server and gives the command that calls it; every utterance has a clip."""
    write_clip(tmp_path / "one.mp4", 8)
    (tmp_path / "data" / "meld").mkdir(parents=True)
    for split, n in N_DIALOGUES.items():
        ids = [(d, u) for d in range(n) for u in range(3)]
        rows = [f'1,{split} {d}-{u}!,Ross,joy,positive,{d},{u},4,7,"00:16:16,059","00:16:21,731"' for d, u in ids]
        (tmp_path / "data" / "meld" / f"{split}_sent_emo.csv").write_text("\n".join((HEADER, *rows)))
        (tmp_path / "clips" / FOLDERS[split]).mkdir(parents=True)
        for d, u in ids:
            shutil.copy(tmp_path / "one.mp4", tmp_path / "clips" / FOLDERS[split] / f"dia{d}_utt{u}.mp4")

    def start(handler: Callable[[Any], Any]) -> tuple[Commands, Any]:
        server = loopback(handler)
        return Commands(tmp_path, server.url), server

    return start


N_ALL = 3 * sum(N_DIALOGUES.values())


def test_every_utterance_is_described_from_its_frames_and_words(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        said = look(call).split('"')[1]
        return wire.say(f" A man, in\nthe scene {said} He sits. ")

    here, server = commands(describe)
    done = json.loads(here.run("--json").stdout)
    assert server.calls[0].body["max_tokens"] == N_TOKENS
    assert server.calls[0].body["temperature"] == 0
    read = read_descriptions(here.out)
    assert {split: len(texts) for split, texts in read.by_split.items()} == {s: 3 * n for s, n in N_DIALOGUES.items()}
    for split, texts in read.by_split.items():
        for i, text in texts.items():
            d, u = i.removeprefix("dia").split("_utt")
            assert text == f"A man, in the scene {split} {d}-{u}! He sits."
    kinds = ("missing", "corrupt", "refused", "failed", "left")
    assert done["splits"]["dev"] == {"n_utterances": 12, "n_described": 12, **{f"n_{kind}": 0 for kind in kinds}}
    assert done["n_tokens"] == 14 * N_ALL
    assert done["usd"] is None  # no price is known: unknown, not 0
    assert read.described_by == (done["described_by"],)
    assert done["described_by"].startswith("m at local, describe-video/v1@d38be6cd, 4 frames, with transcript")


def test_frames_and_transcript_are_options_and_a_file_mixes_no_two(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        assert "says" not in look(call, n_frames=2)
        return wire.say("A cup.")

    here, server = commands(describe)
    options = ("--frames", "2", "--no-transcript", "--split", "dev")
    assert json.loads(here.run("--json", *options).stdout)["splits"].keys() == {"dev"}
    # All clips are one, and nothing is said: one question.
    assert len(server.calls) == 1
    refused = here.run("--split", "test", code=2)
    assert (
        "was described by 'm at local, describe-video/v1@d38be6cd, 2 frames, without transcript', not by"
        in refused.stderr
    )
    assert refused.stderr.count("\n") == 1


def test_missing_corrupt_and_surplus_clips_are_named_and_stop_nothing(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        look(call)
        return wire.say("A cup.")

    here, _ = commands(describe)
    here.clip("dev", "dia3_utt1").unlink()
    here.clip("train", "dia5_utt2").write_bytes(b"no film at all" * 99)
    shutil.copy(here.clip("test", "dia0_utt0"), here.clip("test", "final_videos_testdia0_utt0"))
    done = here.run()
    assert "dev, dia3_utt1: no clip\n" in done.stderr
    assert "test, final_videos_testdia0_utt0.mp4: a clip without an utterance, left out\n" in done.stderr
    assert (
        f"train, dia5_utt2: corrupt, {here.clip('train', 'dia5_utt2')}: no readable video: Invalid data" in done.stderr
    )
    assert done.stdout.splitlines()[2].split() == ["train", "36", "35", "0", "1", "0", "0", "0"]
    assert "0 of 64 descriptions (0.0%) contain an emotion word" in done.stdout
    assert here.run("--quiet").stderr == ""
    named = json.loads(here.run("--json").stdout)
    assert named["missing"] == [{"split": "dev", "utterance_id": "dia3_utt1"}]
    assert named["surplus"] == [{"split": "test", "file": "final_videos_testdia0_utt0.mp4"}]
    assert [row["utterance_id"] for row in named["corrupt"]] == ["dia5_utt2"]


def test_many_missing_clips_are_named_no_more_than_a_screen_holds(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        return wire.say("A cup.")

    here, _ = commands(describe)
    for path in sorted((here.clips / FOLDERS["train"]).iterdir())[1:]:
        path.unlink()
    done = here.run("--split", "train")
    assert done.stderr.count("no clip") == 20
    assert "... more are missing: see the summary, or --json for all" in done.stderr


def test_a_killed_command_goes_on_and_asks_nothing_twice(commands: Open, wire: Any) -> None:
    async def slow(call: Any) -> Any:
        look(call)
        await asyncio.sleep(0.05)
        return wire.say("A cup.")

    here, server = commands(slow)
    rng = random.Random(5)
    n_kills = 0
    for target in (5, 20, 40):
        process = here.start("--concurrency", "3")
        while process.poll() is None and sum(server.successes.values()) < target:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            n_kills += 1
        process.wait()
    assert n_kills == 3
    done = json.loads(here.run("--concurrency", "3", "--json").stdout)
    assert sum(row["n_described"] for row in done["splits"].values()) == N_ALL
    repeated = sum(server.counts.values()) - len(server.counts)
    assert repeated <= 3 * n_kills, "something that was stored was asked again"
    assert len(server.counts) == N_ALL
    assert sum(map(len, read_descriptions(here.out).by_split.values())) == N_ALL
    n_calls = sum(server.counts.values())
    assert json.loads(here.run("--json").stdout)["n_tokens"] == 0  # all is described: nobody is asked
    here.out.unlink()
    here.run()  # the answers are stored, too
    assert sum(server.counts.values()) == n_calls


def test_a_limit_stops_the_command_and_the_rest_comes_later(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        return wire.say("A cup.", usage={"prompt_tokens": 4200, "completion_tokens": 3})

    here, server = commands(describe)
    stopped = here.run("--max-tokens-total", "12000", "--concurrency", "1", "--split", "train", "--json", code=3)
    assert stopped.stderr.startswith("incomplete: stopped at the limit: 8406 of 12000 tokens (--max-tokens-total) used")
    row = json.loads(stopped.stdout)["splits"]["train"]
    assert (row["n_described"], row["n_left"]) == (2, 34)
    here.run()
    assert max(server.counts.values()) == 1


def test_failed_and_refused_calls_are_named_and_only_the_failed_are_asked_again(commands: Open, wire: Any) -> None:
    broken = ["train 2-1!"]

    async def describe(call: Any) -> Any:
        said = look(call)
        if any(text in said for text in broken):
            return wire.fail(400, "no room")
        if "train 3-0!" in said:
            return wire.say("I'm sorry, but I can't describe people in this image.")
        return wire.say("Two people sit. Their names cannot be determined.")

    here, server = commands(describe)
    done = here.run("--split", "train", "--concurrency", "1", code=3)
    assert "train, dia2_utt1: failed, HTTP 400: no room\n" in done.stderr
    assert "train, dia3_utt0: refused, I'm sorry, but I can't describe people in this image.\n" in done.stderr
    n_asked = sum(server.counts.values())
    broken.clear()
    row = json.loads(here.run("--split", "train", "--json").stdout)["splits"]["train"]
    assert (row["n_described"], row["n_refused"], row["n_failed"]) == (35, 1, 0)
    assert sum(server.counts.values()) == n_asked + 1


def test_words_of_emotion_are_counted(commands: Open, wire: Any) -> None:
    async def describe(call: Any) -> Any:
        said = look(call)
        return wire.say(
            "She looks happy." if " 1-" in said else "She smiles." if " 2-" in said else "An angry, happy man."
        )

    here, _ = commands(describe)
    shown = here.run("--split", "dev").stdout
    assert (
        "9 of 12 descriptions (75.0%) contain an emotion word, which may give the answer away: happy 9, angry 6"
        in shown
    )
    assert "-P mask_emotion_words=true" in shown
    told = json.loads(here.run("--split", "dev", "--json").stdout)["emotion_words"]
    assert told == {"n_descriptions": 12, "n_with_any": 9, "share": 0.75, "counts": {"happy": 9, "angry": 6}}


def test_a_server_that_takes_no_images_is_told_in_one_line(commands: Open, wire: Any) -> None:
    async def refuse(call: Any) -> Any:
        return wire.fail(400, "m is not a multimodal model")

    here, server = commands(refuse)
    done = here.run("--concurrency", "2", code=2)
    assert done.stderr.startswith("error: 127.0.0.1:")
    assert (
        "takes no such images for model 'm': HTTP 400: m is not a multimodal model; name a model that sees"
        in done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert sum(server.counts.values()) <= 2
    assert not here.out.read_bytes()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--base-url", "x"], "base_url 'x' is not an address such as"),
        (
            ["--clips", "nowhere"],
            "no clips of 'meld', split train or dev or test, in nowhere: looked for files such as dia",
        ),
        (["--split", "valid"], "unknown split of 'meld' 'valid'"),
        (["--max-cost", "1"], "--max-cost 1.0: no price is known for model 'm'"),
    ],
)
def test_what_cannot_work_is_told_before_anybody_is_asked(
    commands: Open, wire: Any, more: list[str], message: str
) -> None:
    async def never(call: Any) -> Any:
        raise AssertionError("asked")

    here, server = commands(never)
    done = here.run(*more, code=2)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not server.calls


def test_the_provider_wants_a_key(commands: Open, wire: Any) -> None:
    here, _ = commands(lambda call: wire.say())
    words = here.words()
    at = words.index("--base-url")
    done = subprocess.run(
        words[:at] + words[at + 2 :], env=here.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: api.openai.com wants a key; type: export OPENAI_API_KEY=... (it is read from nowhere else)\n"
    )


def test_a_corpus_without_a_rule_for_clips_is_refused(commands: Open, wire: Any) -> None:
    here, _ = commands(lambda call: wire.say())
    words = ["sample" if word == "meld" else word for word in here.words()]
    done = subprocess.run(words, env=here.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "dataset 'sample': its card does not say how video clips are named; that of 'meld' does" in done.stderr


def test_no_more_clips_are_decoded_than_are_soon_asked_about(
    loopback: Any, write_clip: Callable[..., None], tmp_path: Path, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds a few clips, however many there are."""
    n_decoded = 0
    most = 0

    def sample(path: Path, n_frames: int) -> tuple[bytes, ...]:
        nonlocal n_decoded
        n_decoded += 1
        return (f"{path}".encode(),)

    async def describe(call: Any) -> Any:
        nonlocal most
        most = max(most, n_decoded - sum(server.successes.values()))
        return wire.say("A cup.")

    monkeypatch.setattr("harness.llm.describing.sample_frames", sample)
    server = loopback(describe)
    describer = Describer("m", server.url, 4, True, CallSettings(concurrency=2, cache=tmp_path / "responses.sqlite"))
    clips = (Clip("train", f"u{i}", "Hm.", Path(f"{i}.mp4")) for i in range(100))
    assert [made.clip.utterance_id for made in describer.describe(clips)] == [f"u{i}" for i in range(100)]
    describer.close()
    assert most <= 3 * 2 * 2


@pytest.mark.parametrize(
    ("text", "finish", "described"),
    [
        ("One man sits. Another one sta", "length", "One man sits."),
        ("A man who walks and walks and", "length", "A man who walks and walks and"),
        ("<think>Hm.</think>A cup.", "stop", "A cup."),
        ("A \ud83d cup.", "stop", "A ? cup."),
    ],
)
def test_what_is_kept_of_an_answer(
    loopback: Any, write_clip: Callable[..., None], tmp_path: Path, wire: Any, text: str, finish: str, described: str
) -> None:
    async def describe(call: Any) -> Any:
        return wire.say(text, finish)

    write_clip(tmp_path / "a.mp4")
    describer = Describer("m", loopback(describe).url, 1, True, CallSettings(cache=tmp_path / "responses.sqlite"))
    (made,) = describer.describe([Clip("train", "a", "Hm.", tmp_path / "a.mp4")])
    describer.close()
    assert (made.status, made.text) == ("described", described)


def test_who_described_is_told_without_the_path_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    calls = CallSettings(cache=tmp_path / "responses.sqlite")
    told = Describer(str(tmp_path / "tiny"), "http://127.0.0.1:9/v1", 4, True, calls).described_by
    assert told.startswith("tiny@") and str(tmp_path) not in told


def test_words_about_images_are_not_parts_of_others() -> None:
    assert not _NO_IMAGES.search("HTTP 429: provisioned throughput exceeded")
