"""Makes the kernels of a query ready before ticks wait for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.control.schedules import open_always
from ashioto.engines.embedded.core import BarCore
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.sessions import SessionBook
from ashioto.engines.embedded.ticks import prepare
from ashioto.period import DAY_MS
from ashioto.schema.arrow import from_numpy, storage_schema

if TYPE_CHECKING:
    from ashioto.logical.nodes import Entity, Query
    from ashioto.schedule.sessions import Sessions


class _Always:
    def sessions(self, _: tuple[str, ...]) -> Sessions:
        return open_always()


def warm_up(query: Query) -> int:
    """Have the kernels of a query compiled, or loaded from where they are kept; returns how many bars came of it.

    Args:
        query: What will run.

    Raises:
        DefinitionError: An expression does not type.
    """
    every_tick = replace(query, where=())
    plan = compile_query(every_tick)
    book = SessionBook(every_tick, _Always())
    core = BarCore(plan, book)
    ticks = prepare(plan, book, _one_tick(query.entity), offsets=np.zeros(1, dtype=np.int64)).ticks
    core.fold(ticks, cut=0)
    core.advance(DAY_MS)
    return sum(table.num_rows for table in core.changed(overflows=[]).values())


def _one_tick(entity: Entity) -> pa.RecordBatch:
    """Return one tick of the second day of 1970 as it is stored."""
    schema = storage_schema(entity)
    columns = [
        _one(field.type, DAY_MS if column.name == entity.timestamp else 1)
        for column, field in zip(entity.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _one(kind: pa.DataType, number: int) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(["x"], pa.string()).dictionary_encode().cast(kind)
    if pa.types.is_string(kind):
        return pa.array(["x"], kind)
    if pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return pa.array([bool(number)]).cast(kind)
    return from_numpy(np.array([number], dtype=np.int64), kind)
