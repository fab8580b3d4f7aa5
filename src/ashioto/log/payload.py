"""Batches as bytes: an Arrow IPC stream, lz4, of the values, the keys, the times and the tombstones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.log.base import Slice

if TYPE_CHECKING:
    from ashioto.log.base import Batch

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def encode_batch(batch: Batch) -> bytes:
    """Return a batch as bytes; dictionaries stay dictionaries."""
    columns = [*batch.data.columns, batch.keys, pa.array(batch.timestamps)]
    if batch.tombstones is not None:
        columns.append(pa.array(batch.tombstones))
    fields = [
        *batch.data.schema,
        *(pa.field(f"@{at}", c.type) for at, c in enumerate(columns[len(batch.data.schema) :])),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields), options=_OPTIONS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)))
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def decode_batch(payload: bytes, *, topic: str, partition: int, base_offset: int, columns: int) -> Slice:
    """Return the records of a stored batch.

    Args:
        payload: What `encode_batch` made.
        topic: Where it was stored.
        partition: Where it was stored.
        base_offset: Offset of its first record.
        columns: How many columns the topic has.

    >>> from ashioto.log.base import Batch
    >>> data = pa.RecordBatch.from_pydict({"x": [7]})
    >>> batch = Batch(topic="t", partition=0, keys=pa.array([b"k"]), timestamps=np.array([1000]), data=data)
    >>> decode_batch(encode_batch(batch), topic="t", partition=0, base_offset=5, columns=1).data.to_pylist()
    [{'x': 7}]
    """
    with pa.ipc.open_stream(payload) as reader:
        stored = reader.read_next_batch()
    keys, times, *deleted = stored.columns[columns:]
    return Slice(
        topic=topic,
        partition=partition,
        base_offset=base_offset,
        keys=keys,
        timestamps=times.to_numpy(),
        data=stored.select(list(range(columns))),
        tombstones=np.asarray(deleted[0].to_numpy(zero_copy_only=False), dtype=np.bool_) if deleted else None,
    )
