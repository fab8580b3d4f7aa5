"""A topic and a registry that need no cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tests.contract.log_contract import TICKS, VALUE

from ashioto.errors import RegistryError
from ashioto.log.kafka.declared import columns_of, declared
from ashioto.log.kafka.topics import Topic
from ashioto.schema.avro import avro_schema
from ashioto.schema.avrocodec import AvroCodec
from ashioto.schema.framing import frame_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

AVRO = declared(VALUE, TICKS.name)
OLD = avro_schema(pa.schema({"x": pa.int64()}), name=TICKS.name)
TOPIC = Topic(
    spec=TICKS, real="w.t.ticks", id="abc", avro=AVRO, schema_id=1, columns=columns_of(AVRO), max_bytes=1000,
    ahead_ms=500, deletes_kept_ms=1000,
)  # fmt: skip


class Schemas:
    """Knows two schemas by number."""

    def by_id(self, number: int) -> Mapping[str, Any]:
        """Return the schema of a number."""
        if number not in {1, 2}:
            raise RegistryError("there is none", status=404)
        return AVRO if number == 1 else OLD


def framed(x: int, *, old: bool = False) -> bytes:
    """Return the value of a record, in the topic's schema or an older one without the text."""
    row: dict[str, Any] = {"x": x} if old else {"x": x, "s": str(x)}
    schema = pa.schema({"x": pa.int64()}) if old else VALUE
    codec = AvroCodec(OLD if old else AVRO, schema)
    data = pa.RecordBatch.from_pylist([row], schema=schema)
    return codec.encode(data, prefix=frame_prefix(2 if old else 1)).buffer.tobytes()
