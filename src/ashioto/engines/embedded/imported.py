"""What the engine knows of a bar that somebody else wrote: how it merges, and which columns it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.schedule.sessions import Flags

HISTORY: Final = "history"
IMPORTED: Final = 1
"""Kind of a bar that holds history, also after ticks were merged into it."""
OPAQUE: Final = 2
"""Kind of an imported bar that nothing merges into: it lacks the times of its ticks, or an aggregate."""
GIVEN: Final = 4
"""Kind of an imported bar as it was given: the engine has changed nothing in it, so it never writes it."""
_TIMES: Final = ("first_at", "first_seq", "last_at", "last_seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Says where some bars come from.

    Args:
        kinds: IMPORTED, OPAQUE and GIVEN of each; 0 is a bar of the stream; shape (n,).
        given: The selected columns as they were given, (value, whether there is none) each; shape (n, 2 * columns).
    """

    kinds: Ints
    given: Ints

    def take(self, rows: Ints | Flags) -> Labels:
        """Return some of them."""
        return Labels(kinds=self.kinds[rows], given=self.given[rows])


def is_history(data: pa.Table | pa.RecordBatch) -> Flags:
    """Return which bars hold history; shape (n,)."""
    return _flags(pc.equal(data["origin"], HISTORY))


def labels_of(plan: CompiledQuery, table: pa.Table) -> Labels | None:
    """Return where bars with ticks come from, or None when all are of the stream.

    Args:
        plan: The query.
        table: Bars as they are stored.
    """
    history = is_history(table)
    if not history.any():
        return None
    whole = np.ones(table.num_rows, dtype=np.bool_)
    for name in (*_TIMES, *plan.shown(), *(name for name, _ in plan.hidden)):
        whole &= _flags(pc.is_valid(table[name]))
    untouched = history & (_flags(pc.is_null(table["source_cut"])) | ~whole)
    kinds = history * IMPORTED + (history & ~whole) * OPAQUE + untouched * GIVEN
    columns: list[Ints] = []
    for name in plan.output_types:
        columns += _given(table[name])
    return Labels(kinds=kinds.astype(np.int64), given=np.stack(columns, axis=1))


def _given(column: pa.ChunkedArray) -> list[Ints]:
    null = _flags(pc.is_null(column)).astype(np.int64)
    if pa.types.is_floating(column.type):
        real = column.fill_null(0.0).to_numpy().astype(np.float64)
        return [real.view(np.int64), null]
    if pa.types.is_boolean(column.type):
        return [_flags(column).astype(np.int64), null]
    return [int64_view(column.combine_chunks()), null]


def _flags(column: pa.ChunkedArray | pa.Array) -> Flags:
    found: Flags = np.asarray(column.fill_null(False), dtype=np.bool_)
    return found
