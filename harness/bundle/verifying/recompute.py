"""The board again, as `leaderboard.json` lays it out, from counts and manifests alone.

Names, titles and the words of notes are taken over as they are; every number is computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

import numpy as np

from .digits import settle
from .pair_tests import TESTS, Outcome
from .panel import FEWEST_SEEDS, Panel
from .ranks import correct, letters, open_ranks
from .scores import Array, Sums, find_metric, label_f1

Document = dict[str, Any]
"""A JSON object."""

NOTHING = Outcome(np.array([]))
POWER = 0.8

SHORT = {
    "weighted_f1": "wF1",
    "macro_f1": "mF1",
    "accuracy": "acc",
    "micro_f1": "miF1",
    "micro_f1_no_neutral": "miF1-nn",
}
"""Metrics in signatures."""


@dataclass(frozen=True)
class Evidence:
    """What the numbers of a bundle are computed from."""

    document: Document
    """`leaderboard.json`."""
    runs: Mapping[str, Document]
    """The manifest of each run by its path."""
    arrays: Mapping[str, Mapping[str, Array]]
    """By dataset: `unit` (n_dialogues,), and the counts of each run by its path (n_dialogues, n_labels, n_labels + 1)."""
    n_resamples: int
    """Replicates asked for."""


def recompute(evidence: Evidence) -> Document:
    """Returns the document with every number computed anew; `label_f1`, `seed_scores` and `f1` are added to entries."""
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
    entries = [entry for entry in document["entries"] if entry["dataset"] == dataset]
    manifests = [evidence.runs[entry["runs"][0]] for entry in entries]
    data = manifests[0]["data"]
    arrays = evidence.arrays[dataset]
    raw = [np.array([arrays[run] for run in entry["runs"]]) for entry in entries]
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
        entry |= _by_run(entry, own, data, document["metrics"], arrays)
        entry |= {name: manifest["predictor"]["card"][name] for name in ("context", "modalities")}
    return _header(header, evidence, panel, raw, pairs, outcome, critical), made, pairs, outcome


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
        pair = of_pair.get((tested[0], i)) if tested else None
        if pair is not None and critical is not None:
            new |= {"to_top_low": -pair["high"], "to_top_high": -pair["low"], "to_top_p_adjusted": pair["p_adjusted"]}
            new["to_top_detectable"] = (critical + NormalDist().inv_cdf(POWER)) * pair["se"]
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


def _header(
    header: Document,
    evidence: Evidence,
    panel: Panel,
    raw: Sequence[Array],
    pairs: Sequence[Document],
    outcome: Outcome,
    critical: float | None,
) -> Document:
    document = evidence.document
    entries = [entry for entry in document["entries"] if entry["dataset"] == header["dataset"]]
    data = evidence.runs[entries[0]["runs"][0]]["data"]
    new = dict(header)
    new |= {key: data[key] for key in ("dataset", "split", "fingerprint", "labels")}
    new |= {"n_utterances": int(raw[0][0].sum()), "n_dialogues": int((raw[0][0].sum(axis=(1, 2)) > 0).sum())}
    new |= {"n_clusters": panel.n_units, "effective_clusters": panel.effective_units, "n_pairs": len(pairs)}
    new |= dict.fromkeys(("critical_value", "median_pair_se", "detectable", "detectable_adjusted"))
    if critical is not None:
        middle, z = median(pair["se"] for pair in pairs), NormalDist().inv_cdf(POWER)
        single = NormalDist().inv_cdf(1 - document["alpha"] / 2)
        new |= {"critical_value": critical, "median_pair_se": middle}
        new |= {"detectable": (single + z) * middle, "detectable_adjusted": (critical + z) * middle}
    computed = _warnings(panel, header["unit"], [entry["title"] or entry["predictor"] for entry in entries])
    computed += _borderline(outcome, pairs, document["alpha"])
    written = header["warnings"][: max(0, len(header["warnings"]) - len(computed))]
    new["warnings"] = [*written, *computed]
    new["signature"] = _signature(new, evidence, entries, panel)
    return new


def _warnings(panel: Panel, unit: str, names: Sequence[str]) -> list[str]:
    found = []
    share, effective = float(panel.sizes.max() / panel.sizes.sum()), panel.effective_units
    if panel.n_units < 30:
        found.append(f"only {panel.n_units} {unit}s: intervals and tests are approximate below 30")
    if share > 0.1:
        found.append(f"{unit} {int(panel.sizes.argmax())} holds {share:.0%} of the utterances (more than 10%)")
    if effective < 20:
        found.append(f"unequal {unit}s are worth only {effective:.1f} equal ones (fewer than 20)")
    untested = sorted((names[i], len(own)) for i, own in enumerate(panel.seed_scores) if i not in panel.tested)
    return found + [
        f"{name} has {n} of the {FEWEST_SEEDS} seeds that scope procedure needs: its score is shown without interval "
        "or test; run more seeds, or declare it deterministic"
        for name, n in untested
    ]


def _borderline(outcome: Outcome, pairs: Sequence[Document], alpha: float) -> list[str]:
    if outcome.exact or not outcome.n_resamples:
        return []
    error = 1.96 * (alpha * (1 - alpha) / outcome.n_resamples) ** 0.5
    n = sum(abs(pair["p_adjusted"] - alpha) < error for pair in pairs)
    return [f"{n} adjusted p within Monte-Carlo error of alpha={alpha!r}: use n_resamples=100000 or more"] if n else []


def _signature(header: Document, evidence: Evidence, entries: Sequence[Document], panel: Panel) -> str:
    document, made = evidence.document, [evidence.runs[entry["runs"][0]]["predictor"] for entry in entries]
    answers = sorted({str(own["facts"]["answers"]) for own in made if "answers" in own["facts"]})
    seeds = sorted({len(e["runs"]) for e, own in zip(entries, made, strict=True) if not own["card"]["deterministic"]})
    seeds = seeds or [1]
    parts = (
        SHORT.get(header["metric"], header["metric"]),
        f"data:{header['dataset']}@{header['fingerprint'][:8]}",
        f"split:{header['split']}",
        f"n:{header['n_utterances']}/{header['n_dialogues']}",
        f"labels:{len(header['labels'])}",
        f"ctx:{','.join(sorted({own['card']['context'] for own in made}))}",
        *([f"answers:{','.join(answers)}"] if answers else []),
        "unparsed:wrong",
        f"scope:{document['scope']}",
        f"unit:{header['unit']}",
        "ci:t",
        f"test:{document['test']}",
        f"adj:{document['correction']}",
        f"seeds:{seeds[0] if len(seeds) == 1 else f'{seeds[0]}-{seeds[-1]}'}",
        f"v:{document['version']}",
    )
    return "|".join(parts)


def _printed(score: float) -> float:
    return round(settle(score), 4)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
