"""The conformance suite: the rules of the predictor interface, each tried out on the bundled sample corpus.

The suite never raises because of a predictor: one that raises has failed the check at hand. It judges manners, not
quality, and knows no particular predictor.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType

import numpy as np

from harness.data import Dataset, Split
from harness.predictors.answers import label_fault, score_fault, target_fault
from harness.predictors.build import resolve_params
from harness.predictors.predictor import PredictorSpec
from harness.predictors.trial import SCORE_TOLERANCE, SEED, Keep, Trial, compare_answers, compare_hearings
from harness.predictors.watching import opened_files
from harness.schema import Dialogue, Utterance


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check."""

    name: str
    passed: bool
    detail: str
    """The rule, if it is kept; else what was found, and where."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the interface, and the way to find out."""

    name: str
    rule: str
    find_fault: Callable[[Trial], str | None]
    """Returns what breaks the rule; None if nothing does. May raise whatever the predictor raises."""
    needed: bool = False
    """Whether no later check says anything about a predictor that fails this one."""


def check_predictor(spec: PredictorSpec, params: Mapping[str, object] = MappingProxyType({})) -> list[CheckResult]:
    """Returns the outcome of every check, in order; the list ends early where the later checks would say nothing.

    Args:
        spec: the predictor.
        params: parameters as for `harness.predictors.build.resolve_params`; the rest are defaults.
    """
    with TemporaryDirectory() as folder:
        return _results(Trial(spec, params, Path(folder)))


def _results(trial: Trial) -> list[CheckResult]:
    results: list[CheckResult] = []
    for check in CHECKS:
        try:
            with redirect_stdout(sys.stderr):
                fault = check.find_fault(trial)
        except (Exception, SystemExit) as error:  # a predictor is foreign code: anything may come out of it
            fault = f"{type(error).__name__}: {error}"
        results.append(CheckResult(check.name, fault is None, check.rule if fault is None else fault))
        if fault is not None and check.needed:
            break
    return results


def find_gold(roots: Iterable[object]) -> object | None:
    """Returns an object with gold labels that can be reached from the roots, or None."""
    return next((thing for thing in _reached(roots) if isinstance(thing, Utterance | Dialogue | Split | Dataset)), None)


def _reached(roots: Iterable[object]) -> Iterator[object]:
    """Yields all that attributes, slots, items, closures and generators of some objects lead to, each once at most."""
    todo, seen = list(roots), set[int]()
    while todo:
        thing = todo.pop()
        # Classes, modules and the globals of functions lead to the whole program.
        if id(thing) not in seen and not isinstance(thing, type | ModuleType | BuiltinFunctionType):
            seen.add(id(thing))
            yield thing
            todo += _held_by(thing) if isinstance(thing, FunctionType) else gc.get_referents(thing)


def _held_by(function: FunctionType) -> list[object]:
    return [function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__]


def _parameters(trial: Trial) -> str | None:
    resolve_params(trial.spec, trial.params)
    return None


def _learning(trial: Trial) -> str | None:
    _ = trial.subject
    return None


def _targets(trial: Trial) -> str | None:
    return target_fault(trial.views(trial.dialogues()), trial.hearing.together)


def _labels(trial: Trial) -> str | None:
    return label_fault(trial.hearing.together, trial.label_set)


def _scores(trial: Trial) -> str | None:
    return score_fault(trial.hearing.together, trial.label_set)


def _repetition(trial: Trial) -> str | None:
    return compare_hearings(trial.hearing, trial.ask(trial.train(), trial.dialogues()))


def _determinism(trial: Trial) -> str | None:
    if not trial.card.deterministic:
        return None
    return compare_hearings(trial.hearing, trial.ask(trial.train(SEED + 1), trial.dialogues()))


def _gold(trial: Trial) -> str | None:
    found = find_gold(trial.views(trial.dialogues()))
    if found is not None:
        return f"a view leads to {found!r}"
    labels = trial.label_set.labels
    others = {id_: labels[(labels.index(label) + 1) % len(labels)] for id_, label in trial.gold.items()}
    return compare_hearings(trial.hearing, trial.ask(trial.train(), trial.dialogues(others)))


def _held_out(trial: Trial) -> str | None:
    with opened_files() as opened:
        predictor = trial.train()
        list(predictor.predict_batch(trial.views(trial.dialogues())))
    if trial.test_file in opened:
        return f"it opens {trial.test_file.name} itself: it is given train, dev, and views of the split to predict"
    for thing in _reached([predictor]):
        if isinstance(thing, Utterance) and thing.label is not None and thing.id in trial.gold:
            return f"what it keeps leads to {thing!r}, of the test split"
    return None


def _dev_score(trial: Trial) -> str | None:
    training = trial.subject.facts().get("training")
    told = training.get("dev_weighted_f1") if isinstance(training, Mapping) else None
    if told is None:
        return None
    found = trial.dev_weighted_f1()
    if isinstance(told, int | float) and abs(told - found) <= SCORE_TOLERANCE:
        return None
    return f"it says that its weighted F1 on dev is {told!r}; its predictions of dev have {found:.6f}"


def _context(trial: Trial) -> str | None:
    allowed: dict[str, list[Keep]] = {
        "none": [lambda i, n: i % 2 == 0, lambda i, n: i % 2 == 1],
        "past": [lambda i, n: i < (n + 1) // 2],
        "full": [],
    }
    for keep in allowed[trial.card.context]:
        fault = compare_hearings(trial.hearing, trial.ask(trial.train(), trial.altered(keep)), trial.kept(keep))
        if fault is not None:
            return f"{fault}, after an utterance that the card hides was altered"
    return None


def _order(trial: Trial) -> str | None:
    alone = compare_answers(trial.hearing.together, trial.hearing.singly)
    if alone is not None:
        return f"{alone}, when asked about one view at a time"
    dialogues = trial.dialogues()  # named, so that gold is in memory as in the hearing to compare with
    views = trial.views(dialogues)
    shuffled = [views[i] for i in np.random.default_rng(SEED).permutation(len(views))]
    together = trial.hearing.together
    trial.forget(trial.subject)
    fault = compare_answers(together, list(trial.subject.predict_batch(shuffled)))
    return None if fault is None else f"{fault}, when the views come in another order"


def _resumption(trial: Trial) -> str | None:
    if not trial.subject.can_resume():
        return None
    with TemporaryDirectory() as folder:
        trial.subject.save(Path(folder))
        restored = trial.build()
        restored.load(Path(folder))
    known, told = (
        {key: json.dumps(value, sort_keys=True) for key, value in p.facts().items()} for p in (trial.subject, restored)
    )
    for key in sorted(known.keys() | told.keys()):
        if known.get(key) != told.get(key):
            return f"fact {key!r} is {told.get(key)} after loading, and was {known.get(key)}"
    return compare_hearings(trial.hearing, trial.ask(restored, trial.dialogues()))


CHECKS = (
    Check("parameters", "every keyword has an annotation, a default and JSON values", _parameters, needed=True),
    Check("learning", "an instance is built and learns from train and dev", _learning, needed=True),
    Check("targets", "one prediction per target, in order, with the target's id", _targets, needed=True),
    Check("labels", "every label is in the label set", _labels),
    Check("scores", "scores, if given, are for exactly the labels of the set", _scores),
    Check("repetition", "two instances with one seed predict the same", _repetition, needed=True),
    Check("determinism", "declared deterministic: seeds change nothing", _determinism),
    Check("gold", "no view leads to gold, and other gold labels change nothing", _gold),
    Check("held out", "learning and predicting open no file of the test split and keep no gold of it", _held_out),
    Check("dev score", "the weighted F1 on dev that it tells of its training is that of its predictions", _dev_score),
    Check("context", "utterances that the card hides change nothing, now or in memory", _context),
    Check("order", "the order of views and their company in a batch change nothing", _order),
    Check("resumption", "what was saved and loaded predicts the same and tells the same facts", _resumption),
)
"""Every check, in order; the names are part of the interface."""
