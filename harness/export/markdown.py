"""A leaderboard for a README or a pull request: GitHub Markdown, one table a dataset."""

from __future__ import annotations

from tabulate import tabulate

from harness.export.escape import escape_markdown, markdown_code
from harness.export.rows import Row, Table, describe_scores, describe_tests, make_tables, other_titles
from harness.leaderboard.leaderboard import Leaderboard

LEGEND = (
    "Rank: the places that the tests leave open. Predictors that share a letter are not separable. "
    "**Bold**: highest score, ties included. †: not separable from the best. "
    "Coverage: percent of utterances with a usable label."
)


def to_markdown(board: Leaderboard) -> str:
    """Returns the board as Markdown: a heading, a table with notes and signature for each dataset, and the legend."""
    parts = [f"## {escape_markdown(board.title)}"]
    for table in make_tables(board):
        parts += _table(table, board)
    caption = f"{escape_markdown(describe_scores(board))}. {escape_markdown(describe_tests(board))}. {LEGEND}"
    return "\n\n".join([*parts, caption]) + "\n"


def _table(table: Table, board: Leaderboard) -> list[str]:
    header = table.header
    others = [escape_markdown(title) for title in other_titles(board)]
    metric = f"{escape_markdown(board.metric_title)} % [low, high]"
    grid = tabulate(
        [_cells(row) for row in table.rows],
        headers=["Rank", "Predictor", metric, "Letters", "Seeds", "Coverage", "Context", *others],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=("left", "left", "left", "left", "right", "right", "left", *("right" for _ in others)),
    )
    about = f"**{escape_markdown(header.dataset)}**, {escape_markdown(header.split)}: {table.size}"
    notes = [f"> **Note:** {escape_markdown(warning)}" for warning in header.warnings]
    return [about, grid, *notes, f"Signature: {markdown_code(header.signature)}"]


def _cells(row: Row) -> list[str]:
    score = f"**{row.score}**" if row.best else row.score
    marked = " ".join(part for part in (score, row.interval, "†" if row.top else "") if part)
    predictor, letters, context = (escape_markdown(text) for text in (row.predictor, row.letters, row.context))
    return [row.rank, predictor, marked, letters, row.seeds, row.coverage, context, *row.others]
