"""Avro as we write and read it equals what another implementation reads and writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.support_avro import ANY_TYPE, LONGS, STRINGS, VALUES, batches, joined, named, read, rows_of, same, written

from ashioto.schema.arrow import TIME
from ashioto.schema.avro import arrow_schema, avro_schema
from ashioto.schema.avrocodec import AvroCodec

ANYTHING = st.integers(-(2**63), 2**63 - 1)


@given(batches())
def test_another_reader_reads_what_we_write(batch: pa.RecordBatch) -> None:
    avro = avro_schema(batch.schema, name="r")
    made = AvroCodec(avro, batch.schema).encode(batch)
    rows = [read(avro, value) for value in rows_of(made.buffer, made.offsets)]
    assert [same(row) for row, _ in rows] == [same(row) for row in batch.to_pylist()]
    assert [size for _, size in rows] == np.diff(made.offsets).tolist()


@given(batches(), st.binary(max_size=5))
def test_we_read_what_another_writer_writes(batch: pa.RecordBatch, gap: bytes) -> None:
    avro = avro_schema(batch.schema, name="r")
    found = AvroCodec(avro, batch.schema).decode(*joined(written(avro, batch.to_pylist()), gaps=[gap]))
    found.data.validate(full=True)
    assert found.reasons == {}
    assert found.data.schema.equals(batch.schema)
    assert same(found.data.to_pylist()) == same(batch.to_pylist())


@given(batches(kinds=[kind for kind in VALUES if not pa.types.is_decimal(kind)], most=20), st.binary(max_size=7))
def test_we_write_the_bytes_of_another_writer_behind_a_prefix(batch: pa.RecordBatch, prefix: bytes) -> None:
    avro = avro_schema(batch.schema, name="r")
    made = AvroCodec(avro, batch.schema).encode(batch, prefix=prefix)
    assert rows_of(made.buffer, made.offsets) == [prefix + value for value in written(avro, batch.to_pylist())]


@given(st.lists(st.none() | ANYTHING, max_size=9))
def test_times_and_decimals_beyond_what_people_write_come_back(values: list[int | None]) -> None:
    units = pa.array(values, pa.int64())
    kinds = [TIME, pa.decimal64(18, 5), pa.int64()]
    columns = [pa.Array.from_buffers(kind, len(units), units.buffers(), null_count=units.null_count) for kind in kinds]
    batch = pa.RecordBatch.from_arrays(columns, names=["at", "price", "n"])
    codec = AvroCodec(avro_schema(batch.schema, name="r"), batch.schema)
    made = codec.encode(batch)
    found = codec.decode(made.buffer, made.offsets[:-1], made.offsets[1:])
    assert found.reasons == {}
    assert found.data.equals(batch)


@given(st.lists(st.integers(-(2**127), 2**127 - 1), max_size=9))
def test_decimals_of_128_bits_come_back(values: list[int]) -> None:
    words = b"".join(n.to_bytes(16, "little", signed=True) for n in values)
    column = pa.Array.from_buffers(pa.decimal128(38, 2), len(values), [None, pa.py_buffer(words)])
    batch = pa.RecordBatch.from_arrays([column], names=["n"])
    codec = AvroCodec(avro_schema(batch.schema, name="r"), batch.schema)
    made = codec.encode(batch)
    found = codec.decode(made.buffer, made.offsets[:-1], made.offsets[1:])
    assert found.data.equals(batch)


@given(ANY_TYPE, st.data())
def test_fields_of_any_type_are_skipped(typed: tuple[Any, st.SearchStrategy[Any]], data: st.DataObject) -> None:
    kind, values = named(typed[0], []), typed[1]
    fields = [{"name": n, "type": t} for n, t in [("odd", kind), ("text", ["string", "null"]), ("n", "long")]]
    avro = {"type": "record", "name": "r", "fields": fields}
    row = st.fixed_dictionaries({"odd": values, "text": st.none() | STRINGS, "n": LONGS})
    rows = data.draw(st.lists(row, max_size=4))
    wanted = pa.schema({"n": pa.int64(), "text": pa.string(), "new": pa.date32()})
    found = AvroCodec(avro, wanted).decode(*joined(written(avro, rows)))
    assert found.reasons == {}
    assert found.data.to_pylist() == [{"n": r["n"], "text": r["text"], "new": None} for r in rows]


@given(batches())
def test_a_schema_comes_back(batch: pa.RecordBatch) -> None:
    avro = avro_schema(batch.schema, name="r")
    assert arrow_schema(avro).equals(batch.schema)
