"""What a run takes of a machine of a Ray cluster, and which machines have that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness.errors import ConfigError
from harness.predictors.card import Resources

RAY_NAMES = {"cpus": ("CPU", 1), "gpus": ("GPU", 1), "memory": ("memory", 2**30)}
"""Ray's name of a resource, and how many of its units are one of ours; other resources keep theirs."""


def ray_needs(takes: Resources, asked: Mapping[str, float]) -> dict[str, float]:
    """Returns what a run takes, by Ray's names: what its card says, unless the user asks for something else."""
    needs = {name: float(amount) for name, amount in {**asdict(takes), **asked}.items() if amount or name == "cpus"}
    return {RAY_NAMES.get(k, (k, 1))[0]: v * RAY_NAMES.get(k, (k, 1))[1] for k, v in needs.items()}


def check_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> None:
    """Checks that a machine of the cluster can ever take a run.

    Args:
        needs: amount by Ray's name of a resource.
        nodes: as `ray.nodes()` gives them.

    Raises:
        ConfigError: none can; a run would wait for ever.
    """
    if not has_room(needs, nodes):
        asked = ", ".join(f"{name} {amount:g}" for name, amount in sorted(needs.items()))
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        there = "; ".join(", ".join(f"{name} {have.get(name, 0):g}" for name in sorted(needs)) for have in alive)
        raise ConfigError(
            f"no machine of the cluster has what a run is to take ({asked}); they have: {there}; lower -R"
        )


def has_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Returns whether a machine that is there could take a run, were it idle."""
    return any(
        node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in needs.items())
        for node in nodes
    )


def count_room(needs: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many workers fit on the machines at once, were they idle."""
    return sum(
        int(min((node["Resources"].get(name, 0) // amount for name, amount in needs.items() if amount), default=1))
        for node in nodes
        if node["Alive"]
    )
