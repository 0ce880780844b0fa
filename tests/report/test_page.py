"""The page without a browser: numbers as in the other exports, foreign text stays text, nothing is asked for."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading import Page
from sklearn.metrics import confusion_matrix, f1_score

from harness.errors import IncompatibleRunsError, UnknownNameError
from harness.export import export_leaderboard
from harness.export.escape import one_line
from harness.report import build_report
from harness.report.page import SCRIPTS

TEMPLATES = Path(__file__).resolve().parents[2] / "harness" / "report" / "templates"

MakePage = Callable[..., Path]


@pytest.fixture(scope="module")
def html(world: Any) -> str:
    return build_report(world.board, world.store)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def only(board: Any, dataset: str) -> Any:
    """A board with one of its datasets."""
    return replace(
        board,
        datasets=tuple(header for header in board.datasets if header.dataset == dataset),
        entries=board.of_dataset(dataset),
        comparisons=tuple(pair for pair in board.comparisons if pair.dataset == dataset),
    )


def test_values_to_sort_by_are_those_of_the_json(world: Any, page: Page) -> None:
    document = json.loads(export_leaderboard(world.board, "json"))
    for header, tables in zip(document["headers"], page.tables, strict=True):
        entries = [entry for entry in document["entries"] if entry["dataset"] == header["dataset"]]
        for entry, line in zip(entries, tables["ranking"], strict=True):
            wanted = {
                "wF1": entry["score"], "Δ top": entry["to_top"], "p adj": entry["to_top_p_adjusted"],
                "Seeds": entry["n_seeds"], "Coverage": entry["coverage"], "accuracy": entry["metrics"]["accuracy"],
                "macro-F1": entry["metrics"]["macro_f1"],
            }  # fmt: skip
            assert line.texts["System"] == entry["predictor"]
            for title, value in wanted.items():
                found = line.sorts.get(title)
                assert (None if found is None else float(found)) == value, (entry["predictor"], title)
        for entry, line in zip(entries, tables["variance"], strict=True):
            parts = {"SE": "se", "Dialogues": "se_dialogue", "Seeds": "se_seed", "Interaction": "se_interaction"}
            assert {title: float(line.sorts[title]) for title in parts} == {t: entry[key] for t, key in parts.items()}


def test_digits_are_those_of_the_latex_table(world: Any, page: Page) -> None:
    for header, tables in zip(world.board.datasets, page.tables, strict=True):
        latex = export_leaderboard(only(world.board, header.dataset), "latex")
        lines = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:]
        assert len(lines) == len(tables["ranking"])
        for text, line in zip(lines, tables["ranking"], strict=True):
            cells = [plain(cell) for cell in text.removesuffix(r" \\").split(" & ")]
            titles = ("System", "wF1", "95% interval", "Rank", "Letters", "Δ top", "p adj", "Coverage", "accuracy")
            assert cells[: len(titles)] == [line.texts[title] for title in titles]


def plain(latex: str) -> str:
    """LaTeX of a cell as text."""
    shown = re.sub(r"\\(?:textbf|underline|footnotesize|raggedright|hangindent=1em|softbreak)\b|[{}]", "", latex)
    for tex, text in (("$-$", "-"), ("$<$", "<"), ("--", "–"), (r"\_", "_")):
        shown = shown.replace(tex, text)
    return shown.strip()


def test_numbers_are_those_of_the_csv(world: Any, page: Page) -> None:
    rows = list(csv.DictReader(StringIO(export_leaderboard(world.board, "csv"))))
    lines = [line for tables in page.tables for line in tables["ranking"]]
    for row, line in zip(rows, lines, strict=True):
        assert (line.texts["System"], line.sorts["wF1"]) == (row["predictor"], row["score"])
        assert f"{100 * float(row['score']):.2f}" == line.texts["wF1"]


def test_pairs_are_those_of_the_other_exports(world: Any, page: Page) -> None:
    records = json.loads(export_leaderboard(world.board, "json", "pairs"))["pairs"]
    latex = export_leaderboard(world.board, "latex", "pairs").replace("$-$", "-").replace("$<$", "<")
    found = [(panel, pair) for panel in page.data["panels"] for pair in panel["pairs"]]
    for record, (panel, pair) in zip(records, found, strict=True):
        names = [panel["systems"][pair[key]]["name"] for key in ("a", "b")]
        assert names == [record["a"], record["b"]]
        assert pair["difference"] == record["difference"]
        assert pair["different"] == record["rejected"]
        difference, interval, p, adjusted = pair["shown"]
        main = (rf"\textbf{{{text}}}" if pair["different"] else text for text in (difference, adjusted))
        for text, small in zip(main, (interval, f"({p})"), strict=True):
            assert rf"\shortstack{{{text}\\{{\tiny {small}}}}}" in latex


def test_labels_confusions_and_seeds_are_what_the_predictions_give(world: Any, page: Page) -> None:
    for header, panel, tables in zip(world.board.datasets, page.data["panels"], page.tables, strict=True):
        gold = world.splits[header.dataset].gold
        for entry, system, line in zip(
            world.board.of_dataset(header.dataset), panel["systems"], tables["labels"], strict=True
        ):
            said = []
            for path in entry.runs:
                given = world.store.find(path).predictions()
                said.append([given[utterance].label or "none" for utterance in gold])
            wanted = {"labels": header.labels, "average": None, "zero_division": 0}
            f1 = np.mean([f1_score([*gold.values()], s, **wanted) for s in said], axis=0)
            assert [line.texts[label] for label in header.labels] == [f"{100 * round(value, 4):.2f}" for value in f1]
            counted = sum(confusion_matrix([*gold.values()], s, labels=[*header.labels, "none"])[:-1] for s in said)
            assert system["confusion"] == counted.tolist()
            scores = [f1_score([*gold.values()], s, average="weighted", zero_division=0) for s in said]
            assert [score for _, score, _ in system["seeds"]] == pytest.approx(scores, abs=1e-9)
            assert np.mean(scores) == pytest.approx(entry.score)


def test_costs_are_those_of_the_runs(world: Any, page: Page) -> None:
    systems = {system["name"]: system for system in page.data["panels"][0]["systems"]}
    assert systems["asked"]["costs"]["seconds"] == [0.25, "250 ms"]  # the median latency of its calls
    # Not one of its uses of the answer is marked as cached: each was paid.
    assert systems["asked"]["costs"]["usd"][0] == pytest.approx(1000 * 0.0004)
    assert systems["recurrent-1"]["costs"]["n_parameters"] == [30_000, "30 k"]
    assert "n_parameters" not in systems["forgetful"]["costs"]
    assert "usd" not in systems["forgetful"]["costs"]


def test_published_values_stand_apart_with_the_words_of_the_other_exports(world: Any, page: Page, html: str) -> None:
    for header, tables in zip(world.board.datasets, page.tables, strict=True):
        own = tuple(entry for entry in world.board.published if entry.dataset == header.dataset)
        markdown = export_leaderboard(replace(only(world.board, header.dataset), published=own), "markdown")
        rows = [line for line in markdown.splitlines() if line.startswith("> |")][2:]
        cells = [[cell.strip().replace("\\", "") for cell in row[3:-1].split("|")] for row in rows]
        assert [[*line.texts.values()] for line in tables["published"]] == cells
        assert [float(line.sorts["wF1"]) for line in tables["published"]] == [e.metrics["weighted_f1"] for e in own]
        assert len(tables["ranking"]) == len(world.board.of_dataset(header.dataset)), "nothing published is ranked"
    first, second = (tables["published"] for tables in page.tables)
    assert [line.texts["Published system"] for line in first] == ["EARLY [1]", "LATE"]
    assert first[1].texts["wF1"] == "99.90 [?]"
    assert second[0].texts["wF1"] == "35.00 [1]"
    assert "[1] a leak" in html and "[1] release: of old; here second" in html and "Slip: an average is 1" in html
    names = {system["name"] for panel in page.data["panels"] for system in panel["systems"]}
    assert not names & {"EARLY", "LATE"}, "no figure draws them"


def test_a_board_without_published_values_does_not_speak_of_them(world: Any) -> None:
    assert "ublished values" not in build_report(replace(world.board, published=()), world.store)


def test_the_verdict_names_the_best_and_counts_its_equals(world: Any, html: str) -> None:
    (first, *_) = re.findall(r'<p class="verdict">(.*?)</p>', html)
    entries = world.board.of_dataset("first")
    equals = sum(entry.top for entry in entries) - 1
    assert f"{entries[0].name} scores highest" in first
    assert f"{equals} of the {len(entries) - 1} others" in first


def test_groups_are_the_letters(world: Any, page: Page) -> None:
    for header, panel in zip(world.board.datasets, page.data["panels"], strict=True):
        entries = world.board.of_dataset(header.dataset)
        borne = [""] * len(entries)
        for group in panel["groups"]:
            for i in group["systems"]:
                borne[i] += group["letter"]
        assert borne == [entry.letters for entry in entries]


def test_the_same_files_give_the_same_page(world: Any, html: str) -> None:
    assert build_report(world.board, world.store) == html


def test_it_asks_nobody_for_anything(html: str, page: Page) -> None:
    assert not [tag for tag, attributes in page.tags if "src" in attributes or tag == "link"]
    assert not [tag for tag, attributes in page.tags if not (attributes.get("href") or "#").startswith("#")]
    assert set(re.findall(r"https?://[^\"'\s)]+", html)) == {"http://www.w3.org/2000/svg"}  # a name, no address
    assert "url(" not in html and "@import" not in html


def test_its_policy_admits_its_own_style_and_script_only(html: str, page: Page) -> None:
    (policy,) = (tag["content"] for _, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    for kind, pattern in (("style", r"<style>(.*?)</style>"), ("script", r'<script type="module">(.*?)</script>')):
        (source,) = re.findall(pattern, html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in (policy or "")
    assert "default-src 'none'" in (policy or "")


def test_no_text_of_the_corpus_without_being_asked(world: Any, html: str) -> None:
    assert "SECRET" not in html
    full = build_report(world.board, world.store, world.splits)
    assert "SECRET" in full
    assert "This page holds text of the corpus" in full
    assert "This page holds text of the corpus" not in html


def test_dialogues_come_with_every_answer(world: Any) -> None:
    page = Page(build_report(world.board, world.store, {"first": world.splits["first"]}))
    corpus, split = page.data["panels"][0]["corpus"], world.splits["first"]
    assert "corpus" not in page.data["panels"][1]
    assert [d["id"] for d in corpus["dialogues"]] == [d.id for d in split.dialogues]
    rows = [row for dialogue in corpus["dialogues"] for row in dialogue["utterances"]]
    labels = split.label_set.labels
    assert [(row[1], None if row[2] < 0 else labels[row[2]]) for row in rows] == [
        (u.text, u.label) for u in split.utterances()
    ]
    for entry, answers in zip(world.board.of_dataset("first"), corpus["answers"], strict=True):
        given = world.store.find(entry.runs[0]).predictions()
        said = [None if code == "." else labels[int(code)] for code in answers]
        assert said == [given[utterance].label for utterance in split.gold]
    shifts = {}
    for dialogue, shown in zip(split.dialogues, corpus["dialogues"], strict=True):
        last: dict[tuple[str, ...], str] = {}
        for utterance, row in zip(dialogue.utterances, shown["utterances"], strict=True):
            if utterance.label is not None:
                before = last.get(utterance.speakers)
                shifts[utterance.id] = (row[3], int(before is not None and before != utterance.label))
                last[utterance.speakers] = utterance.label
    assert all(found == wanted for found, wanted in shifts.values())
    assert {found for found, _ in shifts.values()} == {0, 1}


def test_another_release_of_the_corpus_is_refused(world: Any) -> None:
    with pytest.raises(IncompatibleRunsError, match="the corpus here is not the one predicted"):
        build_report(world.board, world.store, {"first": world.splits["second"]})


def test_a_run_that_is_gone_is_named(world: Any) -> None:
    entry = replace(world.board.entries[0], runs=("runs/first/test/gone/seed0-00000000",))
    with pytest.raises(UnknownNameError, match="unknown run '.*/runs/first/test/gone/seed0-00000000'"):
        build_report(replace(world.board, entries=(entry, *world.board.entries[1:])), world.store)


def test_foreign_text_stays_text(hostile_world: Any) -> None:
    html = build_report(hostile_world.board, hostile_world.store, hostile_world.splits)
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert {tag for tag, _ in page.tags} & {"img", "b", "iframe", "object"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not [a for _, a in page.tags if (a.get("href") or "#")[0] != "#"]
    board = hostile_world.board
    assert unescape(re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)[1]) == one_line(board.title)  # type: ignore[index]
    lines = page.tables[0]["ranking"]
    assert [line.texts["System"] for line in lines] == [one_line(entry.name) for entry in board.entries]
    panel = page.data["panels"][0]
    labels = [one_line(label) for label in hostile_world.splits["toy"].label_set.labels]
    assert panel["labels"] == labels
    texts = [one_line(u.text) for u in hostile_world.splits["toy"].utterances()]
    assert [row[1] for dialogue in panel["corpus"]["dialogues"] for row in dialogue["utterances"]] == texts
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", html)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_set_text_and_never_markup(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|</", source)


def test_a_large_board_is_one_small_file_soon(big_world: Any) -> None:
    """40 systems, 5 seeds, 3 datasets."""
    begin = time.process_time()
    html = build_report(big_world.board, big_world.store)
    assert time.process_time() - begin < 10
    assert len(html.encode()) < 5_000_000
    assert html.count("<tr data-system") == 3 * 3 * 40
