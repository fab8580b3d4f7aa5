"""The one form of a plan: orders that mean nothing are removed, so that plans of one meaning are equal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ashioto.logical.nodes import Op

if TYPE_CHECKING:
    from ashioto.logical.nodes import Expr, Query


def canonical(query: Query) -> Query:
    """Return the plan with frames ascending, joins sorted, conditions split at `and`, and rules in column order.

    >>> from ashioto.logical.nodes import Entity, Query
    >>> from ashioto.period import Period
    >>> canonical(Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(Period.hours(1), Period.minutes(5)), align="clock", continuous=False,
    ...     grace_ms=0, retention_ms=0, group_by=(), outputs=(), when_empty=())).frames
    (Period('5m'), Period('1h'))
    """
    frame = query.time_frame
    order = {output.name: i for i, output in enumerate(query.outputs)}
    return replace(
        query,
        where=tuple(part for condition in query.where for part in _conjuncts(condition)),
        frames=tuple(sorted(set(query.frames))),
        time_frame=frame and replace(frame, join=tuple(sorted(set(frame.join)))),
        when_empty=tuple(sorted(query.when_empty, key=lambda rule: (order.get(rule.name, len(order)), rule.name))),
    )


def _conjuncts(condition: Expr) -> list[Expr]:
    if isinstance(condition, Op) and condition.op == "and":
        return [part for arg in condition.args for part in _conjuncts(arg)]
    return [condition]
