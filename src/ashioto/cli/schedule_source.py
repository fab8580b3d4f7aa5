"""Where schedules come from: the project's topic, a file, or a calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError, UsageError
from ashioto.files.schedules import COLUMNS, frame_of, is_file, read_schedule
from ashioto.schema.sessions import session_columns, sessions_by_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ashioto.schedule.sessions import Sessions


def load_schedule(
    source: str | None, given: Mapping[str, str], context: str | None, first: date | None, last: date | None
) -> tuple[tuple[str, ...], dict[tuple[str, ...], Sessions]]:
    """Return the key columns of a schedule, and its sessions by key.

    Args:
        source: A file or the name of a calendar; None is the project's schedule.
        given: Wanted value by key column.
        context: Where the project's schedule is declared.
        first: First market date; calendars need it.
        last: Last market date, inclusive.

    Raises:
        ScheduleError: Sessions are empty or overlap, or the calendar is unknown.
        InputError: The file cannot be read.
        UsageError: A key column is unknown.
    """
    names, rows = load_rows(source, given, context, first, last)
    return names, sessions_by_key(frame_of(names), rows)


def load_rows(
    source: str | None, given: Mapping[str, str], context: str | None, first: date | None, last: date | None
) -> tuple[tuple[str, ...], pa.Table]:
    """Return the key columns of a schedule and its rows, unchecked: keys, open, close, market_date."""
    rows = _project_rows(context) if source is None else _source_rows(source, first, last)
    names = tuple(name for name in rows.column_names if name not in COLUMNS)
    for name, value in given.items():
        if name not in names:
            raise UsageError(f"--key: no key column {name!r}", hint=f"there are {', '.join(names) or 'none'}")
        rows = rows.filter(pc.equal(pc.cast(rows[name], pa.string()), value))
    return names, rows


def read_source(
    source: str, names: Sequence[str], given: Mapping[str, str], first: date | None, last: date | None
) -> dict[tuple[str, ...], Sessions]:
    """Return the sessions to import, by key in the order of the key columns.

    Args:
        source: A file or the name of a calendar.
        names: The key columns of the schedule they go into.
        given: Value by key column, for those the source has not.
        first: First market date; calendars need it.
        last: Last market date, inclusive.

    Raises:
        ScheduleError: Sessions are empty or overlap, or the calendar is unknown.
        InputError: The file cannot be read, or has no sessions.
        UsageError: A key column is missing or unknown.
    """
    rows = _between(_source_rows(source, first, last), first, last)
    for name in given:
        if name not in names:
            raise UsageError(f"--key: no key column {name!r}", hint=f"there are {', '.join(names)}")
    columns: dict[str, Any] = {}
    for name in names:
        if name in given:
            columns[name] = pa.repeat(pa.scalar(given[name], pa.string()), rows.num_rows)
        elif name in rows.column_names:
            columns[name] = rows[name]
        else:
            raise UsageError(f"nothing says the {name} of these sessions", hint=f"--key {name}=...")
    if not rows.num_rows:
        raise InputError(f"{source} has no sessions in this range", hint="look at --from and --to")
    return sessions_by_key(frame_of(names), pa.table({**columns, **{name: rows[name] for name in COLUMNS}}))


def _project_rows(context: str | None) -> pa.Table:
    from ashioto.cli.project import open_project

    project = open_project()
    owner = project.context(context)
    frame = project.schedule(owner)
    rows = owner.set(owner.entities[frame.schedule.name], log=project.log).read()
    theirs = (frame.open_column, frame.close_column, frame.day_column)
    keys = {name: pc.cast(rows[name], pa.string()) for name in session_columns(frame)}
    return pa.table({**keys, **{ours: rows[name] for ours, name in zip(COLUMNS, theirs, strict=True)}})


def _source_rows(source: str, first: date | None, last: date | None) -> pa.Table:
    if is_file(source):
        return read_schedule(source)
    from ashioto.schedule.calendars import calendar_sessions

    if first is None or last is None:
        raise UsageError(
            f"{source} goes on for ever", hint="say --from and --to, e.g. --from 2025-01-01 --to 2025-12-31"
        )
    if last < first:
        raise UsageError(f"--to {last} lies before --from {first}", hint="turn them round")
    return calendar_sessions(source, first, last).to_table()


def _between(rows: pa.Table, first: date | None, last: date | None) -> pa.Table:
    for bound, holds in ((first, pc.greater_equal), (last, pc.less_equal)):
        if bound is not None:
            rows = rows.filter(holds(rows["market_date"], pa.scalar(bound, pa.date32())))
    return rows
