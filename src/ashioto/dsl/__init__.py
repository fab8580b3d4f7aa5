"""What users write: entities, columns, and the chain that makes a query."""

from __future__ import annotations

from ashioto.dsl.aggregates import (
    avg,
    coalesce,
    count,
    first,
    greatest,
    last,
    least,
    max,  # noqa: A004  # users write ao.max
    min,  # noqa: A004  # users write ao.min
    ohlcv,
    previous,
    sum,  # noqa: A004  # users write ao.sum
)
from ashioto.dsl.bar import Bar, BarBinding, bind_bar
from ashioto.dsl.columns import Column
from ashioto.dsl.context import Context
from ashioto.dsl.entity import AlwaysOpen, Record, Stream, Table
from ashioto.dsl.fields import Field, decimal, field, key, sequence, timestamp
from ashioto.dsl.query import BarQuery

__all__ = [
    "AlwaysOpen",
    "Bar",
    "BarBinding",
    "BarQuery",
    "Column",
    "Context",
    "Field",
    "Record",
    "Stream",
    "Table",
    "avg",
    "bind_bar",
    "coalesce",
    "count",
    "decimal",
    "field",
    "first",
    "greatest",
    "key",
    "last",
    "least",
    "max",
    "min",
    "ohlcv",
    "previous",
    "sequence",
    "sum",
    "timestamp",
]
