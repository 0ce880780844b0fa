"""`erc-harness export-tasks`: a split as tasks of another evaluation harness."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DataDir, Json, NamingName, Plugins, find_data_dir
from harness.cli.output import print_json, print_text


class Target(StrEnum):
    """Harnesses that tasks can be written for."""

    lm_eval = "lm-eval"


class FormName(StrEnum):
    """Forms of a prompt."""

    plain = "plain"
    chat = "chat"


def export_tasks(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset, or a folder with a card.toml.")],
    folder: Annotated[Path, typer.Argument(help="Where to write; new, empty, or an earlier export.")],
    to: Annotated[Target, typer.Option(help="For which harness.")] = Target.lm_eval,
    split: Annotated[str, typer.Option(help="Split to write.")] = "test",
    template: Annotated[str, typer.Option(help="FAMILY/VERSION, or a .j2 file of your own.")] = "zero-shot/v1",
    window: Annotated[int, typer.Option(min=0, help="Utterances shown before the target.")] = 5,
    form: Annotated[
        FormName, typer.Option(help="chat: for models that are run with their chat template.")
    ] = FormName.plain,
    label_names: Annotated[NamingName, typer.Option(help="How labels are written.")] = NamingName.natural,
    allow_text: Annotated[
        bool,
        typer.Option("--allow-text", help="Write text that may not be passed on, and keep the folder to yourself."),
    ] = False,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a split as tasks for lm-eval, with our prompts, our rules for answers and our scores."""
    from harness.data import load_dataset
    from harness.llm.lm_eval.tasks import export_tasks as export
    from harness.predictors.plugins import load_plugins
    from harness.prompting import Window, load_template, name_labels

    load_plugins(tuple(plugin or ()))
    corpus = load_dataset(dataset, find_data_dir(data_dir))
    done = export(
        corpus,
        split,
        folder.resolve(),
        template=load_template(template),
        window=Window(window),
        names=name_labels(corpus.card.label_set, label_names.value),
        form=form.value,
        allow_text=allow_text,
    )
    if as_json:
        print_json(
            {
                "dataset": done.dataset,
                "split": done.split,
                "dir": str(done.folder),
                "tasks": done.tasks,
                "n_documents": done.n_documents,
                "files": done.files,
                "command": done.command,
            }
        )
        return
    print_text("\n".join(str(done.folder / name) for name in done.files))
    print_text(f"\n{done.n_documents} documents of {done.dataset}, split {done.split}; to run them:\n{done.command}")
