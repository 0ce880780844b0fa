"""`erc-harness check`: the conformance suite on one predictor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from harness.cli.options import Json, Plugins
from harness.cli.output import clean, print_json, print_text


def check(
    predictor: Annotated[str, typer.Argument(help="Name of a predictor.")],
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", help="Parameter of the predictor: key=value.")
    ] = None,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Check on the sample corpus that a predictor keeps the rules of the interface."""
    from harness.cli.run import parse_params
    from harness.predictors import PREDICTORS
    from harness.predictors.check import check_predictor
    from harness.predictors.plugins import load_plugins

    load_plugins(tuple(plugin or ()))
    results = check_predictor(PREDICTORS.get(predictor), parse_params(param or ()))
    passed = all(result.passed for result in results)
    if as_json:
        print_json({"predictor": predictor, "passed": passed, "checks": [asdict(result) for result in results]})
    else:
        for result in results:
            print_text(f"{'pass' if result.passed else 'FAIL'}  {clean(result.name)}: {clean(result.detail)}")
        verdict = "keeps" if passed else "breaks"
        print_text(f"{predictor} {verdict} the rules: {sum(r.passed for r in results)} of {len(results)} checks passed")
    if not passed:
        raise typer.Exit(2)
