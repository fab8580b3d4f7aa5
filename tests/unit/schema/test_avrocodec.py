from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_avro import joined, rows_of, written

from ashioto.errors import SchemaError
from ashioto.schema.arrow import TIME, plain, rows_type
from ashioto.schema.avro import TEXT_CODES, TEXTS, avro_schema
from ashioto.schema.avrocodec import AvroCodec, Decoded

WIDE_FIXED = {"type": "fixed", "name": "f", "size": 12, "logicalType": "decimal", "precision": 20}
TICK = pa.schema({"symbol": TEXT_CODES, "at": TIME, "price": pa.decimal64(18, 5), "n": pa.int64()})


def record(**types: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}


def decoded(avro: Any, reader: pa.Schema, *rows: dict[str, object]) -> Decoded:
    found = AvroCodec(avro, reader).decode(*joined(written(avro, rows)))
    found.data.validate(full=True)
    return found


def column(kind: Any, wanted: pa.DataType, *values: object) -> list[object]:
    found = decoded(record(x=kind), pa.schema({"x": wanted}), *({"x": value} for value in values))
    assert found.reasons == {}
    assert found.data.schema.field("x").type == wanted
    return list(found.data.column("x").to_pylist())


def encoded(schema: pa.Schema, rows: list[dict[str, object]], avro: Any = None) -> list[bytes]:
    codec = AvroCodec(avro_schema(schema, name="r") if avro is None else avro, schema)
    made = codec.encode(pa.RecordBatch.from_pylist(rows, schema=schema))
    return rows_of(made.buffer, made.offsets)


def test_columns_that_the_writer_lacks_are_null_and_others_are_skipped() -> None:
    wanted = pa.schema({"new": TEXT_CODES, "n": pa.int64(), "more": TEXTS})
    found = decoded(avro_schema(TICK, name="r"), wanted, {"symbol": "EURUSD", "at": None, "price": Decimal(1), "n": 3})
    assert found.data.to_pylist() == [{"new": None, "n": 3, "more": None}]
    assert found.data.schema.equals(wanted)


def test_columns_come_in_the_order_of_the_reader() -> None:
    found = decoded(
        record(a="long", b="long", c="long"),
        pa.schema({"c": pa.int64(), "a": pa.int64()}),
        dict(zip("abc", range(3), strict=True)),
    )
    assert found.data.to_pylist() == [{"c": 2, "a": 0}]


@pytest.mark.parametrize(
    ("kind", "wanted", "values"),
    [
        ("int", pa.int64(), [-(2**31), 2**31 - 1]),
        ("int", pa.float64(), [-7, 3]),
        ("long", pa.float64(), [2**40]),
        ("float", pa.float64(), [0.5, -2.0, float("inf")]),
        ("string", pa.binary(), ["é"]),
        ("bytes", pa.string(), ["é".encode()]),
        ("bytes", TEXT_CODES, [b"a", b"", b"a"]),
        (["string", "null"], pa.string(), ["x", None]),
        (["long"], pa.int64(), [5]),
        ("null", pa.int64(), [None]),
        ("null", TEXTS, [None]),
        ({"type": "fixed", "name": "f", "size": 2}, pa.binary(), [b"ab"]),
        ({"type": "array", "items": "string"}, TEXTS, [["a", ""], []]),
        ({"type": "array", "items": ["string", "null"]}, TEXTS, [["a", None]]),
        (["null", {"type": "enum", "name": "e", "symbols": ["A", "B"]}], TEXT_CODES, ["B", None, "A"]),
        ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, pa.string(), ["B"]),
        (WIDE_FIXED, pa.decimal128(20, 0), [Decimal(-5)]),
        ({"type": "bytes", "logicalType": "decimal", "precision": 30}, pa.decimal64(18, 0), [Decimal(7), Decimal(-7)]),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9}, pa.decimal128(38, 0), [Decimal(7), Decimal(-7)]),
    ],
    ids=str,
)  # fmt: skip
def test_what_others_write_is_read(kind: Any, wanted: pa.DataType, values: list[Any]) -> None:
    assert column(kind, wanted, *values) == pa.array(values).cast(plain(wanted)).to_pylist()


@pytest.mark.parametrize(
    ("kind", "wanted", "said"),
    [
        ("string", pa.int64(), "written as string, which cannot be read as int64"),
        ("long", TIME, r"written as int64, which cannot be read as timestamp\[ms, tz=UTC\]"),
        ({"type": "long", "logicalType": "timestamp-micros"}, TIME, r"timestamp\[us, tz=UTC\]"),
        ({"type": "long", "logicalType": "timestamp-millis"}, pa.int64(), "cannot be read as int64"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, pa.decimal64(9, 3), "decimal64"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, pa.binary(), "decimal64"),
        ({"type": "map", "values": "int"}, pa.string(), "written as map, which cannot be read as string"),
        (["null", "int", "string"], pa.string(), "written as union"),
        ("double", pa.int64(), "written as double, which cannot be read as int64"),
    ],
    ids=str,
)
def test_other_types_are_refused_before_anything_is_read(kind: Any, wanted: pa.DataType, said: str) -> None:
    with pytest.raises(SchemaError, match=said) as error:
        AvroCodec(record(price=kind), pa.schema({"price": wanted}))
    assert error.value.ids == {"column": "price"}
    assert "the field price" in error.value.message


def test_no_records_are_no_rows() -> None:
    found = decoded(avro_schema(TICK, name="r"), TICK)
    assert (found.data.num_rows, found.data.schema, found.reasons) == (0, TICK, {})
    assert encoded(TICK, []) == []


def test_buffers_of_every_kind_are_read() -> None:
    values = encoded(TICK, [{"symbol": "A", "at": None, "price": None, "n": n} for n in range(3)])
    data, starts, stops = joined(values)
    codec = AvroCodec(avro_schema(TICK, name="r"), TICK)
    twice = np.repeat(data, 2)[::2]
    for buffer in (data, bytearray(data.tobytes()), memoryview(data.tobytes()), twice):
        found = codec.decode(np.asarray(buffer), starts.astype(np.int32), stops)
        assert found.data.column("n").to_pylist() == [0, 1, 2]


def test_the_same_bytes_can_be_read_as_several_records() -> None:
    (value,) = encoded(pa.schema({"n": pa.int64()}), [{"n": 7}])
    codec = AvroCodec(avro_schema(pa.schema({"n": pa.int64()}), name="r"), pa.schema({"n": pa.int64()}))
    found = codec.decode(np.frombuffer(value, np.uint8), np.zeros(3, np.int64), np.full(3, len(value)))
    assert found.data.column("n").to_pylist() == [7, 7, 7]


def test_numbers_have_as_few_bytes_as_they_need() -> None:
    schema = pa.schema({"d": pa.decimal128(38, 0)})
    for n in (0, 1, -1, 127, 128, -128, -129, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**38 - 1):
        size = (n if n >= 0 else ~n).bit_length() // 8 + 1
        assert encoded(schema, [{"d": Decimal(n)}]) == [
            b"\x02" + bytes([2 * size]) + n.to_bytes(size, "big", signed=True)
        ]


def test_unused_and_missing_entries_of_a_dictionary_are_not_written() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([1, None, 2, 1], pa.int32()), pa.array(["unused", "a", None]))
    batch = pa.RecordBatch.from_arrays([texts], names=["s"])
    codec = AvroCodec(avro_schema(pa.schema({"s": TEXT_CODES}), name="r"), batch.schema)
    made = codec.encode(batch)
    assert rows_of(made.buffer, made.offsets) == [b"\x02\x02a", b"\x00", b"\x00", b"\x02\x02a"]


def test_an_empty_dictionary_is_all_nulls() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int32()), pa.array([], pa.string()))
    batch = pa.RecordBatch.from_arrays([texts], names=["s"])
    made = AvroCodec(avro_schema(batch.schema, name="r"), batch.schema).encode(batch)
    assert rows_of(made.buffer, made.offsets) == [b"\x00", b"\x00"]


def test_text_is_written_with_and_without_a_dictionary() -> None:
    avro = avro_schema(pa.schema({"s": TEXT_CODES}), name="r")
    assert encoded(pa.schema({"s": pa.string()}), [{"s": "x"}], avro) == encoded(
        pa.schema({"s": TEXT_CODES}), [{"s": "x"}]
    )


def test_fields_that_the_rows_lack_are_null() -> None:
    avro = record(a=["long", "null"], b=["null", "long"], c=["null", {"type": "array", "items": "string"}])
    assert encoded(pa.schema({"b": pa.int64()}), [{"b": -1}], avro) == [b"\x02" + b"\x02\x01" + b"\x00"]


def test_schemas_of_others_are_written() -> None:
    avro = record(a="int", b=["string", "null"], c=["long"], d={"type": "array", "items": "string"})
    schema = pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.int64(), "d": TEXTS})
    rows: list[dict[str, object]] = [
        {"a": -(2**31), "b": None, "c": 3, "d": ["x", ""]},
        {"a": 1, "b": "", "c": 0, "d": []},
    ]
    assert encoded(schema, rows, avro) == written(avro, rows)


def test_arrays_in_several_blocks_are_read() -> None:
    inner = {"type": "record", "name": "i", "fields": [{"name": n, "type": "long"} for n in "ab"]}
    avro = record(x={"type": "array", "items": inner})
    value = b"\x02\x02\x04" + b"\x03\x08\x06\x08\x0a\x0c" + b"\x00"  # one item, then two with their bytes
    wanted = pa.schema({"x": rows_type(["a", "b"])})
    found = AvroCodec(avro, wanted).decode(*joined([value, b"\x00"]))
    assert found.data.to_pylist() == [{"x": [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 5, "b": 6}]}, {"x": []}]


def test_records_of_other_fields_are_refused() -> None:
    written_as = avro_schema(pa.schema({"x": rows_type(["a", "b"])}), name="r")
    for names in (["a"], ["b", "a"]):
        with pytest.raises(SchemaError, match="the field x was written as list<item: struct<a: int64, b: int64>>"):
            AvroCodec(written_as, pa.schema({"x": rows_type(names)}))


def test_slices_of_lists_of_records_are_written() -> None:
    values = [[{"a": n}] * n for n in range(4)]
    batch = pa.record_batch({"x": pa.array([*values, None], rows_type(["a"]))}).slice(2)
    codec = AvroCodec(avro_schema(batch.schema, name="r"), batch.schema)
    made = codec.encode(batch)
    assert codec.decode(made.buffer, made.offsets[:-1], made.offsets[1:]).data.equals(batch)


@pytest.mark.parametrize(
    ("avro", "schema", "row", "said"),
    [
        (record(x="long"), {"x": pa.int64()}, {"x": None}, "x cannot be null"),
        (record(x="long"), {}, {}, "x cannot be null"),
        (record(x="int"), {"x": pa.int64()}, {"x": 2**31}, "x has a number of more than 32 bits"),
        (record(x="long"), {"x": pa.int64(), "y": pa.int64()}, {"x": 1, "y": 1}, "y is not in the schema"),
        (record(x=["null", "string"]), {"x": pa.binary()}, {"x": b""}, "x is binary, not string"),
        (
            avro_schema(pa.schema({"x": rows_type(["a"])}), name="r"),
            {"x": rows_type(["a"])},
            {"x": [None]},
            "x has a null",
        ),
        (record(x="float"), {"x": pa.float64()}, {"x": 1.5}, "fields x are only read, not written"),
        (record(x={"type": "map", "values": "int"}), {}, {}, "fields x are only read, not written"),
    ],
    ids=str,
)
def test_rows_that_do_not_fit_are_refused(avro: Any, schema: Any, row: Any, said: str) -> None:
    codec = AvroCodec(avro, pa.schema([]))
    batch = (
        pa.RecordBatch.from_pylist([row], schema=pa.schema(schema))
        if schema
        else pa.RecordBatch.from_struct_array(pa.array([{}], pa.struct([])))
    )
    with pytest.raises(SchemaError, match=said):
        codec.encode(batch)


def test_a_codec_serves_many_threads_at_once() -> None:
    codec = AvroCodec(avro_schema(TICK, name="r"), TICK)
    batches = [
        pa.RecordBatch.from_pylist([{"symbol": str(k), "n": n} for n in range(2_000)], schema=TICK) for k in range(8)
    ]

    def there_and_back(batch: pa.RecordBatch) -> bool:
        made = codec.encode(batch)
        return bool(codec.decode(made.buffer, made.offsets[:-1], made.offsets[1:]).data.equals(batch))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(there_and_back, batches * 4))
