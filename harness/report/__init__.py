"""A leaderboard as one page for a browser, and as figures for a paper.

`build_report` makes the page from a `Leaderboard` and the runs behind it: tables that sort and filter, all pairs,
groups, labels, confusions, cost, seeds and variances, and, only if the corpora are given, their dialogues with every
system's label. `harness.report.figures` draws PDF and SVG with matplotlib.
"""

from harness.report.page import build_report

__all__ = ["build_report"]
