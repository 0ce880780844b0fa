"""RoBERTa on single utterances: the training of tuned features serves it, and its answers are that training's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import load_dataset
from harness.errors import ModelError
from harness.features import FeatureSource
from harness.features.tuned import spoken_text
from harness.predictors import PREDICTORS
from harness.predictors.build import build_predictor, resolve_params
from harness.predictors.check import CHECKS, check_predictor
from harness.predictors.plugins import load_plugins
from harness.predictors.session import FitProgress, Session

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[[str], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE_DIR", str(tmp_path / "cache"))
    load_plugins()


def test_it_keeps_every_rule(tiny_base: Base) -> None:
    results = check_predictor(PREDICTORS.get("roberta"), {"encoder": str(tiny_base("roberta"))})
    assert [r.detail for r in results if not r.passed] == []
    assert [r.name for r in results] == [check.name for check in CHECKS]


def test_one_training_serves_features_and_answers(tiny_base: Base) -> None:
    sample = load_dataset("sample")
    base = tiny_base("roberta")
    source = FeatureSource(sample.splits.values(), "dev")
    features = source.load(f"hf-tuned:{base}", seed=3)
    told: list[FitProgress] = []
    predictor = build_predictor(PREDICTORS.get("roberta"), {"encoder": str(base)}, seed=3)
    predictor.use(Session(features=source, report=told.append))
    predictor.fit(sample.split("train"), sample.split("dev"))
    assert not any("tuning" in progress.text for progress in told), "nothing is trained twice"

    dev = sample.split("dev")
    views = [view for d in dev.dialogues for view in d.views("none", dev.label_set)]
    answers = [p for answer in predictor.predict_batch(views) for p in answer]
    right = np.mean([p.label == dev.gold[p.utterance_id] for p in answers])
    assert right > 0

    weights = features.folder / "weights"
    tokenizer, model = (cls.from_pretrained(weights) for cls in (transformers.AutoTokenizer, transformers.AutoModel))
    weight, bias = features.encoder.head()  # type: ignore[attr-defined]
    for view, prediction in list(zip(views, answers, strict=True))[:5]:
        with torch.inference_mode():
            state = model.eval()(**tokenizer(spoken_text(view.targets[0]), return_tensors="pt")).last_hidden_state[0, 0]
        expected = torch.softmax(torch.from_numpy(weight) @ state + torch.from_numpy(bias), 0)
        assert prediction.scores is not None
        np.testing.assert_allclose(list(prediction.scores.values()), expected.numpy(), atol=1e-5)


def test_names_hold_no_path_and_missing_weights_are_told(tiny_base: Base) -> None:
    spec, base = PREDICTORS.get("roberta"), tiny_base("roberta")
    assert spec.build.identify(resolve_params(spec, {"encoder": str(base)}))["encoder"].startswith("tiny-roberta@")
    assert spec.build.identify(resolve_params(spec, {"encoder": "minilm"})) == {"encoder": "minilm"}
    assert spec.build.refine_card(spec.card, {"encoder": "minilm"}).features == ("text: minilm-tuned, tuned",)
    sample = load_dataset("sample")
    with pytest.raises(ModelError, match="no such folder"):
        build_predictor(spec, {"encoder": "/nowhere/at/all"}, 0).fit(sample.split("train"), sample.split("dev"))
