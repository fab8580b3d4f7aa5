"""Turns a query into what the kernels need: tick inputs, aggregate slots, and how outputs are read off a partial."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ashioto.bars.algebra import FIXED, Slot
from ashioto.errors import DefinitionError
from ashioto.logical.codec import encode_expr
from ashioto.logical.nodes import Agg, Col, DataType, Expr, Previous, Query, walk
from ashioto.logical.types import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.bars.algebra import Func


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledQuery:
    """Holds a query beside its layout in memory.

    Args:
        query: What was declared.
        inputs: Tick expressions that are aggregated, each once.
        input_types: Their types.
        slots: Where each merging aggregate lives; `count` is the COUNT of the partial, `avg` a sum over it.
        aggregates: The slot number of each (func, input expression).
        output_types: Types of the selected columns by name.
        hidden: Slots that no selected column shows, as (column name in the bar, slot number).
    """

    query: Query
    inputs: tuple[Expr, ...]
    input_types: tuple[DataType, ...]
    slots: tuple[Slot, ...]
    aggregates: dict[Agg, int]
    output_types: dict[str, DataType]
    hidden: tuple[tuple[str, int], ...]

    @property
    def int_width(self) -> int:
        """How many aggregates stand in the int64 matrix."""
        return sum(not s.is_float for s in self.slots)

    @property
    def float_width(self) -> int:
        """How many aggregates stand in the float64 matrix."""
        return sum(s.is_float for s in self.slots)

    @property
    def ripples(self) -> bool:
        """Whether a bar's columns depend on the previous bar, so that a revision reaches the next one."""
        return any(isinstance(e, Previous) for o in self.query.outputs for e in walk(o.expr))

    @property
    def passes_on_all(self) -> bool:
        """Whether later bars take over more than the last tick of a bar, so that any revision of it reaches them."""
        taken = [e.output for o in self.query.outputs for e in walk(o.expr) if isinstance(e, Previous)]
        taken += [rule.expr.output for rule in self.query.when_empty if isinstance(rule.expr, Previous)]
        inside = [e for o in self.query.outputs if o.name in taken for e in walk(o.expr)]
        return any(isinstance(e, Agg) and e.func != "last" for e in inside)

    def slot_of(self, agg: Agg) -> int:
        """Return the number of the slot that a first, last, min, max, sum or avg reads."""
        return self.aggregates[_stored(agg)]

    def slot_type(self, slot: int) -> DataType:
        """Return the type of a slot's values."""
        return self.input_types[self.slots[slot].arg]

    def shown(self) -> dict[str, int]:
        """Return the slot number of each selected column that is one plain aggregate; -1 means the count."""
        plain = {}
        for output in self.query.outputs:
            if isinstance(output.expr, Agg) and output.expr.func != "avg":
                plain[output.name] = -1 if output.expr.func == "count" else self.slot_of(output.expr)
        return plain

    def column_of(self, slot: int) -> str:
        """Return the name of the selected column a slot is shown in, for messages."""
        for output in self.query.outputs:
            if any(isinstance(e, Agg) and e.func != "count" and self.slot_of(e) == slot for e in walk(output.expr)):
                return output.name
        raise DefinitionError(f"aggregate {slot} of {self.query.name} is not selected", hint="select it under a name")


def compile_query(query: Query) -> CompiledQuery:
    """Lay out a query.

    Raises:
        DefinitionError: An expression does not type.
    """
    wanted = [_stored(a) for a in _aggregates(query) if a.func != "count"]
    unique = list(dict.fromkeys(wanted))
    inputs = list(dict.fromkeys(a.arg for a in unique if a.arg is not None))
    types = [type_of(i, query.entity) for i in inputs]
    slots: list[Slot] = []
    widths = {False: FIXED, True: 0}
    for agg in unique:
        arg = inputs.index(agg.arg) if agg.arg is not None else 0
        is_float = types[arg].name == "float64"
        func: Func = agg.func if agg.func not in {"avg", "count"} else "sum"  # type: ignore[assignment]  # narrowed by _stored
        slots.append(Slot(func=func, arg=arg, is_float=is_float, column=widths[is_float]))
        widths[is_float] += 1
    aggregates = {agg: number for number, agg in enumerate(unique)}
    shown = {
        aggregates[_stored(o.expr)]
        for o in query.outputs
        if isinstance(o.expr, Agg) and o.expr.func not in {"avg", "count"}
    }
    hidden = tuple((hidden_name(unique[n]), n) for n in range(len(slots)) if n not in shown)
    if not any(isinstance(o.expr, Agg) and o.expr.func == "count" for o in query.outputs):
        hidden += (("__count", -1),)
    return CompiledQuery(
        query=query,
        inputs=tuple(inputs),
        input_types=tuple(types),
        slots=tuple(slots),
        aggregates=aggregates,
        output_types=output_types(query),
        hidden=hidden,
    )


def hidden_name(agg: Agg) -> str:
    """Return the column of a bar that keeps an aggregate that no selected column shows: named by what it holds.

    So it keeps its name, and with it its type, when other columns are selected or left out.

    >>> from ashioto.logical.nodes import Col
    >>> hidden_name(Agg(func="sum", arg=Col(name="price")))
    '__sum_price'
    """
    if isinstance(agg.arg, Col):
        return f"__{agg.func}_{agg.arg.name}"
    return f"__{agg.func}_{hashlib.sha256(encode_expr(agg).encode()).hexdigest()[:12]}"


def output_types(query: Query) -> dict[str, DataType]:
    """Return the types of the selected columns, in their order."""
    plain = {
        o.name: type_of(o.expr, query.entity)
        for o in query.outputs
        if not any(isinstance(e, Previous) for e in walk(o.expr))
    }
    return {o.name: plain[o.name] if o.name in plain else type_of(o.expr, query.entity, plain) for o in query.outputs}


def _aggregates(query: Query) -> Iterable[Agg]:
    for output in query.outputs:
        for expr in walk(output.expr):
            if isinstance(expr, Agg):
                yield expr


def _stored(agg: Agg) -> Agg:
    """Keep `avg` as a sum over the count."""
    return Agg(func="sum", arg=agg.arg) if agg.func == "avg" else agg
