"""The tables of a leaderboard for a spreadsheet or a data frame: CSV, numbers in full and as fractions.

`harness.leaderboard.columns` lists the columns of each table with what they hold. A number that does not exist is an
empty cell, a flag is `true` or `false`.
"""

from __future__ import annotations

import csv
import math
from io import StringIO

from harness.export.escape import escape_csv
from harness.export.numbers import settle
from harness.leaderboard.frames import Records


def to_csv(records: Records) -> str:
    """Returns a table as CSV with a header line."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([escape_csv(column.name) for column in records.columns])
    for row in records.rows:
        writer.writerow([csv_cell(row[column.name]) for column in records.columns])
    return file.getvalue()


def csv_cell(value: object) -> str:
    """Returns a value as a cell: numbers in full, nothing for what does not exist."""
    if isinstance(value, str):
        return escape_csv(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(settle(value)) if math.isfinite(value) else ""
    return "" if value is None else str(value)
