"""Stored runs: paths, logs, seals, provenance. Knows predictions and counts, no predictor and no table."""

from harness.store.layout import Layout
from harness.store.run_store import RunStore, StoredRun

__all__ = ["Layout", "RunStore", "StoredRun"]
