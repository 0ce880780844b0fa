"""How calls are made: pace, patience, limits. Nothing here changes an answer, so none of it is part of a run's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.llm.budget import Budget


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Settings of one session; plain enough to be sent to another process."""

    concurrency: int = 32
    """Requests in flight at most."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion tokens together."""
    timeout_seconds: float = 60.0
    """Of one request."""
    max_retries: int = 6
    """Further attempts after a transient error."""
    batch_size: int = 32
    """Prompts that a local model reads at once."""
    batch_api: bool = False
    """Whether to hand requests to the provider's batch service: slower and cheaper."""
    budget: Budget | None = None
    """Tokens and dollars that all runs of this session may use together; None: no limit."""
    download: bool = False
    """Whether model weights may be fetched from their hub."""
    cache: Path | None = None
    """File of the response store; None: ERC_CACHE_DIR, else the user's cache folder."""
    prices: Path | None = None
    """TOML file of prices that go before the ones that come with the package."""
