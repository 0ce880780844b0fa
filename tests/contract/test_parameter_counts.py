"""Networks have as many weights as the published ones, at the width of the published features.

Counts are computed from the layers of the public code; where none exists, from the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from baselines.neural.predictor import Dimensions, NeuralPredictor
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor
from harness.predictors.plugins import load_plugins

COUNTS: list[tuple[str, Mapping[str, object], int, int, int]] = [
    ("cauain", {"knowledge": "file:f"}, 1024, 7, 6_052_207),  # circle-hit/CauAIN
    ("cauain", {"knowledge": "file:f"}, 1024, 6, 6_051_906),
    # less three layers for knowledge: two of 600 * (3 * 768 + 1), one of 600 * 601
    ("cauain-no-kb", {}, 1024, 7, 6_052_207 - 2_766_000 - 360_600),
    ("dialogue-crn", {}, 1024, 7, 3_290_631),  # zerohd4869/DialogueCRN, presets for RoBERTa, then for GloVe
    ("dialogue-crn", {"layers": 2, "situation_steps": 3, "speaker_steps": 0}, 1024, 6, 4_080_134),
    ("dialogue-crn", {"hidden": 100, "situation_steps": 2, "speaker_steps": 0}, 600, 7, 1_690_807),
    ("dialogue-crn", {"hidden": 100, "layers": 2, "situation_steps": 3, "speaker_steps": 4}, 100, 6, 1_854_806),
    ("sacl-lstm", {}, 1024, 7, 2_366_983),  # zerohd4869/SACL: MELD and EmoryNLP, then IEMOCAP
    ("sacl-lstm", {"layers": 2}, 1024, 6, 3_156_998),
    ("bc-lstm", {}, 100, 6, 423_906),  # declare-lab/conv-emotion, without attention
    ("bc-lstm", {}, 600, 7, 824_007),
    ("bc-lstm", {}, 1024, 7, 1_163_207),
    ("bc-lstm", {"layers": 1, "hidden": 128, "head": "linear"}, 1024, 7, 1_183_495),
]
"""(system, parameters, width of the text features, labels, weights); a new system adds its line."""

OTHERS: Mapping[str, int] = {"audio": 1582, "visual": 342, "knowledge": 9 * 768}
"""Width of the other features that a system reads."""


@pytest.mark.parametrize(("name", "params", "width", "n_labels", "expected"), COUNTS)
def test_number_of_weights(name: str, params: Mapping[str, object], width: int, n_labels: int, expected: int) -> None:
    pytest.importorskip("torch")
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), params, seed=0)
    assert isinstance(predictor, NeuralPredictor)
    widths = {stream: width if stream == "text" else OTHERS[stream] for stream in predictor.stream_encoders()}
    network = predictor.build(Dimensions(widths, n_labels, n_speakers=9, n_utterances=33))
    assert sum(p.numel() for p in network.parameters()) == expected
