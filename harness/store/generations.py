"""The third table of a run that a language model made: how each answer came about. Never a text.

generations.parquet, one row per target utterance in the order of the split:
    utterance_id            string
    rule                    string: the rule that read the answer
    response, prompt        string: SHA-256 in hex, of the request with everything it depends on, and of what was sent
    exemplars               list of string: ids of the training utterances shown, in order
    n_prompt_tokens, n_completion_tokens, n_attempts    int32; tokens null where not told
    seconds, usd            double: latency of the call and its price; null where unknown
    cached                  bool: stored before, so that this run called nobody
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from harness.schema import Generation, Prediction
from harness.store.parquet import from_parquet, to_parquet


def encode_generations(predictions: Iterable[Prediction]) -> bytes:
    """Returns generations.parquet of the predictions that have a record."""
    import pyarrow as pa

    made = [{"utterance_id": p.utterance_id, **asdict(p.generation)} for p in predictions if p.generation is not None]
    return to_parquet(pa.table({name: pa.array([row[name] for row in made], kind) for name, kind in _types().items()}))


def decode_generations(content: bytes) -> dict[str, Generation]:
    """Returns the records of a generations.parquet by utterance id, in order; raises ValueError if it is none."""
    table = from_parquet(content, _types())
    if any(table[name].null_count for name in ("utterance_id", "exemplars")):
        raise ValueError("utterance ids or exemplars are missing")
    names = [field.name for field in fields(Generation)]
    return {
        row["utterance_id"]: Generation(**{**{name: row[name] for name in names}, "exemplars": tuple(row["exemplars"])})
        for row in table.to_pylist()
    }


def _types() -> dict[str, Any]:
    """Returns the Arrow type of each column."""
    import pyarrow as pa

    text, count = pa.string(), pa.int32()
    return {
        "utterance_id": text, "rule": text, "response": text, "prompt": text, "exemplars": pa.list_(text),
        "n_prompt_tokens": count, "n_completion_tokens": count, "seconds": pa.float64(), "usd": pa.float64(),
        "n_attempts": count, "cached": pa.bool_(),
    }  # fmt: skip
