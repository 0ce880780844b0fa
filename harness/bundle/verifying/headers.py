"""What the entries of one dataset share: sizes, power, warnings and signature, from counts and manifests."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist, median

from .evidence import Document, Evidence
from .pair_tests import Outcome
from .panel import FEWEST_SEEDS, Panel
from .scores import Array
from .words import entries_of, name_of

POWER = 0.8
"""Chance that a difference as large as the smallest detectable one is found."""

SHORT = {
    "weighted_f1": "wF1",
    "macro_f1": "mF1",
    "accuracy": "acc",
    "micro_f1": "miF1",
    "micro_f1_no_neutral": "miF1-nn",
}
"""Metrics in signatures."""


def make_header(
    header: Document,
    evidence: Evidence,
    panel: Panel,
    raw: Sequence[Array],
    pairs: Sequence[Document],
    outcome: Outcome,
    critical: float | None,
) -> Document:
    """Returns a header with its numbers computed anew; notes keep their words, those that are computed follow them."""
    document = evidence.document
    entries = entries_of(document, header["dataset"])
    data = evidence.runs[entries[0]["runs"][0]]["data"]
    new = dict(header)
    new |= {key: data[key] for key in ("dataset", "split", "fingerprint", "labels")}
    new |= {"n_utterances": int(raw[0][0].sum()), "n_dialogues": int((raw[0][0].sum(axis=(1, 2)) > 0).sum())}
    new["n_gold"] = dict(zip(data["labels"], raw[0][0].sum(axis=(0, 2)).tolist(), strict=True))
    new |= {"n_clusters": panel.n_units, "effective_clusters": panel.effective_units, "n_pairs": len(pairs)}
    new |= dict.fromkeys(("critical_value", "median_pair_se", "detectable", "detectable_adjusted"))
    if critical is not None:
        middle, z = median(pair["se"] for pair in pairs), NormalDist().inv_cdf(POWER)
        single = NormalDist().inv_cdf(1 - document["alpha"] / 2)
        new |= {"critical_value": critical, "median_pair_se": middle}
        new |= {"detectable": (single + z) * middle, "detectable_adjusted": (critical + z) * middle}
    computed = _warnings(panel, header["unit"], list(map(name_of, entries)))
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
        found.append(f"one {unit} holds {share:.0%} of the utterances (more than 10%)")
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
        str(SHORT.get(header["metric"], header["metric"])),
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
