"""Named models: short names for checkpoints at a hub, each pinned to a commit, with the prompt form that suits it.

A table is a TOML file with one section a model; a user's own, named by ERC_MODELS, goes before the one that comes with
this package:

[models."my-model"]
hub_id = "lab/my-model"
revision = "0123456789abcdef0123456789abcdef01234567"   # 40 hex digits: a name always means the same weights
form = "chat"                                             # or "plain": a model without a chat template
templates = { zero-shot = "zero-shot/v1", few-shot = "few-shot/v1" }   # these are the defaults
license = "Apache-2.0"
access = "open"
n_params = 7000000000
source = "https://..."
seen = "where the commit was seen"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.llm.tables.read import read_own, read_packaged
from harness.prompting import Form

TABLE = "models.toml"
"""The table that comes with this package."""

_TEMPLATES = {"zero-shot": "zero-shot/v1", "few-shot": "few-shot/v1"}


class NamedModel(BaseModel):
    """A pinned checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Short name, as in `-P model=NAME`."""
    hub_id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """OWNER/NAME at the hub."""
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """Commit at the hub."""
    form: Form
    """Whether it was trained on messages with a chat template."""
    templates: Mapping[str, str] = _TEMPLATES
    """Prompt template by family."""
    license: str
    access: str = "open"
    """How to get the weights."""
    n_params: int | None = Field(default=None, gt=0)
    """Number of parameters."""
    source: str = ""
    """Paper or page of the model."""
    seen: str = ""
    """Where the commit was seen to belong to the model."""
    note: str = ""
    """What else to know, such as why this checkpoint of several."""


class ModelTable(BaseModel):
    """A file of named models."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, NamedModel]

    @field_validator("models", mode="before")
    @classmethod
    def _name_entries(cls, models: object) -> object:
        """Gives every entry the name of its section."""
        if not isinstance(models, dict):
            return models
        return {name: {**entry, "name": name} if isinstance(entry, dict) else entry for name, entry in models.items()}


def named_models() -> dict[str, NamedModel]:
    """Returns every named model by name: those of ERC_MODELS, then those of this package that are not among them.

    Raises:
        ConfigError: the user's file cannot be read, or a key or value in it is not allowed.
    """
    own = os.environ.get("ERC_MODELS")
    added = read_own(ModelTable, Path(own), "ERC_MODELS").models if own else {}
    return {**added, **{name: model for name, model in _packaged().models.items() if name not in added}}


def find_model(name: str) -> NamedModel | None:
    """Returns a named model; None if no table has the name.

    Raises:
        ConfigError: as `named_models`.
    """
    return named_models().get(name)


def list_models() -> list[dict[str, object]]:
    """Returns one record per named model: name, hub_id, revision, form, n_params, license, access, source, note."""
    columns = ("name", "hub_id", "revision", "form", "n_params", "license", "access", "source", "note")
    return [{column: getattr(model, column) for column in columns} for model in named_models().values()]


@cache
def _packaged() -> ModelTable:
    return read_packaged(ModelTable, TABLE)
