"""Tail probabilities and quantiles of the t distribution, and binomial tails, from the standard library."""

from __future__ import annotations

import math
from statistics import NormalDist

SMALL = 1e-300
STEPS = 10_000
"""Terms of the continued fraction at most; some hundreds are needed at thousands of degrees of freedom."""


def beta_tail(x: float, rest: float, a: float, b: float) -> float:
    """Returns the regularised incomplete beta function I_x(a, b); `rest` is 1 - x, which the caller has exactly.

    Source: Abramowitz & Stegun 1964, 26.5.8 (continued fraction, evaluated by Lentz's method) and 26.5.2 (symmetry).
    """
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_tail(rest, x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)) / a
    c, d = 1.0, 1 / _away_from_0(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_0(1 + term * d)
            c = _away_from_0(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * value


def t_two_sided(t: float, df: float) -> float:
    """Returns P(|T| >= |t|) for T with a t distribution. Source: Abramowitz & Stegun 1964, 26.7.1."""
    return beta_tail(df / (df + t * t), t * t / (df + t * t), df / 2, 0.5)


def t_quantile(alpha: float, df: float) -> float:
    """Returns the t that |T| exceeds with probability alpha, by Newton's method from the normal quantile.

    The tail is convex there and the start lies below the root, so that the steps rise to it and never pass it.
    """
    t = NormalDist().inv_cdf(1 - alpha / 2)
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    for _ in range(STEPS):
        density = math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (t_two_sided(t, df) - alpha) / (2 * density)
        t += step
        if abs(step) < 1e-13 * t:
            break
    return t


def sign_test(b: int, c: int) -> float:
    """Returns min(1, 2 P(Bin(b + c, 1/2) <= min(b, c))), exactly."""
    ways = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    return min(1.0, float(2 * ways / 2 ** (b + c)))


def _away_from_0(x: float) -> float:
    return x if abs(x) > SMALL else SMALL
