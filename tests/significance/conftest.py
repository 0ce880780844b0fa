"""Simulated splits with known truth, shared by the tests of significance, and the file of measured error rates."""

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.metrics import tally
from harness.store import provenance

CALIBRATION = Path(__file__).resolve().parents[2] / "results" / "benchmarks" / "calibration.json"

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


def simulate(rng, sizes, *, offsets=(0.0, 0.0), dialogue_variance=0.0535, n_seeds=1, seed_shift=0.0, n_alike=0):
    """Returns a split on which systems with equal offsets are equally good in the population.

    A prediction is right when ease of the label + offset + item + dialogue effect + noise > 0. With several seeds the
    noise is split into a part of the procedure (0.4) and one of the seed (0.1), plus a shift per seed and label with
    standard deviation `seed_shift`. Wrong labels follow the prior and are shared by the seeds of a procedure. The
    first `n_alike` systems are near-identical: their own parts correlate .97 and they share wrong labels.
    """
    n, n_systems, n_labels = int(sizes.sum()), len(offsets), len(PRIOR)
    dialogue = np.repeat(np.arange(len(sizes)), sizes)
    gold = rng.choice(n_labels, n, p=PRIOR)
    item = rng.normal(0, np.sqrt(0.5), n)
    per_dialogue = akin(rng, n_systems, len(sizes), dialogue_variance, n_alike)[:, dialogue]
    base = EASE[gold] + item + np.asarray(offsets)[:, None] + per_dialogue
    wrong = rng.choice(n_labels, (n_systems, n), p=PRIOR)
    wrong = np.where(wrong == gold, (gold + rng.integers(1, n_labels, (n_systems, n))) % n_labels, wrong)
    if n_alike:
        wrong[:n_alike] = wrong[0]
    if n_seeds == 1:
        latent = (base + akin(rng, n_systems, n, 0.5, n_alike))[:, None]
    else:
        shift = rng.normal(0, seed_shift, (n_systems, n_seeds, n_labels))[:, :, gold]
        own = rng.normal(0, np.sqrt(0.4), (n_systems, 1, n)) + rng.normal(0, np.sqrt(0.1), (n_systems, n_seeds, n))
        latent = base[:, None] + own + shift
    return Simulated(gold, dialogue, np.where(latent > 0, gold, wrong[:, None]))


def akin(rng, n_rows, n, variance, n_alike):
    """Returns normal draws (n_rows, n) of which the first `n_alike` rows correlate .97."""
    own = rng.normal(0, np.sqrt(variance), (n_rows, n))
    if n_alike:
        common = rng.normal(0, np.sqrt(variance), n)
        own[:n_alike] = np.sqrt(0.97) * common + np.sqrt(0.03) * own[:n_alike]
    return own


@pytest.fixture(scope="session")
def keep():
    """Writes measured rates to results/benchmarks/calibration.json, one row per check, setting and quantity."""

    def write(check, quantity, setting, n_simulations, rates, bound):
        (method, rate), *wrong = rates.items()
        row = {
            "check": check, "quantity": quantity, "setting": setting, "method": method, "n_simulations": n_simulations,
            "rate": round(float(rate), 4), "bound": list(bound),
            "wrong_methods": {name: round(float(value), 4) for name, value in wrong},
        }  # fmt: skip
        with CALIBRATION.open("a+", encoding="utf-8") as file:  # several processes of one soak write here
            key = ("check", "quantity", "setting")
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            rows = json.loads(file.read() or '{"calibration": []}')["calibration"]
            rows = [old for old in rows if any(old[k] != row[k] for k in key)]
            rows = sorted([*rows, row], key=lambda own: [own[k] for k in key])
            file.truncate(0)
            file.write(json.dumps({"calibration": rows, "versions": provenance.versions()}, indent=1) + "\n")

    return write


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
def sizes_of():
    return {"meld": sizes_like_meld, "iemocap": sizes_like_iemocap}


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
