"""Small tables to Parquet bytes and back, whoever wrote them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MAX_ROWS = 4_000_000
"""Rows of a table; the largest corpus in use has under 100,000 utterances."""

MAX_UNPACKED = 1 << 30
"""Bytes of a table when it is unpacked: a few kB of Parquet can hold the same row a million times."""


def to_parquet(table: Any) -> bytes:
    """Returns an Arrow table as Parquet, the same bytes for the same table."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def from_parquet(content: bytes, columns: Mapping[str, Any], optional: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Returns the Arrow table of Parquet bytes, with texts as dictionaries, so that a repeated one is there once.

    Types and sizes are looked at before anything is unpacked.

    Args:
        content: the file.
        columns: Arrow type by name of every column that must be there.
        optional: the same for columns that may be there.

    Raises:
        ValueError: it is no Parquet, has other columns, or is too large when unpacked.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_columns(file.schema_arrow, columns, optional)
        _check_sizes(file.metadata)
        leaves = [file.schema.column(i) for i in range(len(file.schema))]
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        # One thread: a pool that is still starting when a short command ends aborts the process.
        reader = pq.ParquetFile(
            pa.BufferReader(content), metadata=file.metadata, pre_buffer=False, read_dictionary=texts
        )
        table = reader.read(use_threads=False)
        table.validate(full=True)  # reading alone lets indices stand that lead out of their dictionary
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"no Parquet file: {' '.join(str(error).split())}") from error
    _bound("bytes of text", sum(_text_bytes(chunk) for column in table.columns for chunk in column.chunks))
    return table


def _check_columns(schema: Any, columns: Mapping[str, Any], optional: Mapping[str, Any]) -> None:
    found = {field.name: field.type for field in schema}
    missing = [name for name in columns if name not in found]
    unknown = [name for name in schema.names if name not in columns and name not in optional]
    if missing or unknown or len(found) < len(schema.names):
        raise ValueError(f"it has the columns {', '.join(schema.names)[:200]}; expected {', '.join(columns)}")
    for name, kind in found.items():
        expected = columns[name] if name in columns else optional[name]
        if _plain(kind) != _plain(expected):
            raise ValueError(f"column {name!r} is of type {kind}; expected {expected}")


def _plain(kind: Any) -> Any:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_sizes(metadata: Any) -> None:
    """Checks what the groups of rows claim; to ask for single columns could abort the process on a damaged file."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    _bound("rows", max(metadata.num_rows, sum(group.num_rows for group in groups)), MAX_ROWS)
    _bound("bytes", sum(group.total_byte_size for group in groups))


def _text_bytes(chunk: Any) -> int:
    """Returns the bytes that the texts of an array take, each as often as it is there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = chunk.flatten() if pa.types.is_list(chunk.type) else chunk
    if not pa.types.is_dictionary(values.type):
        return 0
    return pc.sum(pc.take(pc.binary_length(values.dictionary), values.indices)).as_py() or 0


def _bound(what: str, found: int, most: int = MAX_UNPACKED) -> None:
    if found > most:
        raise ValueError(f"it has {found} {what} when unpacked; expected no more than {most}")
