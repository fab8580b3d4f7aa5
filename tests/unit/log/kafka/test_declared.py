from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import SchemaError
from ashioto.log.kafka.declared import Columns, columns_of, declared

TYPES = {"x": pa.int64(), "s": pa.dictionary(pa.int32(), pa.string()), "x_2": pa.string(), "p": pa.decimal64(18, 5)}
NAMES = st.lists(st.sampled_from(sorted(TYPES)), unique=True)


def schema(names: list[str]) -> pa.Schema:
    return pa.schema({name: TYPES[name] for name in names})


@given(steps=st.lists(NAMES, min_size=1, max_size=8))
def test_a_field_holds_one_column_for_ever(steps: list[list[str]]) -> None:
    known: Columns | None = None
    ever: set[str] = set()
    for names in steps:
        found = columns_of(declared(schema(names), "t.any", known))
        assert found.schema.equals(schema(names))
        assert len(set(found.fields)) == len(names)
        before = {} if known is None else dict(zip(known.schema.names, known.fields, strict=True))
        for name, field in zip(names, found.fields, strict=True):
            assert field == before[name] if name in before else field not in ever
        ever |= set(found.fields)
        assert ever == set(found.fields) | set(found.retired)
        known = found


def test_notes_of_a_declaration_are_kept() -> None:
    notes = {b"entity": b"Rate", b"raw": bytes(range(256))}
    found = columns_of(declared(schema(["x"]).with_metadata(notes), "t"))
    assert found.schema.metadata == notes


def test_a_plain_declaration_says_nothing_beyond_avro() -> None:
    assert "ashioto" not in declared(schema(["x", "s"]), "t")


def test_a_schema_of_others_is_taken_as_it_is() -> None:
    foreign = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "int"}, {"name": "t", "type": "string"}]}
    found = columns_of(foreign)
    assert found.schema.equals(pa.schema({"n": pa.int64(), "t": pa.string()}))
    assert (found.fields, found.retired) == (("n", "t"), ())


def test_a_name_that_avro_does_not_know_is_refused() -> None:
    with pytest.raises(SchemaError, match="größe"):
        declared(pa.schema({"größe": pa.int64()}), "t")
