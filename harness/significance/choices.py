"""Which tests and corrections exist, which go together, and which could not reject anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import ndtri

from harness.errors import ConfigError
from harness.metrics.confusion import FloatArray
from harness.significance.corrections import benjamini_hochberg, bonferroni, holm, no_correction
from harness.significance.estimates import PairFamily
from harness.significance.intervals import check_replicates, t_p_value
from harness.significance.pair_tests import PairTest, sign_flip
from harness.significance.replicate_intervals import FROM_REPLICATES
from harness.significance.resampling_tests import crossed_bootstrap, exact_swap, mcnemar_exact, shifted_bootstrap
from harness.significance.studentised import bootstrap_t

TestFunction = Callable[[PairFamily, int, int, bool], PairTest]
"""(pairs, n_resamples, seed, whether max-T is wanted) -> p-values."""


def _sign_flip(family: PairFamily, n_resamples: int, seed: int, step_down: bool) -> PairTest:
    rows = family.panel.contributions
    return sign_flip(rows, family.first, family.second, n_resamples=n_resamples, seed=seed, step_down=step_down)


def _bootstrap_t(family: PairFamily, n_resamples: int, seed: int, step_down: bool) -> PairTest:
    return bootstrap_t(family, n_resamples, seed, step_down=step_down)


def _swap(family: PairFamily, n_resamples: int, seed: int, _step_down: bool) -> PairTest:
    return exact_swap(family, n_resamples, seed)


def _shifted(family: PairFamily, n_resamples: int, seed: int, _step_down: bool) -> PairTest:
    return shifted_bootstrap(family, n_resamples, seed)


def _crossed(family: PairFamily, n_resamples: int, seed: int, _step_down: bool) -> PairTest:
    return crossed_bootstrap(family, n_resamples, seed)


def _mcnemar(family: PairFamily, _n_resamples: int, _seed: int, _step_down: bool) -> PairTest:
    return mcnemar_exact(family)


def _t_test(family: PairFamily, _n_resamples: int, _seed: int, _step_down: bool) -> PairTest:
    return PairTest(t_p_value(family.estimates.value, family.estimates.se, family.estimates.df), None, 0)


TESTS: Mapping[str, Mapping[str, TestFunction]] = {
    "checkpoint": {
        "sign-flip": _sign_flip,
        "t": _t_test,
        "bootstrap-t": _bootstrap_t,
        "swap": _swap,
        "shifted-bootstrap": _shifted,
        "mcnemar": _mcnemar,
    },
    "procedure": {"satterthwaite": _t_test, "crossed-bootstrap": _crossed},
}
"""Per scope, the tests by name; the first is the default."""

MAX_T = "max-t"
WITH_MAX_T = ("sign-flip", "bootstrap-t")
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


def critical_value(pair_test: PairTest, correction: str, alpha: float) -> float:
    """Returns how many standard errors a difference needs to be rejected while all others are 0; nan without pairs.

    After max-T the 1 - alpha quantile of the largest null |T|, otherwise a normal quantile.
    """
    n_pairs = pair_test.p_value.size
    if not n_pairs:
        return math.nan
    if correction == MAX_T and pair_test.largest is not None:
        return float(np.quantile(pair_test.largest, 1 - alpha))
    n_joint = n_pairs if correction in {"holm", "bonferroni", "benjamini-hochberg"} else 1
    return float(ndtri(1 - alpha / (2 * n_joint)))


def check_interval(scope: str, interval: str, n_resamples: int, alpha: float) -> None:
    """Refuses an interval that does not exist in this scope, or that so few replicates cannot give.

    Raises:
        ConfigError: see above.
    """
    allowed = ("t", *FROM_REPLICATES, "bootstrap-t") if scope == "checkpoint" else ("t",)
    if interval not in allowed:
        raise ConfigError(f"interval is {interval!r}; allowed in {scope} scope: {', '.join(allowed)}")
    if interval != "t":
        check_replicates(n_resamples, alpha)


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
