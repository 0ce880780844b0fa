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
    ("bc-lstm", {}, 100, 6, 423_906),  # declare-lab/conv-emotion, without attention
    ("bc-lstm", {}, 600, 7, 824_007),
    ("bc-lstm", {}, 1024, 7, 1_163_207),
    ("bc-lstm", {"layers": 1, "hidden": 128, "head": "linear"}, 1024, 7, 1_183_495),
    ("icon", {}, 100, 6, 700 * 100 + 181_906 + 1_200),  # declare-lab/conv-emotion; 4 second biases of 300 in PyTorch
    ("icon", {}, 384, 7, 700 * 384 + 183_207),
    ("cmn", {}, 100, 6, 700 * 100 + 183_106),  # own count: the same layers as ICON, used otherwise
    # own count at the published sizes: text 240,400 + 1,926,400 + 80,200; 9 speakers 1,800; 45 relations 9,000;
    # extractor 161,000; 5 layers of 644,000; 2 heads of 1,407; 2 scales
    ("graph-cfc", {"hidden": 200, "layers": 5}, 600, 7, 5_641_616),
    # own count: 3 BiGRU of 291,600; 2 questions of 40,000; heads 4,207 and 60,100; 1 offset
    ("mtl", {}, 384, 7, 1_019_108),
]
"""(system, parameters, width of the text features, labels, weights); a new system adds its line."""


@pytest.mark.parametrize(("name", "params", "width", "n_labels", "expected"), COUNTS)
def test_number_of_weights(name: str, params: Mapping[str, object], width: int, n_labels: int, expected: int) -> None:
    pytest.importorskip("torch")
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), params, seed=0)
    assert isinstance(predictor, NeuralPredictor)
    network = predictor.build(Dimensions({"text": width}, n_labels, n_speakers=9, n_utterances=33))
    assert sum(p.numel() for p in network.parameters()) == expected
