"""Predictors over features: results name content, not paths; cards say which features, and whether they were tuned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UnknownNameError
from harness.predictors import PredictorCard
from harness.predictors.featured import FeaturePredictor
from harness.schema import DialogueView, Prediction


@dataclass(eq=False)
class Reads(FeaturePredictor):
    audio: str | None = None
    knowledge: str | None = None

    def predict(self, dialogue: DialogueView) -> list[Prediction]:
        return []


def test_streams_are_the_encoders_that_are_given(words_encoder: str) -> None:
    assert Reads().stream_encoders() == {"text": "minilm"}
    both = Reads(encoder=words_encoder, audio="minilm", knowledge=words_encoder)
    assert both.stream_encoders() == {"text": words_encoder, "audio": "minilm", "knowledge": words_encoder}
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        Reads(audio="minilmm")


def test_results_name_content_instead_of_paths(tmp_path: Path) -> None:
    np.savez(tmp_path / "sound.npz", x=np.zeros(1))
    named = Reads.identify({"encoder": "minilm", "audio": f"file:{tmp_path}/sound.npz@r1-r2", "knowledge": None})
    assert named["encoder"] == "minilm" and named["knowledge"] is None
    assert named["audio"].startswith("file:sound.npz@") and named["audio"].endswith("@r1-r2")
    assert str(tmp_path) not in str(named)


def test_the_card_says_what_is_read_and_what_depends_on_the_seed() -> None:
    card = PredictorCard(family="x", deterministic=True)
    frozen = Reads.refine_card(card, {"encoder": "minilm", "audio": "glove:f", "knowledge": "file:k.npz"})
    assert frozen.modalities == ("text", "audio")
    assert frozen.features == ("text: minilm, frozen", "audio: glove, frozen", "knowledge: file, precomputed")
    assert frozen.deterministic
    tuned = Reads.refine_card(card, {"encoder": "minilm-tuned@r1-r2"})
    assert tuned.features == ("text: minilm-tuned, tuned",)
    assert not tuned.deterministic


def test_without_a_session_features_come_from_the_splits_at_hand(words_encoder: str) -> None:
    from harness.data import load_dataset

    sample = load_dataset("sample")
    predictor = Reads(encoder=words_encoder)
    predictor.learn_from(sample.split("train"), sample.split("dev"))
    views = [u.view() for u in sample.split("dev").utterances()]
    known = predictor.rows(views, "dev")["text"]
    np.testing.assert_array_equal(predictor.rows(views)["text"], known)
    assert predictor.facts()["features"]["text"]["name"] == words_encoder
