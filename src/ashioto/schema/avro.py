"""How Arrow columns are said in Avro, and the way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ashioto.errors import SchemaError
from ashioto.schema.arrow import TIME, is_rows, rows_type
from ashioto.schema.avrotypes import parse_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.schema.avrotypes import Node, Record

TEXT_CODES: Final = pa.dictionary(pa.int32(), pa.string())
TEXTS: Final = pa.list_(pa.string())
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAID: Final[dict[pa.DataType, object]] = {
    pa.bool_(): "boolean",
    pa.int64(): "long",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "bytes",
    TEXT_CODES: "string",
    TEXTS: {"type": "array", "items": ["null", "string"]},
    TIME: {"type": "long", "logicalType": "timestamp-millis"},
    pa.timestamp("us", tz="UTC"): {"type": "long", "logicalType": "timestamp-micros"},
    pa.date32(): {"type": "int", "logicalType": "date"},
}
_PLAIN: Final[dict[str, pa.DataType]] = {
    "boolean": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "string": pa.string(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "enum": TEXT_CODES,
}
_LOGICAL: Final = {
    "date": pa.date32(),
    "timestamp-millis": TIME,
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
}
_NARROW: Final = 18
"""Digits that always fit 64 bits."""
_WIDE: Final = 38
"""Digits that always fit 128 bits."""


def subject(topic: str) -> str:
    """Return the name under which the schemas of a topic's values are registered.

    >>> subject("trading.rate")
    'trading.rate-value'
    """
    return f"{topic}-value"


def avro_schema(schema: pa.Schema, *, name: str, namespace: str = "ashioto") -> dict[str, object]:
    """Return the Avro schema of records with these columns; every field may be null.

    What Avro cannot say, that text is kept in a dictionary and how wide decimals are, stands in the property `arrow`
    of a field; other readers ignore it.

    Args:
        schema: The columns.
        name: Name of the record; what stands before its last dot goes to the namespace.
        namespace: Where the name belongs.

    Raises:
        SchemaError: A name has letters that Avro does not allow, or a column a type that it cannot say.

    >>> avro_schema(pa.schema({"price": pa.decimal64(18, 5)}), name="trading.rate")["namespace"]
    'ashioto.trading'
    """
    *before, last = [*filter(None, namespace.split(".")), *name.split(".")]
    for part in (*before, last):
        _check_name(part, "the name of a record")
    fields = [_field(column, last) for column in schema]
    return {"type": "record", "name": last, "namespace": ".".join(before), "fields": fields}


def arrow_schema(avro: Mapping[str, object]) -> pa.Schema:
    """Return the columns of records of an Avro schema, also of one written by others.

    `int` becomes int64, `float` float64, an `enum` text, a decimal 64 bits wide if its digits fit. Fields without such
    a type (nested records, maps, arrays of anything but text and records of longs, unions of several types) are left
    out.

    Args:
        avro: The schema, as JSON values.

    Raises:
        SchemaError: It is no Avro schema of records.

    >>> columns = pa.schema({"s": TEXT_CODES, "p": pa.decimal64(18, 5), "at": TIME})
    >>> arrow_schema(avro_schema(columns, name="rate")).equals(columns)
    True
    """
    parsed = parse_record(avro)
    found = [(field.name, column_type(parsed, field.node, said=field.arrow)) for field in parsed.fields]
    return pa.schema([(name, kind) for name, kind in found if kind is not None])


def column_type(record: Record, number: int, *, said: str = "") -> pa.DataType | None:
    """Return the Arrow type of a type of an Avro schema, or None where there is none.

    Args:
        record: The schema.
        number: Number of the type.
        said: What ashioto says about it beyond Avro.
    """
    node = record.nodes[record.option(number).node]
    if node.kind == "array":
        return _list_type(record, node.children[0])
    if node.logical == "decimal":
        return _decimal_type(node, said)
    if said == "dictionary" and node.kind == "string":
        return TEXT_CODES
    return _LOGICAL.get(node.logical, _PLAIN.get(node.kind))


def _list_type(record: Record, item: int) -> pa.DataType | None:
    if record.nodes[record.option(item).node].kind == "string":
        return TEXTS
    node = record.nodes[item]
    inside = [record.nodes[child] for child in node.children]
    if node.kind == "record" and inside and all(child.kind == "long" and not child.logical for child in inside):
        return rows_type(node.names)
    return None


def _decimal_type(node: Node, said: str) -> pa.DataType:
    if node.precision > _WIDE:
        return pa.binary()
    if node.precision > _NARROW or said == "decimal128":
        return pa.decimal128(node.precision, node.scale)
    return pa.decimal64(node.precision, node.scale)


def _field(column: pa.Field, record: str) -> dict[str, object]:
    _check_name(column.name, "the name of a column")
    kind = column.type
    field: dict[str, object] = {"name": column.name, "type": ["null", _said(column, record)], "default": None}
    if pa.types.is_dictionary(kind):
        field["arrow"] = "dictionary"
    elif pa.types.is_decimal(kind):
        field["arrow"] = f"decimal{kind.bit_width}"
    return field


def _said(column: pa.Field, record: str) -> object:
    kind = column.type
    if is_rows(kind):
        return {"type": "array", "items": _item(column, f"{record}_{column.name}")}
    if (pa.types.is_decimal64(kind) or pa.types.is_decimal128(kind)) and 0 <= kind.scale <= kind.precision:
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if kind not in _SAID:
        raise SchemaError(
            f"the column {column.name} is {kind}, which is not written as Avro",
            hint="use text, integers, floats, decimals, times, dates, bool, lists of text or of records of int64",
            column=column.name,
        )
    return _SAID[kind]


def _item(column: pa.Field, name: str) -> dict[str, object]:
    """Return the record of an item; its name must be no other's, and stay, since readers may go by it."""
    for field in column.type.value_type:
        _check_name(field.name, f"the name of a field in {column.name}")
    fields = [{"name": field.name, "type": "long"} for field in column.type.value_type]
    return {"type": "record", "name": name, "fields": fields}


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise SchemaError(f"{name!r} cannot be {what} in Avro", hint="letters of ASCII, digits and _", name=name)
