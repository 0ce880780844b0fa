"""A model of a few thousand weights with random LoRA matrices, and examples for it that share beginnings."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from harness.llm.local.choice_tree import Candidates
from harness.llm.tables.recipes import Recipe

N_TOKENS = 60
"""Of the vocabulary."""


def draw_examples(n: int, seed: int = 0, n_header: int = 12) -> list[Candidates]:
    """Returns examples that begin alike, some with equal prompts, some with a prompt that begins another's."""
    rng = np.random.default_rng(seed)

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.integers(3, N_TOKENS, int(rng.integers(low, high))).tolist())

    header = some(n_header, n_header + 1)
    found: list[Candidates] = []
    for i in range(n):
        context = header + some(1, 25)
        if i % 4 == 3:
            context = found[-1].context
        elif i % 4 == 2:
            context = found[-1].context + some(1, 6)
        found.append(Candidates(context, (some(1, 4),)))
    return found


@pytest.fixture(scope="session", autouse=True)
def imports_are_not_collected() -> Iterator[None]:
    """Every training collects garbage, and would look through all that was imported: most of its time here."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def draw() -> Callable[..., list[Candidates]]:
    """Draws examples: `draw_examples`."""
    return draw_examples


@pytest.fixture(scope="session")
def base() -> Any:
    """A Llama of two layers and width 32 with weights large enough that the context matters."""
    config = transformers.LlamaConfig(
        vocab_size=N_TOKENS, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    return drawn(transformers.LlamaForCausalLM(config))


def drawn(model: Any, seed: int = 0) -> Any:
    """Returns a model with weights drawn from a normal distribution of variance 1 / width."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(torch.randn(weight.shape, generator=generator) * weight.shape[-1] ** -0.5)
    return model


@pytest.fixture
def draw_weights() -> Callable[..., Any]:
    """Draws the weights of a model: `drawn`."""
    return drawn


@pytest.fixture
def load(base: Any) -> Callable[[], Any]:
    """Returns copies of the base, as if it were loaded anew each time."""
    return lambda: copy.deepcopy(base)


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    """Builds recipes of small numbers, with some of them changed."""

    def build(**changes: Any) -> Recipe:
        usual: dict[str, Any] = {
            "source": "a test", "rank": 4, "alpha": 8, "dropout": 0.0, "targets": ("q_proj", "v_proj"),
            "batch_size": 8, "epochs": 2, "learning_rate": 1e-2, "schedule": "cosine", "final_learning_rate": 0.1,
            "warmup_steps": 0, "adam_betas": (0.9, 0.95), "weight_decay": 0.1, "max_grad_norm": 1.0,
            "max_tokens": 256, "loss": "answer", "select_by": "dev-weighted-f1", "n_held_out": 0,
            "evaluate_every": "epoch", "patience": 0, "precision": "fp32", "quantization": "none",
        }  # fmt: skip
        return Recipe(**(usual | changes))

    return build


def plain_loss(model: Any, examples: Sequence[Candidates]) -> torch.Tensor:
    """Returns the loss of an update by transformers' own loss, each example alone, over the tokens of all answers."""
    total = torch.zeros(())
    n_learned = 0
    for one in examples:
        answer = one.continuations[0]
        ids = torch.tensor([[*one.context, *answer]])
        labels = torch.tensor([[*[-100] * len(one.context), *answer]])
        total = total + model(input_ids=ids, labels=labels).loss * len(answer)  # a mean over the answer's tokens
        n_learned += len(answer)
    return total / n_learned


@pytest.fixture
def plainly() -> Callable[[Any, Sequence[Candidates]], torch.Tensor]:
    """Computes the loss as everybody does: `plain_loss`."""
    return plain_loss
