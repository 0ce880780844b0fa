"""The tables of a run: what goes in comes out, in the same bytes each time."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.data import Split, load_dataset
from harness.errors import ConfigError
from harness.schema import Prediction
from harness.store.layout import Layout
from harness.store.predictions import (
    decode_dialogues,
    decode_predictions,
    encode_dialogues,
    encode_predictions,
    tabulate_dialogues,
)


@pytest.fixture
def split(toy_corpus: Path) -> Split:
    return load_dataset("toy", toy_corpus).split("test")


@pytest.fixture
def predictions(split: Split) -> dict[str, Prediction]:
    """Every kind of prediction: with and without scores, and without a label."""
    rng = np.random.default_rng(0)
    labels = split.label_set.labels
    made = {}
    for i, utterance in enumerate(split.gold):
        scores = dict(zip(labels, rng.dirichlet(np.ones(3)).tolist(), strict=True))
        made[utterance] = (
            Prediction(utterance, None, status="refused") if i % 5 == 0
            else Prediction(utterance, labels[i % 3], scores if i % 2 else None)
        )  # fmt: skip
    return made


def test_predictions_come_back(split: Split, predictions: dict[str, Prediction]) -> None:
    content = encode_predictions(split, predictions)
    back = decode_predictions(content, split.label_set.labels)
    assert list(back) == list(split.gold)
    for utterance, prediction in predictions.items():
        assert (back[utterance].label, back[utterance].status) == (prediction.label, prediction.status)
        assert (back[utterance].scores is None) == (prediction.scores is None)
        if prediction.scores is not None:
            assert back[utterance].scores == pytest.approx(prediction.scores, abs=1e-7)
    shuffled = dict(reversed(list(predictions.items())))
    assert encode_predictions(split, shuffled) == content


def test_only_the_documented_columns_are_stored(split: Split, predictions: dict[str, Prediction]) -> None:
    table = pq.read_table(io.BytesIO(encode_predictions(split, predictions)))
    assert table.column_names == ["dialogue_id", "utterance_id", "label", "status", "scores"]
    counts = pq.read_table(io.BytesIO(encode_dialogues(tabulate_dialogues(split, predictions))))
    assert set(counts.column_names) == {
        "dialogue_id", "attributes", "confusion", "n_scored", "n_unscored", "squared_error", "log_loss", "bin_count",
        "bin_confidence", "bin_correct",
    }  # fmt: skip


def test_counts_come_back_and_agree_with_a_plain_loop(split: Split, predictions: dict[str, Prediction]) -> None:
    table = tabulate_dialogues(split, predictions)
    back = decode_dialogues(encode_dialogues(table), split.label_set.labels)
    assert back.confusion.dialogue_ids == table.confusion.dialogue_ids
    np.testing.assert_array_equal(back.confusion.counts, table.confusion.counts)
    assert back.calibration is not None
    assert table.calibration is not None
    np.testing.assert_array_equal(back.calibration.bin_count, table.calibration.bin_count)
    labels = split.label_set.labels
    for d, dialogue in enumerate(split.dialogues):
        expected = np.zeros((3, 4), dtype=int)
        for utterance in dialogue.utterances:
            if utterance.label is not None:
                said = predictions[utterance.id].label
                expected[labels.index(utterance.label), 3 if said is None else labels.index(said)] += 1
        np.testing.assert_array_equal(back.confusion.counts[d], expected)


@pytest.mark.parametrize("name", ["../meld", "a/../b", "/meld", "me ld", "", "a//b"])
def test_no_name_leads_out_of_the_results_folder(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(ConfigError):
        layout.run(name, "test", "majority", "seed0-00000000")
    with pytest.raises(ConfigError):
        layout.run("meld", "test", name, "seed0-00000000")
    with pytest.raises(ConfigError):
        layout.board(name)
