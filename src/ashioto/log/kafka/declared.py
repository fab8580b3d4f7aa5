"""What a topic is declared as, said in the Avro schema of its values.

A column that was left out and comes back is another one, so its field has another name than before. What Avro does not
know, which column a field holds, which names were used before, and notes of the declaration, stands in the property
`ashioto` of the record; other readers ignore it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from ashioto.schema.avro import arrow_schema, avro_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = "ashioto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Holds the columns of a topic.

    Args:
        schema: The columns, as declared.
        fields: What their fields are called in the values; one for each column.
        retired: Names of fields that are in use no more.
    """

    schema: pa.Schema
    fields: tuple[str, ...]
    retired: tuple[str, ...] = ()

    @property
    def stored(self) -> pa.Schema:
        """The columns under the names of their fields."""
        pairs = zip(self.fields, self.schema, strict=True)
        return pa.schema([pa.field(name, column.type) for name, column in pairs])


def columns_of(avro: Mapping[str, Any]) -> Columns:
    """Return the columns of values, also of a schema that others have registered.

    Args:
        avro: The schema of the values.
    """
    stored = arrow_schema(avro)
    ours = cast("dict[str, Any]", avro.get(_OURS) or {})
    names = cast("dict[str, str]", ours.get("columns", {}))
    notes = {key.encode("latin-1"): value.encode("latin-1") for key, value in ours.get("notes", [])}
    schema = pa.schema([column.with_name(names.get(column.name, column.name)) for column in stored])
    return Columns(
        schema=schema.with_metadata(notes) if notes else schema,
        fields=tuple(stored.names),
        retired=tuple(ours.get("retired", [])),
    )


def declared(schema: pa.Schema, name: str, known: Columns | None = None) -> dict[str, object]:
    """Return the schema of values that hold some columns.

    Args:
        schema: The columns.
        name: Of the topic.
        known: The columns that the topic has so far; None where it has none.

    Raises:
        SchemaError: A name or a type is none that Avro knows.

    >>> first = columns_of(declared(pa.schema({"x": pa.int64(), "s": pa.string()}), "t"))
    >>> second = columns_of(declared(pa.schema({"s": pa.string()}), "t", first))
    >>> columns_of(declared(pa.schema({"x": pa.string(), "s": pa.string()}), "t", second)).fields
    ('x_2', 's')
    """
    before = {} if known is None else dict(zip(known.schema.names, known.fields, strict=True))
    used = set(before.values()) | set(() if known is None else known.retired)
    fields: list[str] = []
    for column in schema.names:
        fields.append(before[column] if column in before else _unused(column, used))
        used.add(fields[-1])
    made = avro_schema(Columns(schema=schema, fields=tuple(fields)).stored, name=name)
    renamed = {field: column for field, column in zip(fields, schema.names, strict=True) if field != column}
    retired = sorted(used - set(fields))
    notes = [[key.decode("latin-1"), value.decode("latin-1")] for key, value in (schema.metadata or {}).items()]
    said: list[tuple[str, object]] = [("columns", renamed), ("retired", retired), ("notes", notes)]
    ours = {what: value for what, value in said if value}
    return made | {_OURS: ours} if ours else made


def _unused(name: str, used: set[str]) -> str:
    number, found = 2, name
    while found in used:
        number, found = number + 1, f"{name}_{number}"
    return found
