"""The training loop: the epoch is chosen on dev, patience ends it, weights are of train, a bad loss is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.neural.checkpoints import Checkpoints, Progress  # noqa: E402
from baselines.neural.predictor import Dimensions, NeuralPredictor  # noqa: E402
from baselines.neural.training import Plan, class_weights, is_over  # noqa: E402
from baselines.neural.views import join_beginnings  # noqa: E402
from harness.data import load_dataset  # noqa: E402
from harness.errors import ConfigError, ModelError, PredictionError, StoreError  # noqa: E402
from harness.evaluation.oracle import best_on_target  # noqa: E402
from harness.features import FeatureSource  # noqa: E402
from harness.predictors.session import FitProgress, Session  # noqa: E402

SAMPLE = load_dataset("sample")
TRAIN, DEV, TEST = (SAMPLE.split(name) for name in ("train", "dev", "test"))


@dataclass(eq=False)
class Linear(NeuralPredictor):
    """One linear layer on each utterance, or on the mean of the dialogue."""

    batch_size: int = 8
    looks_ahead: bool = False

    def build(self, dimensions: Dimensions) -> Any:
        looks_ahead = self.looks_ahead

        class Network(torch.nn.Linear):
            def forward(self, batch: Any) -> Any:
                text = batch.text
                if looks_ahead:
                    text = (text.sum(dim=1) / batch.lengths[:, None])[:, None].expand_as(text)
                return super().forward(text)

        return Network(dimensions.text, dimensions.n_labels)


@dataclass(eq=False)
class Causal(Linear):
    causal: ClassVar[bool] = True


def fitted(build: type[Linear] = Linear, folder: Path | None = None, **params: Any) -> tuple[Linear, list[FitProgress]]:
    told: list[FitProgress] = []
    predictor = build(**params)
    source = FeatureSource(SAMPLE.splits.values(), "test")
    predictor.use(Session(features=source, checkpoints=folder, report=told.append))
    predictor.fit(TRAIN, DEV)
    return predictor, told


def test_the_best_epoch_on_dev_is_kept(words_encoder: str, tmp_path: Path) -> None:
    predictor, told = fitted(encoder=words_encoder, epochs=12, folder=tmp_path / "c")
    training = predictor.facts()["training"]
    scores = [float(p.text.split("dev F1 ")[1].split(",")[0]) for p in told if p.text.startswith("loss")]
    assert len(scores) == training["n_epochs"] == 12
    assert training["best_epoch"] == int(np.argmax(scores)) + 1
    views = [view for d in DEV.dialogues for view in d.views("full", DEV.label_set)]
    predictor._source = FeatureSource(SAMPLE.splits.values(), "dev")
    predictor._features.clear()
    kept = best_on_target([(1, list(predictor.predict_batch(views)))], DEV, "weighted_f1")
    assert kept is not None and kept["score"] == training["dev_weighted_f1"]
    epochs = dict(predictor.predict_epochs(views))
    assert list(epochs) == list(range(1, 13))
    chosen = best_on_target(epochs.items(), DEV, "weighted_f1")
    assert chosen is not None and (chosen["epoch"], chosen["score"]) == (training["best_epoch"], kept["score"])


def test_patience_ends_training() -> None:
    plan = Plan(epochs=10, batch_size=1, patience=2, seed=0)
    progress = Progress()
    for epoch, score in enumerate([0.1, 0.3, 0.3, 0.2], start=1):
        assert not is_over(progress, plan)
        progress = progress.after(epoch, 1.0, score, 0.0)
    assert progress.best_epoch == 2, "of equals the first"
    assert is_over(progress, plan)
    assert not is_over(progress, Plan(epochs=10, batch_size=1, patience=0, seed=0))


def test_class_weights_are_of_training_labels() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = [np.array([0, 0, -1, 3]), np.array([0, 1, 1, -1])]
    known = np.array([0, 0, 3, 0, 1, 1])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=known) * 3 / 4
    weights = class_weights(labels, 4).numpy()
    np.testing.assert_allclose(weights[[0, 1, 3]], expected)
    assert weights[2] == 0


@dataclass(eq=False)
class Diverges(Linear):
    def loss(self, network: Any, batch: Any, weights: Any) -> Any:
        return super().loss(network, batch, weights) * float("nan")


def test_a_loss_that_is_not_finite_is_told(words_encoder: str) -> None:
    with pytest.raises(ModelError, match=r"the loss is nan in epoch 1; give a lower one: -P learning_rate"):
        fitted(Diverges, encoder=words_encoder, epochs=5)


def test_a_causal_system_is_tried_out_and_answers_each_view_alike(words_encoder: str) -> None:
    with pytest.raises(PredictionError, match="Causal is declared causal, but its answers depend on what comes later"):
        fitted(Causal, encoder=words_encoder, epochs=1, looks_ahead=True)
    predictor, _ = fitted(Causal, encoder=words_encoder, epochs=2)
    views = [view for d in TEST.dialogues[:3] for view in d.views("past", TEST.label_set)]
    whole, belongs = join_beginnings(views)
    assert len(whole) == 3 and sorted(set(belongs)) == [0, 1, 2]
    together = [p for answer in predictor.predict_batch(views) for p in answer]
    alone = [p for view in views for p in predictor.predict(view)]
    for a, b in zip(together, alone, strict=True):
        assert (a.utterance_id, a.label) == (b.utterance_id, b.label)
        assert a.scores == pytest.approx(b.scores, abs=1e-5)


def test_a_view_that_is_no_beginning_stays_by_itself() -> None:
    first, other = (list(d.views("past", TEST.label_set)) for d in TEST.dialogues[:2])
    changed = type(other[1])(first[0].dialogue_id, other[1].utterances, other[1].target_positions, TEST.label_set)
    whole, belongs = join_beginnings([first[0], changed, first[-1], first[1]])
    assert [whole[i] for i in belongs] == [first[-1], changed, first[-1], first[-1]]


def test_checkpoints_of_another_network_are_named(words_encoder: str, tmp_path: Path) -> None:
    fitted(encoder=words_encoder, epochs=1, folder=tmp_path / "c")
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "epoch-001.safetensors", "progress.seal.json", "state-001.safetensors"
    ]  # fmt: skip
    network = torch.nn.Linear(3, 2)
    with pytest.raises(StoreError, match="no checkpoint of this training"):
        Checkpoints(tmp_path / "c").restore(network, torch.optim.Adam(network.parameters()))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epochs": 0}, "'epochs': got 0"),
        ({"dropout": 1.0}, "'dropout': got 1.0"),
        ({"patience": -1}, "'patience': got -1, expected 0 or more"),
        ({"learning_rate": float("nan")}, "'learning_rate': got nan"),
    ],
)
def test_settings_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Linear(**params)
    with pytest.raises(PredictionError, match="has learned nothing yet; call fit or load first"):
        next(iter(Linear().predict_batch([])))
