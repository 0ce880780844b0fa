"""`erc-harness cache stats|why|prune`: what is in the response store, why a request is not, and how to delete."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.calls import Cache
from harness.cli.options import DataDir, Json, Plugins
from harness.cli.output import print_json, print_table, print_text
from harness.cli.prompt import ready_predictor
from harness.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from harness.llm.cache.store import ResponseCache

app = typer.Typer(no_args_is_help=True, help="Look at stored answers of language models, and delete them.")


@app.command()
def stats(cache: Cache = None, as_json: Json = False) -> None:
    """Show how many answers are stored, by model and back end, what they cost, and since when."""
    found = _open(cache).stats()
    if as_json:
        models = [asdict(row) for row in found.models]
        print_json({"path": str(found.path), "n_entries": found.n_entries, "n_bytes": found.n_bytes, "models": models})
        return
    print_text(f"{found.path}: {found.n_entries} answers, {found.n_bytes / 2**20:.1f} MiB\n")
    print_table(
        [
            {
                "model": row.model,
                "back_end": row.backend,
                "answers": row.n_entries,
                "prompt_tokens": row.n_prompt_tokens,
                "completion_tokens": row.n_completion_tokens,
                "US_dollars": f"{row.usd:.4f}" + (f" + {row.n_usd_unknown} unknown" if row.n_usd_unknown else ""),
                "first": row.first,
                "last": row.last,
            }
            for row in found.models
        ]
    )


@app.command()
def why(
    predictor: Annotated[str, typer.Argument(help="Name of a predictor that prompts a language model.")],
    dataset: Annotated[str, typer.Option(help="Name of the dataset, or a folder with a card.toml.")],
    utterance: Annotated[str, typer.Option(help="Id of an annotated utterance.")],
    split: Annotated[str, typer.Option(help="Split of the utterance: dev or test.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the run.")] = 0,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", help="Parameter of the predictor: key=value.")
    ] = None,
    cache: Cache = None,
    data_dir: DataDir = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Say whether the answer about an utterance is stored, and if not, how the nearest stored request differs."""
    store = _open(cache)
    asked, where = ready_predictor(predictor, dataset, split, seed, param, data_dir, plugin)
    key, fields = asked.client.name(asked.find_question(where, utterance).request)
    stored = bool(store.get_many([key]))
    miss = None if stored else store.explain_miss(fields)
    if as_json:
        print_json({"stored": stored, "key": key, "nearest": None if miss is None else asdict(miss)})
    elif stored:
        print_text(f"stored in {store.path}: the answer is not asked again (key {key[:12]})")
    elif miss is None:
        print_text(f"not stored: {store.path} holds no answer yet")
    else:
        others = f"\nalso different: {', '.join(miss.differing[1:])}" if miss.differing[1:] else ""
        print_text(
            f"not stored; the nearest stored request, answered {miss.created}, differs in {miss.field}:\n"
            f"  this request: {miss.wanted}\n  stored:       {miss.stored}{others}"
        )


@app.command()
def prune(
    cache: Cache = None,
    model: Annotated[str | None, typer.Option(help="Only answers of this model, as `cache stats` names it.")] = None,
    older_than: Annotated[float | None, typer.Option(min=0, help="Only answers older than this many days.")] = None,
    corrupt: Annotated[bool, typer.Option("--corrupt", help="Only answers that are not what was written.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every answer.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete stored answers, which may have cost money; conditions add up."""
    store = _open(cache)

    def choose(dry_run: bool) -> int:
        return store.prune(
            model=model, older_than_days=older_than, corrupt=corrupt, everything=everything, dry_run=dry_run
        )

    n_chosen = choose(dry_run=True)
    if model and not n_chosen and model not in (known := [row.model for row in store.stats().models]):
        raise UnknownNameError.of("model in the store", model, known, "type: erc-harness cache stats")
    if n_chosen and not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"this would delete {n_chosen} answers from {store.path}; add --yes to do it")
        typer.confirm(f"Delete {n_chosen} answers from {store.path}?", abort=True, err=True)
    n_deleted = choose(dry_run=False) if n_chosen else 0
    if as_json:
        print_json({"path": str(store.path), "n_deleted": n_deleted})
    else:
        print_text(f"{n_deleted} answers deleted from {store.path}")


def _open(path: Path | None) -> ResponseCache:
    from harness.llm.cache.file import default_path
    from harness.llm.cache.store import ResponseCache

    return ResponseCache(path or default_path())
