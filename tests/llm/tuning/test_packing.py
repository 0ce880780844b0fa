"""Which models compute examples in a row as they do alone; those that do not are trained one example a row."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from harness.llm.tuning.examples import whole_texts
from harness.llm.tuning.memory import Memory
from harness.llm.tuning.packing import packs
from harness.llm.tuning.rows import RowPlan
from harness.llm.tuning.tune import Task, fine_tune

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # peft asks transformers by an old name
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COMMON = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
SHAPE = {**COMMON, "intermediate_size": 48, "num_key_value_heads": 1, "max_position_embeddings": 256}


def mistral(sliding_window: int) -> Any:
    return transformers.MistralForCausalLM(transformers.MistralConfig(**SHAPE, sliding_window=sliding_window))


class WithoutPositions(transformers.LlamaForCausalLM):
    """A model that takes no positions: it counts them itself, from the first token of what it is given."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None, use_cache: Any = None,
                inputs_embeds: Any = None, **more: Any) -> Any:  # fmt: skip
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels, use_cache=use_cache)


class BlindToMasks(transformers.LlamaForCausalLM):
    """A model that takes a mask and positions, and has no use for the mask."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, position_ids: Any = None, labels: Any = None,
                use_cache: Any = None, **more: Any) -> Any:  # fmt: skip
        return super().forward(input_ids=input_ids, position_ids=position_ids, labels=labels, use_cache=use_cache)


def llama_config(**changes: Any) -> Any:
    return transformers.LlamaConfig(**{**SHAPE, **changes})


MODELS: dict[str, tuple[Callable[[], Any], bool]] = {
    "llama": (lambda: transformers.LlamaForCausalLM(llama_config()), True),
    "qwen2": (lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SHAPE)), True),
    "gpt2": (
        lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=60, n_embd=32, n_layer=1, n_head=2, n_positions=256)
        ),
        True,
    ),
    "a window longer than the examples": (lambda: mistral(64), True),
    "a window shorter than the examples": (lambda: mistral(24), False),
    "no positions": (lambda: WithoutPositions(llama_config()), False),
    "blind to masks": (lambda: BlindToMasks(llama_config()), False),
    "bloom": (
        lambda: transformers.BloomForCausalLM(
            transformers.BloomConfig(vocab_size=60, hidden_size=32, n_layer=1, n_head=2)
        ),
        False,
    ),
}


@pytest.mark.parametrize("learned", [list, whole_texts], ids=["answers", "whole texts"])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_known_whether_a_model_packs(name: str, learned: Any, draw: Any, draw_weights: Any) -> None:
    make, expected = MODELS[name]
    model = draw_weights(make()).train()
    assert packs(model, learned(draw(12))) is expected
    assert model.training


@pytest.mark.parametrize("name", ["a window shorter than the examples", "no positions"])
def test_a_model_that_does_not_pack_learns_one_example_a_row(
    name: str, draw: Any, draw_weights: Any, recipe: Any, plainly: Any, tmp_path: Path
) -> None:
    base = draw_weights(MODELS[name][0]())
    examples, seed = draw(8), 2
    settings = recipe(batch_size=8, epochs=1)
    task = Task(lambda: copy.deepcopy(base), "cpu", examples, None, settings, "lora", tmp_path, seed)
    saved: list[Any] = []
    tuning = fine_tune(task, lambda state: None, lambda *model: saved.append(model[0]), Memory(512, False))
    assert tuning.memory == Memory(1, False)
    assert tuning.history[0]["loss"] == pytest.approx(plainly(base, examples).item(), rel=1e-5)
    assert RowPlan(examples, 8, 1).n_rows == 8
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        model = get_peft_model(copy.deepcopy(base), config)
    plainly(model, examples).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    free = [p for p in model.parameters() if p.requires_grad]
    torch.optim.AdamW(free, lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1, foreach=False).step()
    trained = [p for p in saved[0].parameters() if p.requires_grad]
    for one, other in zip(trained, free, strict=True):
        assert torch.allclose(one, other, atol=2e-4)
