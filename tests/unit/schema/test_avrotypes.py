from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import SchemaError
from ashioto.schema.avrotypes import parse_record

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["record", "int", "null", "array", "enum", "fixed", "r", "", "a.b", "decimal", "bytes"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "name", "fields", "items", "values", "symbols", "size", "namespace", "logicalType"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


def record(*types: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": f"f{n}", "type": t} for n, t in enumerate(types)]} | more


def kinds(avro: Any) -> list[str]:
    found = parse_record(avro)
    return [found.nodes[field.node].kind for field in found.fields]


def test_names_are_looked_up_in_their_namespace() -> None:
    point = {"type": "fixed", "name": "point", "size": 2}
    assert kinds(record(point, "point")) == ["fixed"] * 2
    assert kinds(record(point, "point", "geo.point", namespace="geo")) == ["fixed"] * 3
    far = {"type": "enum", "name": "far.colour", "symbols": ["A"]}
    assert kinds(record(far, "far.colour", namespace="geo")) == ["enum"] * 2


def test_a_type_may_hold_itself() -> None:
    avro = {"type": "record", "name": "list", "fields": [{"name": "next", "type": ["null", "list"]}]}
    found = parse_record(avro)
    union = found.nodes[found.fields[0].node]
    assert found.nodes[union.children[1]].children == (found.fields[0].node,)


def test_what_may_be_missing() -> None:
    avro = record(
        "int", ["null", "int"], ["int", "null"], ["int"], ["null"], ["int", "string"], ["null", "int", "string"]
    )
    found = parse_record(avro)
    options = [found.option(field.node) for field in found.fields]
    assert [(found.nodes[o.node].kind, o.branches, o.null) for o in options] == [
        ("int", 0, -1),
        ("int", 2, 0),
        ("int", 2, 1),
        ("int", 1, -1),
        ("null", 1, -1),
        ("union", 0, -1),
        ("union", 0, -1),
    ]


@pytest.mark.parametrize(
    ("avro", "said"),
    [
        ("string", "no records"),
        ([], "no records"),
        ({"type": "array", "items": "int"}, "no records"),
        (record("nope"), "names a type 'nope'"),
        (record(None), "names a type 'None'"),
        (record({"type": "array"}), "names a type 'None'"),
        (record([]), "union without branches"),
        ({"type": "record", "fields": []}, "has no name"),
        ({"type": "record", "name": "r"}, "record r has no fields"),
        ({"type": "record", "name": "r", "fields": [{"type": "int"}]}, "no name of its own"),
        ({"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}] * 2}, "no name of its own"),
        (record({"type": "enum", "name": "e"}), "enum e has no symbols"),
        (record({"type": "enum", "name": "e", "symbols": [1]}), "a symbol that is no text"),
        (record({"type": "fixed", "name": "f"}), "has size = None"),
        (record({"type": "fixed", "name": "f", "size": -1}), "has size = -1"),
        (record({"type": "fixed", "name": "r", "size": 1}), "two types r"),
    ],
)
def test_what_is_no_schema_is_refused(avro: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        parse_record(avro)


def test_schemas_do_not_nest_without_end() -> None:
    deep: Any = "int"
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(SchemaError, match="nest more than 64 deep"):
        parse_record(record(deep))


@given(JSON)
def test_any_json_is_a_schema_or_refused(given: Any) -> None:
    for avro in (given, record(given)):
        with suppress(SchemaError):
            found = parse_record(avro)
            assert all(0 <= child < len(found.nodes) for node in found.nodes for child in node.children)
