"""What the numbers of a published table contradict: its averages, its gains, its claims, and its source's other tables.

Everything is computed from the values as printed. A printed number that its values do not give may still come of values
with more digits; whether it can is part of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from harness.literature.files import Row, Table
from harness.literature.values import Literature
from harness.metrics import metric_title


@dataclass(frozen=True, slots=True)
class Slip:
    """One contradiction."""

    tables: tuple[str, ...]
    """SOURCE/KEY; two of a contradiction."""
    kind: Literal["average", "gain", "claim", "contradiction"]
    system: str
    metric: str
    printed: float | None
    """Percent; None of a claim."""
    computed: float | None
    """Percent, rounded like the printed one; None of a claim."""
    by_rounding: bool
    """Whether values with more digits than printed can give what is printed."""
    text: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number known up to half a unit of its last digit, in percent."""

    value: Decimal
    reach: Decimal


def find_slips(literature: Literature) -> tuple[Slip, ...]:
    """Returns every slip, in the order of the tables; contradictions between tables of one source come last."""
    own = (slip for table in literature.tables for slip in _slips_of(table, literature))
    return (*own, *_contradictions(literature))


def _slips_of(table: Table, literature: Literature) -> Iterator[Slip]:
    rows = {row.system: row for row in table.rows if not row.variant}
    cells = {system: cells_of(row, literature) for system, row in rows.items()}
    for row in table.rows:
        own = cells_of(row, literature)
        for metric, printed in row.average.items():
            what = f"average {metric_title(metric)} of {called(row)}"
            yield from _compare(table, literature, "average", row, metric, printed, _mean(own, metric), what)
    for gain in table.gains:
        row, better, worse = rows[gain.system], cells[gain.system], cells[gain.over]
        over = f"of {row.name} over {rows[gain.over].name}"
        for corpus, values in gain.values.items():
            for metric, printed in values.items():
                ratio = _ratio(better[corpus, metric], worse[corpus, metric])
                what = f"relative gain in {metric_title(metric)} on {corpus} {over}"
                yield from _compare(table, literature, "gain", row, metric, printed, ratio, what)
        for metric, printed in gain.average.items():
            ratio = _ratio(_mean(better, metric), _mean(worse, metric))
            what = f"relative gain in average {metric_title(metric)} {over}"
            yield from _compare(table, literature, "gain", row, metric, printed, ratio, what)
    for claim in table.claims:
        for (corpus, metric), number in cells[claim.system].items():
            higher = {
                rows[system].name: other[corpus, metric].value
                for system, other in cells.items()
                if system != claim.system and (corpus, metric) in other and other[corpus, metric].value >= number.value
            }
            if higher:
                listed = ", ".join(f"{name} {value}" for name, value in sorted(higher.items(), key=lambda i: -i[1]))
                text = (
                    f"{literature.cite(table)}: '{claim.says}', but its {metric_title(metric)} on {corpus}, "
                    f"{number.value}, is not above {listed}"
                )
                yield Slip((table.id,), "claim", claim.system, metric, None, None, False, text)


def _compare(
    table: Table, literature: Literature, kind: Literal["average", "gain"], row: Row, metric: str, printed: Decimal,
    computed: Number, what: str,
) -> Iterator[Slip]:  # fmt: skip
    """Yields a slip if a printed number is not what its values give, rounded either way."""
    half = _half_unit(printed)
    difference = abs(printed - computed.value)
    if difference > half:
        by_rounding = difference <= half + computed.reach
        shown = round(computed.value, -_exponent(printed))
        cause = " (more digits than printed can give it)" if by_rounding else ""
        text = f"{literature.cite(table)}: {what} is printed as {printed}, its values give {shown}{cause}"
        yield Slip((table.id,), kind, row.system, metric, float(printed), float(shown), by_rounding, text)


def _contradictions(literature: Literature) -> Iterator[Slip]:
    """Yields what one source prints in two ways: of the same system, variant, data and metric."""
    first: dict[tuple[str, ...], tuple[Table, Decimal]] = {}
    for table in literature.tables:
        for row in table.rows:
            for (corpus, metric), number in cells_of(row, literature).items():
                key = (table.source, row.system, row.variant, corpus, metric)
                other, before = first.setdefault(key, (table, number.value))
                if before != number.value:
                    what = f"{metric_title(metric)} on {corpus} of {called(row)}"
                    text = f"{literature.cite(table)}: {what} is {number.value}, in {other.name} it is {before}"
                    tables = (other.id, table.id)
                    values = (float(number.value), float(before))
                    yield Slip(tables, "contradiction", row.system, metric, *values, False, text)


def called(row: Row) -> str:
    """Returns the name of a row, with its variant."""
    return f"{row.name} ({row.variant})" if row.variant else row.name


def cells_of(row: Row, literature: Literature) -> Mapping[tuple[str, str], Number]:
    """Returns the values of a row by corpus and metric."""
    return {
        (literature.protocols[protocol].corpus, metric): Number(value, _half_unit(value))
        for protocol, values in row.values.items()
        for metric, value in values.items()
    }


def _mean(cells: Mapping[tuple[str, str], Number], metric: str) -> Number:
    """Returns the mean over the corpora that have the metric."""
    numbers = [number for (_, name), number in cells.items() if name == metric]
    value = sum((number.value for number in numbers), Decimal()) / len(numbers)
    return Number(value, sum((number.reach for number in numbers), Decimal()) / len(numbers))


def _ratio(better: Number, worse: Number) -> Number:
    """Returns the relative gain in percent."""
    value = 100 * (better.value / worse.value - 1)
    highest = 100 * ((better.value + better.reach) / (worse.value - worse.reach) - 1)
    return Number(value, highest - value)


def _half_unit(printed: Decimal) -> Decimal:
    """Returns half a unit of the last printed digit: 0.005 for 63.50."""
    return Decimal(5).scaleb(_exponent(printed) - 1)


def _exponent(printed: Decimal) -> int:
    return int(printed.as_tuple().exponent)
