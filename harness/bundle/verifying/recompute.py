"""The board again, as `leaderboard.json` lays it out, from counts and manifests alone.

Names, titles and the words of notes are taken over as they are; every number is computed anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from .digits import settle
from .evidence import Document, Evidence
from .headers import POWER, make_header
from .pair_tests import TESTS, Outcome
from .panel import Panel
from .ranks import correct, letters, open_ranks
from .scores import Array, Sums, find_metric, label_f1

NOTHING = Outcome(np.array([]))


def recompute(evidence: Evidence) -> Document:
    """Returns the document with every number computed anew; more is added than a board holds.

    Entries get `label_f1`, `seed_scores` and `f1`, headers `n_gold`: utterances by gold label.
    """
    document = dict(evidence.document)
    blocks = [_block(header, evidence) for header in document["headers"]]
    first: Outcome = blocks[0][3]
    document["headers"] = [header for header, *_ in blocks]
    document["entries"] = [entry for _, entries, *_ in blocks for entry in entries]
    document["comparisons"] = [pair for _, _, pairs, _ in blocks for pair in pairs]
    document["n_resamples"] = first.n_resamples or None
    document["signature"] = " ; ".join(header["signature"] for header in document["headers"])
    return document


def _block(header: Document, evidence: Evidence) -> tuple[Document, list[Document], list[Document], Outcome]:
    document, dataset = evidence.document, header["dataset"]
    entries = [dict(entry) for entry in document["entries"] if entry["dataset"] == dataset]
    manifests = [evidence.runs[entry["runs"][0]] for entry in entries]
    for entry, manifest in zip(entries, manifests, strict=True):
        entry["predictor"] = _label(manifest["predictor"])
    data = manifests[0]["data"]
    arrays = evidence.arrays[dataset]
    raw = [np.array([arrays[run] for run in entry["runs"]]) for entry in entries]
    _check_gold([run for entry in entries for run in entry["runs"]], arrays)
    panel = Panel(
        counts=_with_gold([_by_unit(own, arrays["unit"]) for own in raw]),
        metric=find_metric(header["metric"], data["labels"], data["neutral"]),
        deterministic=[bool(manifest["predictor"]["card"]["deterministic"]) for manifest in manifests],
        procedure=document["scope"] == "procedure",
    )
    alpha, correction = document["alpha"], document["correction"]
    test = TESTS[document["test"]]
    outcome = test(panel, evidence.n_resamples, document["seed"], alpha) if panel.pairs else NOTHING
    adjusted = outcome.step_down if correction == "max-t" else correct(outcome.p, correction)
    adjusted = outcome.p if adjusted is None else adjusted
    critical = _critical_value(outcome, correction, alpha)
    pairs = _pairs(panel, entries, dataset, outcome.p, adjusted, alpha)
    made = _entries(panel, entries, pairs, critical, alpha)
    for entry, own, manifest in zip(made, raw, manifests, strict=True):
        entry.update(_by_run(entry, own, data, document["metrics"], arrays))
        entry.update({name: manifest["predictor"]["card"][name] for name in ("context", "modalities")})
    return make_header(header, evidence, panel, raw, pairs, outcome, critical), made, pairs, outcome


def _label(made: Document) -> str:
    """Returns the name of a predictor with the parameters that are not its defaults."""
    changed = sorted(made["params_changed"].items())
    shown = (f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in changed)
    return f"{made['name']}[{','.join(shown)}]" if changed else str(made["name"])


def _check_gold(runs: Sequence[str], arrays: Mapping[str, Array]) -> None:
    """Raises ValueError unless all runs were counted on the same gold, dialogue by dialogue."""
    for run in runs[1:]:
        differs = (arrays[run].sum(axis=-1) != arrays[runs[0]].sum(axis=-1)).any(axis=-1)
        if differs.any():
            dialogue = arrays["dialogues"][int(differs.argmax())]
            raise ValueError(f"{runs[0]} and {run} were counted on different gold labels in dialogue {dialogue}")


def _by_unit(counts: Array, unit: Array) -> Array:
    """Returns counts (n_seeds, n_dialogues, ...) summed over the dialogues of each unit."""
    summed = np.zeros((len(counts), int(unit.max()) + 1, *counts.shape[2:]), np.int64)
    for own, of_dialogue in zip(summed, counts, strict=True):
        np.add.at(own, unit, of_dialogue)
    return summed


def _with_gold(counts: Sequence[Array]) -> list[Array]:
    labelled = counts[0][0].sum(axis=(1, 2)) > 0
    return [own[:, labelled] for own in counts]


def _critical_value(outcome: Outcome, correction: str, alpha: float) -> float | None:
    """Returns how many standard errors a difference needs to be found while all others are 0."""
    if not outcome.p.size:
        return None
    if correction == "max-t":
        return outcome.critical_value
    return NormalDist().inv_cdf(1 - alpha / (2 * (1 if correction == "none" else outcome.p.size)))


def _pairs(
    panel: Panel, entries: Sequence[Document], dataset: str, p: Array, adjusted: Array, alpha: float
) -> list[Document]:
    made = []
    for k, ((a, b), pair) in enumerate(zip(panel.pairs, panel.differences, strict=True)):
        low, high = pair.interval(alpha)
        made.append(
            {
                "dataset": dataset,
                "a": entries[a]["predictor"],
                "b": entries[b]["predictor"],
                "difference": pair.value,
                "se": pair.se,
                "low": low,
                "high": high,
                "p_value": float(p[k]),
                "p_adjusted": float(adjusted[k]),
            }
        )
    return made


def _entries(
    panel: Panel, entries: Sequence[Document], pairs: Sequence[Document], critical: float | None, alpha: float
) -> list[Document]:
    """Returns the entries with what tests and intervals say of them."""
    differ = np.zeros((len(entries), len(entries)), bool)
    of_pair = dict(zip(panel.pairs, pairs, strict=True))
    for (a, b), pair in of_pair.items():
        differ[a, b] = differ[b, a] = pair["p_adjusted"] <= alpha
    tested = panel.tested
    among = differ[np.ix_(tested, tested)]
    ranks = dict(zip(tested, open_ranks(panel.scores[tested], among), strict=True))
    marks = dict(zip(tested, letters(panel.scores[tested], among), strict=True))
    highest = max(_printed(score) for score in panel.scores)
    made = []
    for i, entry in enumerate(entries):
        new: Document = dict(entry) | dict.fromkeys(
            ("se", "se_dialogue", "se_seed", "se_interaction", "low", "high", "rank_low", "rank_high", "to_top",
             "to_top_low", "to_top_high", "to_top_p_adjusted", "to_top_detectable")
        )  # fmt: skip
        new |= {"score": float(panel.scores[i]), "letters": "", "top": False}
        new |= {"best": _printed(panel.scores[i]) == highest, "n_seeds": len(entry["runs"])}
        if i in ranks:
            score, seeds = panel.score(i), panel.from_seeds(i)
            low, high = score.interval(alpha)
            new |= {"se": score.se, "se_dialogue": float(np.sqrt(score.from_units)), "low": low, "high": high}
            if panel.procedure:
                new |= {"se_seed": float(np.sqrt(seeds[0])), "se_interaction": float(np.sqrt(seeds[1]))}
            new |= {"rank_low": ranks[i][0], "rank_high": ranks[i][1], "top": ranks[i][0] == 1, "letters": marks[i]}
        if tested:
            new["to_top"] = float(panel.scores[i] - panel.scores[tested[0]])
        to_leader = of_pair.get((tested[0], i)) if tested else None
        if to_leader is not None and critical is not None:
            new |= {"to_top_low": -to_leader["high"], "to_top_high": -to_leader["low"]}
            new["to_top_p_adjusted"] = to_leader["p_adjusted"]
            new["to_top_detectable"] = (critical + NormalDist().inv_cdf(POWER)) * to_leader["se"]
        made.append(new)
    return made


def _by_run(
    entry: Document, counts: Array, data: Document, metrics: Sequence[str], arrays: Mapping[str, Array]
) -> Document:
    """Returns the fields of an entry that need no test: means over the scores of its runs, each on the whole split."""
    totals = Sums.of(counts.sum(axis=1))
    answered = 1 - counts[..., -1].sum(axis=(1, 2)) / counts.sum(axis=(1, 2, 3))
    scores = {
        name: _probability_score(name, entry["runs"], arrays)
        if name in PROBABILITIES
        else find_metric(name, data["labels"], data["neutral"]).value(totals)
        for name in metrics
    }
    return {
        "coverage": float(answered.mean()),
        "metrics": {name: _or_none(own.mean()) for name, own in sorted(scores.items())},
        "label_f1": dict(zip(data["labels"], label_f1(totals).mean(axis=0).tolist(), strict=True)),
        "seed_scores": {name: own.tolist() for name, own in scores.items()},
    }


PROBABILITIES = ("ece", "brier", "nll")
"""Scores of label probabilities; their sums over the split lie beside the counts."""


def _probability_score(name: str, runs: Sequence[str], arrays: Mapping[str, Array]) -> Array:
    scores = []
    for run in runs:
        if f"{run}/probabilities" not in arrays:
            scores.append(np.nan)
            continue
        n, squared_error, log_loss = arrays[f"{run}/probabilities"]
        right, confidence = arrays[f"{run}/bins"]
        total = {"ece": np.abs(right - confidence).sum(), "brier": squared_error, "nll": log_loss}[name]
        scores.append(total / n if n else np.nan)
    return np.array(scores)


def _printed(score: float) -> float:
    return round(settle(score), 4)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
