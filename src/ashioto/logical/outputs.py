"""Checks of selected columns: their names, their types, and that they look at the bucket and not at one tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.errors import DefinitionError
from ashioto.logical.entities import check_name
from ashioto.logical.nodes import Agg, Col, DataType, Previous, walk
from ashioto.logical.types import type_of

if TYPE_CHECKING:
    from ashioto.logical.nodes import Entity, Expr, Output

ENVELOPE: Final = (
    "bucket_start",
    "bucket_end",
    "market_date",
    "final",
    "synthetic",
    "first_at",
    "first_seq",
    "last_at",
    "last_seq",
    "source_cut",
    "origin",
)
"""Columns that every bar has beside its keys and selected columns."""

MARKER_COLUMNS: Final = (
    "base",
    "kind",
    "at",
    "due",
    "bucket_start",
    "bucket_end",
    "market_date",
    "session_open",
    "closes",
    "next_at",
    "next_bucket_start",
    "next_market_date",
    "next_session_open",
    "source_cut",
    "epoch",
)
"""Columns that every heartbeat has beside its keys."""

RESERVED: Final = frozenset({*ENVELOPE, "period"})
"""Names that no key or selected column may take."""


def computed(outputs: tuple[Output, ...]) -> frozenset[str]:
    """Return the names of the columns that are more than one tick's value: sums, averages, expressions.

    >>> from ashioto.logical.nodes import Output
    >>> sorted(computed((Output(name="open", expr=Agg(func="first", arg=Col(name="price"))),)))
    []
    """
    picks = {"first", "last", "min", "max"}
    plain = {
        o.name for o in outputs if isinstance(o.expr, Agg) and o.expr.func in picks and isinstance(o.expr.arg, Col)
    }
    return frozenset(o.name for o in outputs) - plain


def output_types(outputs: tuple[Output, ...], entity: Entity) -> dict[str, DataType]:
    """Return the type of each selected column, by name.

    Raises:
        DefinitionError: One does not type, is no number, nests aggregates, or goes back more than one bar.

    >>> from ashioto.logical.nodes import Entity, Output
    >>> found = output_types((Output(name="n", expr=Agg(func="count", arg=None)),), Entity(
    ...     name="Rate", kind="stream", columns=()))
    >>> str(found["n"])
    'int64'
    """
    types: dict[str, DataType] = {}
    for output in outputs:
        _check_shape(output, entity)
    plain = [o for o in outputs if not _uses_previous(o)]
    looking_back = [o for o in outputs if _uses_previous(o)]
    for output in plain:
        types[output.name] = type_of(output.expr, entity)
    reachable = dict(types)
    for output in looking_back:
        _check_previous(output, reachable, looking_back)
        types[output.name] = type_of(output.expr, entity, reachable)
    for name, found in types.items():
        if not found.is_numeric:
            raise DefinitionError(f"{name} is {found}, a selected column must be a number", hint="select a number")
    return {o.name: types[o.name] for o in outputs}


def check_output_names(outputs: tuple[Output, ...], group_by: tuple[str, ...]) -> None:
    """Check that something is selected, each column under a name of its own.

    Raises:
        DefinitionError: A name is none, is taken twice, or is one that every bar has already.

    >>> from ashioto.logical.nodes import Output
    >>> check_output_names((Output(name="ticks", expr=Agg(func="count", arg=None)),), ("symbol",))
    """
    if not outputs:
        raise DefinitionError("nothing is selected", hint="e.g. .select(**ao.ohlcv(Rate.price, Rate.size))")
    seen: set[str] = set()
    for output in outputs:
        name = check_name(output.name, "selected column")
        if name in RESERVED or name in group_by:
            raise DefinitionError(
                f"every bar already has a column {name}",
                hint=f"select it under another name; taken are {', '.join([*group_by, *sorted(RESERVED)])}",
                column=name,
            )
        if name in seen:
            raise DefinitionError(f"{name} is selected twice", hint="give each column its own name", column=name)
        seen.add(name)


def _check_shape(output: Output, entity: Entity) -> None:
    def visit(expr: Expr, *, inside: bool) -> None:
        if isinstance(expr, Agg | Previous) and inside:
            raise DefinitionError(
                f"{output.name} puts one aggregate inside another", hint="combine them by + - * / instead"
            )
        if isinstance(expr, Col) and not inside:
            type_of(expr, entity)
            raise DefinitionError(
                f"{output.name} uses {expr.name} of a single tick, but a bar has many",
                hint=f"aggregate it, e.g. ao.last({entity.name}.{expr.name})",
                column=expr.name,
            )
        for part in getattr(expr, "args", ()):
            visit(part, inside=inside)
        if isinstance(expr, Agg) and expr.arg is not None:
            visit(expr.arg, inside=True)

    visit(output.expr, inside=False)


def _uses_previous(output: Output) -> bool:
    return any(isinstance(e, Previous) for e in walk(output.expr))


def _check_previous(output: Output, reachable: dict[str, DataType], looking_back: list[Output]) -> None:
    for part in walk(output.expr):
        if not isinstance(part, Previous) or part.output in reachable:
            continue
        if part.output in {o.name for o in looking_back}:
            raise DefinitionError(
                f"{output.name} uses previous({part.output!r}), which itself uses previous()",
                hint=f"name a column made of this bar's ticks: {', '.join(reachable) or 'there is none yet'}",
                column=part.output,
            )
