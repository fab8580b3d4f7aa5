from __future__ import annotations

import pyarrow as pa
import pytest

from ashioto.schema.arrow import rows_type
from ashioto.schema.avro import TEXT_CODES, TEXTS, avro_schema
from ashioto.schema.evolution import obstacles, other_types

KINDS = [
    pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.bool_(), pa.date32(), pa.timestamp("ms", tz="UTC"),
    pa.timestamp("us", tz="UTC"), pa.decimal64(18, 5), pa.decimal64(18, 4), pa.decimal64(17, 5), TEXTS,
    rows_type(["a"]), rows_type(["a", "b"]), rows_type(["b"]),
]  # fmt: skip


def said(there: pa.DataType, wanted: pa.DataType) -> list[str]:
    one, other = (avro_schema(pa.schema({"x": kind}), name="r") for kind in (there, wanted))
    return obstacles(one, other)


@pytest.mark.parametrize("there", KINDS, ids=str)
def test_no_type_becomes_another(there: pa.DataType) -> None:
    for wanted in KINDS:
        assert said(there, wanted) == ([] if there == wanted else [f"x is {there}, not {wanted}"])


def test_text_may_be_kept_in_a_dictionary_or_not() -> None:
    assert said(TEXT_CODES, pa.string()) == said(pa.string(), TEXT_CODES) == []


def test_columns_may_come_and_go() -> None:
    one, other = (avro_schema(pa.schema({"x": pa.int64(), name: pa.int64()}), name="r") for name in ("a", "b"))
    assert obstacles(one, other) == []


def test_columns_of_one_change_are_named_together() -> None:
    there, wanted = (pa.schema({"a": kind, "b": kind, "c": pa.int64()}) for kind in (pa.int64(), pa.string()))
    assert other_types(there, wanted) == {"int64, not string": ["a", "b"]}
    assert obstacles(avro_schema(there, name="r"), avro_schema(wanted, name="r")) == ["a, b are int64, not string"]


def test_what_others_write_as_int_goes_on_as_long() -> None:
    theirs = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]}
    assert obstacles(theirs, avro_schema(pa.schema({"x": pa.int64()}), name="r")) == []
