"""The unit of resampling: coarser ones by summing, the utterance with a warning, and what each does to errors."""

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.metrics import get_metric
from harness.significance import compare_arrays, compare_systems, regroup

WF1 = get_metric("weighted_f1")


def test_regrouped_counts_are_those_of_the_coarser_column(meld_like):
    """One session may hold dialogues that do not follow each other."""
    session = np.arange(280) * 7 % 40
    grouped = [regroup(own, [f"session {s}" for s in session]) for own in meld_like.counts()]
    by_counts = compare_systems(grouped, WF1, test="t", unit="session")
    arrays = (meld_like.gold, session[meld_like.dialogue], meld_like.predictions, 7)
    by_arrays = compare_arrays(*arrays, test="t", unit="session")
    assert grouped[0].shape == (1, 40, 7, 8) and by_counts.n_dialogues == 40 and by_counts.unit == "session"
    assert by_counts.score == pytest.approx(compare_systems(meld_like.counts(), WF1).score, abs=1e-15)
    assert by_counts.pair_se == pytest.approx(by_arrays.pair_se, rel=1e-12)


def test_regrouping_by_itself_changes_nothing_and_needs_one_label_each(meld_like):
    counts = meld_like.counts()[0]
    assert (regroup(counts, range(280)) == counts).all()
    with pytest.raises(ConfigError, match=r"labels has 3 entries and counts the shape \(1, 280, 7, 8\)"):
        regroup(counts, ["a", "b", "c"])


def test_a_coarser_unit_sees_what_dialogues_share(simulator, meld_sizes):
    """Dialogues cut in two: halves as unit miss that they belong together, the whole does not."""
    rng = np.random.default_rng(3)
    split = simulator(rng, meld_sizes(rng), dialogue_variance=0.6)
    half = 2 * split.dialogue + (np.arange(split.gold.size) % 2)
    halves = compare_arrays(split.gold, half, split.predictions, 7, test="t", unit="half")
    whole = compare_arrays(split.gold, split.dialogue, split.predictions, 7, test="t")
    assert whole.pair_se[0, 1] > 1.15 * halves.pair_se[0, 1]


def test_the_utterance_as_unit_warns(meld_like):
    arrays = (meld_like.gold, meld_like.dialogue, meld_like.predictions, 7)
    result = compare_arrays(*arrays, test="t", unit="utterance")
    alone = compare_arrays(meld_like.gold, np.arange(meld_like.gold.size), meld_like.predictions, 7, test="t")
    assert (result.pair_se == alone.pair_se).all() and result.unit == "utterance"
    assert result.n_dialogues == meld_like.gold.size
    assert len(result.warnings) == 1 and "use unit='dialogue' for claims" in result.warnings[0]
    plain = compare_arrays(*arrays, test="t")
    assert plain.unit == "dialogue" and not plain.warnings


def test_warnings_name_the_unit(meld_like):
    result = compare_arrays(meld_like.gold, meld_like.dialogue // 14, meld_like.predictions, 7, unit="episode")
    assert "only 20 episodes" in result.warnings[0]


@pytest.mark.parametrize("unit", ["utterance", ""])
def test_a_word_that_belies_the_counts_is_refused(meld_like, unit):
    with pytest.raises(ConfigError, match=f"unit is {unit!r} and a row of counts holds up to .. utterances"):
        compare_systems(meld_like.counts(), WF1, unit=unit)
