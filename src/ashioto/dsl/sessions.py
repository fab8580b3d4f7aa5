"""Reads the condition of `time_frame`: which columns join, and which are open and close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ashioto.dsl.columns import Column
from ashioto.errors import DefinitionError, UsageError
from ashioto.logical.nodes import Col, Op, TimeFrame
from ashioto.logical.render import render_expr

if TYPE_CHECKING:
    from ashioto.logical.nodes import Entity

_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def read_condition(condition: Column[bool], *, ticks: Entity, schedule: Entity, day: Column[Any]) -> TimeFrame:
    """Return the time frame that a condition says, written in any order and either way round.

    Args:
        condition: Equalities of columns, `schedule.open <= ticks.at` and `ticks.at < schedule.close`, joined by `&`.
        ticks: The entity whose events are joined.
        schedule: The table of sessions.
        day: The column of the schedule that names the market date.

    Raises:
        DefinitionError: A part is something else; the message shows that part.
    """
    at = ticks.timestamp
    join: list[tuple[str, str]] = []
    opens: list[str] = []
    closes: list[str] = []
    for part in _conjuncts(condition):
        left, op, right = _orient(part, ticks, schedule)
        if op == "==":
            join.append((left, right))
        elif left == at and op == ">=":
            opens.append(right)
        elif left == at and op == "<":
            closes.append(right)
        else:
            raise _unreadable(part, ticks, schedule, _bound_hint(left, op, right, ticks, schedule))
    return TimeFrame(
        schedule=schedule,
        join=tuple(sorted(set(join))),
        open_column=_one(opens, "open", ticks, schedule),
        close_column=_one(closes, "close", ticks, schedule),
        day_column=_day(day, schedule),
    )


def _conjuncts(condition: Column[Any]) -> list[Column[Any]]:
    if not isinstance(condition, Column):
        raise UsageError(
            f"time_frame takes a condition over columns, not {condition!r}",
            hint="join comparisons by &, each in parentheses",
        )
    if isinstance(condition.node, Op) and condition.node.op == "and":
        return [leaf for part in condition.parts for leaf in _conjuncts(part)]
    return [condition]


def _orient(part: Column[Any], ticks: Entity, schedule: Entity) -> tuple[str, str, str]:
    if isinstance(part.node, Op) and part.node.op in _MIRROR:
        left, right = part.parts
        op = part.node.op
        if left.entities == (schedule,) and right.entities == (ticks,):
            left, right, op = right, left, _MIRROR[op]
        if left.entities == (ticks,) and right.entities == (schedule,):
            first, second = left.node, right.node
            if isinstance(first, Col) and isinstance(second, Col):
                return first.name, op, second.name
    raise _unreadable(part, ticks, schedule, "")


def _bound_hint(left: str, op: str, right: str, ticks: Entity, schedule: Entity) -> str:
    if left != ticks.timestamp:
        return f"only {ticks.name}.{ticks.timestamp} is compared by < and <=; join other columns by =="
    if op == "<=":
        return f"a session ends before its close: write {ticks.name}.{left} < {schedule.name}.{right}"
    return f"a session begins at its open: write {schedule.name}.{right} <= {ticks.name}.{left}"


def _unreadable(part: Column[Any], ticks: Entity, schedule: Entity, hint: str) -> DefinitionError:
    return DefinitionError(
        f"time_frame cannot use {render_expr(part.node)}",
        hint=hint
        or (
            f"write ({ticks.name}.x == {schedule.name}.x) & ({schedule.name}.open <= {ticks.name}.{ticks.timestamp})"
            f" & ({ticks.name}.{ticks.timestamp} < {schedule.name}.close); other conditions go into .where(...)"
        ),
    )


def _one(found: list[str], what: str, ticks: Entity, schedule: Entity) -> str:
    if len(set(found)) == 1:
        return found[0]
    at = f"{ticks.name}.{ticks.timestamp}"
    bound = f"{schedule.name}.open <= {at}" if what == "open" else f"{at} < {schedule.name}.close"
    problem = f"names {len(found)} {what} columns: {', '.join(found)}" if found else f"does not say the {what}"
    raise DefinitionError(f"the condition of time_frame {problem}", hint=f"it needs one ({bound})")


def _day(day: object, schedule: Entity) -> str:
    if not isinstance(day, Column) or not isinstance(day.node, Col) or day.entities != (schedule,):
        raise DefinitionError(
            f"day_key is no column of {schedule.name}", hint=f"e.g. day_key={schedule.name}.market_date"
        )
    return day.node.name
