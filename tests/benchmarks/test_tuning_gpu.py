"""What fine-tuning a 7B model costs on a GPU; elsewhere, that the measurement works, on a toy."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import gpu_tuning
import pytest
import torch
from gpu_tuning import Bench, Speed, draw_examples, flops_per_token, make_model, measure, missed, peak_flops
from transformers import LlamaConfig

from harness.llm.tuning.memory import Memory

pytestmark = pytest.mark.filterwarnings("default")

TOY = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=88,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    max_position_embeddings=512,
)

COMMITTED = gpu_tuning.RESULTS / f"{gpu_tuning.NAME}.json"


@pytest.mark.bench
@pytest.mark.gpu
@pytest.mark.timeout(900)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_7b_model_on_a_gpu(tmp_path: Path) -> None:
    chip = torch.cuda.get_device_name()
    figures = measure(Bench(gpu_tuning.LLAMA_7B, "cuda", tmp_path), peak_flops(chip))
    text = json.dumps(gpu_tuning.document(figures, chip), indent=1) + "\n"
    COMMITTED.write_text(text, encoding="utf-8")
    assert not missed(figures)


def test_figures_are_absent_or_whole() -> None:
    kept = json.loads(COMMITTED.read_text(encoding="utf-8"))
    if kept["figures"] is None:
        assert kept == gpu_tuning.absent()
    else:
        check_whole(kept)


def check_whole(kept: dict[str, Any]) -> None:
    assert kept["status"] == "measured"
    assert kept["chip"] and kept["date"] and kept["versions"] and kept["hardware"]
    figures = kept["figures"]
    assert set(figures) == {"released", "recipes", "4bit", "options", "options_left_out"}
    assert set(figures["recipes"]) == set(gpu_tuning.RECIPES)
    for one in (figures["released"], *figures["recipes"].values(), *figures["options"]):
        assert one["examples_per_second"] > 0 and one["epochs_per_hour"] > 0
    assert len(figures["options"]) + len(figures["options_left_out"]) == 2 * len(gpu_tuning.OPTIONS)


def test_the_whole_measurement_works_on_a_toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_tuning, "find_spec", lambda name: None)  # bitsandbytes is for GPUs
    monkeypatch.setattr(gpu_tuning, "N_WARM", 1)
    monkeypatch.setattr(gpu_tuning, "OPTIONS", [(Memory(1024, True), False)])
    figures = measure(Bench(TOY, "cpu", tmp_path, n_updates=1), peak=1e12)
    check_whole(gpu_tuning.document(figures, "a toy"))
    assert figures["options_left_out"] == []
    for one in figures["recipes"].values():
        assert 0 < one["utilisation"] < 1
        assert one["tokens_computed_per_example"] < figures["released"]["tokens_computed_per_example"]
        assert one["on_one_a100"] is not None
    assert any("4 bit: None GB" in words for words in missed(figures))


def test_options_without_time_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_tuning, "find_spec", lambda name: None)
    monkeypatch.setattr(gpu_tuning, "N_WARM", 1)
    monkeypatch.setattr(gpu_tuning, "RECIPES", ("ours",))
    figures = measure(Bench(TOY, "cpu", tmp_path, n_updates=1, seconds=0), peak=None)
    assert figures["options"] == []
    assert len(figures["options_left_out"]) == len(gpu_tuning.OPTIONS)
    assert figures["recipes"]["ours"]["utilisation"] is None


def test_examples_are_as_long_as_those_of_meld() -> None:
    lengths = gpu_tuning.read_lengths()
    examples = draw_examples(4000, gpu_tuning.LLAMA_7B)
    n_header = lengths["header_tokens"]
    assert len({one.context[:n_header] for one in examples}) == 1
    own = [len(one.context) - n_header for one in examples]
    assert sum(own) / len(own) == pytest.approx(lengths["own_tokens_mean"], rel=0.02)
    assert min(own) >= lengths["own_tokens_by_percentile"][0]
    assert Counter(len(one.continuations[0]) for one in examples).most_common(1)[0][0] == 4


def test_floating_point_operations_are_four_for_each_weight() -> None:
    model = make_model(Bench(TOY, "cpu", Path()), "none", torch.float32)
    layers = [part.weight.numel() for name, part in model.named_modules() if name.endswith("_proj")]
    assert flops_per_token(TOY) == (4 * sum(layers), 4 * model.lm_head.weight.numel())
    assert flops_per_token(gpu_tuning.LLAMA_7B)[0] / 4 == pytest.approx(6.476e9, rel=1e-3)


def test_utilisation_is_a_share_of_the_peak() -> None:
    speed = Speed(examples_per_second=100.0, tokens_per_example=44.0, peak_gigabytes=30.0)
    per_example = 44 * flops_per_token(gpu_tuning.LLAMA_7B)[0]
    share = gpu_tuning.utilisation(speed, gpu_tuning.LLAMA_7B, 312e12)
    assert share == pytest.approx(100 * per_example / 312e12, rel=0.01)  # the head is less than a hundredth
    hours = gpu_tuning.on_one_a100(speed, gpu_tuning.LLAMA_7B, share, epochs=10)["hours"]
    assert hours == pytest.approx(10 * 9989 / 100 / 3600, abs=1e-3)  # an A100 as fast as itself


@pytest.mark.parametrize(
    ("chip", "peak"),
    [("NVIDIA A100-SXM4-40GB", 312e12), ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H200", 989e12),
     ("NVIDIA H100 PCIe", None), ("NVIDIA L4", None)],
)  # fmt: skip
def test_peaks_are_those_of_the_chip(chip: str, peak: float | None) -> None:
    assert peak_flops(chip) == peak
