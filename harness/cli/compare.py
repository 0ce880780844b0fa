"""`erc-harness compare`: one pair of systems, and what would sharpen the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import DataDir, Json, Quiet, ResultsDir, find_data_dir, find_layout
from harness.cli.output import note, print_json, print_text
from harness.cli.systems import find_system
from harness.errors import ConfigError, HarnessError, IncompatibleRunsError
from harness.store.run_store import StoredRun

if TYPE_CHECKING:
    from harness.data import Split
    from harness.evaluation.comparison import Comparison
    from harness.evaluation.datasets import MacroComparison, Wins


@dataclass(frozen=True, slots=True)
class Corpus:
    """The split that runs predicted, or why it is not at hand."""

    split: Split | None
    reason: str = ""
    """Why there is none, with what to type."""
    warnings: tuple[str, ...] = ()


def compare(
    a: Annotated[
        str, typer.Argument(help="A system: a predictor's name, or a row label such as 'tfidf-svm[history=2]'.")
    ],
    b: Annotated[str, typer.Argument(help="Another system.")],
    dataset: Annotated[
        list[str], typer.Option(help="Datasets they were run on; takes several, and then compares averages too.")
    ],
    split: Annotated[str, typer.Option(help="Split.")] = "test",
    metric: Annotated[str | None, typer.Option(help="Metric; default: the main one of the dataset.")] = None,
    scope: Annotated[
        str | None, typer.Option(help="checkpoint (these predictions) or procedure (seeds too); default: by the runs.")
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            help="What is resampled: dialogue, an attribute of dialogues (episode), or, with the corpus, utterance."
        ),
    ] = "dialogue",
    test: Annotated[str | None, typer.Option(help="Name of a test; default: that of the scope.")] = None,
    alpha: Annotated[float, typer.Option(help="Level of test and interval.")] = 0.05,
    resamples: Annotated[int, typer.Option(help="Replicates of a resampling test.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Key of its random streams.")] = 0,
    rope: Annotated[
        float | None,
        typer.Option(help="Points that do not matter: adds P(better) and P(equivalent), a description, not a test."),
    ] = None,
    data_dir: DataDir = None,
    results_dir: ResultsDir = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say whether two systems differ: difference, interval and p-value, paired over dialogues."""
    from harness.evaluation.comparison import compare_runs, default_scope
    from harness.evaluation.datasets import compare_datasets
    from harness.store import RunStore

    store, folder = RunStore(find_layout(results_dir)), find_data_dir(data_dir)
    found = {name: store.runs(name, split) for name in dataset}
    pairs = [(find_system(found[name], a, name, scope), find_system(found[name], b, name, scope)) for name in dataset]
    corpora = [_find_corpus(pair[0][0], folder, unit) for pair in pairs]
    chosen = scope or default_scope([group for pair in pairs for group in pair])
    results = []
    for pair, corpus in zip(pairs, corpora, strict=True):
        result = compare_runs(
            *pair, metric=metric, scope=chosen, unit=unit, test=test, alpha=alpha, n_resamples=resamples, seed=seed,
            split=corpus.split, rope=None if rope is None else rope / 100,
        )  # fmt: skip
        results.append(replace(result, warnings=(*result.warnings, *corpus.warnings)))
    across = None
    if len(pairs) > 1:
        across = compare_datasets(
            pairs, metric=metric, scope=chosen, unit=unit, test=test, alpha=alpha, n_resamples=resamples, seed=seed,
            splits=[corpus.split for corpus in corpora],
        )  # fmt: skip
    if not quiet:
        for warning in dict.fromkeys(warning for result in results for warning in result.warnings):
            note(f"warning: {warning}")
    documents = [{**asdict(result), "advice": advise(result)} for result in results]
    if as_json:
        together = across and {"datasets": documents, "macro": asdict(across[0]), "wins": asdict(across[1])}
        print_json(together or documents[0])
        return
    for result, corpus in zip(results, corpora, strict=True):
        for line in (*_describe(result, corpus), advise(result), *([""] if across else [])):
            print_text(line)
    for line in _describe_across(*across) if across else ():
        print_text(line)


def advise(result: Comparison) -> str:
    """Returns one sentence: would more seeds or more dialogues sharpen this comparison?"""
    from harness.evaluation.comparison import SEED_SHARE

    question = "more seeds or more dialogues?"
    if not result.se_dialogue:
        return f"{question} neither: the two never differ on these dialogues"
    if result.dialogues_needed is None or result.dialogues_needed <= result.n_dialogues:
        dialogues = f"{result.n_dialogues:,} dialogues find a true difference of this size with 80% power or more"
    else:
        dialogues = f"a true difference of this size needs about {result.dialogues_needed:,} dialogues for 80% power"
    verdict, seeds = "dialogues", "seeds play no part in checkpoint scope"
    if result.seeds_needed is not None:
        added = max(result.se**2 / result.se_dialogue**2 - 1, 0.0)
        seeds = f"seeds add {added:.0%} to the variance of dialogues"
        if added > SEED_SHARE:
            verdict, seeds = "seeds", f"{seeds} ({result.seeds_needed} seeds each would make it {SEED_SHARE:.0%})"
    if result.p_value <= result.alpha:
        verdict = "neither, the difference is found"
    return f"{question} {verdict}: {seeds}; {dialogues}"


def _describe(result: Comparison, corpus: Corpus) -> list[str]:
    """Returns the lines of the answer before the advice."""
    split = f"dialogues {100 * result.se_dialogue:.2f}"
    if not isnan(result.se_seed):
        split += f" | seeds {100 * result.se_seed:.2f} | interaction {100 * result.se_interaction:.2f}"
    clusters = f"{result.n_dialogues:,} dialogues"
    if result.unit != "dialogue":
        clusters = f"{result.n_clusters:,} clusters ({result.unit}) of {clusters}"
    drawn = f", {result.n_resamples:,} resamples (seed {result.seed})" if result.n_resamples else ""
    return [
        f"{result.metric} on {result.dataset}: {result.a} {result.score_a:.2%}, {result.b} {result.score_b:.2%}",
        f"difference {100 * result.difference:+.2f} points, {100 * (1 - result.alpha):.6g}% interval "
        f"[{100 * result.low:+.2f}, {100 * result.high:+.2f}], p = {result.p_value:.2g}",
        f"standard error {100 * result.se:.2f} points: {split}",
        f"smallest true difference found with 80% power: {100 * result.detectable:.2f} points",
        f"{result.test}{drawn}, alpha {result.alpha:g}; one pair, so no correction",
        f"scope {result.scope}, unit {result.unit}: {clusters} worth {result.effective_clusters:.0f} equal ones, "
        f"{result.n_seeds_a} and {result.n_seeds_b} seeds",
        _design_effect(result, corpus),
        *_belief(result),
    ]


def _belief(result: Comparison) -> list[str]:
    if result.rope is None:
        return []
    several = " of the lowest seeds" if result.n_seeds_a > 1 or result.n_seeds_b > 1 else ""
    return [
        f"a description, not a test (Bayesian bootstrap, predictions{several}): P({result.a} better) = "
        f"{result.probability_better:.3f}, P(|difference| < {100 * result.rope:g} points) = "
        f"{result.probability_equivalent:.3f}"
    ]


def _describe_across(macro: MacroComparison, wins: Wins) -> list[str]:
    """Returns the lines on several datasets together."""
    from harness.significance.friedman import FEWEST_DATASETS

    n = wins.n_datasets
    lines = [
        f"average of {n} datasets: {macro.a} {macro.score_a:.2%}, {macro.b} {macro.score_b:.2%}",
        f"difference {100 * macro.difference:+.2f} points, {100 * (1 - macro.alpha):.6g}% interval "
        f"[{100 * macro.low:+.2f}, {100 * macro.high:+.2f}], p = {macro.p_value:.2g} ({macro.test}, "
        f"scope {macro.scope})",
        *(
            f"{winner} is better than {loser} on {f'at least {count}' if count else 'none'} of {n} datasets"
            f"{'' if count else ' for sure'} (partial conjunction, alpha {wins.alpha:g})"
            for winner, loser, count in ((macro.a, macro.b, wins.a), (macro.b, macro.a, wins.b))
        ),
    ]
    if n < FEWEST_DATASETS:
        lines.append(
            f"no Friedman test or critical difference: they take datasets as a sample, and {n} datasets cannot give a "
            f"two-sided signed-rank p below {2 / 2**n:.3g}; they need {FEWEST_DATASETS} datasets or more"
        )
    return lines


def _design_effect(result: Comparison, corpus: Corpus) -> str:
    if result.design_effect is not None:
        return (
            f"design effect of the difference {result.design_effect:.2f}: its variance with dialogues as unit over "
            "that with utterances"
        )
    return f"design effect of the difference unknown: {corpus.reason or 'the two never differ'}"


def _find_corpus(run: StoredRun, data_dir: Path | None, unit: str) -> Corpus:
    """Returns the split that a run predicted; without it only unit "utterance" is refused."""
    from harness.evaluation.utterances import UTTERANCE, find_split
    from harness.predictors.plugins import load_plugins

    try:
        load_plugins()
        return Corpus(find_split(run, data_dir))
    except HarnessError as error:
        if unit == UTTERANCE:
            raise ConfigError(
                f"unit 'utterance' needs the corpus, since runs store counts by dialogue: {error}; or leave --unit out"
            ) from error
        return Corpus(None, str(error), (str(error),) if isinstance(error, IncompatibleRunsError) else ())
