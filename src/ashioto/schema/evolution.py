"""How the columns of a topic may change: they may come and go, and none ever gets another type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from ashioto.schema.arrow import plain
from ashioto.schema.avro import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Mapping


def other_types(there: pa.Schema, wanted: pa.Schema) -> dict[str, list[str]]:
    """Return the columns of each change of type.

    Args:
        there: The columns as they are.
        wanted: The columns as they shall be.

    >>> other_types(pa.schema({"x": pa.int64()}), pa.schema({"x": pa.string(), "new": pa.int64()}))
    {'int64, not string': ['x']}
    """
    types = {column.name: column.type for column in there}
    found: dict[str, list[str]] = {}
    for column in wanted:
        kept = types.get(column.name, column.type)
        if kept != column.type:
            found.setdefault(f"{plain(kept)}, not {plain(column.type)}", []).append(column.name)
    return found


def obstacles(there: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return why values of one Avro schema may not be followed by values of another; nothing if they may.

    Avro itself would let a reader take some types for others, and does not look at the scale of decimals. Whether text
    is kept in a dictionary makes no difference to values.

    Args:
        there: The schema of values that are there.
        wanted: The schema of values to come.

    Raises:
        SchemaError: One of them is no Avro schema of records.

    >>> from ashioto.schema.avro import avro_schema
    >>> one, other = (avro_schema(pa.schema({"p": pa.decimal64(9, n)}), name="r") for n in (2, 3))
    >>> obstacles(one, other)
    ['p is decimal64(9, 2), not decimal64(9, 3)']
    """
    return [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {said}"
        for said, names in other_types(_columns(there), _columns(wanted)).items()
    ]


def _columns(avro: Mapping[str, object]) -> pa.Schema:
    return pa.schema([(column.name, plain(column.type)) for column in arrow_schema(avro)])
