"""`erc-harness features extract`: makes the features of a dataset, so that runs find them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from harness.cli import calls as options
from harness.cli.corpora import load_corpora
from harness.cli.options import DataDir, Json, Plugins, Quiet
from harness.cli.output import note, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Make and keep features of utterances.")

NOTE_SECONDS = 10.0
"""Between two lines of progress."""


@app.command()
def extract(
    encoder: Annotated[str, typer.Argument(help="Name of an encoder; see: erc-harness list encoders")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset, or a folder with a card.toml.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of encoders that learn.")] = 0,
    download: options.Download = False,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encode every utterance of a dataset and keep the result; what is there already is left as it is."""
    from harness.features import FeatureSource
    from harness.features.tables import table_path

    loaded = load_corpora([dataset], data_dir, plugin)[0]
    source = FeatureSource(loaded.splits.values(), download=download)
    features = source.load(encoder, seed, _Notes(quiet).tell)
    rows = []
    for name, split in source.spoken.items():
        n_utterances, n_layers, width = features.open_table(name).array.shape
        path = table_path(features.folder, split)
        rows.append({"split": name, "utterances": n_utterances, "layers": n_layers, "width": width, "path": str(path)})
    if as_json:
        print_json({"encoder": features.name, "dataset": loaded.name, "facts": features.facts(), "splits": rows})
    else:
        print_table(rows)


class _Notes:
    """Lines of progress on stderr, not more than one in a while."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._told = time.monotonic()

    def tell(self, done: int, total: int, text: str) -> None:
        if not self._quiet and (done == total or time.monotonic() - self._told >= NOTE_SECONDS):
            note(f"{text}: {done} of {total}")
            self._told = time.monotonic()
