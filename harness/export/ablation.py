"""An ablation: rows are variants, with their difference to the full system on each dataset and on average."""

from __future__ import annotations

from collections.abc import Sequence

from harness.export import numbers
from harness.export.datasets import AVERAGE, describe_averages
from harness.export.grid import Cell, Grid, Head, data_lines, notes_of
from harness.export.rows import SCOPES, describe_test, make_tables
from harness.leaderboard.ablation import Ablation, Variant, make_ablation
from harness.leaderboard.leaderboard import Leaderboard

DIFFERENT = "†"


def ablation_grids(board: Leaderboard, full: str | None) -> tuple[Grid, ...]:
    """Returns one table; raises as `make_ablation`."""
    ablation, tables = make_ablation(board, full), make_tables(board)
    several = len(tables) > 1
    places = [header.dataset for header in board.datasets] + ([""] if board.averages else [])
    heads = [Head("Variant", "name")]
    for place in places:
        titles = (board.metric_title, "Δ", f"{numbers.level(board.alpha)} interval", *([] if several else ["p adj"]))
        heads += [
            Head(title, "centre" if "interval" in title else "right", (place or AVERAGE) if several else "")
            for title in titles
        ]
    by_place = [{v.predictor: v for v in ablation.variants if v.dataset == place} for place in places]
    names = dict.fromkeys([ablation.full, *(name for variants in by_place for name in variants)])
    return (
        Grid(
            label=f"{board.board}-ablation",
            title=f"{board.title}: ablation",
            heads=tuple(heads),
            lines=tuple(
                (Cell(name), *(cell for variants in by_place for cell in _cells(variants.get(name), several)))
                for name in names
            ),
            caption=(
                *_about(board, ablation),
                *(describe_averages(board, ablation.correction) if several else ()),
                *data_lines(tables),
            ),
            signature=board.signature,
            notes=notes_of(tables),
        ),
    )


def _about(board: Leaderboard, ablation: Ablation) -> Sequence[str]:
    mean = ", mean over seeds" if any(entry.n_seeds > 1 for entry in board.entries) else ""
    where = "the variants of a dataset" if len(board.datasets) > 1 else "all variants"
    return (
        f"{board.metric_title} in percent{mean}. Δ: points more than {ablation.full!r}, with the interval of this one "
        "difference.",
        f"{DIFFERENT}: different from it. {describe_test(board, board.test_title, ablation.correction, where)}. "
        f"Scope: {SCOPES.get(board.scope, board.scope)}.",
    )


def _cells(variant: Variant | None, several: bool) -> list[Cell]:
    if variant is None:
        return [Cell(numbers.MISSING)] * (3 if several else 4)
    interval = None if variant.low is None or variant.high is None else (variant.low, variant.high)
    return [
        Cell(numbers.percent(variant.score)),
        Cell(numbers.points(variant.difference), raised=DIFFERENT if variant.different else ""),
        Cell(numbers.MISSING if interval is None else numbers.interval(*interval)),
        *([] if several else [Cell(numbers.p_value(variant.p_adjusted))]),
    ]
