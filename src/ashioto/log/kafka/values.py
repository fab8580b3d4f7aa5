"""Values as bytes: columns into framed Avro, and back from whichever schemas they were written in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import RegistryError, SchemaError
from ashioto.log.records import concat
from ashioto.schema.avrocodec import AvroCodec
from ashioto.schema.framing import PREFIX_BYTES, frame_prefix, split_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.log.base import Ints, Mask
    from ashioto.log.kafka.topics import Topic
    from ashioto.schema.registry import SchemaRegistry

_MOST_CODECS: Final = 512
_LARGEST_ID: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Holds values as columns.

    Args:
        data: A row for each value, in the columns of the topic; rows of deletions and of bad values are null.
        dead: Where the value is a deletion; shape (n,).
        reasons: Why a value could not be read, by row.
    """

    data: pa.RecordBatch
    dead: Mask
    reasons: dict[int, str]


class Values:
    """Encodes and decodes the values of topics.

    Args:
        registry: Knows the schemas by number.
    """

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._codecs: dict[tuple[str, int, int], AvroCodec | str] = {}

    def encode(self, topic: Topic, data: pa.RecordBatch, dead: Mask | None = None) -> pa.LargeBinaryArray:
        """Return rows as values, each with the number of its schema before it.

        Args:
            topic: Whose values they are.
            data: The rows, in the topic's columns.
            dead: Where there is a deletion instead, which is null; shape (n,).
        """
        if not data.num_rows:
            return pa.array([], pa.large_binary())
        codec = self._codec(topic, topic.schema_id)
        if isinstance(codec, str):
            raise SchemaError(f"the values of {topic.spec.name} cannot be written: {codec}", topic=topic.spec.name)
        named = pa.RecordBatch.from_arrays(data.columns, schema=topic.columns.stored)
        made = codec.encode(named, prefix=frame_prefix(topic.schema_id))
        valid = None if dead is None else pa.py_buffer(np.packbits(~dead, bitorder="little"))
        held = [valid, pa.py_buffer(made.offsets), pa.py_buffer(made.buffer)]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), data.num_rows, held)

    def decode(self, topic: Topic, values: pa.LargeBinaryArray) -> Rows:
        """Return values as rows.

        Args:
            topic: Whose values they are.
            values: The bytes; null for a deletion.

        Raises:
            RegistryError: The registry cannot be reached.
        """
        _, held, content = values.buffers()
        bounds = np.frombuffer(held, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
        starts, stops = bounds[:-1], bounds[1:]
        buffer = np.frombuffer(content or b"", dtype=np.uint8)
        dead: Mask = np.asarray(values.is_null())
        live = np.flatnonzero(~dead)
        frames = split_frames(buffer, starts[live], stops[live])
        reasons = {int(live[row]): reason for row, reason in frames.reasons.items()}
        parts: list[tuple[Ints, pa.RecordBatch]] = []
        for schema_id, rows in frames.rows.items():
            at = live[rows]
            codec = self._codec(topic, schema_id)
            if isinstance(codec, str):
                reasons |= dict.fromkeys(at.tolist(), codec)
                continue
            found = codec.decode(buffer, starts[at] + PREFIX_BYTES, stops[at])
            reasons |= {int(at[row]): reason for row, reason in found.reasons.items()}
            parts.append((at, found.data))
        whole = _assembled(topic.spec.schema.remove_metadata(), parts, len(values))
        return Rows(data=whole, dead=dead, reasons=reasons)

    def _codec(self, topic: Topic, schema_id: int) -> AvroCodec | str:
        """Return what reads values of a schema into the topic's columns, or why nothing can."""
        key = topic.id, topic.schema_id, schema_id
        with self._lock:
            found = self._codecs.get(key)
        if found is not None:
            return found
        avro = topic.avro if schema_id == topic.schema_id else self._known(schema_id)
        if avro is None:  # the next look may find it
            return f"the value names schema {schema_id}, which the registry does not know"
        found = _codec(avro, topic)
        with self._lock:
            if len(self._codecs) >= _MOST_CODECS:
                self._codecs.clear()
            self._codecs[key] = found
        return found

    def _known(self, schema_id: int) -> Mapping[str, object] | None:
        if schema_id > _LARGEST_ID:
            return None
        try:
            return self._registry.by_id(schema_id)
        except RegistryError as error:
            if error.ids.get("status") != 404:
                raise
            return None


def _codec(avro: Mapping[str, object], topic: Topic) -> AvroCodec | str:
    try:
        return AvroCodec(avro, topic.columns.stored)
    except SchemaError as error:
        return f"the value is of another schema than the topic's: {error.message}"


def _assembled(schema: pa.Schema, parts: list[tuple[Ints, pa.RecordBatch]], rows: int) -> pa.RecordBatch:
    """Return the parts as one, null where there is none."""
    if len(parts) == 1 and len(parts[0][0]) == rows:
        return pa.RecordBatch.from_arrays(parts[0][1].columns, schema=schema)
    back = np.full(rows, sum(len(at) for at, _ in parts), dtype=np.int64)
    first = 0
    for at, _ in parts:
        back[at] = np.arange(first, first + len(at))
        first += len(at)
    order = pa.array(back)
    columns = [
        concat([*(part.column(number) for _, part in parts), pa.nulls(1, column.type)]).take(order)
        for number, column in enumerate(schema)
    ]
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
