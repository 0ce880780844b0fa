"""Tests known by name to reviewers, offered beside the defaults."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr

from harness.errors import ConfigError
from harness.metrics import Totals
from harness.metrics.confusion import FloatArray, IntArray
from harness.significance.bootstrap import bootstrap_scores, count_matrix
from harness.significance.corrections import Exceedances
from harness.significance.crossed import crossed_scores
from harness.significance.estimates import PairFamily
from harness.significance.pair_tests import ENUMERATE_UP_TO, PairTest, all_signs, random_signs
from harness.significance.streams import BLOCK, SWAPS

PAIRS_AT_ONCE = 16


def exact_swap(family: PairFamily, n_resamples: int, seed: int) -> PairTest:
    """Tests each pair by swapping the two systems' answers in whole dialogues (approximate randomisation).

    Null hypothesis: the two systems are exchangeable within dialogues, which is more than equal scores. Unit: the
    dialogue. The statistic is the absolute difference of the metric; p = (1 + #{>= observed})/(B + 1), or the share
    of all swaps up to 16 dialogues. Not studentised, so it takes no max-T: with few dialogues that would not hold.
    Source: Noreen 1989; Yeh 2000; Riezler & Maxwell 2005.
    """
    counts, metric, n_dialogues = count_matrix(family.panel.all_runs), family.panel.metric, family.panel.n_dialogues
    counter = Exceedances(np.abs(family.estimates.value), joint=False)
    first, second = family.first[counter.order], family.second[counter.order]
    exact = n_dialogues <= ENUMERATE_UP_TO
    patterns = all_signs(n_dialogues) if exact else random_signs(n_dialogues, n_resamples, seed, stream=SWAPS)
    for signs in patterns:
        kept, given = counts.resampled(signs.T > 0), counts.resampled(signs.T < 0)
        null = np.empty((first.size, signs.shape[1]))
        for start in range(0, first.size, PAIRS_AT_ONCE):
            pairs = slice(start, start + PAIRS_AT_ONCE)
            a, b = first[pairs], second[pairs]
            null[pairs] = metric.value(_swapped(kept, given, a, b)) - metric.value(_swapped(kept, given, b, a))
        counter.add(np.abs(null, out=null))
    return PairTest(counter.p_values(exact=exact)[0], None, 2 ** (n_dialogues - 1) if exact else n_resamples, exact)


def _swapped(kept: Totals, given: Totals, own: IntArray, other: IntArray) -> Totals:
    """Returns totals of systems `own` that keep some dialogues and take the rest from systems `other`."""

    def mixed(keeps: FloatArray, gives: FloatArray) -> FloatArray:
        # Gathered in the memory order of the product, replicates last, which sums over labels far faster.
        return (keeps.swapaxes(1, 2)[own] + gives.swapaxes(1, 2)[other]).swapaxes(1, 2)

    return Totals(mixed(kept.tp, given.tp), mixed(kept.pred, given.pred), kept.sup + given.sup)


def shifted_bootstrap(family: PairFamily, n_resamples: int, seed: int) -> PairTest:
    """Tests each pair by the bootstrap distribution of its difference, moved to 0.

    Null hypothesis: the two scores are equal in the population of dialogues. Unit: the dialogue. Assumes that the
    spread of the difference does not depend on its size; p = (1 + #{|d* - d| >= |d|})/(B + 1), centred before the
    absolute value is taken. Not studentised, so it takes no max-T.
    Source: Berg-Kirkpatrick, Burkett & Klein 2012; Riezler & Maxwell 2005.
    """
    scores = bootstrap_scores(family.panel.all_runs, family.panel.metric, n_resamples=n_resamples, seed=seed)
    return _centred_test(family, scores - family.panel.mean_score[:, None])


def crossed_bootstrap(family: PairFamily, n_resamples: int, seed: int) -> PairTest:
    """Tests each pair by the crossed bootstrap of dialogues and seeds, moved to 0.

    Null hypothesis: the two procedures score alike on average over dialogues and seeds. Unit: the dialogue and,
    independently per system, the seed. p as in `shifted_bootstrap`. Source: Owen & Eckles 2012.
    """
    scores = crossed_scores(family.panel, n_resamples=n_resamples, seed=seed)
    return _centred_test(family, scores - family.panel.mean_score[:, None])


def mcnemar_exact(family: PairFamily) -> PairTest:
    """Tests each pair by McNemar's exact test on utterances that only one of the two gets right.

    Null hypothesis: among these, either is right as often as the other. Unit: the utterance, so it is valid only where
    every dialogue has one utterance; and it speaks of accuracy only.
    p = min(1, 2 P(Bin(b + c, 1/2) <= min(b, c))). Source: McNemar 1947.

    Raises:
        ConfigError: the metric is not accuracy, or a dialogue has several utterances.
    """
    panel = family.panel
    if panel.metric.name != "accuracy" or panel.sizes.max() > 1:
        raise ConfigError(
            f"test 'mcnemar' with metric {panel.metric.name!r} and dialogues of up to {int(panel.sizes.max())} "
            "utterances is not valid; it needs metric 'accuracy' and one utterance per dialogue: use test='sign-flip'"
        )
    correct = panel.all_runs.tp.sum(axis=-1)
    only_one = correct @ (1 - correct).T
    b, c = only_one[family.first, family.second], only_one[family.second, family.first]
    return PairTest(np.minimum(2 * bdtr(np.minimum(b, c), (b + c).astype(np.int64), 0.5), 1.0), None, 0)


def _centred_test(family: PairFamily, moved: FloatArray) -> PairTest:
    """Returns p of each pair from score replicates (n_systems, n_replicates) whose mean is taken off."""
    counter = Exceedances(np.abs(family.estimates.value), joint=False)
    a, b = family.first[counter.order], family.second[counter.order]
    for start in range(0, moved.shape[1], BLOCK):
        part = moved[:, start : start + BLOCK]
        counter.add(np.abs(part[a] - part[b]))
    return PairTest(counter.p_values(exact=False)[0], None, moved.shape[1])
