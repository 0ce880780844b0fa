"""Options for how calls to language models are made, and the settings they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.llm.budget import Budget

Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at most.")]
RequestsPerMinute = Annotated[float | None, typer.Option(min=0.001, help="Requests a minute at most.")]
TokensPerMinute = Annotated[float | None, typer.Option(min=1, help="Prompt and completion tokens a minute at most.")]
TimeoutSeconds = Annotated[float, typer.Option(min=0.1, help="Patience with one request.")]
MaxRetries = Annotated[int, typer.Option(min=0, help="Attempts after a transient error.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Prompts that a local model reads at once.")]
BatchApi = Annotated[bool, typer.Option("--batch-api", help="Use the provider's batch service.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Call nobody: say how many tokens and dollars it would take."),
]
MaxCost = Annotated[
    float | None,
    typer.Option(help="US dollars that this command may spend; it stops resumably."),
]
MaxTokensTotal = Annotated[int | None, typer.Option(help="Tokens that this command may use; it stops resumably.")]
Download = Annotated[bool, typer.Option("--download", help="Allow to fetch model weights from their hub.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", help="File of the response store. Default: in ERC_CACHE_DIR."),
]
Prices = Annotated[Path | None, typer.Option("--prices", help="TOML file of prices that go before ours.")]


def make_budget(max_cost: float | None, max_tokens_total: int | None, spread_by: str = "") -> Budget | None:
    """Returns the budget that all runs of a command share; None: no limit.

    Args:
        max_cost: US dollars.
        max_tokens_total: prompt and completion tokens.
        spread_by: the option that puts calls into several processes; '' if none does.

    Raises:
        ConfigError: a limit is not above 0, or several processes would have to share it.
    """
    from harness.llm.budget import Budget

    if max_cost is None and max_tokens_total is None:
        return None
    if spread_by:
        raise ConfigError(
            f"{spread_by} with --max-cost or --max-tokens-total: one process must keep the count; leave out "
            f"{spread_by.split()[0]} (--concurrency is how many requests are in flight)"
        )
    return Budget(max_cost, max_tokens_total)
