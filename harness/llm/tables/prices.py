"""What providers charge, as dated list prices: looked up by server and the model's name there, never guessed.

A table is a TOML file with one section a model:

server = "api.openai.com"              # who charges this, as runs name it; default: whoever has a model of that name

[models."gpt-4o-mini"]
aliases = ["gpt-4o-mini-2024-07-18"]   # other names of the same model
input = 0.15                           # US dollars per million tokens
cached_input = 0.075                   # of input that the provider took from its own cache; default: as input
output = 0.60
batch_discount = 0.5                   # fraction that the batch service takes off; default: 0
date = 2025-01-31                      # when this was the list price
source = "https://..."
"""

from __future__ import annotations

import datetime
import os
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from harness.llm.calls import CallSettings
from harness.llm.tables.read import read_own, read_packaged

TABLE = "prices.toml"
"""The table that comes with this package."""


class Price(BaseModel):
    """Price of a model, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of input tokens that the provider took from its own cache; None: as `input`."""
    batch_discount: float = Field(default=0.0, ge=0, le=1)
    """Fraction that the batch service takes off."""
    aliases: tuple[str, ...] = ()
    """Other names of the same model."""
    date: datetime.date | None = None
    """When this was the list price."""
    source: str = ""
    """Where it was stated."""

    def usd(self, n_prompt: int, n_completion: int, n_cached: int = 0) -> float:
        """Returns US dollars for an answer.

        Args:
            n_prompt: tokens sent, `n_cached` included.
            n_completion: tokens written.
            n_cached: tokens of the prompt that the provider took from its own cache.
        """
        cached_input = self.input if self.cached_input is None else self.cached_input
        total = (n_prompt - n_cached) * self.input + n_cached * cached_input + n_completion * self.output
        return total / 1e6

    def in_batch(self) -> Price:
        """Returns the price in the batch service; nothing more is taken off there for cached input."""
        left = 1 - self.batch_discount
        changes = {
            "input": self.input * left,
            "output": self.output * left,
            "cached_input": None,
            "batch_discount": 0.0,
        }
        return self.model_copy(update=changes)


class PriceTable(BaseModel):
    """A file of prices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, Price]
    server: str | None = None
    """Public name of the server that charges this, as in a back end's identity; None: whoever answers."""

    def find(self, model: str, server: str | None) -> Price | None:
        """Returns the price of a model at a server by its name, else by an alias."""
        if self.server not in (None, server):
            return None
        if model in self.models:
            return self.models[model]
        return next((price for price in self.models.values() if model in price.aliases), None)


def find_price(model: str, calls: CallSettings, server: str | None) -> Price | None:
    """Returns what a model costs, as these calls are made; None where no table knows it.

    Tables in order: the file of `calls.prices`, that of ERC_PRICES, the one that comes with this package.

    Args:
        model: name at the server.
        calls: for the user's table, and whether the batch service is asked.
        server: public name, as in the back end's identity; None: no server, and only tables for all servers count.

    Raises:
        ConfigError: a user's file cannot be read, or a key or value in it is not allowed.
    """
    tables = []
    if calls.prices is not None:
        tables.append(read_own(PriceTable, calls.prices, "--prices"))
    if os.environ.get("ERC_PRICES"):
        tables.append(read_own(PriceTable, Path(os.environ["ERC_PRICES"]), "ERC_PRICES"))
    for table in (*tables, packaged_prices()):
        if (price := table.find(model, server)) is not None:
            return price.in_batch() if calls.batch_api else price
    return None


@cache
def packaged_prices() -> PriceTable:
    """Returns the table that comes with this package."""
    return read_packaged(PriceTable, TABLE)
