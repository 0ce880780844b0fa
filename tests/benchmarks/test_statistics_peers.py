"""The same resampling by what people use today, at dialogue and at utterance unit, in the same run as ours.

What would take minutes is run in part and multiplied; the part and the factor are kept with the figures. All start
from labels and end with replicates of weighted F1, or with p-values. Peers are given counts per unit wherever their
interface allows it, so that they are not slowed down by how they are called.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.metrics import get_metric
from harness.significance.bootstrap import bootstrap_scores
from harness.significance.estimates import PairFamily, pair_family
from harness.significance.pair_tests import sign_flip
from harness.significance.panel import build_panel
from harness.significance.resampling_tests import exact_swap
from harness.significance.seeds import no_seed_variance

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

UNITS = ("dialogue", "utterance")
N_SYSTEMS, N_PAIRS, N_RESAMPLES, N_LABELS = 20, 190, 10_000, 7
BATCH = 500
"""Replicates that scipy is given room for at once; its default takes several times the memory and is slower."""

SAME_SPREAD = 0.25
"""Largest relative gap between a peer's standard error and ours, by which both are seen to do the same."""

SAME_P = 0.03
"""Largest gap between two Monte-Carlo p-values of one test: four standard errors of their difference."""

AT_LEAST = {"dialogue": 1000, "utterance": 100}
"""Times that ours must beat the loop which people write."""

Best = Callable[[Callable[[], object], int], float]
Record = Callable[..., None]


def timed(part: Callable[[], Any]) -> tuple[float, Any]:
    """Returns seconds and what the part returns, run once."""
    begin = time.perf_counter()
    result = part()
    return time.perf_counter() - begin, result


@pytest.fixture(scope="module")
def split(corpus: Callable[..., Any]) -> Any:
    return corpus(N_SYSTEMS)


@pytest.fixture
def our_bootstrap(split: Any, best: Best) -> Callable[[str], tuple[float, float]]:
    """Returns seconds of the joint bootstrap from labels on, and the standard error of the first system."""

    def run(unit: str) -> tuple[float, float]:
        replicates = np.empty(0)

        def whole() -> None:
            nonlocal replicates
            panel = build_panel(split.counts(unit), get_metric("weighted_f1"))
            replicates = bootstrap_scores(panel.all_runs, panel.metric, n_resamples=N_RESAMPLES, seed=0)

        return best(whole, 3), float(replicates[0].std())

    return run


@dataclass(frozen=True)
class OurTests:
    """All pair tests from labels on."""

    sign_flip_seconds: float
    """The default, with max-T."""
    swap_seconds: float
    """The test that peers offer too, without max-T."""
    swap_p: float
    """Its p-value of the first pair."""


@pytest.fixture
def our_tests(split: Any, best: Best) -> Callable[[str], OurTests]:
    """Runs the default test, and the one that peers offer too."""

    def family(unit: str) -> PairFamily:
        panel = build_panel(split.counts(unit), get_metric("weighted_f1"))
        return pair_family(panel, no_seed_variance(N_SYSTEMS), np.arange(N_SYSTEMS))

    def flip(unit: str) -> None:
        pairs = family(unit)
        rows = pairs.panel.contributions
        sign_flip(rows, pairs.first, pairs.second, n_resamples=N_RESAMPLES, seed=0, step_down=True)

    def run(unit: str) -> OurTests:
        swap_seconds, swap = timed(lambda: exact_swap(family(unit), N_RESAMPLES, 0))
        return OurTests(best(lambda: flip(unit), 3), swap_seconds, float(swap.p_value[0]))

    return run


def statistics_per_unit(split: Any, unit: str, system: int) -> NDArray[np.int64]:
    """Returns tp, pred and sup of each unit side by side, int64 (n_units, 3 n_labels)."""
    counts = split.counts(unit)[system][0]
    tp = np.diagonal(counts, axis1=1, axis2=2)
    return np.concatenate([tp, counts[:, :, :N_LABELS].sum(axis=1), counts.sum(axis=2)], axis=1)


def weighted_f1_of(sums: NDArray[Any]) -> NDArray[np.float64]:
    """Returns weighted F1 from sums of tp, pred and sup, (..., 3 n_labels)."""
    tp, pred, sup = np.split(sums, 3, axis=-1)
    return np.asarray((sup * 2 * tp / np.maximum(pred + sup, 1)).sum(axis=-1) / sup.sum(axis=-1))


def resampled_sums(statistics: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns sums over drawn ids (..., n_drawn), as fast as numpy does it: counting draws, then one product."""
    rows = ids.reshape(-1, ids.shape[-1])
    cells = rows + np.arange(len(rows))[:, None] * len(statistics)
    weights = np.bincount(cells.ravel(), minlength=len(rows) * len(statistics)).reshape(len(rows), -1)
    sums = weights.astype(np.float32) @ statistics.astype(np.float32)
    return np.asarray(sums.reshape(*ids.shape[:-1], -1), np.float64)


@pytest.mark.parametrize("unit", UNITS)
def test_scikit_learn_in_a_loop(
    split: Any, our_bootstrap: Callable[[str], tuple[float, float]], record: Record, unit: str
) -> None:
    from sklearn.metrics import f1_score

    n_replicates = 100
    groups = np.split(np.arange(split.gold.size), np.flatnonzero(np.diff(split.units(unit))) + 1)
    rng = np.random.default_rng(0)

    def loop() -> NDArray[np.float64]:
        scores = np.empty((N_SYSTEMS, n_replicates))
        for replicate in range(n_replicates):
            drawn = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
            gold = split.gold[drawn]
            for system in range(N_SYSTEMS):
                said = split.predictions[system, 0, drawn]
                scores[system, replicate] = f1_score(gold, said, average="weighted", zero_division=0)
        return scores

    part, scores = timed(loop)
    factor = N_RESAMPLES / n_replicates
    ours, se = our_bootstrap(unit)
    record(
        f"statistics_vs_scikit_learn_{unit}", ours, 1 / AT_LEAST[unit],
        "loop over sklearn.metrics.f1_score", part * factor, unit=unit, times_faster=round(part * factor / ours),
        peer_ran={"n_systems": N_SYSTEMS, "n_resamples": n_replicates, "seconds": round(part, 3), "factor": factor},
    )  # fmt: skip
    assert scores[0].std() == pytest.approx(se, rel=SAME_SPREAD)
    assert part * factor / ours >= AT_LEAST[unit]


@pytest.mark.parametrize("unit", UNITS)
def test_scipy_bootstrap(
    split: Any, our_bootstrap: Callable[[str], tuple[float, float]], record: Record, unit: str
) -> None:
    from scipy.stats import bootstrap

    n_systems = 2

    def run() -> list[Any]:
        results = []
        for system in range(n_systems):
            statistics = statistics_per_unit(split, unit, system)

            def score(ids: NDArray[np.int64], axis: int, statistics: NDArray[np.int64] = statistics) -> Any:
                return weighted_f1_of(resampled_sums(statistics, np.moveaxis(ids, axis, -1)))

            ids = np.arange(len(statistics))
            options = {"vectorized": True, "batch": BATCH, "method": "percentile", "n_resamples": N_RESAMPLES}
            results.append(bootstrap((ids,), score, rng=np.random.default_rng(0), **options))
        return results

    part, results = timed(run)
    factor = N_SYSTEMS / n_systems
    ours, se = our_bootstrap(unit)
    record(
        f"statistics_vs_scipy_bootstrap_{unit}", ours, 1.0, "scipy.stats.bootstrap, vectorised, percentile",
        part * factor, unit=unit, times_faster=round(part * factor / ours, 1),
        peer_ran={"n_systems": n_systems, "n_resamples": N_RESAMPLES, "seconds": round(part, 3), "factor": factor},
    )  # fmt: skip
    assert results[0].standard_error == pytest.approx(se, rel=SAME_SPREAD)
    assert ours < part * factor


@pytest.mark.parametrize("unit", UNITS)
def test_scipy_permutation_test(split: Any, our_tests: Callable[[str], OurTests], record: Record, unit: str) -> None:
    from scipy.stats import permutation_test

    statistics = np.concatenate([statistics_per_unit(split, unit, system) for system in (0, 1)])
    n_units = len(statistics) // 2

    def difference(a: NDArray[np.int64], b: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        scores = [weighted_f1_of(resampled_sums(statistics, np.moveaxis(ids, axis, -1))) for ids in (a, b)]
        return np.asarray(scores[0] - scores[1])

    options = {"permutation_type": "samples", "vectorized": True, "batch": BATCH, "n_resamples": N_RESAMPLES}
    ids = np.arange(2 * n_units).reshape(2, n_units)
    part, result = timed(lambda: permutation_test(tuple(ids), difference, rng=np.random.default_rng(0), **options))
    ours = our_tests(unit)
    record(
        f"statistics_vs_scipy_permutation_{unit}", ours.sign_flip_seconds, 1.0,
        "scipy.stats.permutation_test, vectorised",
        part * N_PAIRS, unit=unit, times_faster=round(part * N_PAIRS / ours.sign_flip_seconds),
        ours_swap_seconds=round(ours.swap_seconds, 4), times_faster_swap=round(part * N_PAIRS / ours.swap_seconds),
        peer_ran={"n_pairs": 1, "n_resamples": N_RESAMPLES, "seconds": round(part, 3), "factor": N_PAIRS},
    )  # fmt: skip
    assert result.null_distribution.size == N_RESAMPLES
    assert result.pvalue == pytest.approx(ours.swap_p, abs=SAME_P)
    assert max(ours.sign_flip_seconds, ours.swap_seconds) < part * N_PAIRS


@pytest.mark.parametrize("unit", UNITS)
def test_sacrebleu_approximate_randomisation(
    split: Any, our_tests: Callable[[str], OurTests], record: Record, unit: str
) -> None:
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed: pip install 'erc-harness[bench]'")
    from sacrebleu.metrics.base import Metric, Score, Signature
    from sacrebleu.significance import PairedTest

    class WeightedF1(Metric):
        """Hypotheses are (unit, system) pairs; their statistics are looked up, so that no text is parsed."""

        def _extract_corpus_statistics(self, hypotheses: Any, references: Any) -> Any:
            return statistics_per_unit(split, unit, hypotheses[0][1])

        def _aggregate_and_compute(self, stats: Any) -> Any:
            return self._compute_score_from_stats(stats.sum(axis=0))

        def _compute_score_from_stats(self, stats: Any) -> Any:
            return Score("wF1", float(weighted_f1_of(stats)))

        def get_signature(self) -> Any:
            return Signature({"num_refs": 1})

        def _preprocess_segment(self, sent: Any) -> Any:
            raise NotImplementedError

        def _extract_reference_info(self, refs: Any) -> Any:
            raise NotImplementedError

        def _compute_segment_statistics(self, hypothesis: Any, ref_kwargs: Any) -> Any:
            raise NotImplementedError

    n_pairs, n_units = 1, len(statistics_per_unit(split, unit, 0))
    systems = [(f"system{system}", [(i, system) for i in range(n_units)]) for system in range(n_pairs + 1)]

    def run() -> Any:
        return PairedTest(systems, {"wF1": WeightedF1()}, None, test_type="ar", n_samples=N_RESAMPLES)()

    part, (_, scores) = timed(run)
    factor = N_PAIRS / n_pairs
    ours = our_tests(unit)
    record(
        f"statistics_vs_sacrebleu_{unit}", ours.sign_flip_seconds, 1.0,
        "sacrebleu.significance.PairedTest, test_type='ar'",
        part * factor, unit=unit, packages=["sacrebleu"], times_faster=round(part * factor / ours.sign_flip_seconds),
        ours_swap_seconds=round(ours.swap_seconds, 4), times_faster_swap=round(part * factor / ours.swap_seconds),
        peer_ran={"n_pairs": n_pairs, "n_resamples": N_RESAMPLES, "seconds": round(part, 3), "factor": factor},
    )  # fmt: skip
    assert scores["wF1"][1].p_value == pytest.approx(ours.swap_p, abs=SAME_P)
    assert max(ours.sign_flip_seconds, ours.swap_seconds) < part * factor


@pytest.mark.parametrize("unit", UNITS)
def test_torchmetrics_bootstrapper(
    split: Any, our_bootstrap: Callable[[str], tuple[float, float]], record: Record, unit: str
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'erc-harness[bench]'")
    reason = "torchmetrics is not installed: pip install 'erc-harness[bench]'"
    torchmetrics = pytest.importorskip("torchmetrics", reason=reason)
    from torchmetrics.classification import MulticlassF1Score

    class ClusteredF1(torchmetrics.Metric):
        """Weighted F1 from counts per dialogue: resampling along the first dimension then draws whole dialogues."""

        full_state_update = False

        def __init__(self) -> None:
            super().__init__()
            self.add_state("sums", torch.zeros(3 * N_LABELS), dist_reduce_fx="sum")

        def update(self, statistics: Any) -> None:
            self.sums += statistics.sum(dim=0)

        def compute(self) -> Any:
            tp, pred, sup = self.sums.chunk(3)
            return (sup * 2 * tp / (pred + sup).clamp(min=1)).sum() / sup.sum()

    n_replicates = 500
    if unit == "dialogue":
        metric: Any = ClusteredF1()
        data = (torch.tensor(statistics_per_unit(split, unit, 0), dtype=torch.float32),)
    else:
        metric = MulticlassF1Score(N_LABELS, average="weighted", validate_args=False)
        data = (torch.tensor(split.predictions[0, 0]), torch.tensor(split.gold))

    def run() -> float:
        torch.manual_seed(0)
        boot = torchmetrics.BootStrapper(metric, num_bootstraps=n_replicates, sampling_strategy="multinomial")
        boot.update(*data)
        return float(boot.compute()["std"])

    part, spread = timed(run)
    factor = N_SYSTEMS * N_RESAMPLES / n_replicates
    ours, se = our_bootstrap(unit)
    record(
        f"statistics_vs_torchmetrics_{unit}", ours, 1.0, "torchmetrics.BootStrapper", part * factor, unit=unit,
        packages=["torchmetrics"], times_faster=round(part * factor / ours),
        peer_ran={"n_systems": 1, "n_resamples": n_replicates, "seconds": round(part, 3), "factor": factor},
    )  # fmt: skip
    assert spread == pytest.approx(se, rel=SAME_SPREAD)
    assert ours < part * factor
