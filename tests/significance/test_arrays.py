"""Plain arrays give the same as counts; bad arrays are refused in one line."""

import numpy as np
import pytest

from harness.errors import ConfigError, UnknownNameError
from harness.metrics import get_metric
from harness.significance import compare_arrays, compare_systems, design_effects


def test_equal_to_counts(meld_like, seeded):
    for split, scope in ((meld_like, "checkpoint"), (seeded, "procedure")):
        ours = compare_arrays(split.gold, split.dialogue, split.predictions, 7, scope=scope)
        theirs = compare_systems(split.counts(), get_metric("weighted_f1"), scope=scope)
        assert (ours.p_value == theirs.p_value).all() and (ours.se == theirs.se).all()


def test_dialogue_ids_need_not_be_consecutive(meld_like):
    plain = compare_arrays(meld_like.gold, meld_like.dialogue, meld_like.predictions, 7)
    odd = compare_arrays(meld_like.gold, 1000 + 7 * meld_like.dialogue, meld_like.predictions, 7)
    assert (plain.p_value == odd.p_value).all() and odd.n_dialogues == 280


def test_metrics_of_single_labels_go_by_number(meld_like):
    result = compare_arrays(meld_like.gold, meld_like.dialogue, meld_like.predictions, 7, metric="f1:3", test="t")
    assert result.score == pytest.approx(
        compare_systems(meld_like.counts(), get_metric("f1:b", "abbbbbb".replace("bbbbbb", "cdbefg"))).score
    )
    for name in ("ece", "brier", "nll"):
        with pytest.raises(UnknownNameError, match=rf"{name}.*are described and not tested"):
            compare_arrays(meld_like.gold, meld_like.dialogue, meld_like.predictions, 7, metric=name)
    with pytest.raises(UnknownNameError, match="f1:9"):
        compare_arrays(meld_like.gold, meld_like.dialogue, meld_like.predictions, 7, metric="f1:9")


def test_design_effects(simulator, meld_sizes, iemocap_sizes):
    rng = np.random.default_rng(4)
    found = {}
    for name, sizes, variance in (("none", meld_sizes, 0.0), ("strong", iemocap_sizes, 0.3079)):
        split = simulator(rng, sizes(rng), dialogue_variance=variance)
        found[name] = design_effects(split.gold, split.dialogue, split.predictions, 7)
    assert found["none"][0, 1] == pytest.approx(1, abs=0.3)
    assert found["strong"][0, 1] > 3  # 1 + (52 - 1) x .2 with equal sizes
    assert np.isnan(found["none"][0, 0]) and found["none"][0, 1] == found["none"][1, 0]


GOLD, DIALOGUE = np.arange(60) % 3, np.arange(60) // 5
ANSWERS = np.stack([np.roll(GOLD, k) for k in range(2)])[:, None]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gold": GOLD.astype(float)}, "gold has type float64"),
        ({"dialogue": np.where(DIALOGUE == 3, np.nan, DIALOGUE)}, "dialogue has type float64"),
        ({"predictions": np.where(ANSWERS == 2, np.nan, ANSWERS)}, "predictions has type float64"),
        ({"gold": GOLD[:59]}, "dialogue has shape"),
        ({"predictions": ANSWERS[:, 0]}, r"predictions has shape \(2, 60\)"),
        ({"predictions": ANSWERS[:, :, :50]}, "predictions has shape"),
        ({"predictions": ANSWERS[:0]}, "predictions has shape"),
        ({"dialogue": np.where(DIALOGUE == 3, -1, DIALOGUE)}, r"dialogue\[15\] is negative"),
        ({"gold": np.where(GOLD == 2, -1, GOLD)}, r"gold\[2\] is -1; allowed: 0 to 2"),
        ({"predictions": ANSWERS + 1}, "is 3; allowed: -1 to 2"),
        ({"predictions": ANSWERS - 2}, "is -2; allowed: -1 to 2"),
        ({"dialogue": DIALOGUE // 2}, "6 dialogues with gold are too few"),
        ({"scope": "procedure"}, "predictions hold 1 seeds; procedure scope needs 3"),
        ({"predictions": np.repeat(ANSWERS, 2, axis=1)}, "system 0 has 2 seeds; checkpoint"),
    ],
)
def test_bad_input_is_refused(changes, says):
    arguments = {"gold": GOLD, "dialogue": DIALOGUE, "predictions": ANSWERS, "n_labels": 3} | changes
    with pytest.raises(ConfigError, match=says):
        compare_arrays(**arguments)
