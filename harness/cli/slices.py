"""`erc-harness slices`: the error atlas of a system, or of two and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataDir, Json, Plugins, ResultsDir, find_data_dir, find_layout
from harness.cli.output import note, print_text
from harness.cli.systems import find_seeds, find_system
from harness.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from harness.data import Dataset
    from harness.slices import Sources
    from harness.store import StoredRun


def slices(
    run: Annotated[
        str,
        typer.Argument(help="Run id or path of a run's folder; its other seeds come along. With --dataset a system."),
    ],
    versus: Annotated[str | None, typer.Option(help="A run of another system, to be compared slice by slice.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset: RUN and --versus are then names of systems, as in compare.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split, with --dataset; default: test.")] = None,
    chosen: Annotated[
        list[str] | None, typer.Option("--slice", help="Slices to show; default: all. Type: erc-harness list slices")
    ] = None,
    other: Annotated[
        list[str] | None, typer.Option(help="Other corpora, whose words dialogues may share; for slice other-corpus.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="File of video descriptions, for slice video.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric; default: the main one of the dataset.")] = None,
    scope: Annotated[
        str | None, typer.Option(help="checkpoint (these predictions) or procedure (seeds too); default: by the runs.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Level of tests and intervals.")] = 0.05,
    to: Annotated[str, typer.Option("--to", help="console, markdown, csv, json or latex.")] = "console",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show where a system is right and wrong: scores by slice of the split, with intervals; needs the corpus."""
    from harness.data import load_dataset
    from harness.export import FORMATS
    from harness.export.slices import export_atlas
    from harness.predictors.plugins import load_plugins
    from harness.slices import choose_slices
    from harness.slices.atlas import build_atlas
    from harness.store import RunStore
    from harness.store.atomic import write_atomic

    if to not in FORMATS:
        raise UnknownNameError.of("format", to, FORMATS)
    if dataset is None and split is not None:
        raise ConfigError("--split goes with --dataset; a run already says which split it predicted")
    load_plugins(tuple(plugin or ()))
    store, folder = RunStore(find_layout(results_dir)), find_data_dir(data_dir)

    def find(reference: str) -> list[StoredRun]:
        if dataset is None:
            return find_seeds(store, reference, scope)
        return find_system(store.runs(dataset, split or "test"), reference, dataset, scope)

    groups = [find(reference) for reference in (run, versus) if reference is not None]
    data = groups[0][0].manifest.data
    wanted = choose_slices(tuple(chosen or ()))
    corpus = load_dataset(data.dataset, folder)
    others = [load_dataset(name, folder) for name in other or ()]
    sources = _sources(corpus, data.split, others, video)
    for one in wanted if chosen else ():
        if one.missing(sources):
            raise ConfigError(f"slice {one.name!r} needs more than the split: {one.missing(sources)}")
    atlas = build_atlas(groups, sources, wanted, metric=metric, scope=scope, alpha=alpha)
    text = export_atlas(atlas, "json" if as_json else to)
    if output is None:
        print_text(text)
    else:
        write_atomic(output, text.encode())
        note(f"wrote {output}")


def _sources(corpus: Dataset, split: str, others: Sequence[Dataset], video: Path | None) -> Sources:
    """Returns what slices look at.

    Raises:
        ConfigError: another corpus is the one predicted, or no video of the split is described.
        DataError: the file of descriptions cannot be read, or describes other utterances.
    """
    from harness.data.descriptions import read_descriptions
    from harness.slices import Sources

    if any(other.name == corpus.name for other in others):
        raise ConfigError(f"--other {corpus.name!r} is the corpus that was predicted; give another one")
    described = None
    if video is not None:
        descriptions = read_descriptions(video)
        descriptions.check(corpus.utterance_ids)
        described = descriptions.of(split)
        if described.keys().isdisjoint(corpus.utterance_ids[split]):
            raise ConfigError(f"--video {str(video)!r} describes no utterance of split {split!r}; leave it out")
    return Sources(
        split=corpus.split(split),
        train=corpus.splits.get("train"),
        others=tuple(one for other in others for one in other.splits.values()) or None,
        videos=described,
    )
