"""Features by utterance: from disk where they are, anew where a word differs, refused where they cannot be right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Split
from harness.errors import ConfigError, DataError, UnknownNameError
from harness.features import ENCODERS, EncoderName, FeatureSource


@pytest.fixture
def source(words_encoder: str, splits: dict[str, Split]) -> FeatureSource:
    return FeatureSource(splits.values(), "test")


def test_rows_come_from_the_split_that_is_asked_about(source: FeatureSource, words_encoder: str) -> None:
    features = source.load(words_encoder)
    own = {name: features.rows(list(split.utterances()), name) for name, split in source.spoken.items()}
    assert [(rows.shape, rows.dtype) for rows in own.values()] == [((5, 27), np.float32)] * 3
    assert not np.allclose(own["train"], own["test"]), "ids repeat, words do not"
    some = list(source.spoken["test"].utterances())[3:0:-1]
    np.testing.assert_array_equal(features.rows(some, "test"), own["test"][3:0:-1])


def test_tables_are_made_once_and_memory_mapped(
    source: FeatureSource, words_encoder: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source.load(words_encoder).open_table("dev")
    assert isinstance(first.array, np.memmap)
    (sidecar,) = cache.rglob("*.json")
    record = json.loads(sidecar.read_text())
    assert (record["shape"], record["split"]) == ([5, 1, 27], "dev")
    assert record["fingerprint"] == source.spoken["dev"].fingerprint
    assert record["utterances"] == [u.id for u in source.spoken["dev"].utterances()]
    again = source.load(words_encoder)
    monkeypatch.setattr(again.encoder, "encode", None)
    np.testing.assert_array_equal(again.open_table("dev").array, first.array)


def test_other_words_are_encoded_anew(source: FeatureSource, words_encoder: str) -> None:
    features = source.load(words_encoder)
    ours = list(source.spoken["test"].utterances())
    altered = [replace(ours[0], text="something else"), ours[1], replace(ours[2], id="unknown")]
    rows = features.rows(altered, "test")
    np.testing.assert_array_equal(rows[1], features.rows(ours, "test")[1])
    np.testing.assert_array_equal(rows, features.encoder.encode(altered)[:, 0])
    with pytest.raises(DataError, match="no utterance to give features of"):
        features.rows([])


def test_no_label_of_the_split_to_predict_is_held(source: FeatureSource) -> None:
    assert set(source._labelled) == {"train", "dev"}
    assert not hasattr(next(source.spoken["test"].utterances()), "label")


def test_a_table_that_is_not_what_was_written_is_moved_aside(
    source: FeatureSource, words_encoder: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source.load(words_encoder).open_table("dev")
    (path,) = cache.rglob("*.npy")
    whole, sidecar = path.read_bytes(), path.with_suffix(".json").read_bytes()
    np.save(path, np.zeros((4, 1, 27), np.float32))
    another = path.read_bytes()
    for n, broken in enumerate((b"", whole[:50], another, whole[:-1] + bytes([whole[-1] ^ 1]))):
        path.write_bytes(broken)
        caplog.clear()
        source.load(words_encoder).open_table("dev")
        assert f"{path} is damaged" in caplog.text
        assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == (whole, sidecar)
        aside = f"{path.name}.{n + 1}.damaged" if n else f"{path.name}.damaged"
        assert path.with_name(aside).read_bytes() == broken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("minilm", EncoderName("minilm")),
        ("minilm-tuned@r1-r2", EncoderName("minilm-tuned", "", "r1-r2")),
        ("hf:org/name@mean", EncoderName("hf", "org/name", "mean")),
        ("file:/a b/c.pkl#3+4@r1-r2", EncoderName("file", "/a b/c.pkl#3+4", "r1-r2")),
    ],
)
def test_names_are_read(text: str, expected: EncoderName) -> None:
    name = EncoderName.parse(text)
    assert name == expected
    assert name.with_argument(name.argument) == text


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("minilmm", UnknownNameError, "did you mean 'minilm'.*type: erc-harness list encoders"),
        ("minilm:x", ConfigError, "encoder 'minilm:x': expected 'minilm'"),
        ("hf", ConfigError, "encoder 'hf': expected 'hf:NAME_OR_FOLDER'"),
        ("minilm@r0", ConfigError, "expected NAME, NAME:ARGUMENT or NAME:ARGUMENT@LAYERS"),
    ],
)
def test_names_that_mean_nothing_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EncoderName.parse(text)


def test_layers_are_chosen(source: FeatureSource, words_encoder: str) -> None:
    with pytest.raises(ConfigError, match="keeps 1 layers, 'r1-r3' asks for 3; ask for r1"):
        source.load(f"{words_encoder}@r1-r3").width("dev")
    assert source.load(f"{words_encoder}@mean").width("dev") == 27


def test_broken_encoders_and_all_others_are_listed() -> None:
    assert {"minilm", "minilm-tuned", "hf", "hf-tuned", "glove", "file"} <= set(ENCODERS)
    assert [row.name for row in ENCODERS.broken()] == []


def test_what_an_encoder_makes_is_checked(
    source: FeatureSource, words_encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = source.load(words_encoder)
    bad: Any = np.ones((5, 1, 3), np.float32)
    bad[[1, 4], 0, 0] = np.inf
    monkeypatch.setattr(features.encoder, "encode", lambda utterances, tell: bad)
    with pytest.raises(DataError, match="lab, split 'dev': not a finite number in the rows of 'd0_u1', 'd1_u2'$"):
        features.open_table("dev")
    monkeypatch.setattr(features.encoder, "encode", lambda utterances, tell: np.ones((4, 1, 3), np.float32))
    with pytest.raises(DataError, match=r"shape \(4, 1, 3\), expected .* with 5 rows"):
        features.open_table("dev")
