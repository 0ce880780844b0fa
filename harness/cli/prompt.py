"""`erc-harness prompt`: what a language model is asked, to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import DataDir, Json, Plugins, find_data_dir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.data import Split
    from harness.predictors.prompted import PromptedPredictor

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Show prompts.")


@app.command()
def show(
    predictor: Annotated[str, typer.Option(help="Name of a predictor that prompts.")],
    dataset: Annotated[str, typer.Option(help="Dataset: a name, or a folder with a card.toml.")],
    utterance: Annotated[str, typer.Option(help="Id of an annotated utterance.")],
    split: Annotated[str, typer.Option(help="Split that it belongs to.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run.")] = 0,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", help="Parameter of the predictor: key=value.")
    ] = None,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Print exactly what is sent for one utterance, with its length in tokens and its hash."""
    from hashlib import sha256

    asked, where = ready_predictor(predictor, dataset, split, seed, param, data_dir, plugin)
    question = asked.find_question(where, utterance)
    rendered = asked.render(question.request.prompt)
    document = {
        "predictor": predictor,
        "dataset": where.dataset,
        "split": where.name,
        "utterance_id": question.utterance_id,
        **{key: value for key, value in asked.facts().items() if key != "model"},
        "labels": dict(zip(question.names.label_set.labels, question.names.shown, strict=True)),
        "exemplars": [exemplar.utterance_id for exemplar in question.exemplars],
        "n_tokens": asked.count_tokens(rendered),
        "sha256": sha256(rendered.encode()).hexdigest(),
        "prompt": rendered,
    }
    if as_json:
        print_json(document)
        return
    print_text(rendered)
    tokens = "unknown" if document["n_tokens"] is None else document["n_tokens"]
    note(
        f"-- {document['template']['name']} ({document['form']}, {document['answers']}); tokens: {tokens}; "
        f"sha256 {document['sha256']}; template {document['template']['sha256'][:12]}"
    )
    if question.exemplars:
        note(f"-- exemplars from train: {', '.join(document['exemplars'])}")


def ready_predictor(
    name: str, dataset: str, split: str, seed: int, param: list[str] | None, data_dir: Any, plugin: list[str] | None
) -> tuple[PromptedPredictor, Split]:
    """Returns a predictor that prompts, with its exemplars, and the split to ask about.

    Raises:
        ConfigError: the predictor does not prompt.
        HarnessError: as `harness.evaluation.jobs.prepare`.
    """
    from harness.cli.run import parse_params
    from harness.evaluation.jobs import Settings, prepare, prompting_predictor
    from harness.predictors.plugins import load_plugins
    from harness.schema.run import Job

    if split not in ("dev", "test"):
        raise ConfigError(f"--split {split!r}: expected dev or test; exemplars come from train")
    load_plugins(tuple(plugin or ()))
    settings = Settings(find_layout(None).root, find_data_dir(data_dir))
    run = prepare(Job(name, parse_params(param or ()), dataset, split, seed), settings)
    predictor = prompting_predictor(run, settings)
    if predictor is None:
        raise ConfigError(f"predictor {name!r} sends no prompts; give one of family 'llm', such as 'zero-shot'")
    return predictor, run.split
