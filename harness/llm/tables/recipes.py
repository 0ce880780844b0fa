"""Recipes of fine-tuning, as data: those that come with this package, and a user's own as a TOML file of one recipe.

A file of one's own has the keys of `Recipe` at its top level, each of them: a recipe leaves nothing to a default.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import UnknownNameError
from harness.llm.tables.read import read_own, read_packaged

TABLE = "recipes.toml"
"""The table that comes with this package."""

ALL_LINEAR = "all-linear"


class Recipe(BaseModel):
    """All that fine-tuning depends on, beside data, base model and seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """Where the settings come from."""
    rank: int = Field(gt=0)
    """Of the LoRA matrices. Source: Hu et al. 2022, "LoRA", section 4.1."""
    alpha: int = Field(gt=0)
    """What LoRA adds is scaled by alpha / rank."""
    dropout: float = Field(ge=0, lt=1)
    """Of the input of LoRA matrices."""
    targets: tuple[str, ...] | Literal["all-linear"]
    """Layers that get LoRA matrices, by the end of their name; or every linear layer but the head."""
    batch_size: int = Field(gt=0)
    """Examples per update."""
    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    """At its peak."""
    schedule: Literal["linear", "cosine"]
    """How the learning rate falls after warm-up."""
    final_learning_rate: float = Field(ge=0, le=1)
    """At the last update, as a fraction of the peak; 0 for "linear"."""
    warmup_steps: int = Field(ge=0)
    """Updates during which the learning rate rises from 0; at most a tenth of all."""
    adam_betas: tuple[float, float]
    """Decay of the two moments of AdamW."""
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    """Length to which longer gradients are cut."""
    max_tokens: int = Field(gt=0)
    """Of prompt and answer: longer ones lose lines of history from its far end, never the answer."""
    loss: Literal["answer", "all"]
    """Tokens that are learned: the answer's, or the prompt's too."""
    select_by: Literal["dev-weighted-f1", "held-out-loss"]
    """Which checkpoint is kept: the best on the dev split, or on examples held out of the training split."""
    n_held_out: int = Field(ge=0)
    """Examples held out, drawn with a seed of their own."""
    evaluate_every: Literal["epoch"] | Annotated[int, Field(gt=0)]
    """Updates between two looks at what `select_by` names."""
    patience: int = Field(ge=0)
    """Looks without improvement after which training ends; 0: it never ends early."""
    precision: Literal["bf16", "fp16", "fp32"]
    """Of computation on a GPU; a CPU computes in fp32."""
    quantization: Literal["none", "8bit", "4bit"]
    """Of the base on a GPU; a CPU has none."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuses settings of which one would be passed over for the other."""
        if self.schedule == "linear" and self.final_learning_rate:
            raise ValueError(f'final_learning_rate {self.final_learning_rate}: 0 with schedule = "linear"')
        if (self.select_by == "held-out-loss") != (self.n_held_out > 0):
            raise ValueError(f"n_held_out {self.n_held_out} with select_by = {self.select_by!r}: more than 0 are held "
                             "out for 'held-out-loss', and for nothing else")  # fmt: skip
        return self


class RecipeTable(BaseModel):
    """A file of recipes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipes: dict[str, Recipe]


def list_recipes() -> dict[str, Recipe]:
    """Returns the recipes of this package by name."""
    return dict(_packaged().recipes)


def load_recipe(name: str) -> Recipe:
    """Returns a recipe by name, or from a file of the user's own, whose name ends with '.toml'.

    Raises:
        UnknownNameError: no such recipe.
        ConfigError: the file cannot be read, lacks a key, or has a value that is not allowed.
    """
    if name.endswith(".toml"):
        return read_own(Recipe, Path(name), "recipe")
    known = _packaged().recipes
    if name not in known:
        raise UnknownNameError.of("recipe", name, known, "or give the path of a file that ends with .toml")
    return known[name]


@cache
def _packaged() -> RecipeTable:
    return read_packaged(RecipeTable, TABLE)
