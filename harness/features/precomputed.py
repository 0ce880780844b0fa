"""Features that somebody else computed: .npz and .h5 by utterance id, and the pickles that ERC repositories share.

    file:FEATURES.npz        arrays SPLIT/ids (texts) and SPLIT/features (n, width) or (n, n_layers, width), for each
    file:FEATURES.h5         split; and, if it is known, the fingerprint of each split as SPLIT/fingerprint
    file:FEATURES.pkl#PART   a dictionary from dialogue to rows of its utterances; PART is its place in the file, a
                             number or a key, such as #3; several parts joined by '+' become layers r1, r2, ...

Dialogues of a pickle are ours if they have our ids. If they are numbered, ours are the one run of consecutive numbers
whose lengths are, one by one, the lengths of the dialogues of the split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError, ModelError
from harness.features.arrays import read_npz
from harness.features.encoder import Encoder, Layers, Tell, register_encoder, tell_nobody
from harness.features.h5 import read_h5
from harness.features.spoken import SpokenSplit
from harness.features.weights import content_name
from harness.schema import UtteranceView

MAX_ROWS = 4_000_000
"""Utterances of a split; the largest corpus in use has under 100,000."""

SUFFIXES = {".npz": "npz", ".h5": "h5", ".hdf5": "h5", ".pkl": "pickle", ".pickle": "pickle"}


@register_encoder(
    "file",
    kind="precomputed",
    argument="FILE",
    summary="Computed elsewhere: .npz, .h5 or a pickle of arrays.",
)
class Precomputed(Encoder):
    """Rows of a file, by split and utterance id; no utterance can be encoded anew."""

    def identity(self) -> dict[str, Any]:
        """Returns name and content of the file, and the part of it."""
        return {"encoder": "file", "content": self.named(self.argument)}

    def encode(self, utterances: Sequence[UtteranceView], tell: Tell = tell_nobody) -> Layers:
        """Raises DataError: there is no row."""
        ids = ", ".join(repr(u.id) for u in utterances[:3])
        more = f" and {len(utterances) - 3} more" if len(utterances) > 3 else ""
        raise DataError(f"{self._path}: no features of utterances {ids}{more}; extract them for this dataset")

    def encode_split(self, split: SpokenSplit, tell: Tell = tell_nobody) -> Layers:
        """Returns float32 (n_utterances, n_layers, width).

        Raises:
            DataError: rows are missing, of different shape, or of a split with another fingerprint.
        """
        if self._format == "pickle":
            rows = _rows_of_pickle(self._path, self._part, split)
        else:
            rows = _rows_by_id(self._path, self._format, split)
        missing = [u.id for u in split.utterances() if u.id not in rows]
        if missing:
            self.encode([u for u in split.utterances() if u.id in set(missing)])
        layers = [np.atleast_2d(np.asarray(rows[u.id], dtype=np.float32)) for u in split.utterances()]
        odd = [u.id for u, own in zip(split.utterances(), layers, strict=True) if own.shape != layers[0].shape]
        if odd:
            shapes = f"{layers[0].shape} and {next(a.shape for a in layers if a.shape != layers[0].shape)}"
            raise DataError(f"{self._path}: rows of different shape, {shapes}; the first is of {odd[0]!r}")
        tell(len(layers), len(layers), "rows read")
        return np.stack(layers)

    @classmethod
    def named(cls, argument: str) -> str:
        """Returns name and content of the file, and the part of it."""
        path, _, part = argument.partition("#")
        return content_name(Path(path)) + (f"#{part}" if part else "")

    @cached_property
    def _path(self) -> Path:
        path = Path(self.argument.partition("#")[0]).expanduser()
        if not path.is_file():
            raise ModelError(f"{str(path)!r}: no such file of features; give one: file:FEATURES.npz")
        return path

    @property
    def _part(self) -> str:
        return self.argument.partition("#")[2]

    @property
    def _format(self) -> str:
        try:
            return SUFFIXES[self._path.suffix]
        except KeyError:
            raise DataError.at(self._path, f"expected a name that ends in {', '.join(SUFFIXES)}") from None


def _rows_by_id(path: Path, kind: str, split: SpokenSplit) -> dict[str, Any]:
    """Returns the rows of a split by utterance id, from a file with arrays SPLIT/ids and SPLIT/features."""
    wanted = [f"{split.name}/ids", f"{split.name}/features", f"{split.name}/fingerprint"]
    arrays = read_npz(path, wanted) if kind == "npz" else read_h5(path, wanted)
    absent = [name for name in wanted[:2] if name not in arrays]
    if absent:
        raise DataError.at(path, f"no array {absent[0]!r}; expected {wanted[0]!r} and {wanted[1]!r}")
    ids, features = np.asarray(arrays[wanted[0]]), np.asarray(arrays[wanted[1]])
    if ids.ndim != 1 or ids.dtype.kind not in "SUO" or features.ndim not in (2, 3) or features.dtype.kind not in "fiu":
        raise DataError.at(
            path, f"ids are {ids.dtype} {ids.shape} and features {features.dtype} {features.shape} in split "
            f"{split.name!r}; expected texts (n,) and numbers (n, width) or (n, n_layers, width)",
        )  # fmt: skip
    if len(ids) != len(features):
        raise DataError.at(path, f"{len(ids)} ids and {len(features)} rows in split {split.name!r}")
    if len(ids) > MAX_ROWS:
        raise DataError.at(path, f"{len(ids)} rows in split {split.name!r}; expected no more than {MAX_ROWS}")
    known = np.asarray(arrays.get(wanted[2], split.fingerprint))
    told = str(known.item()) if known.size == 1 else f"{known.size} values"
    if told != split.fingerprint:
        raise DataError.at(
            path, f"features of another {split.name} split, {told[:12]}; that of {split.dataset} is "
            f"{split.fingerprint[:12]}",
        )  # fmt: skip
    return dict(zip(map(str, ids), features, strict=True))


def _rows_of_pickle(path: Path, part: str, split: SpokenSplit) -> dict[str, Any]:
    """Returns the rows of a split by utterance id, from a pickle of dictionaries by dialogue."""
    from harness.features.safe_pickle import load_pickle

    whole = load_pickle(path)
    tables = [_by_dialogue(_part_of(whole, one, path), split, path) for one in part.split("+")]
    return {
        utterance.id: np.stack([_vector(table[dialogue][i], path, dialogue) for table in tables])
        for dialogue, utterances in split.dialogues
        for i, utterance in enumerate(utterances)
        if all(dialogue in table for table in tables)
    }


def _vector(value: Any, path: Path, dialogue: str) -> Any:
    """Returns a row of a pickle, float32 (width,): a list of lists could name one list a million times over."""
    if isinstance(value, list | tuple) and all(isinstance(number, int | float | np.number) for number in value):
        value = np.array(value, dtype=np.float64)
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "fiu":
        raise DataError.at(path, f"a row of dialogue {dialogue!r} is no list of numbers and no array (width,)")
    return value.astype(np.float32)


def _part_of(whole: Any, part: str, path: Path) -> Mapping[Any, Any]:
    found = whole
    if part:
        try:
            found = whole[part] if isinstance(whole, Mapping) and part in whole else whole[int(part)]
        except (ValueError, TypeError, LookupError):
            raise DataError.at(path, f"no part {part!r}; give a key or a number: file:FILE#PART") from None
    if not isinstance(found, Mapping):
        raise DataError.at(
            path, f"a {type(found).__name__} where a dictionary by dialogue is expected; say which part: file:FILE#PART"
        )
    return found


def _by_dialogue(found: Mapping[Any, Any], split: SpokenSplit, path: Path) -> dict[str, Any]:
    """Returns the rows of our dialogues by our ids; raises DataError where they cannot be told, or a length differs."""
    ids = [dialogue for dialogue, _ in split.dialogues]
    lengths = [len(utterances) for _, utterances in split.dialogues]
    if all(isinstance(key, int) for key in found):
        numbers = sorted(found)
        theirs = [len(found[number]) for number in numbers]
        starts = [i for i in range(len(theirs) - len(ids) + 1) if theirs[i : i + len(ids)] == lengths]
        if len(starts) != 1:
            raise DataError.at(
                path, f"{len(starts)} runs of its numbered dialogues have the lengths of {split.dataset}, split "
                f"{split.name!r}; expected one: the file is of another release, or padded",
            )  # fmt: skip
        return {dialogue: found[numbers[starts[0] + i]] for i, dialogue in enumerate(ids)}
    rows = {dialogue: found[dialogue] for dialogue in ids if dialogue in found}
    for dialogue, n in zip(ids, lengths, strict=True):
        if dialogue in rows and len(rows[dialogue]) != n:
            raise DataError.at(path, f"{len(rows[dialogue])} rows for dialogue {dialogue!r}, which has {n} utterances")
    return rows
