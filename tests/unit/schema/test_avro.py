from __future__ import annotations

from typing import Any

import fastavro
import pyarrow as pa
import pytest

from ashioto.control.topics import control_topics, marker_schema
from ashioto.engines.embedded.topics import system_topics
from ashioto.errors import SchemaError
from ashioto.schema.arrow import TIME, rows_type
from ashioto.schema.avro import TEXT_CODES, TEXTS, arrow_schema, avro_schema, subject

OWN = {spec.name: spec.schema for spec in [*control_topics(), *system_topics()]} | {
    "trading.rate_hb": marker_schema(["broker", "symbol"]),
    "trading.rate": pa.schema({"symbol": TEXT_CODES, "at": TIME, "price": pa.decimal64(18, 5), "ok": pa.bool_()}),
    "trading.rate_bars_5m": pa.schema({"day": pa.date32(), "__sum_price": pa.decimal64(18, 5), "x": pa.float64()}),
}


def record(*types: Any) -> dict[str, Any]:
    """An Avro schema with a field of each type: `a`, `b`, …"""
    return {"type": "record", "name": "r", "fields": [{"name": chr(97 + n), "type": t} for n, t in enumerate(types)]}


@pytest.mark.parametrize("topic", OWN)
def test_every_schema_of_ours_comes_back(topic: str) -> None:
    avro = avro_schema(OWN[topic], name=topic)
    assert arrow_schema(avro).equals(OWN[topic])
    fastavro.parse_schema(avro)


def test_a_topic_is_a_full_name() -> None:
    avro = avro_schema(pa.schema([]), name="rc.hb.specs")
    assert (avro["namespace"], avro["name"]) == ("ashioto.rc.hb", "specs")
    assert avro_schema(pa.schema([]), name="r", namespace="")["namespace"] == ""


def test_every_field_may_be_null_and_is_by_default() -> None:
    avro = avro_schema(pa.schema({"n": pa.int64()}), name="r")
    assert avro["fields"] == [{"name": "n", "type": ["null", "long"], "default": None}]


def test_what_avro_cannot_say_stands_beside_it() -> None:
    avro: Any = avro_schema(pa.schema({"s": TEXT_CODES, "d": pa.decimal128(5, 2), "t": pa.string()}), name="r")
    assert [field.get("arrow") for field in avro["fields"]] == ["dictionary", "decimal128", None]


def test_other_readers_find_logical_types() -> None:
    kinds = {"d": pa.date32(), "t": TIME, "p": pa.decimal64(18, 5), "l": TEXTS}
    avro: Any = avro_schema(pa.schema(kinds), name="r")
    assert [field["type"][1] for field in avro["fields"]] == [
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 5},
        {"type": "array", "items": ["null", "string"]},
    ]


def test_the_record_of_an_item_has_a_full_name_of_its_own() -> None:
    columns = pa.schema({"a": rows_type(["x"]), "b": rows_type(["x"])})
    avro: Any = avro_schema(columns, name="trading.hours_by_day")
    items = [field["type"][1]["items"] for field in avro["fields"]]
    assert [item["name"] for item in items] == ["hours_by_day_a", "hours_by_day_b"]
    assert items[0]["fields"] == [{"name": "x", "type": "long"}]
    parsed: Any = fastavro.parse_schema(avro)
    assert parsed["fields"][0]["type"][1]["items"]["name"] == "ashioto.trading.hours_by_day_a"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("int", pa.int64()),
        ("float", pa.float64()),
        ({"type": "string"}, pa.string()),
        (["string", "null"], pa.string()),
        (["long"], pa.int64()),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, TEXT_CODES),
        ({"type": "fixed", "name": "f", "size": 4}, pa.binary()),
        ({"type": "fixed", "name": "f", "size": 8, "logicalType": "decimal", "precision": 18}, pa.decimal64(18, 0)),
        ({"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2}, pa.decimal128(30, 2)),
        ({"type": "bytes", "logicalType": "decimal", "precision": 99}, pa.binary()),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}, pa.binary()),
        ({"type": "bytes", "logicalType": "decimal"}, pa.binary()),
        ({"type": "long", "logicalType": "timestamp-micros"}, pa.timestamp("us", tz="UTC")),
        ({"type": "long", "logicalType": "date"}, pa.int64()),
        ({"type": "long", "logicalType": ["odd"]}, pa.int64()),
        ({"type": "array", "items": "string"}, TEXTS),
        ({"type": "array", "items": record("long", {"type": "long"}) | {"name": "x.i"}}, rows_type(["a", "b"])),
    ],
    ids=str,
)
def test_schemas_of_others_get_types_of_ours(kind: Any, wanted: pa.DataType) -> None:
    assert arrow_schema(record(kind)).field("a").type == wanted


@pytest.mark.parametrize(
    "kind",
    [
        "null",
        {"type": "map", "values": "int"},
        {"type": "array", "items": "int"},
        {"type": "array", "items": record("long", "int") | {"name": "inner"}},
        {"type": "array", "items": record() | {"name": "inner"}},
        {"type": "array", "items": ["null", record("long") | {"name": "inner"}]},
        {"type": "array", "items": record({"type": "long", "logicalType": "timestamp-millis"}) | {"name": "inner"}},
        ["null", "int", "string"],
        record("int") | {"name": "inner"},
    ],
    ids=str,
)
def test_fields_without_a_type_of_ours_are_left_out(kind: Any) -> None:
    assert arrow_schema(record(kind, "long")).names == ["b"]


def test_what_others_write_into_our_property_does_no_harm() -> None:
    avro = record("long", {"type": "bytes", "logicalType": "decimal", "precision": 3})
    for field in avro["fields"]:
        field["arrow"] = {"odd": "decimal256"}
    assert arrow_schema(avro).types == [pa.int64(), pa.decimal64(3, 0)]


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.time64("us"), pa.list_(pa.int64()), pa.decimal64(3, -1), pa.timestamp("ms")], ids=str
)
def test_a_type_that_is_not_written_is_named(kind: pa.DataType) -> None:
    with pytest.raises(SchemaError, match="which is not written as Avro") as error:
        avro_schema(pa.schema({"x": kind}), name="r")
    assert error.value.ids == {"column": "x"}


@pytest.mark.parametrize(
    ("column", "name"), [("a b", "r"), ("é", "r"), ("1", "r"), ("a", "5m"), ("a", "x..y"), ("a", "")]
)
def test_names_are_those_that_avro_allows(column: str, name: str) -> None:
    with pytest.raises(SchemaError, match="cannot be the name of a"):
        avro_schema(pa.schema({column: pa.int64()}), name=name)


def test_the_subject_follows_from_the_topic() -> None:
    assert subject("rc.dlq") == "rc.dlq-value"
