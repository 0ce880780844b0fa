"""Audio and visual features of systems that read them: from files, of any width, and refused if they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from baselines.memory.cmn import Cmn
from baselines.memory.icon import Icon
from baselines.multimodal.graph_cfc import GraphCfc
from baselines.neural.predictor import NeuralPredictor
from harness.data import Split
from harness.data.split import SplitName
from harness.errors import DataError
from harness.features import FeatureSource
from harness.predictors import PREDICTORS, Predictor
from harness.predictors.build import build_predictor
from harness.predictors.plugins import load_plugins
from harness.predictors.session import Session
from harness.schema import Dialogue, LabelSet, Utterance

SYSTEMS: list[tuple[str, type[Predictor]]] = [("icon", Icon), ("cmn", Cmn), ("graph-cfc", GraphCfc)]
SMALL = {"hidden": 4, "epochs": 1}
LABELS = LabelSet(("neutral", "joy"), "neutral")


def split(name: SplitName, n_dialogues: int) -> Split:
    def utterance(d: int, u: int) -> Utterance:
        return Utterance(f"{name}{d}_{u}", ("AB"[u % 2],), f"words {d} {u}", LABELS.labels[(d + u) % 2])

    dialogues = (Dialogue(f"{name}{d}", tuple(utterance(d, u) for u in range(d + 1))) for d in range(n_dialogues))
    return Split("lab", name, tuple(dialogues), LABELS)


TRAIN, DEV = split("train", 4), split("dev", 3)


def file_of(path: Path, width: int, change: dict[str, Any] | None = None) -> str:
    """Writes features of both splits, with some arrays changed, and returns the name of their encoder."""
    rng = np.random.default_rng(width)
    arrays: dict[str, Any] = {}
    for of in (TRAIN, DEV):
        ids = [u.id for u in of.utterances()]
        arrays[f"{of.name}/ids"] = np.array(ids)
        arrays[f"{of.name}/features"] = rng.normal(size=(len(ids), width)).astype(np.float32)
    np.savez(path, **arrays | (change or {}))
    return f"file:{path}"


def make(name: str, text: str, **streams: str) -> NeuralPredictor:
    load_plugins()
    predictor = build_predictor(PREDICTORS.get(name), {**SMALL, "encoder": text, **streams}, 0)
    assert isinstance(predictor, NeuralPredictor)
    predictor.use(Session(features=FeatureSource((TRAIN, DEV), "dev")))
    return predictor


@pytest.mark.parametrize(("name", "build"), SYSTEMS)
@pytest.mark.parametrize("given", [(), ("audio",), ("visual",), ("audio", "visual")])
def test_what_is_given_is_read_and_on_the_card(
    name: str, build: type[Predictor], given: tuple[str, ...], words_encoder: str, tmp_path: Path
) -> None:
    widths = {"audio": 3, "visual": 6}
    streams = {stream: file_of(tmp_path / f"{stream}.npz", widths[stream]) for stream in given}
    predictor = make(name, words_encoder, **streams)
    card = build.refine_card(PREDICTORS.get(name).card, {"encoder": words_encoder, **streams})
    assert card.modalities == ("text", *given)
    predictor.fit(TRAIN, DEV)
    assert set(predictor.facts()["features"]) == {"text", *given}
    views = [view for d in DEV.dialogues for view in d.views(card.context, LABELS)]
    told = {p.utterance_id: p.scores for answer in predictor.predict_batch(views) for p in answer}
    assert set(told) == set(DEV.gold)
    predictor.save(tmp_path)
    again = make(name, words_encoder, **streams)
    again.load(tmp_path)
    assert {p.utterance_id: p.scores for answer in again.predict_batch(views) for p in answer} == told


@pytest.mark.parametrize(("name", "build"), SYSTEMS)
def test_features_that_do_not_fit_are_refused(
    name: str, build: type[Predictor], words_encoder: str, tmp_path: Path
) -> None:
    ids = [u.id for u in DEV.utterances()]
    rows = np.ones((len(ids), 3), np.float32)
    broken = rows.copy()
    broken[4, 1] = np.inf
    wrong = np.array([*ids[:-1], "somebody_else"])
    cases = [
        ({"dev/features": broken}, f"not a finite number in the rows of {ids[4]!r}$"),
        ({"dev/ids": wrong}, f"no features of utterances {ids[-1]!r}; extract them"),
    ]
    for change, message in cases:
        with pytest.raises(DataError, match=message):
            make(name, words_encoder, audio=file_of(tmp_path / "f.npz", 3, change)).fit(TRAIN, DEV)
