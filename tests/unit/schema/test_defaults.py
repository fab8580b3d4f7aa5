"""Records that are older than a column, or leave it out, have its default."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.support_engine import MINUTE, Market, Trade, bars, trade

from ashioto.logical.nodes import BOOL, DATE, FLOAT64, INT64, TEXT, TIMESTAMP, Column, DataType, Entity, Lit
from ashioto.schema.arrow import storage_schema
from ashioto.schema.defaults import default_of, with_defaults

PRICE = DataType(name="decimal", precision=18, scale=2)
KINDS: list[tuple[DataType, Any]] = [
    (TEXT, "a"), (INT64, 3), (FLOAT64, 1.5), (BOOL, True), (PRICE, 250), (TIMESTAMP, 60_000), (DATE, 19_000),
]  # fmt: skip


def entity(kind: DataType, value: Any) -> Entity:
    """One column with a default, one without."""
    return Entity(
        name="Rate",
        kind="stream",
        columns=(
            Column(name="x", type=kind, default=Lit(type=kind, value=value)),
            Column(name="y", type=INT64),
        ),
    )


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_missing_value_is_the_default_and_keeps_its_type(kind: DataType, value: Any) -> None:
    declared = entity(kind, value)
    (said,) = default_of(declared.columns[0]).to_pylist()
    schema = storage_schema(declared)
    rows = pa.RecordBatch.from_arrays([pa.nulls(3, schema.field("x").type), pa.array([1, None, 3])], schema=schema)
    filled = with_defaults(declared, rows)
    assert filled.schema == schema
    assert filled.column("x").to_pylist() == [said] * 3
    assert filled.column("y").to_pylist() == [1, None, 3]


def test_values_that_are_there_stay() -> None:
    declared = entity(TEXT, "z")
    schema = storage_schema(declared)
    column = pa.array(["a", None, "b"]).dictionary_encode().cast(schema.field("x").type)
    rows = pa.RecordBatch.from_arrays([column, pa.array([1, 2, 3])], schema=schema)
    assert with_defaults(declared, rows).column("x").to_pylist() == ["a", "z", "b"]
    whole = rows.slice(0, 1)
    assert with_defaults(declared, whole) is whole


def test_ticks_that_are_older_than_a_column_count_with_its_default() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, 10 * MINUTE)])
    default = next(c for c in Trade.__entity__.columns if c.default is not None)
    market.send({**trade("A", 1), default.name: None}, trade("A", 2))
    market.run()
    assert [row["ticks"] for row in market.bars("1m")] == [2]
    assert market.dead() == []
