"""Networks have as many weights as the published ones, at the width of the published features.

Counts are computed from the layers of the public code; where none exists, from the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from baselines.neural.predictor import Dimensions, NeuralPredictor
from baselines.transformers.fine_tuned import FineTunedTransformer
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor
from harness.predictors.plugins import load_plugins

COUNTS: list[tuple[str, Mapping[str, object], int, int, int]] = [
    ("bc-lstm", {}, 100, 6, 423_906),  # declare-lab/conv-emotion, without attention
    ("bc-lstm", {}, 600, 7, 824_007),
    ("bc-lstm", {}, 1024, 7, 1_163_207),
    ("bc-lstm", {"layers": 1, "hidden": 128, "head": "linear"}, 1024, 7, 1_183_495),
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


TRANSFORMERS: list[tuple[str, str, Mapping[str, object], int, int]] = [
    # RoBERTa-large: embeddings (50,265 + 514 + 1) * 1,024 + 2 * 1,024 for the norm = 52,000,768; 24 layers of
    # 4 * 1,049,600 + 4,198,400 + 4,195,328 + 4 * 1,024 = 12,596,224; head 1,049,600 + 7 * 1,025
    (
        "emoberta",
        "Roberta",
        {
            "vocab_size": 50_265, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
            "intermediate_size": 4096, "max_position_embeddings": 514, "type_vocab_size": 1,
        },
        7,
        355_366_919,
    ),
    # XLNet-base: words 32,000 * 768, mask 768, 12 layers of 5 * 768 * 768 + 5 * 768 for biases and segments + 2 * 1,536
    # for norms + 4,722,432 = 116,718,336; head 768 * 300 + 300, twice 300 * 300 + 300, 300 * 7 + 7 = 413,407
    ("dialog-xl", "XLNet", {"d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072}, 7, 117_131_743),
]  # fmt: skip
"""(system, architecture, its sizes, labels, weights)."""


@pytest.mark.parametrize(("name", "kind", "sizes", "n_labels", "expected"), TRANSFORMERS)
def test_number_of_weights_of_transformers(
    name: str, kind: str, sizes: Mapping[str, object], n_labels: int, expected: int
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), {}, seed=0)
    assert isinstance(predictor, FineTunedTransformer)
    with torch.device("meta"):  # shapes without numbers
        encoder = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes))
    network = predictor.build(encoder, SimpleNamespace(pad_token_id=1), n_labels)
    assert sum(p.numel() for p in network.parameters()) == expected
