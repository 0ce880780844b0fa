"""Which tests and corrections exist, which go together, and which could not reject anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray
from harness.significance.corrections import benjamini_hochberg, bonferroni, holm, no_correction
from harness.significance.estimates import PairFamily
from harness.significance.intervals import t_p_value
from harness.significance.pair_tests import PairTest, sign_flip

TestFunction = Callable[[PairFamily, int, int, bool], PairTest]
"""(pairs, n_resamples, seed, whether max-T is wanted) -> p-values."""


def _sign_flip(family: PairFamily, n_resamples: int, seed: int, step_down: bool) -> PairTest:
    return sign_flip(
        family.panel.contributions,
        family.first,
        family.second,
        n_resamples=n_resamples,
        seed=seed,
        step_down=step_down,
    )


def _t_test(family: PairFamily, _n_resamples: int, _seed: int, _step_down: bool) -> PairTest:
    return PairTest(t_p_value(family.estimates.value, family.estimates.se, family.estimates.df), None, 0)


TESTS: Mapping[str, Mapping[str, TestFunction]] = {
    "checkpoint": {"sign-flip": _sign_flip, "t": _t_test},
    "procedure": {"satterthwaite": _t_test},
}
"""Per scope, the tests by name; the first is the default."""

MAX_T = "max-t"
WITH_MAX_T = ("sign-flip",)
"""The tests that can be corrected by max-T, which then is their default."""

CORRECTIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "holm": holm,
    "bonferroni": bonferroni,
    "benjamini-hochberg": benjamini_hochberg,
    "none": no_correction,
}
"""Corrections of p-values alone; the first is the default."""


def resolve(scope: str, test: str | None, correction: str | None) -> tuple[str, str]:
    """Returns test and correction with defaults filled in.

    Raises:
        ConfigError: an unknown name, or two that do not go together.
    """
    if scope not in TESTS:
        raise ConfigError(f"scope is {scope!r}; allowed: {', '.join(TESTS)}")
    test = test or next(iter(TESTS[scope]))
    if test not in TESTS[scope]:
        raise ConfigError(f"test is {test!r}; allowed in {scope} scope: {', '.join(TESTS[scope])}")
    allowed = (MAX_T, *CORRECTIONS) if test in WITH_MAX_T else tuple(CORRECTIONS)
    correction = correction or allowed[0]
    if correction not in allowed:
        raise ConfigError(f"correction is {correction!r}; allowed with test {test!r}: {', '.join(allowed)}")
    return test, correction


def check_resolution(pair_test: PairTest, correction: str, alpha: float) -> None:
    """Refuses a correction that could reject nothing, whatever the data.

    Raises:
        ConfigError: the smallest p-value the test can give stays above alpha once corrected.
    """
    n_pairs = pair_test.p_value.size
    if not pair_test.n_resamples or not n_pairs:
        return
    smallest = 1 / (pair_test.n_resamples + (0 if pair_test.exact else 1))
    factor = n_pairs if correction in {"holm", "bonferroni"} else 1
    if smallest * factor <= alpha:
        return
    remedies = [] if pair_test.exact else [f"n_resamples={math.ceil(factor / alpha) - 1} or more"]
    if factor > 1:
        remedies.append("correction='max-t' with test='sign-flip'")
    raise ConfigError(
        f"correction {correction!r} over {n_pairs} pairs can reject nothing at alpha={alpha!r}: the smallest resampled "
        f"p is {smallest:.2g}; use {' or '.join(remedies) or 'a split with more dialogues'}"
    )
