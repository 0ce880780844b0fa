"""What is refused and warned about before any test."""

import numpy as np
import pytest

from harness.errors import ConfigError, IncompatibleRunsError
from harness.metrics import get_metric, tally
from harness.significance.panel import build_panel

WF1 = get_metric("weighted_f1")


def one_run(sizes, seed=0, n_labels=3):
    rng = np.random.default_rng(seed)
    dialogue = np.repeat(np.arange(len(sizes)), sizes)
    gold = np.random.default_rng(99).integers(0, n_labels, dialogue.size)
    return tally(dialogue, gold, rng.integers(-1, n_labels, dialogue.size), len(sizes), n_labels)[None]


def test_score_is_the_mean_over_seeds_not_the_score_of_pooled_counts():
    counts = np.concatenate([one_run([5] * 12, seed) for seed in range(4)])
    panel = build_panel([counts], WF1)
    per_seed = [build_panel([counts[s : s + 1]], WF1).mean_score[0] for s in range(4)]
    pooled = build_panel([counts.sum(axis=0)[None]], WF1).mean_score[0]
    assert panel.mean_score[0] == pytest.approx(np.mean(per_seed), abs=1e-15)
    assert abs(pooled - panel.mean_score[0]) > 1e-4
    assert panel.contributions.sum(axis=1) == pytest.approx(panel.mean_score, abs=1e-12)


def test_fewer_than_ten_dialogues_are_refused():
    build_panel([one_run([5] * 10)], WF1)
    with pytest.raises(ConfigError, match="9 dialogues with gold are too few"):
        build_panel([one_run([5] * 9)], WF1)


def test_other_gold_is_refused_side_by_side():
    other = one_run([5] * 12)
    other[0, 4] = other[0, 4][[1, 2, 0]]
    with pytest.raises(
        IncompatibleRunsError, match=r"systems 0 and 1 .* dialogue 4 has label counts \[.*\] and \[.*\]"
    ):
        build_panel([one_run([5] * 12), other], WF1)


def test_other_gold_in_one_seed_is_refused_too():
    counts = np.concatenate([one_run([5] * 12, 0), one_run([5] * 12, 1)])
    counts[1, 2] = counts[1, 2][[1, 2, 0]]
    with pytest.raises(IncompatibleRunsError, match="dialogue 2"):
        build_panel([counts], WF1)


def test_other_shapes_are_refused():
    with pytest.raises(IncompatibleRunsError, match=r"systems 0 and 1 .*\(12, 3, 4\) and \(13, 3, 4\)"):
        build_panel([one_run([5] * 12), one_run([5] * 13)], WF1)
    with pytest.raises(ConfigError, match=r"counts\[0\] has shape \(12, 3, 4\)"):
        build_panel([one_run([5] * 12)[0]], WF1)
    with pytest.raises(ConfigError, match="empty"):
        build_panel([], WF1)
    with pytest.raises(ConfigError, match="0 dialogues with gold"):
        build_panel([np.zeros((1, 12, 3, 4), int)], WF1)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ([5] * 30, []),
        ([5] * 29, ["only 29 dialogues"]),
        ([5] * 99 + [56], ["one dialogue holds 10%"]),
        ([1] * 100 + [12] * 12, []),
        ([1] * 40 + [20] * 12, ["worth only 16.2"]),
    ],
)
def test_warnings(sizes, says):
    found = build_panel([one_run(sizes)], WF1).warnings()
    assert len(found) == len(says) and all(part in line for part, line in zip(says, found, strict=True))


def test_effective_clusters():
    assert build_panel([one_run([7] * 12)], WF1).effective_clusters == pytest.approx(12)
    assert build_panel([one_run([1] * 10 + [10])], WF1).effective_clusters == pytest.approx(400 / 110)


def test_a_dialogue_without_gold_is_no_observation():
    counts = one_run([5] * 12)
    padded = np.concatenate([counts, np.zeros((1, 20, 3, 4), int)], axis=1)
    plain, more = build_panel([counts], WF1), build_panel([padded], WF1)
    assert more.n_dialogues == 12 and (more.influences[0] == plain.influences[0]).all()
