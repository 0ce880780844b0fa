"""`erc-harness data show|overlap|fetch`: what is in a corpus, what corpora share, how to get one.

`data instructions` and `data describe-video` have files of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.corpora import load_corpora, overlap_record, print_overlaps
from harness.cli.instructions import instructions
from harness.cli.options import DataDir, Json, Plugins, Quiet, fetch_dir
from harness.cli.output import note, print_json, print_table, print_text

if TYPE_CHECKING:
    from harness.data import Split

app = typer.Typer(no_args_is_help=True, help="Look at corpora and get them.")
app.command()(instructions)

Name = Annotated[str, typer.Argument(help="Name of a dataset, or a folder with a card.toml.")]


@app.command()
def show(dataset: Name, data_dir: DataDir = None, plugin: Plugins = None, as_json: Json = False) -> None:
    """Show dialogues, utterances and labels per split, the fingerprint, and the known anomalies of a corpus."""
    loaded = load_corpora([dataset], data_dir, plugin)[0]
    card = loaded.card
    splits = {name: _describe(split) for name, split in loaded.splits.items()}
    if as_json:
        print_json(
            {
                "dataset": loaded.name,
                "title": card.title,
                "fingerprint": loaded.fingerprint,
                "label_set": list(card.label_set.labels),
                "splits": splits,
                "anomalies": [*card.anomalies, *card.table_notes],
                "license": card.license,
                "source": card.source,
            }
        )
        return
    print_text(f"{loaded.name}: {card.title}\n{card.source}; {card.license}\nfingerprint {loaded.fingerprint}\n")
    print_table([{"split": name, **_shown(row)} for name, row in splits.items()])
    print_text("")
    print_table(
        [{"label": label, **{n: row["labels"][label] for n, row in splits.items()}} for label in card.label_set.labels]
    )
    if card.anomalies or card.table_notes:
        print_text("\nknown anomalies:")
        for anomaly in (*card.anomalies, *card.table_notes):
            print_text(f"- {anomaly}")


@app.command()
def overlap(a: Name, b: Name, data_dir: DataDir = None, plugin: Plugins = None, as_json: Json = False) -> None:
    """Count test utterances of two corpora that stand word for word in the training split of either, by length."""
    from harness.data.overlap import find_overlap

    loaded = load_corpora([a, b], data_dir, plugin)
    found = [find_overlap([q.split("test")], [p.split("train")]) for q in loaded for p in loaded]
    if as_json:
        print_json({"overlaps": [overlap_record(overlap) for overlap in found]})
        return
    print_overlaps(found)


@app.command()
def fetch(dataset: Name, data_dir: DataDir = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Download a corpus from its owner's public address, after showing its licence; files that are there stay."""
    from harness.data.fetch import Notice, fetch_dataset

    def show_notice(notice: Notice) -> None:
        for line in str(notice).splitlines():
            note(line)

    def report(line: str) -> None:
        if not quiet:
            note(line)

    folder = fetch_dir(data_dir)
    written = fetch_dataset(dataset, folder, notify=show_notice, report=report)
    if as_json:
        print_json({"dataset": dataset, "data_dir": str(folder), "written": [str(path) for path in written]})
    else:
        print_text(f"{dataset}: {len(written)} files written below {folder}")


def _describe(split: Split) -> dict[str, Any]:
    return {
        "n_dialogues": len(split.dialogues),
        "n_utterances": sum(len(d.utterances) for d in split.dialogues),
        "n_labelled": len(split.gold),
        "longest_dialogue": max(len(d.utterances) for d in split.dialogues),
        "n_speakers": len({name for u in split.utterances() for name in u.speakers}),
        "fingerprint": split.fingerprint,
        "labels": split.label_counts(),
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "labels"} | {"fingerprint": row["fingerprint"][:16]}
