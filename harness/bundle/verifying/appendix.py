"""The appendix on reproducibility: what the runs were made with, line by line, and the score of each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from .digits import DASH, metric
from .evidence import Document
from .words import entries_of, metric_title, name_of

Sections = list[tuple[str, list[str]]]
"""Headings, each with its lines."""


def describe_runs(document: Document, runs: Mapping[str, Document], lock: Document) -> Sections:
    """Returns the appendix.

    Args:
        document: the board, recomputed.
        runs: manifests by path.
        lock: `results.lock`, of which data, prompts and code are told.
    """
    sections = [
        ("Data", [_data(document, header, runs) for header in document["headers"]]),
        ("Code", _code(runs, lock)),
        ("Versions", _distinct(runs, lambda run: _pairs(run["versions"]))),
        ("Hardware", _distinct(runs, _machine)),
    ]
    if lock["prompts"]:
        sections.append(("Prompts", [f"{name}: SHA-256 {digest}" for name, digest in sorted(lock["prompts"].items())]))
    for header in document["headers"]:
        for entry in entries_of(document, header["dataset"]):
            heading = f"{name_of(entry)} on {header['dataset']}"
            sections.append((heading, _system(document, entry, [runs[path] for path in entry["runs"]])))
    return sections


def _data(document: Document, header: Document, runs: Mapping[str, Document]) -> str:
    data = runs[entries_of(document, header["dataset"])[0]["runs"][0]]["data"]
    return (
        f"{data['dataset']}, {data['split']} split: {header['n_utterances']:,} utterances in {header['n_dialogues']:,} "
        f"dialogues, labels {', '.join(data['labels'])}; SHA-256 of the split {data['fingerprint']}, of all splits "
        f"{data['dataset_fingerprint']}."
    )


def _code(runs: Mapping[str, Document], lock: Document) -> list[str]:
    made = lock["code"]
    told = [f"Bundle: erc-harness {made['version']}, {_commit(made['git'])}, SHA-256 of its sources {made['sources']}."]
    return told + [f"Runs: {line}" for line in _distinct(runs, lambda run: _commit(run["git"]))]


def _commit(git: Document | None) -> str:
    if git is None:
        return "installed package"
    return f"commit {git['commit']}{' with changes that were not committed' if git['dirty'] else ''}"


def _machine(run: Document) -> str:
    machine = run["hardware"]
    if not machine:
        return "not told by what was imported"
    return (
        f"{machine['platform']}, {machine['processor']}, {machine['n_cores']} cores, {machine['memory_gib']} GiB of "
        f"memory, {machine['accelerator'] or 'no accelerator'}"
    )


def _distinct(runs: Mapping[str, Document], tell: Any) -> list[str]:
    """Returns what is told of the runs, each line once, with how many runs it is true of."""
    told: dict[str, int] = {}
    for run in runs.values():
        line = tell(run)
        told[line] = told.get(line, 0) + 1
    return [f"{line} ({n} run{'' if n == 1 else 's'})." for line, n in sorted(told.items(), key=lambda item: -item[1])]


def _system(document: Document, entry: Document, runs: Sequence[Document]) -> list[str]:
    made = runs[0]["predictor"]
    card, facts = made["card"], made["facts"]
    learns = ", ".join(card["trained_on"]) or "nothing"
    fit, predict = (_mean_seconds(runs, name) for name in ("fit_seconds", "predict_seconds"))
    context = "no" if entry["context"] == "none" else entry["context"]
    lines = [
        f"{made['name']} ({card['family']}); sees {context} context, {', '.join(entry['modalities'])}; learns "
        f"from {learns}.",
        f"Parameters: {_pairs(made['params']) or 'none'}.",
    ]
    if "recipe" in facts:
        lines.append(f"Recipe: {_pairs(facts['recipe']) if isinstance(facts['recipe'], dict) else facts['recipe']}.")
    if "template" in facts:
        lines.append(f"Prompt: {facts['template']['name']}, answers read as {facts.get('answers', DASH)}.")
    lines += [
        f"Learning took {fit} a run, predicting {predict}; SHA-256 of the code of the system "
        f"{made['code_sha256'] or DASH}.",
        f"Runs: {', '.join(run['run_id'] for run in runs)}.",
    ]
    return lines + [
        _spread(metric_title(document, name), [metric(name, own) for own in scores], name, scores)
        for name, scores in entry["seed_scores"].items()
        if all(score == score for score in scores)  # nan: no probabilities
    ]


def _mean_seconds(runs: Sequence[Document], name: str) -> str:
    """Returns how long runs took on average; imported ones do not tell."""
    times = [run["times"][name] for run in runs]
    return f"{DASH} s" if None in times else f"{fmean(times):.3g} s"


def _spread(title: str, shown: Sequence[str], name: str, scores: Sequence[float]) -> str:
    if len(scores) == 1:
        return f"{title}: {shown[0]}."
    mean, spread = metric(name, fmean(scores)), metric(name, stdev(scores))
    return f"{title} by run: {', '.join(shown)}; mean {mean}, standard deviation {spread}."


def _pairs(values: Mapping[str, Any]) -> str:
    shown = ((k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for k, v in values.items())
    return ", ".join(f"{name} = {value}" for name, value in shown)
