"""The sentences of a bundle that hold numbers: those that tables carry, and the paragraph on statistics."""

from __future__ import annotations

from collections import Counter

from .digits import level, percent, span
from .evidence import Document

TITLES = {"weighted_f1": "wF1", "macro_f1": "macro-F1", "accuracy": "accuracy", "micro_f1": "micro-F1"}

CORRECTIONS = {
    "holm": "Holm's correction, which bounds the chance of any false finding",
    "bonferroni": "Bonferroni's correction, which bounds the chance of any false finding",
    "max-t": "the step-down max-T correction, which bounds the chance of any false finding",
    "benjamini-hochberg": "the Benjamini–Hochberg correction, which bounds the share of false findings among all",
    "none": "no correction for their number",
}

VARY = {
    "procedure": "both the choice of {unit}s and the seeds of training; its claim is about training procedures",
    "checkpoint": "the choice of {unit}s alone; its claim is about these very predictions",
}


def metric_title(document: Document, metric: str) -> str:
    """Returns what heads and sentences call a metric."""
    if metric == document["metric"]:
        return str(document["metric_title"])
    return TITLES.get(metric, metric.replace("f1:", "F1 ", 1).replace("_", " "))


def name_of(entry: Document) -> str:
    """Returns what tables call an entry."""
    return str(entry["title"] or entry["predictor"])


def entries_of(document: Document, dataset: str) -> list[Document]:
    """Returns the entries of one dataset in the order of the table."""
    return [entry for entry in document["entries"] if entry["dataset"] == dataset]


def describe_size(document: Document, header: Document) -> str:
    """Returns what scores rest on: "2,610 utterances in 280 dialogues, 5 seeds"."""
    counts = [entry["n_seeds"] for entry in entries_of(document, header["dataset"])]
    seeds = f"{span(min(counts), max(counts))} seed{'' if max(counts) == 1 else 's'}"
    return f"{header['n_utterances']:,} utterances in {header['n_dialogues']:,} dialogues, {seeds}"


def describe_units(header: Document) -> str:
    """Returns how many units there are, and how many of equal size they are worth."""
    unit = f"{header['unit']}{'' if header['n_clusters'] == 1 else 's'}"
    return f"{header['n_clusters']:,} {unit} worth {header['effective_clusters']:.0f} equal ones"


def describe_power(header: Document) -> str:
    """Returns the smallest differences that are found, as tables say it; "" where nothing was tested."""
    if header["detectable"] is None:
        return ""
    single, adjusted = percent(header["detectable"], 1), percent(header["detectable_adjusted"], 1)
    more = header["detectable_adjusted"] > header["detectable"]
    pairs = f", {adjusted} for all {header['n_pairs']} pairs" if more else ""
    return f"MDE80 (median pair): {single} points for one test{pairs}"


def table_sentences(document: Document) -> list[str]:
    """Returns every piece of a sentence with numbers that captions of tables may hold, and may hold in no other way."""
    sentences = ["MDE80", "80% power", f"erc-harness {document['version']}", f"α = {document['alpha']:g}"]
    sentences += [f"{level(document['alpha'])} interval"]
    if document["n_resamples"]:
        sentences.append(f"{document['n_resamples']:,} resamples (seed {document['seed']})")
    for header in document["headers"]:
        sentences += [describe_size(document, header), describe_units(header), describe_power(header)]
    return [sentence for sentence in sentences if sentence]


def describe_statistics(document: Document) -> list[str]:
    """Returns the paragraph on statistics, sentence by sentence: the same for several datasets in turn."""
    procedure = document["scope"] == "procedure"
    drawn = ""
    if document["n_resamples"]:
        drawn = f" with {document['n_resamples']:,} resamples, drawn with seed {document['seed']}"
    sentences = []
    for header in document["headers"]:
        sentences += _on_dataset(document, header)
    unit = document["headers"][0]["unit"]
    varies = VARY[document["scope"]].format(unit=unit)
    return [
        *sentences,
        "A score is the mean over seeds of the score of each run, never the score of pooled predictions; answers "
        "without a usable label count as wrong.",
        f"Intervals are {level(document['alpha'])} t-intervals from standard errors that cover {varies}.",
        *(["A system with a single run is deterministic, or is shown without interval and test."] if procedure else []),
        f"Differences are tested in two directions by the {document['test_title']}{drawn}, for all pairs of systems of "
        f"a dataset, with {CORRECTIONS[document['correction']]}, at α = {document['alpha']:g}.",
    ]


def _on_dataset(document: Document, header: Document) -> list[str]:
    """Returns the sentences with the numbers of one dataset."""
    entries = entries_of(document, header["dataset"])
    pairs = [pair for pair in document["comparisons"] if pair["dataset"] == header["dataset"]]
    title, unit = metric_title(document, header["metric"]), header["unit"]
    runs = [
        f"{n} with {seeds} seed{'' if seeds == 1 else 's'}"
        for seeds, n in sorted(Counter(entry["n_seeds"] for entry in entries).items(), reverse=True)
    ]
    best = max(entries, key=lambda entry: entry["score"])
    sentences = [
        f"On {header['dataset']} ({header['split']} split, {header['n_utterances']:,} utterances in "
        f"{header['n_dialogues']:,} dialogues) {len(entries)} systems are compared by {title}: {', '.join(runs)}.",
        f"The unit of resampling is the {unit}: there are {header['n_clusters']:,}, of unequal size, worth "
        f"{header['effective_clusters']:.0f} of equal size.",
        f"The highest {title} is {percent(best['score'])}, of {name_of(best)}.",
    ]
    if not pairs:
        return [*sentences, "No pair of systems was tested."]
    n_different = sum(pair["p_adjusted"] <= document["alpha"] for pair in pairs)
    n_top = sum(entry["top"] for entry in entries)
    return [
        *sentences,
        f"After correction {n_different} of {len(pairs)} pairs differ; {n_top} of {len(entries)} systems cannot be "
        "told from the best.",
        f"At the median pair, whose difference has a standard error of {percent(header['median_pair_se'])} points, a "
        f"single test finds a true difference of {percent(header['detectable'])} points with 80% power; after the "
        f"correction it takes {percent(header['detectable_adjusted'])} points.",
    ]
