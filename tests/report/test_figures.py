"""Figures for a paper: files of the right kind with the right text and numbers in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.errors import MissingDependencyError
from harness.export import numbers
from harness.report.figures import FIGURES, draw_figures, pareto_front

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'erc-harness[plots]'")


@pytest.fixture(scope="module")
def files(world: Any) -> dict[str, bytes]:
    return draw_figures(world.board, world.store)


def texts(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]


def only_first(board: Any) -> Any:
    """A board with its first dataset alone."""
    name = board.datasets[0].dataset
    pairs = tuple(pair for pair in board.comparisons if pair.dataset == name)
    return replace(board, datasets=board.datasets[:1], entries=board.of_dataset(name), comparisons=pairs)


def test_every_figure_is_there_as_pdf_and_svg(files: dict[str, bytes]) -> None:
    wanted = {
        f"{name}-{figure}.{kind}" for name in ("first", "second") for figure in FIGURES for kind in ("pdf", "svg")
    }
    assert set(files) == wanted
    assert all(content.startswith(b"%PDF-") for name, content in files.items() if name.endswith(".pdf"))


def test_numbers_are_those_of_the_board(files: dict[str, bytes], world: Any) -> None:
    drawn = texts(files["first-pairs.svg"])
    pairs = [pair for pair in world.board.comparisons if pair.dataset == "first"]
    assert [text for text in drawn if text[0] in "+-" or text == "0.00"] == [
        numbers.points(pair.difference) for pair in pairs
    ]
    names = texts(files["first-groups.svg"])
    assert {entry.name[:39] for entry in world.board.of_dataset("first")} <= {name.rstrip("…") for name in names}
    assert set("".join(entry.letters for entry in world.board.of_dataset("first"))) <= set(names)


def test_the_same_board_gives_the_same_files(files: dict[str, bytes], world: Any) -> None:
    again = draw_figures(only_first(world.board), world.store)
    assert again == {name: content for name, content in files.items() if name.startswith("first-")}


def test_what_tex_and_xml_would_read_stays_text(world: Any) -> None:
    titled = replace(world.board.entries[0], title=r"<b>$x^2_{1}$ & \frac{1} 100%</b>")
    board = only_first(replace(world.board, entries=(titled, *world.board.entries[1:])))
    drawn = texts(draw_figures(board, world.store)["first-groups.svg"])
    assert titled.title in drawn


def test_the_front_holds_what_nothing_cheaper_equals() -> None:
    assert pareto_front([(1, 50), (1, 40), (2, 50), (3, 60), (4, 55), (5, 61)]) == [0, 3, 5]
    assert pareto_front([]) == []


def test_without_matplotlib_it_says_what_to_install(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'erc-harness\[plots\]'"):
        draw_figures(world.board, world.store)
