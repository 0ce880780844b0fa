"""What commands on corpora share: loading several, and showing how far they overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.options import find_data_dir
from harness.cli.output import print_table, print_text
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.data import Dataset
    from harness.data.overlap import Overlap


def load_corpora(names: Iterable[str], data_dir: Path | None, plugin: Sequence[str] | None) -> list[Dataset]:
    """Returns corpora, each once, after the plugins that may register them.

    Raises:
        ConfigError: two of them, such as folders of the user's own, have one name.
        UnknownNameError, DatasetNotFoundError, DataError, PluginLoadError: as `load_dataset` and `load_plugins`.
    """
    from harness.data import load_dataset
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    folder = find_data_dir(data_dir)
    loaded: dict[str, Dataset] = {}
    for given in dict.fromkeys(names):
        dataset = load_dataset(given, folder)
        if loaded.setdefault(dataset.name, dataset) is not dataset:
            raise ConfigError(f"dataset {given!r}: another one given is called {dataset.name!r} too; leave one out")
    return list(loaded.values())


def overlap_record(overlap: Overlap) -> dict[str, Any]:
    """Returns an overlap for scripts."""
    return {
        "query": list(overlap.query),
        "pool": list(overlap.pool),
        "by_length": [
            {"min_words": c.min_words, "n_utterances": c.n_utterances, "n_found": c.n_found, "share": c.share}
            for c in overlap.counts
        ],
        "n_dialogues": overlap.n_dialogues,
        "n_shared_dialogues": overlap.n_shared_dialogues,
    }


def print_overlaps(overlaps: Sequence[Overlap]) -> None:
    """Prints overlaps for people, and what the columns are."""
    print_table([_row(overlap) for overlap in overlaps])
    print_text(
        "\nShare of the query's utterances found verbatim in the pool (case, punctuation and quotes ignored); "
        "'dialogues': those with at least half of their utterances of 5 words or more in the pool."
    )


def _row(overlap: Overlap) -> dict[str, str]:
    row = {"query": ", ".join(overlap.query), "pool": ", ".join(overlap.pool)}
    for count in overlap.counts:
        head = "all lengths" if count.min_words == 1 else f"{count.min_words} words or more"
        row[head] = f"{count.share:.1%} ({count.n_found}/{count.n_utterances})"
    row["dialogues"] = f"{overlap.n_shared_dialogues}/{overlap.n_dialogues}"
    return row
