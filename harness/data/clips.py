"""Video clips of a corpus: which file shows which utterance, and frames of a file as JPEG. Asks nobody about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness.data.dataset import ClipNames, Dataset
from harness.data.split import Split, SplitName
from harness.errors import ConfigError, DataError, DatasetNotFoundError, MissingDependencyError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

FRAME_SIZE = 512
"""Pixels of the longer side of a frame at most.

Source: OpenAI, guide "Images and vision": a model that looks at tiles looks at one of 512 by 512 pixels then.
"""

_JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class SplitClips:
    """The clips of one split."""

    split: SplitName
    found: Mapping[str, Path]
    """Clip by utterance id, in the order of the split."""
    missing: tuple[str, ...]
    """Ids of utterances without a clip."""
    surplus: tuple[str, ...]
    """Names of clips of no utterance."""


def find_clips(dataset: Dataset, folder: Path, splits: Sequence[str] = ()) -> list[SplitClips]:
    """Returns the clips of splits; opens none.

    Args:
        dataset: its card says how clips are named.
        folder: holds one folder a split.
        splits: which ones; none: all that have clips.

    Raises:
        ConfigError: the card does not say how clips are named.
        UnknownNameError: the dataset has no such split.
        DatasetNotFoundError: a split that was asked for has no clips, or none has.
    """
    names = dataset.card.clips
    if names is None:
        raise ConfigError(
            f"dataset {dataset.name!r}: its card does not say how video clips are named; that of 'meld' does, and a "
            "reader of your own may: DatasetCard(clips=ClipNames(...))"
        )
    wanted = [dataset.split(name) for name in dict.fromkeys(splits)] or list(dataset.splits.values())
    clips = [_match(split, folder, names) for split in wanted]
    without = [c.split for c in clips if not c.found]
    if without and (splits or len(without) == len(clips)):
        looked = ", ".join(name for split in without for name in names.folders.get(split, ()))
        some = next(wanted[0].utterances()).id + names.suffix
        raise DatasetNotFoundError(
            f"no clips of {dataset.name!r}, split {' or '.join(without)}, in {folder}: looked for files such as {some} "
            f"in its folders {looked}; give the folder above these with --clips DIR"
        )
    return [c for c in clips if c.found]


def _match(split: Split, folder: Path, names: ClipNames) -> SplitClips:
    """Returns the clips of a split, from the first of its folders that holds any."""
    for name in names.folders.get(split.name, ()):
        # Archives packed on a Mac hold a file "._NAME" beside each, which is no video.
        files = {p.name: p for p in (folder / name).glob(f"*{names.suffix}") if not p.name.startswith("._")}
        if files:
            break
    else:
        files = {}
    clip_of = {u.id: u.id + names.suffix for u in split.utterances()}
    return SplitClips(
        split.name,
        {i: files[clip] for i, clip in clip_of.items() if clip in files},
        tuple(i for i, clip in clip_of.items() if clip not in files),
        tuple(sorted(files.keys() - set(clip_of.values()))),
    )


def sample_frames(path: Path, n_frames: int) -> tuple[bytes, ...]:
    """Returns frames of a clip as JPEG files, in order of time, each from the middle of an equal part of the clip.

    Frames are decoded one by one, and only these are kept.

    Args:
        path: of the clip.
        n_frames: at most; a clip of fewer frames gives all it has.

    Raises:
        DataError: the file cannot be read as a video.
        MissingDependencyError: PyAV or Pillow is not installed.
    """
    av = import_av()
    try:
        with av.open(str(path)) as container:
            return _sample(container, n_frames)
    except (av.FFmpegError, OSError, LookupError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError.at(path, f"no readable video: {reason}") from None


def import_av() -> ModuleType:
    """Returns PyAV, once it is known that Pillow, which encodes its frames, is there too.

    Raises:
        MissingDependencyError: one of them is not installed.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.of("pillow", "video", "reading video clips") from error
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError.of("av", "video", "reading video clips") from error
    return av


def _sample(container: InputContainer, n_frames: int) -> tuple[bytes, ...]:
    """Counts the packets, which takes no decoding, then decodes as far as the last frame that is wanted."""
    if not container.streams.video:
        raise LookupError("it holds no pictures")
    stream = container.streams.video[0]
    n = sum(1 for packet in container.demux(stream) if packet.size)
    wanted = {(2 * i + 1) * n // (2 * n_frames) for i in range(n_frames)}
    container.seek(0)
    frames: list[bytes] = []
    for i, frame in enumerate(container.decode(stream)):
        if i in wanted:
            frames.append(_encode(frame))
        if len(frames) == len(wanted):
            break
    if not frames:
        raise LookupError("it holds no pictures")
    return tuple(frames)


def _encode(frame: VideoFrame) -> bytes:
    from PIL import Image

    scale = min(1.0, FRAME_SIZE / max(frame.width, frame.height))
    width, height = (max(1, round(scale * side)) for side in (frame.width, frame.height))
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
