"""What every trained system over utterance features must do; a system is found by its base class, nobody lists it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from telling_dialogues import LABELS, split

from baselines import BUILTIN
from baselines.neural.predictor import Dimensions, NeuralPredictor
from baselines.neural.trained import SETTINGS, WEIGHTS
from harness.data import Split
from harness.errors import DataError, PredictionError, StoreError
from harness.features import FeatureSource
from harness.predictors import PREDICTORS, Predictor
from harness.predictors.build import build_predictor
from harness.predictors.check import CHECKS, check_predictor
from harness.predictors.featured import STREAMS
from harness.predictors.plugins import load_plugins
from harness.predictors.session import FitProgress, Session
from harness.schema import DialogueView

torch = pytest.importorskip("torch")


def is_neural(target: str) -> bool:
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(module), name)
    return isinstance(found, type) and issubclass(found, NeuralPredictor)


SYSTEMS = [name for name, target in BUILTIN.items() if is_neural(target)]

SMALL: Mapping[str, Mapping[str, object]] = {
    "cosmic": {"party": 20, "emotion": 20, "dropout": 0.1, "state_dropout": 0.0},
    "cosmic-no-kb": {"party": 20, "emotion": 20, "dropout": 0.1, "state_dropout": 0.0},
    "dialogue-rnn": {"party": 20, "emotion": 20, "patience": 10},
    "dag-erc": {"hidden": 32},
    "dialogue-gcn": {"hidden": 24, "bases": 6},
    "rgat": {"hidden": 24},
    "cauain": {"hidden": 20, "dropout": 0.1, "patience": 10},
    "cauain-no-kb": {"hidden": 20, "dropout": 0.1, "patience": 10},
    "graph-cfc": {"hidden": 20},
}
"""Parameters by system that make it quick to train; beside two epochs, which all get."""


def settings(name: str, encoder: str) -> dict[str, object]:
    """Returns parameters for a quick training; whatever else than text a system can read, it reads."""
    load_plugins()
    build = PREDICTORS.get(name).build
    assert issubclass(build, NeuralPredictor)
    others = [field.name for field in fields(build) if field.name in STREAMS]
    return {"epochs": 2, **SMALL.get(name, {}), "encoder": encoder, **dict.fromkeys(others, "lab/words")}


def make(name: str, encoder: str, seed: int = 3, **params: object) -> NeuralPredictor:
    predictor = build_predictor(PREDICTORS.get(name), settings(name, encoder) | params, seed)
    assert isinstance(predictor, NeuralPredictor)
    return predictor


def views(name: str, of: Split) -> list[DialogueView]:
    card = PREDICTORS.get(name).card
    return [view for dialogue in of.dialogues for view in dialogue.views(card.context, of.label_set)]


@pytest.mark.parametrize("name", SYSTEMS)
def test_keeps_every_rule(name: str, words_encoder: str) -> None:
    results = check_predictor(PREDICTORS.get(name), settings(name, words_encoder))
    assert [r.detail for r in results if not r.passed] == []
    assert [r.name for r in results] == [check.name for check in CHECKS]


@pytest.mark.parametrize("name", SYSTEMS)
def test_answers_do_not_depend_on_company_or_padding(
    name: str, words_encoder: str, assert_batch_invariant: Callable[[Any, Mapping[str, int]], None]
) -> None:
    predictor = make(name, words_encoder)
    widths = dict.fromkeys(predictor.stream_encoders(), 18)
    torch.manual_seed(0)
    assert_batch_invariant(predictor.build(Dimensions(widths, 7, n_speakers=3)), widths)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize("name", SYSTEMS)
def test_answers_on_a_gpu_are_those_of_the_processor(
    name: str, words_encoder: str, random_dialogues: Callable[..., list[Any]]
) -> None:
    from baselines.neural.batch import make_batch

    predictor = make(name, words_encoder)
    widths = dict.fromkeys(predictor.stream_encoders(), 18)
    torch.manual_seed(0)
    network = predictor.build(Dimensions(widths, 7, n_speakers=3)).eval()
    dialogues = random_dialogues(widths)
    with torch.inference_mode():
        logits = {device: network.to(device)(make_batch(dialogues, device)).cpu() for device in ("cpu", "cuda")}
    mask = make_batch(dialogues).mask
    torch.testing.assert_close(logits["cuda"][mask], logits["cpu"][mask], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_dropout_acts_in_training_only(
    name: str, words_encoder: str, random_dialogues: Callable[..., list[Any]]
) -> None:
    from baselines.neural.batch import make_batch

    rates = [field.name for field in fields(make(name, words_encoder)) if field.name.endswith("dropout")]
    widths = dict.fromkeys(make(name, words_encoder).stream_encoders(), 18)
    batch = make_batch(random_dialogues(widths))
    logits = {}
    for rate in (0.0, 0.5):
        torch.manual_seed(0)
        predictor = make(name, words_encoder, **dict.fromkeys(rates, rate))
        network = predictor.build(Dimensions(widths, 7, n_speakers=3))
        for layer in network.modules():
            if isinstance(layer, torch.nn.Dropout) and rate == 0:
                layer.p = 0.0  # of those too whose rate is no setting
        for mode in ("train", "train again", "eval"):
            logits[rate, mode] = network.train(mode != "eval")(batch)[batch.mask]
    torch.testing.assert_close(logits[0.0, "train"], logits[0.0, "eval"])
    torch.testing.assert_close(logits[0.5, "eval"], logits[0.0, "eval"])
    assert not torch.allclose(logits[0.5, "train"], logits[0.5, "eval"], atol=1e-3)
    assert not torch.allclose(logits[0.5, "train"], logits[0.5, "train again"], atol=1e-3)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_training_has_not_seen_is_answered(name: str, words_encoder: str) -> None:
    """Longer dialogues, other and more speakers, a label that train lacks, one utterance, one turn, no label."""
    predictor = make(name, words_encoder)
    predictor.fit(split("train", 6), split("dev", 3, fear=True))
    test = split("test", 3, n_utterances=60, people="XY", fear=True)
    answers = list(predictor.predict_batch(views(name, test)))
    told = [p for answer in answers for p in answer]
    assert [p.utterance_id for p in told] == list(test.gold)
    assert all(p.scores is not None and p.label in LABELS for p in told)


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_learns_and_leaves_random_numbers_alone(name: str, words_encoder: str) -> None:
    predictor = make(name, words_encoder, epochs=30, learning_rate=0.01)
    before = torch.get_rng_state(), torch.get_num_threads()
    predictor.fit(split("train", 30), split("dev", 8))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert predictor.facts()["training"]["dev_weighted_f1"] > 0.8, "words tell the label"


@pytest.mark.parametrize("name", SYSTEMS)
def test_interrupted_training_ends_with_the_same_weights(name: str, words_encoder: str, tmp_path: Path) -> None:
    train, dev = split("train", 12), split("dev", 4)
    source = FeatureSource((train, dev))

    def weights(folder: Path | None, stop_after: int | None) -> dict[str, Any]:
        def report(progress: FitProgress) -> None:
            if progress.text.startswith("loss") and progress.done == stop_after:
                raise KeyboardInterrupt

        predictor = make(name, words_encoder, epochs=4)
        predictor.use(Session(features=source, checkpoints=folder, report=report))
        predictor.fit(train, dev)
        assert predictor._network is not None
        return dict(predictor._network.state_dict())

    whole = weights(None, None)
    with pytest.raises(KeyboardInterrupt):
        weights(tmp_path / "checkpoints", 2)
    resumed = weights(tmp_path / "checkpoints", None)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.mark.parametrize("name", SYSTEMS)
def test_damaged_weights_are_named(name: str, words_encoder: str, tmp_path: Path) -> None:
    predictor = make(name, words_encoder)
    with pytest.raises(PredictionError, match="has learned nothing yet; call fit or load first"):
        predictor.save(tmp_path)
    predictor.fit(split("train", 4), split("dev", 3))
    predictor.save(tmp_path)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"no weights of this system \(.*\); delete the folder and repeat"):
        make(name, words_encoder).load(tmp_path)
    (tmp_path / SETTINGS).write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match=f"^{tmp_path}: no weights of this system"):
        make(name, words_encoder).load(tmp_path)


@pytest.mark.parametrize("name", SYSTEMS)
def test_features_that_are_missing_or_broken_are_refused(name: str, words_encoder: str, tmp_path: Path) -> None:
    train, dev = split("train", 6), split("dev", 3)
    ids = {s.name: [u.id for u in s.utterances()] for s in (train, dev)}
    arrays: dict[str, Any] = {}
    for of, own in ids.items():
        arrays |= {f"{of}/ids": np.array(own), f"{of}/features": np.ones((len(own), 5), np.float32)}
    arrays["dev/features"][3, 2] = np.nan
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match=f"not a finite number in the rows of {ids['dev'][3]!r}$"):
        make(name, f"file:{tmp_path / 'f.npz'}").fit(train, dev)
    arrays["dev/features"] = np.ones((len(ids["dev"]), 6), np.float32)
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(DataError, match="^text features: 6 numbers an utterance, expected 5 as in the training split;"):
        make(name, f"file:{tmp_path / 'w.npz'}").fit(train, dev)
    arrays["train/ids"] = arrays["train/ids"][:-1]
    arrays["train/features"] = arrays["train/features"][:-1]
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(DataError, match=f"no features of utterances {ids['train'][-1]!r}; extract them"):
        make(name, f"file:{tmp_path / 'g.npz'}").fit(train, dev)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_card_says_what_the_network_sees(name: str) -> None:
    load_plugins()
    spec = PREDICTORS.get(name)
    assert spec.card.trained_on == ("train",)
    assert issubclass(spec.build, NeuralPredictor)
    assert (spec.card.context == "past") == spec.build.causal
    assert spec.card.source, "a system names the paper it follows"
    assert issubclass(spec.build, Predictor)
    assert all(importlib.util.find_spec(module) for module in spec.build.code_modules)
