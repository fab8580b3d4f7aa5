"""Turns record batches of an entity into the columns the fold kernel reads, and sorts out what cannot be folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ashioto.engines.embedded.evaluate import Mask, Value, either, evaluate
from ashioto.engines.embedded.fold import TickColumns, no_floats, no_ints
from ashioto.logical.nodes import BOOL, TEXT, Col, Expr, walk
from ashioto.schema.arrow import int64_view
from ashioto.schema.defaults import with_defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import SessionBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Names rows of a batch that cannot be folded, and why.

    Args:
        rows: Row numbers in the batch.
        reasons: One reason a row.
    """

    rows: list[int]
    reasons: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Holds what a batch comes down to."""

    ticks: TickColumns
    rejected: Rejected
    filtered: int


def prepare(plan: CompiledQuery, book: SessionBook, batch: pa.RecordBatch, *, offsets: int | Ints) -> Prepared:
    """Return the columns of a batch.

    Args:
        plan: The query.
        book: Numbers the keys.
        batch: Rows in the storage schema of the query's entity.
        offsets: Source offset of the first row, if the rest follow one another; else that of every row.
    """
    batch = with_defaults(plan.query.entity, batch)
    reasons = _bad_rows(batch)
    counted: Mask | None = None
    for condition in plan.query.where:
        value = evaluate(condition, _leaf(plan, batch), batch.num_rows)
        _note(reasons, value.overflow, f"a condition of {plan.query.name} leaves 64 bits")
        _note(reasons, _not_finite(plan, batch, condition), f"a condition of {plan.query.name} is not finite")
        met = value.data.astype(np.bool_) if value.null is None else value.data.astype(np.bool_) & ~value.null
        counted = met if counted is None else counted & met
    values = [evaluate(expr, _leaf(plan, batch), batch.num_rows) for expr in plan.inputs]
    for number, value in enumerate(values):
        name = plan.column_of(next(i for i, s in enumerate(plan.slots) if s.arg == number))
        _note(reasons, value.overflow, f"the input of column {name!r} leaves 64 bits")
        _note(reasons, value.null, f"the input of column {name!r} has no value")
        if value.type.name == "float64" and not np.isfinite(value.data).all():
            _note(reasons, ~np.isfinite(value.data), f"the input of column {name!r} is not finite")
    keep = _keep(reasons, counted, batch.num_rows)
    bad = sorted(reasons)
    filtered = 0 if counted is None else int(np.count_nonzero(~counted)) - sum(not counted[r] for r in bad)
    return Prepared(
        ticks=_columns(plan, book, batch, offsets, values, keep),
        rejected=Rejected(rows=bad, reasons=[reasons[r] for r in bad]),
        filtered=filtered,
    )


def _columns(
    plan: CompiledQuery,
    book: SessionBook,
    batch: pa.RecordBatch,
    offsets: int | Ints,
    values: list[Value],
    keep: Ints | None,
) -> TickColumns:
    entity = plan.query.entity
    kept = batch if keep is None else batch.take(pa.array(keep))
    data = [v.data if keep is None else v.data[keep] for v in values]
    is_float = [v.type.name == "float64" for v in values]
    sequence = no_ints() if entity.sequence is None else int64_view(kept.column(entity.sequence))
    return TickColumns(
        codes=book.codes(kept),
        at=int64_view(kept.column(entity.timestamp or "")),
        first=offsets if isinstance(offsets, int) else 0,
        order=_order(offsets, keep),
        sequence=sequence,
        ints=tuple(
            no_ints() if f else np.ascontiguousarray(d, dtype=np.int64) for d, f in zip(data, is_float, strict=True)
        ),
        floats=tuple(
            np.ascontiguousarray(d, dtype=np.float64) if f else no_floats() for d, f in zip(data, is_float, strict=True)
        ),
    )


def _order(offsets: int | Ints, keep: Ints | None) -> Ints:
    if isinstance(offsets, int):
        return no_ints() if keep is None else keep + offsets
    return offsets if keep is None else offsets[keep]


def _leaf(plan: CompiledQuery, batch: pa.RecordBatch) -> Callable[[Expr], Value]:
    def leaf(expr: Expr) -> Value:
        if not isinstance(expr, Col):
            raise TypeError(f"{expr} is no tick expression")
        column = batch.column(expr.name)
        declared = plan.query.entity.find(expr.name)
        if declared is None or declared.type.name == "text":
            return Value(type=TEXT, data=no_ints(), text=column)
        kind = declared.type
        if kind.name == "float64":
            return Value(type=kind, data=column.fill_null(0.0).to_numpy())
        if kind == BOOL:
            return Value(type=kind, data=column.fill_null(False).to_numpy(zero_copy_only=False))
        return Value(type=kind, data=int64_view(column))

    return leaf


def _keep(reasons: dict[int, str], counted: Mask | None, rows: int) -> Ints | None:
    """Return the rows to fold, or None for all of them."""
    if not reasons and (counted is None or counted.all()):
        return None
    keep = np.ones(rows, dtype=np.bool_) if counted is None else counted.copy()
    keep[list(reasons)] = False
    return np.flatnonzero(keep)


def _note(reasons: dict[int, str], mask: Mask | None, reason: str) -> None:
    if mask is not None:
        for row in np.flatnonzero(mask).tolist():
            reasons.setdefault(row, reason)


def _not_finite(plan: CompiledQuery, batch: pa.RecordBatch, condition: Expr) -> Mask | None:
    """Return where a condition reads a float that is no number, which it could neither meet nor miss."""
    found: Mask | None = None
    for part in walk(condition):
        column = plan.query.entity.find(part.name) if isinstance(part, Col) else None
        if column is not None and column.type.name == "float64":
            found = either(found, ~np.isfinite(batch.column(column.name).fill_null(0.0).to_numpy()))
    return found


def _bad_rows(batch: pa.RecordBatch) -> dict[int, str]:
    """Find nulls in columns that must have a value."""
    reasons: dict[int, str] = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if column.null_count:
            _note(reasons, column.is_null().to_numpy(zero_copy_only=False), f"column {name!r} is null")
    return reasons
