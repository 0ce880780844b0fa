"""Simulated splits with known truth, shared by the tests of significance."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness.metrics import tally

# Gold counts of MELD's test split (declare-lab/MELD): neutral, joy, anger, surprise, sadness, disgust, fear.
PRIOR = np.array([1256, 402, 345, 281, 208, 68, 50]) / 2610
EASE = 0.25 - np.array([0, 0.1, 0.2, 0.1, 0.4, 0.7, 0.8])


@dataclass(frozen=True)
class Simulated:
    """One split: gold (n,), dialogue (n,), predictions (n_systems, n_seeds, n)."""

    gold: np.ndarray
    dialogue: np.ndarray
    predictions: np.ndarray

    def counts(self):
        n_dialogues = int(self.dialogue.max()) + 1
        return [
            np.stack([tally(self.dialogue, self.gold, run, n_dialogues, len(PRIOR)) for run in system])
            for system in self.predictions
        ]


def sizes_like_meld(rng, n_dialogues=280):
    """Dialogue sizes with mean 9.3 and range 1 to 33, as in MELD's test split."""
    return np.clip(np.rint(rng.gamma(2.7, 3.45, n_dialogues)), 1, 33).astype(int)


def sizes_like_iemocap(rng, n_dialogues=31):
    """Few long dialogues: mean 52, as in IEMOCAP's usual test fold."""
    return np.clip(np.rint(rng.normal(52, 17, n_dialogues)), 15, 110).astype(int)


def simulate(rng, sizes, *, offsets=(0.0, 0.0), dialogue_variance=0.0535, n_seeds=1, seed_shift=0.0):
    """Returns a split on which systems with equal offsets are equally good in the population.

    A prediction is right when ease of the label + offset + item + dialogue effect + noise > 0. With several seeds the
    noise is split into a part of the procedure (0.4) and one of the seed (0.1), plus a shift per seed and label with
    standard deviation `seed_shift`. Wrong labels follow the prior and are shared by the seeds of a procedure.
    """
    n, n_systems, n_labels = int(sizes.sum()), len(offsets), len(PRIOR)
    dialogue = np.repeat(np.arange(len(sizes)), sizes)
    gold = rng.choice(n_labels, n, p=PRIOR)
    item = rng.normal(0, np.sqrt(0.5), n)
    per_dialogue = rng.normal(0, np.sqrt(dialogue_variance), (n_systems, len(sizes)))[:, dialogue]
    base = EASE[gold] + item + np.asarray(offsets)[:, None] + per_dialogue
    wrong = rng.choice(n_labels, (n_systems, n), p=PRIOR)
    wrong = np.where(wrong == gold, (gold + rng.integers(1, n_labels, (n_systems, n))) % n_labels, wrong)
    if n_seeds == 1:
        latent = (base + rng.normal(0, np.sqrt(0.5), (n_systems, n)))[:, None]
    else:
        shift = rng.normal(0, seed_shift, (n_systems, n_seeds, n_labels))[:, :, gold]
        own = rng.normal(0, np.sqrt(0.4), (n_systems, 1, n)) + rng.normal(0, np.sqrt(0.1), (n_systems, n_seeds, n))
        latent = base[:, None] + own + shift
    return Simulated(gold, dialogue, np.where(latent > 0, gold, wrong[:, None]))


@pytest.fixture(scope="session")
def simulator():
    return simulate


@pytest.fixture(scope="session")
def meld_sizes():
    return sizes_like_meld


@pytest.fixture(scope="session")
def iemocap_sizes():
    return sizes_like_iemocap


@pytest.fixture(scope="session")
def meld_like():
    """Four systems on a split of MELD's shape, one seed each; the last two are close."""
    rng = np.random.default_rng(11)
    return simulate(rng, sizes_like_meld(rng), offsets=(0.0, 0.25, 0.45, 0.5))


@pytest.fixture(scope="session")
def seeded():
    """Three procedures with five seeds each on a split of MELD's shape."""
    rng = np.random.default_rng(12)
    return simulate(rng, sizes_like_meld(rng), offsets=(0.0, 0.1, 0.3), n_seeds=5, seed_shift=0.02)
