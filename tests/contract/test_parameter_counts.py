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
    ("c-lstm", {}, 1024, 7, 542_007),  # one direction: 4 * 100 * (1024 + 100 + 2) + 4 * 100 * (200 + 2) + 10_100 + 707
    ("bc-lstm", {"layers": 1, "hidden": 128, "head": "linear"}, 1024, 7, 1_183_495),
    ("dialogue-rnn", {"listener": False}, 600, 7, 2_036_607),  # declare-lab/conv-emotion, presets for MELD and IEMOCAP
    ("dialogue-rnn", {"listener": False}, 1024, 7, 2_927_007),
    ("dialogue-rnn", {}, 1024, 7, 4_120_407),
    ("dialogue-rnn", {"party": 500, "emotion": 300, "listener": False}, 100, 6, 8_880_406),
    ("dialogue-rnn", {"party": 500, "emotion": 300, "listener": False}, 1024, 6, 15_348_406),
    ("dialogue-rnn", {"party": 500, "emotion": 300}, 1024, 6, 21_426_406),
    # declare-lab/conv-emotion, mode 2, context attention 'simple'; layers it never uses left out
    ("cosmic", {"knowledge": "file:f", "listener": False, "attention": False}, 1024, 7, 6_374_807),
    ("cosmic", {"knowledge": "file:f", "attention": False}, 1024, 7, 8_390_807),
    ("cosmic", {"knowledge": "file:f"}, 1024, 7, 8_390_807 + 810_900),
    # less 768 rows in each of 5 cells of 150, in both directions: 2 * 5 * 768 * 450
    ("cosmic-no-kb", {"attention": False}, 1024, 7, 8_390_807 - 3_456_000),
    # no public code; ours: 100 * (d + 1), two cells 2 * 90_600, two layers 2 * 60_600, attention 3 * 10_100,
    # and before the labels 20_100 + 606. DialogueLLM's table has 0.6 million.
    ("coin", {"audio": "file:a", "visual": "file:v"}, 100, 6, 202_500 + 353_406),
    ("dialogue-gcn", {}, 1024, 7, 1_930_567),  # declare-lab/conv-emotion, used weights; nine speakers
    ("dag-erc", {"layers": 4}, 1024, 6, 6_213_910),  # shenwzh3/DAG-ERC, used weights
    ("dag-erc", {}, 1024, 7, 3_505_809),
    # 769 * 300 to narrow; 4 * 300 * 300 of relations, 4 * 2 * 300 to match, 2 * 21 distances; 601 * 300 + 301 * 7
    ("rgat", {}, 768, 7, 775_549),
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

OTHERS: Mapping[str, int] = {"audio": 1582, "visual": 342, "knowledge": 9 * 768}
"""Width of the other features that a system reads."""


@pytest.mark.parametrize(("name", "params", "width", "n_labels", "expected"), COUNTS)
def test_number_of_weights(name: str, params: Mapping[str, object], width: int, n_labels: int, expected: int) -> None:
    pytest.importorskip("torch")
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), params, seed=0)
    assert isinstance(predictor, NeuralPredictor)
    widths = {stream: width if stream == "text" else OTHERS[stream] for stream in predictor.stream_encoders()}
    network = predictor.build(Dimensions(widths, n_labels, n_speakers=9))
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
