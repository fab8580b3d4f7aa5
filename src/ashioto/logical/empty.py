"""What a bar without ticks holds: the user's rules, and the defaults where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.errors import DefinitionError
from ashioto.logical.nodes import Agg, EmptyRule, Lit, Previous, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.logical.nodes import DataType, Output, Query


def empty_rules(query: Query, types: Mapping[str, DataType]) -> tuple[EmptyRule, ...]:
    """Return one rule a selected column, in the order of the columns; none unless the query is continuous.

    Args:
        query: The query, with the rules its user gave, in any order.
        types: Types of the selected columns.

    Raises:
        DefinitionError: A rule names no selected column, has another type than its column, or no default exists.

    >>> from ashioto.logical.nodes import INT64, Entity, Output, Query
    >>> count = Output(name="ticks", expr=Agg(func="count", arg=None))
    >>> query = Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()), where=(),
    ...     time_frame=None, frames=(), align="clock", continuous=True, grace_ms=0, retention_ms=0, group_by=(),
    ...     outputs=(count,), when_empty=())
    >>> empty_rules(query, {"ticks": INT64})[0].expr.value
    0
    """
    given = {rule.name: rule for rule in query.when_empty}
    if query.when_empty and not query.continuous:
        raise DefinitionError(
            "when_empty needs continuous bars: without them no bar is empty",
            hint="add ensure_continuous=True to tumbling(...), or drop when_empty",
        )
    if len(given) != len(query.when_empty):
        raise DefinitionError("when_empty names a column twice", hint="give each selected column one rule")
    plain = [o for o in query.outputs if not any(isinstance(e, Previous) for e in walk(o.expr))]
    for rule in query.when_empty:
        _check_rule(rule, types, {o.name for o in plain})
    if not query.continuous:
        return ()
    return tuple(given.get(o.name) or _default(o, query.outputs, types) for o in query.outputs)


def _check_rule(rule: EmptyRule, types: Mapping[str, DataType], plain: set[str]) -> None:
    if rule.name not in types:
        raise DefinitionError(
            f"when_empty names {rule.name!r}, which is not selected",
            hint=f"selected are {', '.join(types)}",
            column=rule.name,
        )
    wanted = types[rule.name]
    if isinstance(rule.expr, Previous):
        if rule.expr.output not in plain:
            raise DefinitionError(
                f"when_empty of {rule.name} uses previous({rule.expr.output!r}), no column of a bar's own ticks",
                hint=f"name one of {', '.join(sorted(plain)) or 'none selected yet'}",
                column=rule.name,
            )
        found = types[rule.expr.output]
    else:
        found = rule.expr.type
    if found != wanted:
        raise DefinitionError(
            f"{rule.name} is {wanted}, its when_empty is {found}", hint=f"give it a {wanted}", column=rule.name
        )


def _default(output: Output, outputs: tuple[Output, ...], types: Mapping[str, DataType]) -> EmptyRule:
    kind = types[output.name]
    expr = output.expr
    if not isinstance(expr, Agg) or expr.func == "avg":
        return EmptyRule(name=output.name, expr=Lit(type=kind, value=None))
    if expr.func in {"sum", "count"}:
        return EmptyRule(name=output.name, expr=Lit(type=kind, value=0.0 if kind.name == "float64" else 0))
    source = _last_of(expr, outputs)
    if source is None or types[source.name] != kind:
        raise DefinitionError(
            f"nothing says what {output.name} is in a bar without ticks",
            hint=f"select ao.last(...) of the same column, or add .when_empty({output.name}=...)",
            column=output.name,
        )
    return EmptyRule(name=output.name, expr=Previous(output=source.name))


def _last_of(expr: Agg, outputs: tuple[Output, ...]) -> Output | None:
    lasts = [o for o in outputs if isinstance(o.expr, Agg) and o.expr.func == "last"]
    same = [o for o in lasts if isinstance(o.expr, Agg) and o.expr.arg == expr.arg]
    if same:
        return same[0]
    return lasts[0] if len(lasts) == 1 else None
