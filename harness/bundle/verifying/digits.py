"""How numbers are printed: fractions come in, percent goes out."""

from __future__ import annotations

DASH = "–"
"""Stands for a number that does not exist."""


def settle(number: float) -> float:
    """Returns a number at ten significant digits: beyond these, machines differ."""
    return float(f"{number:.10g}")


def percent(share: float | None, digits: int = 2) -> str:
    """Returns a fraction in percent: 0.5812 as "58.12"."""
    return DASH if share is None else f"{100 * (round(settle(share), digits + 2) + 0.0):.{digits}f}"


def points(difference: float | None) -> str:
    """Returns a difference in points, with its sign: "+1.20"."""
    shown = percent(difference)
    return shown if difference is None or shown.startswith("-") or float(shown) == 0 else f"+{shown}"


def p_value(p: float | None) -> str:
    """Returns "<0.001", "0.004" or "0.92"."""
    if p is None:
        return DASH
    settled = settle(p)
    return "<0.001" if settled < 0.001 else f"{settled:.{3 if settled < 0.0995 else 2}f}"


def interval(low: float | None, high: float | None) -> str:
    """Returns "[56.3, 59.9]"; "" if there is none."""
    return "" if low is None or high is None else f"[{percent(low, 1)}, {percent(high, 1)}]"


def half_width(score: float, low: float | None, high: float | None) -> str:
    """Returns the longer side of an interval in points; "" if there is none."""
    return "" if low is None or high is None else percent(max(high - score, score - low), 1)


def coverage(share: float) -> str:
    """Returns a share in percent, "100.0" only where nothing is missing."""
    return percent(share if share >= 1 else min(share, 0.999), 1)


def span(low: int | None, high: int | None) -> str:
    """Returns "2", or "1–3"."""
    if low is None or high is None:
        return DASH
    return str(low) if low == high else f"{low}–{high}"


def level(alpha: float) -> str:
    """Returns "95%" for 0.05."""
    return f"{100 * (1 - alpha):.6g}%"


def metric(name: str, value: float | None) -> str:
    """Returns a metric: in percent, or with four decimals where it is no fraction."""
    if name in ("brier", "nll") and value is not None:
        return f"{settle(value):.4f}"
    return percent(value)
