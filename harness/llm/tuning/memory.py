"""What fits into memory while training, and what to try when it does not. None of it changes what comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness.llm.tables.recipes import Recipe

ROW_TOKENS = {"cpu": 1024, "cuda": 2048}
"""Tokens of a row by device, until memory lacks. 2,048 tokens of a 7B model take about 14 GB without checkpointing."""

FEWEST_ROW_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Memory:
    """How much is computed at once: it changes how long training takes, and results by rounding only."""

    row_tokens: int
    gradient_checkpointing: bool
    """Whether activations are computed twice in place of being kept."""

    def smaller(self, usual: Memory) -> Memory | None:
        """Returns the next thing to try, None after the last; `usual` is what was tried first."""
        if self.row_tokens > FEWEST_ROW_TOKENS:
            return replace(self, row_tokens=self.row_tokens // 2)
        return None if self.gradient_checkpointing else Memory(usual.row_tokens, True)


def usual_memory(model: Any, device: str) -> Memory:
    """Returns what suits a device; who loads 4 bits is short of memory, so activations are computed twice."""
    return Memory(ROW_TOKENS[device], bool(getattr(model, "is_loaded_in_4bit", False)))


def advise(recipe: Recipe, method: str, tried: Memory | None) -> str:
    """Returns the message for who has too little memory: what was tried, and what would fit.

    Args:
        recipe: of the training.
        method: 'lora' or 'full'.
        tried: what was tried last; None: the base alone did not fit.
    """
    less = ["-P method=lora"] if method == "full" else []
    less += ["-P quantization=4bit (on a GPU)"] if recipe.quantization != "4bit" else []
    less.append("a smaller -P base=")
    if tried is None:
        return f"out of memory with the base alone; what takes less: {', '.join(less)}"
    less.append("a smaller -P window= or max_tokens in a recipe of your own")
    twice = " and gradient checkpointing" if tried.gradient_checkpointing else ""
    return (
        f"out of memory, at last with rows of {tried.row_tokens} tokens{twice}; what takes less: {', '.join(less)}; "
        f"batch_size does not matter: its {recipe.batch_size} examples are computed row by row"
    )
