"""Published results as data, with where each number comes from: nobody here has the predictions behind them.

`load_literature` reads every table that comes with the package, and further files; a `Literature` finds values by
corpus, system and metric. `find_mismatches` says why a published value does not compare with a result of ours,
`find_slips` what a table's own numbers contradict. Knows no run and no board.
"""

from harness.literature.mismatches import Mismatch, Setting, find_mismatches
from harness.literature.reading import load_literature
from harness.literature.slips import Slip, find_slips
from harness.literature.values import Literature, PublishedValue

__all__ = [
    "Literature",
    "Mismatch",
    "PublishedValue",
    "Setting",
    "Slip",
    "find_mismatches",
    "find_slips",
    "load_literature",
]
