"""Whatever is changed in a bundle is caught and named, hashes of files brought up to date or not."""

from __future__ import annotations

import copy
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.bundle.build import build_bundle
from harness.bundle.verifying.evidence import read_evidence
from harness.bundle.verifying.lock import check_files, check_runs
from harness.bundle.verifying.main import check_bundle, check_lines
from harness.bundle.verifying.recompute import recompute
from harness.bundle.verifying.tables import check_table
from harness.bundle.verifying.words import describe_statistics
from harness.leaderboard.spec import load_spec
from harness.store import Layout, RunStore

RESULTS = Path(__file__).resolve().parents[2] / "results"

MEASURES = re.compile(
    r"\\tabcolsep\}\{\d+pt|p\{\d\.\d+\\linewidth|\\multicolumn\{\d|\\(?:sbox|usebox\{\\?|usebox|wd)\d|\\penalty\d|\\hangindent=\d"
    r"|\\addlinespace\[\d|\[T\d\]\{fontenc|\[utf\d"
)
"""Digits that are sizes, registers and options of TeX: they print nothing."""

BLOCKED = """
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "verifying"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
sys.argv = [sys.argv[1]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(bundle: Path) -> subprocess.CompletedProcess[str]:
    """Runs the bundle's own verifier where nothing but the standard library and numpy can be imported."""
    command = [sys.executable, "-I", "-c", BLOCKED, str(bundle / "verify.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=bundle.parent)


def places(bundle: Path) -> set[str]:
    return {f"{difference.file}: {difference.place}" for difference in check_bundle(bundle).differences}


def other_digit(digit: str) -> str:
    return str((int(digit) + 1) % 10)


def changed_digits(tex: str, n: int, seed: int) -> Iterator[tuple[int, str]]:
    """Yields texts with one printed digit changed, at places drawn from all of them."""
    measures = {i for found in MEASURES.finditer(tex) for i in range(*found.span())}
    printed = [found.start() for found in re.finditer(r"\d", tex) if found.start() not in measures]
    drawn = np.random.default_rng(seed).choice(printed, min(n, len(printed)), replace=False)
    for place in drawn.tolist():
        yield place, tex[:place] + other_digit(tex[place]) + tex[place + 1 :]


def test_an_untouched_bundle_is_verified_by_itself_with_numpy_alone(bundle: Path) -> None:
    before = sorted(bundle.rglob("*"))
    done = run_alone(bundle)
    assert (done.returncode, done.stderr) == (0, "")
    n = int(re.fullmatch(r"verified: ([\d,]+) numbers in LaTeX files\n", done.stdout)[1].replace(",", ""))
    assert n == check_bundle(bundle).n_numbers > 1000
    assert sorted(bundle.rglob("*")) == before


def test_a_table_cell_is_named_with_what_it_should_be(bundle: Path, forge: Any) -> None:
    tex = (bundle / "tables/main.tex").read_text()
    forge("tables/main.tex", tex.replace(r"\textbf{58.65}", r"\textbf{58.66}").encode())
    done = run_alone(bundle)
    assert done.returncode == 1
    assert "tables/main.tex: row 'tfidf-logreg', column 'wF1 (95% interval)'" in done.stdout
    assert "expected '58.65[50.1, 67.2]', found '58.66[50.1,67.2]'" in done.stdout


@pytest.mark.parametrize("name", ["tables/main.tex", "tables/labels.tex", "tables/pairs.tex"])
def test_any_printed_digit_of_a_table_is_caught_without_hashes(bundle: Path, name: str) -> None:
    document = recompute(read_evidence(bundle))
    tex = (bundle / name).read_text()
    assert check_table(name, tex, document)[0] == []
    for place, changed in changed_digits(tex, 150, seed=1):
        found, _ = check_table(name, changed, document)
        assert found, f"...{tex[place - 30 : place + 30]}..."
        assert {difference.file for difference in found} == {name}


@pytest.mark.parametrize("name", ["statistics.tex", "appendix.tex"])
def test_any_printed_digit_of_a_text_is_caught_and_its_line_named(bundle: Path, name: str) -> None:
    from harness.bundle.verifying.appendix import describe_runs

    evidence = read_evidence(bundle)
    document = recompute(evidence)
    lines = describe_statistics(document)
    if name == "appendix.tex":
        sections = describe_runs(document, evidence.runs, json.loads((bundle / "results.lock").read_text()))
        lines = [line for heading, texts in sections for line in (heading, *texts)]
    tex = (bundle / name).read_text()
    assert list(check_lines(name, tex, lines)) == []
    for place, changed in changed_digits(tex, 150, seed=2):
        found = list(check_lines(name, changed, lines))
        assert len(found) == 1, f"...{tex[place - 30 : place + 30]}..."


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (r"\underline{57.54}", r"57.54", r"row 'tfidf-svm', column 'wF1 (95% interval)'"),
        (r"& a & -- &", r"& b & -- &", "row 'tfidf-logreg', column 'Letters'"),
        (r"$<$0.001", r"$<$0.0001", "column 'p_adj'"),
        ("& 1--5 &", "& 1--4 &", "row 'tfidf-logreg', column 'Rank'"),
        ("{} majority & ", "{} minority & ", "name 'minority'"),
        (" & accuracy & macro-F1 ", " & macro-F1 & accuracy ", "row 'tfidf-logreg', column 'macro-F1'"),
        ("& accuracy &", "& agreement &", "column 'agreement'"),
        ("9.7 points", "9.2 points", "caption"),
        ("fe8e928f", "fe8e929f", "text"),
        ("worth only 18.9 equal", "worth only 28.9 equal", "text"),
    ],
)
def test_marks_names_heads_and_captions_are_claims_too(
    bundle: Path, forge: Any, old: str, new: str, named: str
) -> None:
    tex = (bundle / "tables/main.tex").read_text()
    old = old.removeprefix("{}") if old not in tex else old
    new = new.removeprefix("{}")
    forge("tables/main.tex", tex.replace(old, new, 1).encode())
    assert any(place.startswith("tables/main.tex: ") and named in place for place in places(bundle))


def test_rows_cannot_go_missing_or_change_places(bundle: Path, forge: Any) -> None:
    tex = (bundle / "tables/main.tex").read_text()
    rows = [line for line in tex.splitlines(keepends=True) if line.startswith(r"\raggedright\hangindent")]
    swapped = tex.replace(rows[1], "\0").replace(rows[2], rows[1]).replace("\0", rows[2])
    forge("tables/main.tex", swapped.encode())
    assert places(bundle) == {"tables/main.tex: column 'Predictor', order of rows"}
    forge("tables/main.tex", tex.replace(rows[7], "").encode())
    assert places(bundle) == {"tables/main.tex: column 'Predictor', name 'stratified'"}


def test_a_tampered_prediction_is_named(bundle: Path, forge: Any) -> None:
    run = next(path for path in json.loads((bundle / "runs.json").read_text())["runs"] if "stratified/seed3" in path)
    with np.load(bundle / "counts/sample.npz") as file:
        arrays = dict(file)
    gold, given = np.argwhere(arrays[run][4])[0]
    arrays[run][4, gold, given] -= 1  # one answer of the fifth dialogue becomes another label
    arrays[run][4, gold, (given + 1) % 7] += 1
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    forge("counts/sample.npz", buffer.getvalue())
    found = places(bundle)
    assert f"results.lock: runs, {run}, counts" in found
    assert any(place.startswith("leaderboard.json: entries[7] (stratified)") for place in found)

    lock = json.loads((bundle / "results.lock").read_text())  # and the forger goes on
    lock["runs"][run]["counts"] = sha256(arrays[run].astype("<i8").tobytes()).hexdigest()
    (bundle / "results.lock").write_text(json.dumps(lock))
    found = places(bundle)
    assert any(place.startswith("leaderboard.json: entries[7] (stratified) score") for place in found)
    assert any("appendix.tex" in place for place in found)


def test_gold_that_differs_between_runs_is_refused(bundle: Path, forge: Any) -> None:
    run = next(path for path in json.loads((bundle / "runs.json").read_text())["runs"] if "majority" in path)
    with np.load(bundle / "counts/sample.npz") as file:
        arrays = dict(file)
    arrays[run][0] = np.roll(arrays[run][0], 1, axis=0)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    forge("counts/sample.npz", buffer.getvalue())
    told = "\n".join(map(str, check_bundle(bundle).differences))
    assert run in told and "gold" in told


def walk(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk(item, (*path, key))
    else:
        yield path


def changed_at(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def test_any_hash_of_the_lock_is_caught(bundle: Path) -> None:
    lock = json.loads((bundle / "results.lock").read_text())
    evidence = read_evidence(bundle)
    counts = {run: array for own in evidence.arrays.values() for run, array in own.items()}
    hashes = [path for path in walk(lock) if re.fullmatch(r"[0-9a-f]{40,64}", str(at(lock, path)))]
    assert len(hashes) > 100
    for path in hashes:
        value = at(lock, path)
        changed = changed_at(lock, path, ("0" if value[0] != "0" else "1") + value[1:])
        found = [*check_files(bundle, changed), *check_runs(changed, evidence.runs, counts)]
        if path[0] == "code":  # told in the appendix
            (bundle / "results.lock").write_text(json.dumps(changed))
            found = check_bundle(bundle).differences
        assert found, path
        assert any(str(path[-1]) in f"{d.place} {d.file}" or d.file == "appendix.tex" for d in found), path


def test_a_lock_names_files_of_its_bundle_only(bundle: Path) -> None:
    outside = bundle.parent / "outside.txt"
    outside.write_bytes(b"x")
    for name in ("../outside.txt", str(outside)):
        (difference,) = check_files(bundle, {"files": {name: sha256(b"x").hexdigest()}})
        assert (difference.file, difference.found) == (name, "no file")


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@pytest.mark.parametrize("key", ["fingerprint", "dataset_fingerprint"])
def test_a_tampered_fingerprint_is_named(bundle: Path, forge: Any, key: str) -> None:
    runs = json.loads((bundle / "runs.json").read_text())
    path = next(path for path in runs["runs"] if "majority" in path)
    changed = changed_at(runs, ("runs", path, "data", key), "f" * 64)
    forge("runs.json", json.dumps(changed).encode())
    assert f"runs.json: {path}, {key} of the data" in places(bundle)


def test_any_number_of_the_board_is_caught(bundle: Path, forge: Any) -> None:
    board = json.loads((bundle / "leaderboard.json").read_text())
    numbers = [path for path in walk(board) if isinstance(at(board, path), float) and path[0] != "alpha"]
    assert len(numbers) > 400
    for place in np.random.default_rng(3).choice(len(numbers), 12, replace=False).tolist():
        path = numbers[place]
        value = at(board, path)
        forge("leaderboard.json", json.dumps(changed_at(board, path, value + 1e-4)).encode())
        assert any(str(path[-1]) in found for found in places(bundle)), path


@pytest.mark.parametrize("value", [0.01, 0.5])
def test_another_level_is_caught(bundle: Path, forge: Any, value: float) -> None:
    board = json.loads((bundle / "leaderboard.json").read_text())
    forge("leaderboard.json", json.dumps(board | {"alpha": value}).encode())
    found = places(bundle)
    assert any("tables/main.tex" in place for place in found)
    assert any("statistics.tex" in place for place in found)


@pytest.mark.parametrize(
    "name", ["tables/main.tex", "counts/sample.npz", "runs.json", "verifying/tails.py", "main.tex"]
)
def test_a_changed_file_is_named_by_its_hash(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes() + b"\n")
    assert f"{name}: SHA-256" in places(bundle)


@pytest.mark.parametrize("name", ["tables/pairs.tex", "counts/sample.npz", "leaderboard.json", "statistics.tex"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    assert f"{name}: SHA-256" in places(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": {}}'])
def test_a_broken_lock_is_one_difference(bundle: Path, content: bytes) -> None:
    (bundle / "results.lock").write_bytes(content)
    found = check_bundle(bundle).differences
    assert found
    assert all("\n" not in str(difference) for difference in found)


TWO = """
title = "Two corpora: a_b & 100% #1 {x} ~^ é 情"
datasets = ["sample", "emorynlp"]
metrics = ["accuracy", "macro_f1", "ece", "brier"]
other_runs = true
[[predictors]]
name = "tfidf-svm"
params = { history = 0 }
title = "a_b & 100% #1 {x} ~^ é 情"
"""
CHECKPOINTS = """
datasets = ["emorynlp"]
metric = "macro_f1"
metrics = ["f1:Joyful", "nll", "micro_f1_no_neutral"]
scope = "checkpoint"
test = "sign-flip"
n_resamples = 500
seed = 3
alpha = 0.1
other_runs = true
"""


@pytest.mark.parametrize("board", [TWO, CHECKPOINTS], ids=["two", "checkpoints"])
def test_boards_of_other_kinds_are_verified_and_their_digits_guarded(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # figures take long, and are not checked
    (tmp_path / "leaderboards/other").mkdir(parents=True)
    (tmp_path / "leaderboards/other/board.toml").write_text(board, encoding="utf-8")
    (tmp_path / "runs").symlink_to(RESULTS / "runs")
    store = RunStore(Layout(tmp_path))
    for name, content in build_bundle("other", load_spec("other", store.layout), store).items():
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_bytes(content)
    assert check_bundle(tmp_path / "b").differences == []
    document = recompute(read_evidence(tmp_path / "b"))
    for name in ("tables/main.tex", "tables/labels.tex", "tables/pairs.tex"):
        for place, changed in changed_digits((tmp_path / "b" / name).read_text(encoding="utf-8"), 60, seed=4):
            assert check_table(name, changed, document)[0], f"{name}: ...{changed[place - 30 : place + 30]}..."
