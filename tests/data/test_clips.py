"""Clips: which file belongs to which utterance, and frames from files that may be broken."""

from __future__ import annotations

import builtins
import io
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Dataset, load_dataset
from harness.data.clips import FRAME_SIZE, SplitClips, find_clips, sample_frames
from harness.errors import ConfigError, DataError, DatasetNotFoundError, MissingDependencyError, UnknownNameError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


@pytest.fixture
def meld(tmp_path: Path) -> Dataset:
    """MELD's files with two dialogues a split, whose ids are the same in each."""
    folder = tmp_path / "data" / "meld"
    folder.mkdir(parents=True)
    rows = [f'1,Hm.,Ross,joy,positive,{d},{u},4,7,"00:16:16,059","00:16:21,731"' for d in (0, 3) for u in (0, 2)]
    for split in ("train", "dev", "test"):
        (folder / f"{split}_sent_emo.csv").write_text("\n".join((HEADER, *rows)))
    return load_dataset("meld", folder.parent)


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"clip")


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("train", "dev", "test"), ("train_splits", "dev_splits_complete", "output_repeated_splits_test")]
)
def test_clips_are_found_in_plain_folders_and_in_those_of_the_release(
    meld: Dataset, tmp_path: Path, names: tuple[str, str, str]
) -> None:
    for name in names:
        touch(tmp_path / name, "dia0_utt0.mp4", "dia3_utt2.mp4", "._dia0_utt0.mp4", "notes.txt")
    touch(tmp_path / names[2], "final_videos_testdia0_utt0.mp4", "dia108_utt2.mp4")
    clips = find_clips(meld, tmp_path)
    assert clips[0] == SplitClips(
        "train",
        {i: tmp_path / names[0] / f"{i}.mp4" for i in ("dia0_utt0", "dia3_utt2")},
        missing=("dia0_utt2", "dia3_utt0"),
        surplus=(),
    )
    assert [c.split for c in clips] == ["train", "dev", "test"]
    assert clips[2].surplus == ("dia108_utt2.mp4", "final_videos_testdia0_utt0.mp4")


def test_only_splits_that_have_clips_are_taken_unless_one_is_asked_for(meld: Dataset, tmp_path: Path) -> None:
    touch(tmp_path / "dev", "dia0_utt0.mp4")
    assert [c.split for c in find_clips(meld, tmp_path)] == ["dev"]
    assert [c.split for c in find_clips(meld, tmp_path, ["dev", "dev"])] == ["dev"]
    with pytest.raises(DatasetNotFoundError) as caught:
        find_clips(meld, tmp_path, ["test", "dev"])
    assert str(caught.value) == (
        f"no clips of 'meld', split test, in {tmp_path}: looked for files such as dia0_utt0.mp4 in its folders test, "
        "output_repeated_splits_test; give the folder above these with --clips DIR"
    )
    with pytest.raises(UnknownNameError, match="unknown split of 'meld' 'tset'; did you mean 'test'"):
        find_clips(meld, tmp_path, ["tset"])


def test_a_folder_without_clips_says_where_it_was_looked(meld: Dataset, tmp_path: Path) -> None:
    touch(tmp_path, "dia0_utt0.mp4")  # not in a folder of its split
    touch(tmp_path / "train", "dia77_utt0.mp4")
    with pytest.raises(DatasetNotFoundError, match="split train or dev or test, in .* dev_splits_complete, test, "):
        find_clips(meld, tmp_path)


def test_a_dataset_without_a_rule_for_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'sample': its card does not say how video clips are named; .* 'meld' does"):
        find_clips(load_dataset("sample"), tmp_path)


# --- frames -------------------------------------------------------------------------------------------------------


def brightness(jpeg: bytes) -> float:
    """Mean of the pixels of an image that is checked to be a whole JPEG."""
    image: Any = pytest.importorskip("PIL.Image").open(io.BytesIO(jpeg))
    image.load()
    assert image.format == "JPEG"
    return float(np.asarray(image).mean())


@pytest.mark.parametrize(
    ("n_frames", "wanted", "shown"),
    [(16, 4, [2, 6, 10, 14]), (16, 1, [8]), (3, 4, [0, 1, 2]), (1, 4, [0]), (16, 16, list(range(16)))],
)
def test_frames_are_the_middles_of_equal_parts_in_order(
    write_clip: Callable[..., None], tmp_path: Path, n_frames: int, wanted: int, shown: list[int]
) -> None:
    write_clip(tmp_path / "a.mp4", n_frames)
    frames = sample_frames(tmp_path / "a.mp4", wanted)
    assert [round(brightness(frame) / 15) for frame in frames] == shown


def test_frames_are_small_and_the_same_every_time(write_clip: Callable[..., None], tmp_path: Path) -> None:
    image: Any = pytest.importorskip("PIL.Image")
    write_clip(tmp_path / "a.mp4", 8, (1280, 720))
    frames = sample_frames(tmp_path / "a.mp4", 3)
    assert {image.open(io.BytesIO(frame)).size for frame in frames} == {(FRAME_SIZE, 288)}
    assert sample_frames(tmp_path / "a.mp4", 3) == frames
    write_clip(tmp_path / "b.mp4", 2, (64, 48))
    assert image.open(io.BytesIO(sample_frames(tmp_path / "b.mp4", 1)[0])).size == (64, 48)


def sound() -> bytes:
    """A WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((1, 2, 8000, 0, "NONE", ""))
        written.writeframes(bytes(1600))
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "Invalid data found when processing input"),
        (lambda data: b"no film at all" * 99, "Invalid data found when processing input"),
        (lambda data: data[: len(data) // 2], "Invalid data found when processing input"),
        (lambda data: sound(), "it holds no pictures"),
    ],
)
def test_a_broken_clip_is_named_with_the_reason(
    write_clip: Callable[..., None], tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    path = tmp_path / "dia125_utt3.mp4"
    write_clip(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        sample_frames(path, 4)
    assert str(caught.value) == f"{path}: no readable video: {reason}"


def test_a_file_that_is_not_there_is_named(write_clip: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.mp4: no readable video: No such file"):
        sample_frames(tmp_path / "absent.mp4", 4)


@pytest.mark.parametrize(("module", "package"), [("av", "av"), ("PIL.Image", "pillow")])
def test_packages_are_asked_for_by_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError) as caught:
        sample_frames(tmp_path / "a.mp4", 4)
    assert str(caught.value) == (
        f"reading video clips needs the package {package!r}; type: pip install 'erc-harness[video]'"
    )
