"""Batches as bytes: an Arrow IPC stream, lz4, of the values, the keys, the times and the tombstones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.log.base import Slice
from ashioto.log.records import projected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Batch

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")
_KEYS, _TIMES, _TOMBSTONES = "@0", "@1", "@2"


def encode_batch(batch: Batch, *, names: Sequence[str] | None = None) -> bytes:
    """Return a batch as bytes; dictionaries stay dictionaries.

    Args:
        batch: What to encode.
        names: What its columns are called where they are stored; None means their own names.
    """
    columns = [*batch.data.columns, batch.keys, pa.array(batch.timestamps)]
    if batch.tombstones is not None:
        columns.append(pa.array(batch.tombstones))
    given = list(batch.data.schema)
    fields = given if names is None else [f.with_name(name) for f, name in zip(given, names, strict=True)]
    fields += [pa.field(n, c.type) for n, c in zip((_KEYS, _TIMES, _TOMBSTONES), columns[len(given) :], strict=False)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields), options=_OPTIONS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)))
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def decode_batch(
    payload: bytes, *, topic: str, partition: int, base_offset: int, schema: pa.Schema,
    names: Sequence[str] | None = None,
) -> Slice:  # fmt: skip
    """Return the records of a stored batch, in the columns that its topic has now.

    Args:
        payload: What `encode_batch` made.
        topic: Where it was stored.
        partition: Where it was stored.
        base_offset: Offset of its first record.
        schema: The topic's columns; null in records that were stored without them.
        names: What these columns are called where they are stored; None means their own names.

    >>> from ashioto.log.base import Batch
    >>> data = pa.RecordBatch.from_pydict({"x": [7]})
    >>> batch = Batch(topic="t", partition=0, keys=pa.array([b"k"]), timestamps=np.array([1000]), data=data)
    >>> decode_batch(encode_batch(batch), topic="t", partition=0, base_offset=5, schema=data.schema).data.to_pylist()
    [{'x': 7}]
    """
    with pa.ipc.open_stream(payload) as reader:
        stored = reader.read_next_batch()
    count = stored.num_columns - (3 if stored.schema.names[-1] == _TOMBSTONES else 2)
    keys, times, *deleted = stored.columns[count:]
    data = stored.select(list(range(count)))
    if names is not None or data.schema.names != schema.names:
        data = projected(data, schema.names if names is None else names, schema)
    return Slice(
        topic=topic,
        partition=partition,
        base_offset=base_offset,
        next_offset=base_offset + data.num_rows,
        keys=keys,
        timestamps=times.to_numpy(),
        data=data,
        tombstones=np.asarray(deleted[0].to_numpy(zero_copy_only=False), dtype=np.bool_) if deleted else None,
    )
