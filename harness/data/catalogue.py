"""The registry of datasets: register a reader, find a corpus on disk, load it. Each reader is in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.dataset import Dataset, DatasetCard
from harness.data.split import SPLIT_NAMES, Split
from harness.errors import DataError, DatasetNotFoundError, UnknownNameError
from harness.registry import Registry, origin_of
from harness.registry.registry import NAME
from harness.schema import Dialogue

Reader = Callable[[Path], Mapping[str, Sequence[Dialogue]]]
"""Reads the dialogues of every split, by split name, from a corpus folder; raises DataError."""


@dataclass(frozen=True)
class DatasetSpec:
    """A registered dataset: how to read it, and its card."""

    name: str
    card: DatasetCard
    read: Reader


DATASETS: Registry[DatasetSpec] = Registry("dataset")


def register_dataset(name: str, *, card: DatasetCard) -> Callable[[Reader], Reader]:
    """Returns a decorator that registers a reader function under a name.

    Raises:
        ConfigError: the name is not allowed.
        DuplicateNameError: the name is taken.
    """

    def register(read: Reader) -> Reader:
        target = f"{read.__module__}:{getattr(read, '__qualname__', name)}"
        DATASETS.add(name, DatasetSpec(name, card, read), origin=origin_of(read.__module__), target=target)
        return read

    return register


def find_dataset(name: str, data_dir: Path | None) -> tuple[DatasetSpec, Path]:
    """Returns the spec of a dataset and the folder that holds it.

    A name is a registered dataset, or a folder with a `card.toml` (see `harness.data.jsonl`): one under the data
    directory, or any path.

    Args:
        name: registered name, name of a folder under `data_dir`, or path of a folder.
        data_dir: the data directory; None if the user gave none.

    Raises:
        UnknownNameError: nothing has this name.
        DatasetNotFoundError: registered, but its files are not there.
    """
    from harness.data.jsonl import find_jsonl, jsonl_spec

    if name not in DATASETS:
        folder = find_jsonl(name, data_dir)
        if folder is not None:
            own = jsonl_spec(folder)
            if own.name != name and NAME.fullmatch(name):
                raise DataError.at(
                    folder / "card.toml", f"name is {own.name!r} in a folder called {name!r}; rename one"
                )
            return own, folder
        raise UnknownNameError.of("dataset", name, list_datasets(data_dir), "type: erc-harness list datasets")
    spec = DATASETS.get(name)
    return spec, _locate(spec, data_dir)


def list_datasets(data_dir: Path | None) -> list[str]:
    """Returns the names of registered datasets, then of folders with a `card.toml` under the data directory."""
    own = sorted(path.parent.name for path in data_dir.glob("*/card.toml")) if data_dir is not None else []
    return [*DATASETS, *(name for name in own if name not in DATASETS)]


def load_dataset(name: str, data_dir: Path | None = None) -> Dataset:
    """Reads a dataset, all splits.

    Args:
        name: as for `find_dataset`.
        data_dir: folder that holds one folder a corpus, such as `meld/`; not needed for the bundled `sample`.

    Raises:
        UnknownNameError, DatasetNotFoundError: as `find_dataset`.
        DataError: a file does not follow its format.
    """
    spec, folder = find_dataset(name, data_dir)
    dialogues = spec.read(folder)
    splits: dict[str, Split] = {
        split: Split(spec.name, split, tuple(dialogues[split]), spec.card.label_set)
        for split in SPLIT_NAMES
        if split in dialogues
    }
    return Dataset(spec.name, spec.card, splits)


def _locate(spec: DatasetSpec, data_dir: Path | None) -> Path:
    """Returns the corpus folder after checking that its files are there."""
    if spec.card.bundled is not None:
        return spec.card.bundled
    if data_dir is None:
        raise DatasetNotFoundError(
            f"dataset {spec.name!r} needs its files: say where with --data-dir DIR or ERC_DATA_DIR, where "
            f"DIR/{spec.card.folder}/ holds {', '.join(spec.card.files)}; {spec.card.obtain}"
        )
    folder = data_dir / spec.card.folder
    missing = [file for file in spec.card.files if not (folder / file).exists()]
    if missing:
        raise DatasetNotFoundError(
            f"dataset {spec.name!r} is not in {folder}: missing {', '.join(missing)}; {spec.card.obtain}"
        )
    return folder
