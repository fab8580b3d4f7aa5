"""Reads finished columns off partial bars: the Arrow table of a frame, and the way back from such a table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.bars.algebra import COUNT, CUT, DAY, FIRST_AT, FIRST_SEQ, FIXED, LAST_AT, LAST_SEQ, START
from ashioto.bars.placement import PERIOD
from ashioto.engines.embedded.evaluate import Value, either, evaluate, floats
from ashioto.engines.embedded.imported import GIVEN, HISTORY, IMPORTED
from ashioto.errors import DecimalOverflowError
from ashioto.logical.nodes import FLOAT64, INT64, Agg, Col, DataType, EmptyRule, Expr, Lit, Previous
from ashioto.schema.arrow import arrow_type, from_numpy, int64_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from ashioto.bars.algebra import Floats, Ints
    from ashioto.engines.embedded.evaluate import Mask
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.period import Period

    OnOverflow = Callable[[str, DataType, Mask], None]

STREAM: Final = "stream"
TIME: Final = pa.timestamp("ms", tz="UTC")
_ENVELOPE: Final = (
    ("first_at", FIRST_AT, TIME),
    ("first_seq", FIRST_SEQ, pa.int64()),
    ("last_at", LAST_AT, TIME),
    ("last_seq", LAST_SEQ, pa.int64()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRows:
    """Says which bars to write.

    Args:
        key: Number of the key.
        start: Bucket start, ms.
        end: Bucket end, ms.
        day: Market date, days.
        final: Whether the bucket has ended.
        real: Whether the bar has ticks.
        row: Row of the bar, or of the bar it carries.
    """

    key: Ints
    start: Ints
    end: Ints
    day: Ints
    final: npt.NDArray[np.bool_]
    real: npt.NDArray[np.bool_]
    row: Ints

    @classmethod
    def joined(cls, parts: Sequence[BarRows]) -> BarRows:
        """Return the rows of several, one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def take(self, rows: Ints) -> BarRows:
        """Return these rows."""
        if np.array_equal(rows, np.arange(self.key.shape[0])):
            return self
        return BarRows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialRows:
    """Holds the arrays the rows of `BarRows` point into."""

    ints: Ints
    floats: Floats
    links: Ints
    kinds: Ints
    given: Ints


def bar_schema(plan: CompiledQuery, period: Period) -> pa.Schema:
    """Return the columns of one frame's bars, hidden partials included."""
    columns = [pa.field(name, pa.string()) for name in plan.query.group_by]
    columns += [pa.field("bucket_start", TIME), pa.field("bucket_end", TIME), pa.field("market_date", pa.date32())]
    columns += [pa.field(name, arrow_type(kind)) for name, kind in plan.output_types.items()]
    columns += [pa.field("final", pa.bool_()), pa.field("synthetic", pa.bool_())]
    columns += [pa.field(name, kind) for name, _, kind in _ENVELOPE]
    columns += [pa.field("source_cut", pa.int64()), pa.field("origin", pa.string())]
    columns += [pa.field(name, arrow_type(_hidden_type(plan, slot))) for name, slot in plan.hidden]
    return pa.schema(columns, metadata={PERIOD: period.kind.encode()})


def bar_table(
    plan: CompiledQuery,
    period: Period,
    names: Sequence[pa.Array],
    bars: BarRows,
    partials: PartialRows,
    on_overflow: OnOverflow,
) -> pa.Table:
    """Return these bars as a table of `bar_schema`; what leaves 64 bits is null.

    Args:
        plan: The query.
        period: The frame.
        names: The grouping columns of each key, by its number.
        bars: Which bars.
        partials: What they are made of.
        on_overflow: Is told the column, its type, and in which rows a selected expression leaves 64 bits.

    """
    empty = ~bars.real
    codes = pa.array(bars.key)
    columns = [part.take(codes) for part in names]
    columns += [from_numpy(bars.start, TIME), from_numpy(bars.end, TIME), from_numpy(bars.day, pa.date32())]
    for name, value in _outputs(plan, bars, partials).items():
        if value.overflow is not None and value.overflow.any():
            on_overflow(name, value.type, value.overflow)
        columns.append(_finished(value))
    columns += [pa.array(bars.final), pa.array(empty)]
    nulls = empty if empty.any() else None
    columns += [from_numpy(partials.ints[bars.row, c], kind, null=nulls) for _, c, kind in _ENVELOPE]
    cut = partials.ints[bars.row, CUT]
    holds = (cut < 0) | (partials.kinds[bars.row] & IMPORTED != 0)
    columns += [from_numpy(cut, pa.int64(), null=empty | (cut < 0)), _origins(bars.real & holds)]
    for _, slot in plan.hidden:
        value = _slot_value(plan, slot, partials, bars.row)
        columns.append(from_numpy(value.data, arrow_type(value.type), null=nulls))
    return pa.Table.from_arrays(columns, schema=bar_schema(plan, period))


def _origins(imported: Mask) -> pa.Array:
    """Return where bars come from: those that hold ticks not of the stream are history, also if others were merged."""
    if not imported.any():
        return pa.repeat(pa.scalar(STREAM), imported.shape[0])
    return pa.array([STREAM, HISTORY]).take(pa.array(imported.astype(np.int8)))


def partial_rows(plan: CompiledQuery, table: pa.Table) -> tuple[Ints, Floats]:
    """Return the partials that bars with ticks were made of: the way back from `bar_table`; KEY is left 0."""
    n = table.num_rows
    ints = np.zeros((n, FIXED + plan.int_width), dtype=np.int64)
    reals = np.zeros((n, plan.float_width), dtype=np.float64)
    ints[:, START] = int64_view(table["bucket_start"].combine_chunks())
    ints[:, DAY] = int64_view(table["market_date"].combine_chunks())
    for name, column, _ in _ENVELOPE:
        ints[:, column] = int64_view(table[name].combine_chunks())
    ints[:, CUT] = table["source_cut"].combine_chunks().fill_null(-1).to_numpy()
    sources = {slot: name for name, slot in plan.shown().items()} | {slot: name for name, slot in plan.hidden}
    for slot, name in sources.items():
        array = table[name].combine_chunks()
        if slot < 0:
            ints[:, COUNT] = int64_view(array)
        elif plan.slots[slot].is_float:
            reals[:, plan.slots[slot].column] = array.fill_null(0.0).to_numpy(zero_copy_only=False)
        else:
            ints[:, plan.slots[slot].column] = int64_view(array)
    return ints, reals


def _hidden_type(plan: CompiledQuery, slot: int) -> DataType:
    return INT64 if slot < 0 else plan.slot_type(slot)


def _slot_value(plan: CompiledQuery, slot: int, partials: PartialRows, row: Ints) -> Value:
    if slot < 0:
        return Value(type=INT64, data=partials.ints[row, COUNT])
    at = plan.slots[slot]
    data = partials.floats[row, at.column] if at.is_float else partials.ints[row, at.column]
    return Value(type=plan.slot_type(slot), data=data)


def _outputs(plan: CompiledQuery, bars: BarRows, partials: PartialRows) -> dict[str, Value]:
    """Compute the columns of each row's bar (or of the bar it carries), then apply the rules for empty bars."""
    own = {o.name: _column(plan, n, partials, bars.row) for n, o in enumerate(plan.query.outputs)}
    empty = ~bars.real
    if not empty.any():
        return own
    rules = {rule.name: rule for rule in plan.query.when_empty}
    return {name: _when_empty(value, rules[name], own, empty, plan.output_types[name]) for name, value in own.items()}


def _when_empty(
    value: Value, rule: EmptyRule, own: dict[str, Value], empty: npt.NDArray[np.bool_], kind: DataType
) -> Value:
    n = empty.shape[0]
    other = own[rule.expr.output] if isinstance(rule.expr, Previous) else evaluate(rule.expr, _no_leaf, n)
    mine_null = value.null if value.null is not None else np.zeros(n, dtype=np.bool_)
    other_null = other.null if other.null is not None else np.zeros(n, dtype=np.bool_)
    null = np.where(empty, other_null, mine_null)
    data = np.where(empty, other.data.astype(value.data.dtype), value.data)
    return Value(
        type=kind, data=data, null=null if null.any() else None, overflow=_mixed(empty, other.overflow, value.overflow)
    )


def _mixed(empty: Mask, then: Mask | None, other: Mask | None) -> Mask | None:
    """Return one mask where bars are empty and another where they are not."""
    if then is None and other is None:
        return None
    nowhere = np.zeros(empty.shape[0], dtype=np.bool_)
    return np.where(empty, nowhere if then is None else then, nowhere if other is None else other)


def _no_leaf(expr: Expr) -> Value:
    raise TypeError(f"{expr} is no constant")


def _column(plan: CompiledQuery, number: int, partials: PartialRows, row: Ints) -> Value:
    """Compute a selected column; of an imported bar it is what was given."""
    value = _select(plan, plan.query.outputs[number].expr, partials, row)
    if not partials.given.shape[0]:
        return value
    given = partials.kinds[row] & GIVEN != 0
    if not given.any():
        return value
    bits, null = partials.given[row, 2 * number], given & (partials.given[row, 2 * number + 1] != 0)
    numbers = bits.view(np.float64) if value.data.dtype == np.float64 else bits.astype(value.data.dtype)
    kept = null if value.null is None else null | (value.null & ~given)
    return Value(
        type=value.type,
        data=np.where(given, numbers, value.data),
        null=kept if kept.any() else None,
        overflow=None if value.overflow is None else value.overflow & ~given,
    )


def _select(plan: CompiledQuery, expr: Expr, partials: PartialRows, row: Ints) -> Value:
    def leaf(node: Expr) -> Value:
        match node:
            case Agg(func="count"):
                return _slot_value(plan, -1, partials, row)
            case Agg(func="avg"):
                total = floats(_slot_value(plan, plan.slot_of(node), partials, row))
                count = np.maximum(partials.ints[row, COUNT], 1)
                return Value(type=FLOAT64, data=total / count)
            case Agg():
                return _slot_value(plan, plan.slot_of(node), partials, row)
            case Previous():
                before = partials.links[row, 0]
                inner = next(n for n, o in enumerate(plan.query.outputs) if o.name == node.output)
                value = _column(plan, inner, partials, np.maximum(before, 0))
                null = before < 0 if value.null is None else value.null | (before < 0)
                return Value(type=value.type, data=value.data, null=null, overflow=value.overflow)
            case Lit() | Col() | _:
                raise TypeError(f"{node} is no aggregate")

    return evaluate(expr, leaf, row.shape[0])


def refuse_overflow(name: str, kind: DataType, _rows: Mask) -> None:
    """Raise, as one of the ways to take an overflow.

    Raises:
        DecimalOverflowError: Always; names the column.
    """
    raise DecimalOverflowError(
        f"column {name!r} leaves 64 bits at the scale {kind.scale}",
        hint="declare its inputs with a smaller scale, or as float",
        column=name,
    )


def _finished(value: Value) -> pa.Array:
    null = either(value.null, value.overflow)
    return from_numpy(value.data, arrow_type(value.type), null=null)
