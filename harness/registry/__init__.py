"""Names to objects: a small strict registry, and the loading of plugins that fill it."""

from harness.registry.registry import Registered, Registry, origin_of

__all__ = ["Registered", "Registry", "origin_of"]
