"""Damaged Avro: sound records are read right, every other has a reason, and nothing beside a record is looked at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.support_avro import ANY_TYPE, RECORDS, VALUES, batches, joined, named, read, rows_of, same

from ashioto.schema.avro import TEXT_CODES, TEXTS, avro_schema
from ashioto.schema.avrocodec import AvroCodec, Decoded

PLAIN = [pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.binary(), TEXT_CODES, TEXTS, RECORDS]
HARMS = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "insert", "drop"]), st.integers(0, 40), st.binary(max_size=3)), max_size=3
)


def harmed(value: bytes, harms: list[tuple[str, int, bytes]]) -> bytes:
    for what, at, some in harms:
        place = at % (len(value) + 1)
        if what == "set":
            value = value[:place] + some + value[place + len(some) :]
        elif what == "cut":
            value = value[:place]
        else:
            value = value[:place] + (some if what == "insert" else b"") + value[place + (what == "drop") :]
    return value


def check(found: Decoded, row: int) -> None:
    if row in found.reasons:
        assert found.reasons[row]
        assert set(found.data.slice(row, 1).to_pylist()[0].values()) == {None}


@given(batches(kinds=PLAIN), st.lists(HARMS, min_size=1, max_size=6), st.lists(st.binary(max_size=4), min_size=1))
def test_what_is_read_of_damaged_records_is_what_another_reader_reads(
    batch: pa.RecordBatch, harms: list[list[tuple[str, int, bytes]]], gaps: list[bytes]
) -> None:
    avro = avro_schema(batch.schema, name="r")
    codec = AvroCodec(avro, batch.schema)
    made = codec.encode(batch)
    sound = rows_of(made.buffer, made.offsets)
    values = [harmed(value, harms[n % len(harms)]) for n, value in enumerate(sound)]
    found = codec.decode(*joined(values, gaps=gaps))
    found.data.validate(full=True)
    for row, value in enumerate(values):
        check(found, row)
        if row not in found.reasons:
            other, size = read(avro, value)
            assert (same(found.data.slice(row, 1).to_pylist()[0]), len(value)) == (same(other), size)
        else:
            assert value != sound[row]


@given(batches(), st.lists(HARMS, min_size=1, max_size=6), st.binary(min_size=1), st.binary(min_size=1))
def test_a_record_is_read_alike_whatever_stands_beside_it(
    batch: pa.RecordBatch, harms: list[list[tuple[str, int, bytes]]], left: bytes, right: bytes
) -> None:
    codec = AvroCodec(avro_schema(batch.schema, name="r"), batch.schema)
    made = codec.encode(batch)
    values = [harmed(v, harms[n % len(harms)]) for n, v in enumerate(rows_of(made.buffer, made.offsets))]
    one, other = codec.decode(*joined(values, gaps=[left])), codec.decode(*joined(values, gaps=[right]))
    assert one.reasons == other.reasons
    assert one.data.schema == other.data.schema
    assert _bits(one.data) == _bits(other.data)


def _bits(data: pa.RecordBatch) -> list[object]:
    """Columns as what lies under them: damaged times and dates have no Python value."""
    kinds = [pa.types.is_timestamp(c.type) or pa.types.is_date32(c.type) for c in data.columns]
    plain = [c.view(f"int{c.type.bit_width}") if k else c for c, k in zip(data.columns, kinds, strict=True)]
    return [same(column.to_pylist()) for column in plain]


@given(st.lists(st.sampled_from(list(VALUES)), max_size=5), ANY_TYPE, st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_without_harm(
    kinds: list[pa.DataType], typed: tuple[object, object], values: list[bytes]
) -> None:
    schema = pa.schema([(f"c{n}", kind) for n, kind in enumerate(kinds)])
    avro = avro_schema(schema, name="r")
    fields = [*avro["fields"], {"name": "odd", "type": named(typed[0], [])}]  # type: ignore[misc]  # a list of fields
    found = AvroCodec({**avro, "fields": fields}, schema.append(pa.field("new", pa.int64()))).decode(*joined(values))
    found.data.validate(full=True)
    assert set(found.reasons) <= set(range(len(values)))
    for row in found.reasons:
        assert all(not column.is_valid()[row].as_py() for column in found.data.columns)


@given(st.lists(st.tuples(st.integers(-3, 12), st.integers(-3, 12)), max_size=9))
def test_records_outside_the_buffer_have_a_reason(places: list[tuple[int, int]]) -> None:
    schema = pa.schema({"n": pa.int64()})
    data, _, _ = joined([b"\x02\x02" * 4])
    starts, stops = (np.array([place[n] for place in places], np.int64) for n in range(2))
    found = AvroCodec(avro_schema(schema, name="r"), schema).decode(data, starts, stops)
    for row, (start, stop) in enumerate(places):
        outside = not 0 <= start <= stop <= len(data)
        assert (found.reasons.get(row) == "the value lies outside the buffer") is outside
