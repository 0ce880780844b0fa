"""Small tables to Parquet bytes and back."""

from __future__ import annotations

import io
from typing import Any


def to_parquet(table: Any) -> bytes:
    """Returns an Arrow table as Parquet, the same bytes for the same table."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def from_parquet(content: bytes) -> Any:
    """Returns the Arrow table of Parquet bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # One thread: a pool that is still starting when a short command ends aborts the process.
    return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)
