"""The page in a real browser: it sorts, filters, opens pairs and dialogues, complains of nothing, and is accessible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser

MakePage = Callable[..., Path]

ROWS = "#panel-0 table[data-grid=ranking] tbody tr:not([hidden])"
NAMES = f"[...document.querySelectorAll('{ROWS} a.name')].map(a => a.textContent)"


@pytest.fixture
def opened(browser: Browser, world: Any, make_page: MakePage) -> Browser:
    """The page of the made-up world with its dialogues, in a window of a desk."""
    return open_page(browser, make_page(world, True))


def open_page(browser: Browser, path: Path, **look: Any) -> Browser:
    browser.complaints.clear()
    browser.requests.clear()
    browser.look(look.pop("width", 1280), 900, **look)
    browser.open(path)
    return browser


def click(browser: Browser, selector: str) -> None:
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")


def choose(browser: Browser, selector: str, value: object) -> None:
    """Sets a field as a reader does, events included."""
    browser.run(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(value)};"
        " for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


def press_head(browser: Browser, title: str) -> str:
    """Presses the button of a column, and returns the order that it then claims."""
    return str(
        browser.run(
            "(() => { const head = [...document.querySelectorAll('#panel-0 table[data-grid=ranking] thead th')]"
            f".find(th => th.querySelector('button')?.textContent === {json.dumps(title)});"
            " head.querySelector('button').click(); return head.getAttribute('aria-sort'); })()"
        )
    )


def test_columns_sort_both_ways_with_missing_values_last(opened: Browser, world: Any) -> None:
    entries = world.board.of_dataset("first")
    assert opened.run(NAMES) == [entry.name for entry in entries]
    assert press_head(opened, "macro-F1") == "descending"
    ranked = sorted(entries, key=lambda entry: -entry.metrics["macro_f1"])
    assert opened.run(NAMES) == [entry.name for entry in ranked]
    assert press_head(opened, "macro-F1") == "ascending"
    assert opened.run(NAMES) == [entry.name for entry in reversed(ranked)]
    assert press_head(opened, "System") == "ascending"
    assert opened.run(NAMES) == sorted(entry.name for entry in entries)
    for _ in range(2):
        press_head(opened, "Parameters")
        silent = {"asked", "forgetful", "a-rather-long-name-for-simple-0", "simple-5"}  # they do not tell
        assert set(opened.run(NAMES)[-len(silent) :]) == silent


def test_published_values_sort_apart_and_no_filter_hides_them(opened: Browser, world: Any) -> None:
    lines = "#panel-0 table[data-grid=published] tbody tr:not([hidden])"
    texts = f"[...document.querySelectorAll('{lines} th')].map(th => th.textContent.trim())"
    ranked = opened.run(NAMES)
    assert opened.run(texts) == ["EARLY [1]", "LATE"]
    opened.run("document.querySelector('#panel-0 table[data-grid=published] thead th:nth-child(2) button').click()")
    assert opened.run(texts) == ["LATE", "EARLY [1]"]
    assert opened.run(NAMES) == ranked
    choose(opened, "#panel-0 [name=name]", "asked")
    assert opened.run(NAMES) == ["asked"]
    assert opened.run(texts) == ["LATE", "EARLY [1]"]
    assert opened.run("document.querySelectorAll('table[data-grid=published] a').length") == 0


def test_filters_narrow_tables_and_figures(opened: Browser, world: Any) -> None:
    entries = world.board.of_dataset("first")
    choose(opened, "#panel-0 [name=name]", "RATHER-LONG")
    wanted = [entry.name for entry in entries if "rather-long" in entry.name]
    assert opened.run(NAMES) == wanted
    output = "document.querySelector('#panel-0 .filters output').textContent"
    assert opened.run(output) == f"{len(wanted)} of {len(entries)} systems"
    assert opened.run("document.querySelectorAll('#panel-0 .matrix tbody tr').length") == len(wanted)
    assert opened.run("document.querySelectorAll('#panel-0 [data-figure=groups] .mark').length") == len(wanted)
    choose(opened, "#panel-0 [name=name]", "")
    choose(opened, "#panel-0 [name=context]", "full")
    assert opened.run(NAMES) == [entry.name for entry in entries if entry.context == "full"]
    choose(opened, "#panel-0 [name=context]", "")
    click(opened, "#panel-0 [name=top]")
    assert opened.run(NAMES) == [entry.name for entry in entries if entry.top]
    choose(opened, "#panel-0 [name=name]", "nobody is called so")
    assert opened.run(NAMES) == []
    assert opened.complaints == []


def test_a_pair_opens_with_its_numbers(opened: Browser, world: Any) -> None:
    data = json.loads(opened.run("document.getElementById('data').textContent"))
    panel = data["panels"][0]
    pair = panel["pairs"][10]
    click(opened, f"#panel-0 .matrix td[data-a='{pair['a']}'][data-b='{pair['b']}']")
    shown = opened.run("document.querySelector('#panel-0 .detail').innerText")
    assert all(panel["systems"][pair[key]]["name"] in shown for key in ("a", "b"))
    assert all(text in shown for text in pair["shown"])
    assert ("cannot tell" in shown) is not pair["different"]


def test_a_pair_is_reached_and_opened_with_keys_alone(opened: Browser) -> None:
    for _ in range(200):
        opened.press("Tab")
        if opened.run("document.activeElement.closest('.matrix') !== null"):
            break
    focus = "[document.activeElement.dataset.a, document.activeElement.dataset.b].map(Number)"
    assert opened.run(focus) == [0, 1]
    opened.press("ArrowRight")
    assert opened.run(focus) == [0, 2]
    opened.press("ArrowDown")
    opened.press("ArrowDown")  # over the diagonal or not, it stays in the column
    assert opened.run(focus)[1] == 2
    opened.press("ArrowLeft")
    a, b = opened.run(focus)
    opened.press("Enter")
    names = opened.run(f"[{min(a, b)}, {max(a, b)}].map(i => JSON.parse(data.textContent).panels[0].systems[i].name)")
    title = opened.run("document.querySelector('#panel-0 .detail h4').textContent")
    assert all(name in title for name in names)


def test_tabs_show_one_dataset_at_a_time(opened: Browser) -> None:
    hidden = "[...document.querySelectorAll('.panel')].map(panel => panel.hidden)"
    assert opened.run(hidden) == [False, True]
    opened.run("document.getElementById('tab-0').focus()")
    opened.press("ArrowRight")
    assert opened.run(hidden) == [True, False]
    assert opened.run("document.activeElement.id") == "tab-1"
    assert opened.run("document.querySelectorAll('#panel-1 .matrix td').length") > 0


def test_a_name_opens_its_system(opened: Browser) -> None:
    click(opened, "#panel-0 table[data-grid=ranking] tbody tr:nth-child(3) a.name")
    name = opened.run(f"{NAMES}[2]")
    assert opened.run("document.querySelector('#panel-0 [data-figure=confusion] h4').textContent").startswith(name)


def test_dialogues_are_found_where_one_is_right_and_the_other_wrong(opened: Browser, world: Any) -> None:
    entries, split = world.board.of_dataset("first"), world.splits["first"]
    right = []
    for entry in entries[:2]:
        given = world.store.find(entry.runs[0]).predictions()
        right.append({u for u, gold in split.gold.items() if given[u].label == gold})
    wanted = right[0] - right[1]
    choose(opened, "#panel-0 [data-figure=dialogues] label:nth-of-type(3) select", "right_wrong")
    found = "document.querySelector('#panel-0 [data-figure=dialogues] output').textContent"
    n_dialogues = len({u.partition("-")[0] for u in wanted})
    assert opened.run(found) == f"{len(wanted)} utterances in {n_dialogues} dialogues"
    speakers = {u.id: u.speakers[0] for u in split.utterances()}
    choose(opened, "#panel-0 [data-figure=dialogues] label:nth-of-type(6) select", "SECRET speaker 1")
    assert opened.run(found).startswith(f"{sum(speakers[u] == 'SECRET speaker 1' for u in wanted)} utterances")
    click(opened, "#panel-0 .hit details summary")
    opened.wait("document.querySelector('#panel-0 .hit details dl') !== null")
    named = opened.run("document.querySelector('#panel-0 .hit details dl').innerText")
    assert all(entry.name in named for entry in entries)
    assert opened.complaints == []


def test_a_pair_leads_to_its_dialogues(opened: Browser) -> None:
    click(opened, "#panel-0 .matrix td[data-a='2'][data-b='5']")
    click(opened, "#panel-0 .detail button")
    fields = "[...document.querySelectorAll('#panel-0 [data-figure=dialogues] select')].slice(0, 3)"
    assert opened.run(f"{fields}.map(field => field.value)") == ["2", "5", "right_wrong"]


def test_it_complains_of_nothing_and_asks_nobody(opened: Browser) -> None:
    for selector in ("#tab-1", "#tab-0", "#panel-0 [name=top]", "#panel-0 .matrix td[data-a]"):
        click(opened, selector)
    assert opened.complaints == []
    assert [request.rpartition("/")[2] for request in opened.requests] == ["index.html"]


def test_hostile_text_runs_nothing(browser: Browser, hostile_world: Any, make_page: MakePage) -> None:
    open_page(browser, make_page(hostile_world, True))
    for i in range(len(hostile_world.board.entries)):
        click(browser, f"#panel-0 tbody tr:nth-child({i + 1}) a.name")
        click(browser, ".hit details summary")
    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.run("document.querySelectorAll('img, main script').length") == 0
    assert browser.complaints == []


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 390, "phone": True}], ids=["desk", "dark", "phone"])
def test_axe_finds_no_serious_problem(
    browser: Browser, world: Any, make_page: MakePage, axe: str, look: dict[str, Any]
) -> None:
    open_page(browser, make_page(world, True), **look)
    browser.send("Runtime.evaluate", expression=axe)
    found = browser.run("axe.run(document).then(done => JSON.stringify(done.violations))")
    problems = [
        (problem["id"], problem["impact"], [node["html"][:200] for node in problem["nodes"][:3]])
        for problem in json.loads(found)
        if problem["impact"] in ("serious", "critical")
    ]
    assert problems == []


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, world: Any, make_page: MakePage) -> None:
    open_page(browser, make_page(world, True), width=390, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_a_large_board_is_there_within_a_second(browser: Browser, big_world: Any, make_page: MakePage) -> None:
    """40 systems on 3 datasets; the page's own time, whatever else the machine is doing."""
    browser.send("Performance.enable", timeDomain="threadTicks")
    open_page(browser, make_page(big_world, False))
    assert browser.run("document.querySelectorAll('#panel-0 .matrix td[data-a]').length") == 40 * 39
    metrics = {m["name"]: m["value"] for m in browser.send("Performance.getMetrics")["metrics"]}
    browser.send("Performance.disable")
    assert 0 < metrics["ScriptDuration"] + metrics["LayoutDuration"] + metrics["RecalcStyleDuration"] < 1
    assert browser.complaints == []
