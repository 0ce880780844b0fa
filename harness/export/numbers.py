"""How numbers are printed: every exporter for people shows the same digits. Fractions come in, percent goes out."""

from __future__ import annotations

import math

from harness.metrics import NOT_FRACTIONS

MISSING = "–"
"""Stands for a number that does not exist."""


DIGITS = 10
"""Significant digits that count: more than any score carries, fewer than where platforms differ."""


def settle(number: float) -> float:
    """Returns a finite number without the digits in which platforms differ: what is stored, and then rounded."""
    return float(f"{number:.{DIGITS}g}")


def percent(share: float, digits: int = 2) -> str:
    """Returns a fraction in percent: 0.58123 as "58.12".

    Rounds the fraction, as the rule for tied best scores does, so that tied scores print alike.
    """
    if not math.isfinite(share):
        return MISSING
    return f"{100 * (round(settle(share), digits + 2) + 0.0):.{digits}f}"  # + 0.0 turns -0.0 into 0.0


def metric(name: str, value: float) -> str:
    """Returns a metric: in percent if it is a fraction, else as it is, with four decimals."""
    if name not in NOT_FRACTIONS:
        return percent(value)
    return f"{settle(value):.4f}" if math.isfinite(value) else MISSING


def points(difference: float | None) -> str:
    """Returns a difference of fractions in percent points with its sign: "-1.64", "+0.20"."""
    if difference is None:
        return MISSING
    shown = percent(difference)
    return shown if shown.startswith("-") or float(shown) == 0 else f"+{shown}"


def p_value(p: float | None) -> str:
    """Returns a p-value: "<0.001", "0.004", "0.92"."""
    if p is None:
        return MISSING
    settled = settle(p)
    return "<0.001" if settled < 0.001 else f"{settled:.{3 if settled < 0.0995 else 2}f}"


def interval(low: float, high: float) -> str:
    """Returns an interval in percent: "[56.3, 59.9]"; "" if there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{percent(low, 1)}, {percent(high, 1)}]"


def half_width(score: float, low: float, high: float) -> str:
    """Returns how far the interval reaches from the score, on its longer side, in percent points; "" if nowhere."""
    reach = max(high - score, score - low)
    return percent(reach, 1) if math.isfinite(reach) else ""


def coverage(share: float) -> str:
    """Returns a share of answered targets in percent; "100.0" only if none is missing."""
    return percent(share if share >= 1 else min(share, 0.999), 1)


def rank_set(low: int | None, high: int | None) -> str:
    """Returns the ranks that the tests leave open: "2", or "1–3"."""
    if low is None or high is None:
        return MISSING
    return str(low) if low == high else f"{low}–{high}"


def count_range(counts: list[int], noun: str) -> str:
    """Returns how many there are: "1 seed", "5 seeds", or "1–5 seeds"."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{rank_set(low, high)} {noun}{'' if high == 1 else 's'}"


def level(alpha: float) -> str:
    """Returns the level of the intervals: "95%" for 0.05."""
    return f"{100 * (1 - alpha):.6g}%"
