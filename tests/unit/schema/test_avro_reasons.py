"""Each way in which a record can be damaged, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_avro import joined

from ashioto.schema.avro import TEXTS, avro_schema
from ashioto.schema.avrocodec import AvroCodec

ENUM = {"type": "enum", "name": "e", "symbols": ["A", "B"]}
MAP = {"type": "map", "values": "long"}
CHAIN = {"type": "record", "name": "chain", "fields": [{"name": "next", "type": ["null", "chain"]}]}
LONG = b"\x80" * 9
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9}
CASES: list[tuple[Any, pa.DataType | None, bytes, str | None]] = [
    ("long", pa.int64(), b"", "the value ends too early"),
    ("long", pa.int64(), b"\x80", "the value ends too early"),
    ("long", pa.int64(), LONG + b"\x01", None),
    ("long", pa.int64(), LONG + b"\x02", "a number has more than 64 bits"),
    ("long", pa.int64(), LONG + b"\x80\x00", "a number has more than 64 bits"),
    ("long", pa.int64(), b"\x80\x00", None),
    ("long", pa.int64(), b"\x00\x00", "bytes are left over"),
    ("int", pa.int64(), b"\x80\x80\x80\x80\x10", "a number has more than 32 bits"),
    ("int", pa.int64(), b"\xff\xff\xff\xff\x0f", None),
    ({"type": "int", "logicalType": "date"}, pa.date32(), b"\xfe\xff\xff\xff\x1f", "a number has more than 32 bits"),
    ("boolean", pa.bool_(), b"\x02", "a boolean is neither 0 nor 1"),
    ("boolean", pa.bool_(), b"", "the value ends too early"),
    ("double", pa.float64(), b"\x00" * 7, "the value ends too early"),
    ("float", pa.float64(), b"\x00" * 3, "the value ends too early"),
    ("string", pa.string(), b"\x04a", "the value ends too early"),
    ("string", pa.string(), b"\x01", "a length is below 0"),
    ("string", pa.string(), b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "the value ends too early"),
    ("string", pa.string(), b"\x02\xff", "text is not UTF-8"),
    ("string", pa.string(), b"\x02\xc3", "text is not UTF-8"),
    ("string", pa.string(), b"\x06\xed\xa0\x80", "text is not UTF-8"),
    ("string", pa.string(), b"\x04\xc0\x80", "text is not UTF-8"),
    ("string", pa.string(), b"\x08\xf4\x90\x80\x80", "text is not UTF-8"),
    ("string", pa.string(), b"\x08\xf4\x8f\xbf\xbf", None),
    ("bytes", pa.string(), b"\x02\xff", "text is not UTF-8"),
    ("string", pa.binary(), b"\x02\xff", None),
    ("string", None, b"\x02\xff", None),
    (["null", "long"], pa.int64(), b"\x04", "a union has no such branch"),
    (["null", "long"], pa.int64(), b"\x01", "a union has no such branch"),
    (["long"], pa.int64(), b"\x02\x02", "a union has no such branch"),
    (["null", "long"], None, b"\x04\x00", "a union has no such branch"),
    (ENUM, pa.string(), b"\x04", "an enum has no such symbol"),
    (ENUM, None, b"\x01", "an enum has no such symbol"),
    (DECIMAL, pa.decimal64(9, 0), b"\x00", "a decimal has no digits"),
    (DECIMAL, pa.decimal64(9, 0), b"\x12\x01" + b"\x00" * 8, "a decimal is too wide"),
    (DECIMAL, pa.decimal64(9, 0), b"\x12\x00" + b"\xff" * 8, "a decimal is too wide"),
    (DECIMAL, pa.decimal64(9, 0), b"\x28" + b"\x00" * 19 + b"\x07", None),
    (DECIMAL, pa.decimal64(9, 0), b"\x28" + b"\xff" * 20, None),
    (DECIMAL, pa.decimal128(9, 0), b"\x22\x00" + b"\xff" * 16, "a decimal is too wide"),
    (DECIMAL, pa.decimal128(9, 0), b"\x22\xff" + b"\x7f" * 16, "a decimal is too wide"),
    ({"type": "fixed", "name": "f", "size": 3}, pa.binary(), b"ab", "the value ends too early"),
    ({"type": "array", "items": "string"}, TEXTS, b"\x02\x02a", "the value ends too early"),
    ({"type": "array", "items": "string"}, TEXTS, b"\x02\x02\xff\x00", "text is not UTF-8"),
    ({"type": "array", "items": "string"}, TEXTS, b"\x01\x04\x02a\x00", None),
    ({"type": "array", "items": "string"}, TEXTS, LONG + b"\x01\x00", "the value ends too early"),
    ({"type": "array", "items": "string"}, TEXTS, b"\xff" * 9 + b"\x01\x00", "a length is below 0"),
    ({"type": "array", "items": "string"}, TEXTS, b"\x02\x02a\x02\x02b\x00", None),
    (MAP, None, b"\x02\x02a", "the value ends too early"),
    (MAP, None, b"\x02\x02a\x02\x00", None),
    (CHAIN, None, b"\x02" * 90 + b"\x00", None),
    (CHAIN, None, b"\x02" * 900 + b"\x00", "values nest too deep"),
    ({"type": "array", "items": "null"}, None, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", None),
    ({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}, None, b"\xfe\xff\xff\xff\x1f\x00", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "wanted", "value", "said"), CASES)
def test_a_damaged_record_has_its_reason(kind: Any, wanted: pa.DataType | None, value: bytes, said: str | None) -> None:
    avro = {"type": "record", "name": "r", "fields": [{"name": "x", "type": kind}]}
    codec = AvroCodec(avro, pa.schema({} if wanted is None else {"x": wanted}))
    found = codec.decode(*joined([value], gaps=[b"\x00\x02"]))
    place = "" if said == "bytes are left over" else " in x"
    assert found.reasons == ({} if said is None else {0: said + place})
    if wanted is not None:
        assert found.data.column("x").null_count == (said is not None)
        found.data.validate(full=True)


def test_the_field_that_is_damaged_is_named() -> None:
    schema = pa.schema({"a": pa.int64(), "b": pa.string()})
    codec = AvroCodec(avro_schema(schema, name="r"), schema)
    sound = b"\x02\x0e\x02\x02z"
    found = codec.decode(*joined([sound, b"\x02\x0e\x02\x02\xff", b"\x04", sound]))
    assert found.reasons == {1: "text is not UTF-8 in b", 2: "a union has no such branch in a"}
    assert found.data.to_pylist() == [{"a": 7, "b": "z"}, *[{"a": None, "b": None}] * 2, {"a": 7, "b": "z"}]


def test_a_million_damaged_records_share_their_reasons() -> None:
    schema = pa.schema({"a": pa.int64()})
    places = np.zeros(10_000, dtype=np.int64)
    found = AvroCodec(avro_schema(schema, name="r"), schema).decode(np.full(1, 9, np.uint8), places, places + 1)
    assert len(found.reasons) == 10_000
    assert len({id(reason) for reason in found.reasons.values()}) == 1
