"""From a board to the files of its bundle: a pure function of the stored runs and of this package's own code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np

from harness.bundle.verifying import evidence as kept
from harness.bundle.verifying import main as checked
from harness.bundle.verifying.appendix import Sections, describe_runs
from harness.bundle.verifying.lock import LOCK, lock_data, lock_prompts, lock_runs, sha256_of
from harness.bundle.verifying.recompute import PROBABILITIES, recompute
from harness.bundle.verifying.words import describe_statistics
from harness.errors import ConfigError, HarnessError, MissingDependencyError
from harness.evaluation.scoring import cluster_index
from harness.export import export_leaderboard
from harness.export.escape import escape_markdown, latex_breakable, latex_escape
from harness.export.latex import latex_template
from harness.leaderboard.build import build_leaderboard
from harness.leaderboard.leaderboard import Leaderboard
from harness.leaderboard.spec import BoardSpec
from harness.prompting.templates import load_template
from harness.store import RunStore, StoredRun
from harness.store.provenance import git_state
from harness.store.run_store import encode_manifest

TABLES = ("main", "labels", "pairs")
"""What is exported in LaTeX."""

CAPTIONS = {
    "groups": "Scores with intervals; systems on one vertical line cannot be told apart.",
    "pairs": "Differences of all tested pairs.",
    "labels": "F1 by label, mean over seeds.",
    "cost": "Score against what a system costs.",
    "seeds": "Scores of single runs.",
}
"""Of figures, by the ending of their names."""

NO_FIGURES = "none: matplotlib was not installed when the bundle was made (pip install 'erc-harness[plots]')"
"""What a bundle says in the place of figures."""


def build_bundle(board: str, spec: BoardSpec, store: RunStore) -> dict[str, bytes]:
    """Returns the content of each file of a bundle by its path, `results.lock` last.

    Raises:
        ConfigError: there is no run to show, or a setting does not fit.
        IncompatibleRunsError: runs of one dataset differ in data or labels.
        StoreError: a stored file is missing, or is not the one that was sealed.
        UnknownNameError: a metric is not known.
    """
    whole = build_leaderboard(board, spec, store, labels=True)
    leaderboard = replace(whole, published=(), published_slips=(), averages=None)  # what no table of a bundle shows
    stored = {path: store.find(str(store.layout.root / path)) for entry in whole.entries for path in entry.runs}
    for run in stored.values():
        run.check_seal()
    runs = {path: json.loads(encode_manifest(run.manifest)) for path, run in stored.items()}
    evidence = kept.Evidence(
        json.loads(export_leaderboard(leaderboard, "json")), runs, _arrays(leaderboard, stored, spec), spec.n_resamples
    )
    prompts = lock_prompts(runs)
    counts = {run: array for arrays in evidence.arrays.values() for run, array in arrays.items()}
    lock: dict[str, Any] = {
        "format": 1,
        "board": board,
        "data": lock_data(runs),
        "prompts": prompts,
        "runs": lock_runs(runs, counts),
        "code": {"version": whole.version, "git": git_state(), "sources": sha256_of_sources()},
    }
    document = recompute(evidence)
    sentences = describe_statistics(document)
    sections = describe_runs(document, runs, lock)
    tables = {
        f"{checked.TABLES}/{name}.tex": export_leaderboard(leaderboard, "latex", name).encode() for name in TABLES
    }
    figures = _figures(leaderboard, store)
    wordings = _wordings(prompts)
    files = {
        **tables,
        checked.STATISTICS: "".join(f"{latex_escape(sentence)}\n" for sentence in sentences).encode(),
        "statistics.txt": "".join(f"{sentence}\n" for sentence in sentences).encode(),
        checked.APPENDIX: _appendix(sections).encode(),
        **figures,
        **wordings,
        kept.BOARD: export_leaderboard(leaderboard, "json").encode(),
        kept.RUNS: (json.dumps({"n_resamples": spec.n_resamples, "runs": runs}, indent=1) + "\n").encode(),
        **{f"{kept.COUNTS}/{kept.counts_name(d)}": _npz(own) for d, own in evidence.arrays.items()},
        **_verifier(),
    }
    shown = {
        "board": leaderboard,
        "heading": escape_markdown(leaderboard.title),
        "tables": [name.removesuffix(".tex") for name in tables],
        "figures": _captions(figures),
        "figures_note": "PDF and SVG of what the board shows" if figures else NO_FIGURES,
        "prompts": [(path.removeprefix("prompts/").removesuffix(".j2"), path) for path in wordings],
        "published": whole.published,
    }
    files |= {
        name: latex_template(f"{name}.j2", "harness.bundle").render(shown).encode()
        for name in ("main.tex", "README.md")
    }
    check_sizes(board, files)
    lock["files"] = {name: sha256_of(content) for name, content in sorted(files.items())}
    return files | {LOCK: (json.dumps(lock, indent=1) + "\n").encode()}


def check_sizes(board: str, files: Mapping[str, bytes]) -> None:
    """Raises ConfigError for a file, or unpacked counts, too large for those who verify the bundle."""
    for name, content in files.items():
        size = len(content)
        if name.endswith(".npz"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        if size > kept.MAX_BYTES:
            raise ConfigError(
                f"bundle of board {board!r}: {name} has {size} bytes, which `verify` would refuse; "
                f"expected no more than {kept.MAX_BYTES}: bundle a board of fewer predictors or datasets"
            )


def sha256_of_sources() -> str:
    """Returns one SHA-256 of all Python files of this package and of their paths in it."""
    root = resources.files("harness")
    return sha256_of("".join(f"{name} {sha256_of(content)}\n" for name, content in _sources(root, "")).encode())


def _sources(folder: Any, path: str) -> Iterable[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _sources(item, f"{path}{item.name}/")
        elif item.name.endswith(".py"):
            yield f"{path}{item.name}", item.read_bytes()


def _arrays(board: Leaderboard, stored: Mapping[str, StoredRun], spec: BoardSpec) -> dict[str, dict[str, Any]]:
    """Returns by dataset the arrays of `Evidence`: counts, units, and sums of probabilities if they are shown."""
    arrays: dict[str, dict[str, Any]] = {}
    for entry in board.entries:
        own = arrays.setdefault(entry.dataset, {})
        for path in entry.runs:
            table = stored[path].dialogues()
            own.setdefault("dialogues", np.array(table.confusion.dialogue_ids))
            own.setdefault("unit", cluster_index(table, spec.unit))
            own[path] = table.confusion.counts
            if table.calibration is not None and not set(PROBABILITIES).isdisjoint(board.metrics):
                sums = table.calibration.over_dialogues()
                own[f"{path}/probabilities"] = np.array([sums.n_scored, sums.squared_error, sums.log_loss])
                own[f"{path}/bins"] = np.array([sums.bin_correct, sums.bin_confidence])
    return arrays


def _npz(arrays: Mapping[str, Any]) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    small = {name: array.astype(np.int16) if array.ndim == 3 else array for name, array in arrays.items()}
    np.savez_compressed(buffer, allow_pickle=False, **small)
    return buffer.getvalue()


def _figures(board: Leaderboard, store: RunStore) -> dict[str, bytes]:
    """Returns the figures by path; none without matplotlib."""
    from harness.report.figures import draw_figures

    try:
        return {f"figures/{name}": content for name, content in draw_figures(board, store).items()}
    except MissingDependencyError:
        return {}


def _captions(figures: Mapping[str, bytes]) -> list[dict[str, str]]:
    """Returns path and caption of each figure that LaTeX can include."""
    shown = []
    for path in figures:
        dataset, _, kind = path.removeprefix("figures/").removesuffix(".pdf").rpartition("-")
        if path.endswith(".pdf"):
            shown.append({"path": path, "caption": f"{dataset}. {CAPTIONS[kind]}"})
    return shown


def _wordings(prompts: Mapping[str, str]) -> dict[str, bytes]:
    """Returns the prompt templates that come with the package, by path; a user's own are not passed on."""
    files = {}
    for name, digest in sorted(prompts.items()):
        try:
            template = load_template(name)
        except HarnessError:
            continue
        if template.sha256 == digest:
            files[f"prompts/{name}.j2"] = template.source.encode()
    return files


def _appendix(sections: Sections) -> str:
    r"""Returns the appendix in LaTeX: one line of text a line, long names broken where they may be."""
    lines = ["\\def\\softbreak{\\hfil\\penalty0\\hfilneg}"]
    for heading, texts in sections:
        lines.append(f"\\par\\medskip\\noindent\\textbf{{{latex_breakable(heading)}}}\\par\\nopagebreak\\raggedright")
        lines += [f"\\noindent {latex_escape(text)}\\par" for text in texts]
    return "\n".join(lines) + "\n"


def _verifier() -> dict[str, bytes]:
    """Returns the code that checks a bundle, as it runs in this package."""
    package = resources.files("harness.bundle")
    modules = (item for item in package.joinpath("verifying").iterdir() if item.name.endswith(".py"))
    files = {f"verifying/{item.name}": item.read_bytes() for item in modules}
    return {"verify.py": package.joinpath("templates/verify.py.txt").read_bytes()} | dict(sorted(files.items()))
