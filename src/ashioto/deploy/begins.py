"""Where a new version of a query begins to read: all over again, or where the one before stands."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ashioto.errors import InputError, UnsupportedError
from ashioto.logical.nodes import Col, walk

if TYPE_CHECKING:
    from ashioto.control.applied import Begins, Registration
    from ashioto.engines.base import RunningQuery
    from ashioto.logical.nodes import Column, Entity, Query, TimeFrame

Named = tuple[tuple[str, ...], frozenset["Column"]]


def begins_at(before: Registration | None, wanted: Query, *, run: RunningQuery | None = None) -> Begins:
    """Return where a version begins to read.

    It may go on where the one before stands if that one has the same bars, and has not itself still to begin all over.

    Args:
        before: The newest version that is not stopped; None when there is none.
        wanted: The plan of the version to come.
        run: How the engine stands with the version before.
    """
    if before is None:
        return "start"
    known = plan_of(before)
    has_begun = before.begins == "previous" or (run is not None and bool(run.cuts))
    return "previous" if has_begun and known is not None and same_bars(known, wanted) else "start"


def plan_of(registration: Registration) -> Query | None:
    """Return the plan of a version, or None when this ashioto cannot read it."""
    try:
        return registration.decoded()
    except (UnsupportedError, InputError):
        return None


def changed_parts(before: Query, after: Query) -> list[str]:
    """Return the names of the parts in which two plans differ."""
    return [f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)]


def same_bars(before: Query, after: Query) -> bool:
    """Return whether every bar of a plan has the content it had under another.

    That is so if they differ only in when bars become final (`grace_ms`), how late ticks may come (`retention_ms`),
    columns that the plan does not use, and frames that are made no more, the base apart.
    """
    equal = ("context", "name", "where", "align", "continuous", "group_by", "outputs", "when_empty")
    return (
        all(getattr(before, name) == getattr(after, name) for name in equal)
        and before.base == after.base
        and set(after.frames) <= set(before.frames)
        and before.entity.name == after.entity.name
        and _used(before.entity, _names(before)) == _used(after.entity, _names(after))
        and _same_sessions(before.time_frame, after.time_frame)
    )


def _same_sessions(before: TimeFrame | None, after: TimeFrame | None) -> bool:
    return _sessions(before) == _sessions(after)


def _sessions(frame: TimeFrame | None) -> object:
    if frame is None:
        return None
    named = {frame.open_column, frame.close_column, frame.day_column, *(theirs for _, theirs in frame.join)}
    return (
        frame.schedule.name, frame.join, frame.open_column, frame.close_column, frame.day_column,
        _used(frame.schedule, named),
    )  # fmt: skip


def _names(query: Query) -> set[str]:
    """Return the columns of the ticks that a plan names; grouping and joining columns are keys or named here too."""
    exprs = [*query.where, *(output.expr for output in query.outputs)]
    found = {e.name for expr in exprs for e in walk(expr) if isinstance(e, Col)}
    joined = () if query.time_frame is None else query.time_frame.join
    return found | set(query.group_by) | {mine for mine, _ in joined}


def _used(entity: Entity, named: set[str]) -> Named:
    """Return the keys in order, and every column that has a role or is named."""
    return entity.keys, frozenset(c for c in entity.columns if c.role != "value" or c.name in named)
