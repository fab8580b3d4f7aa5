"""The schedule index `{ctx}.{schedule}_by_day`: the sessions of each key and UTC day, with the labels SQL engines need.

A session stands in every UTC day it touches, so that a moment finds its session by its own day. Every record has the
timestamp 1 ms: a stream finds a row of a table only when the row is older.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto import keys
from ashioto.engines.sql.types import BIGINT, struct
from ashioto.period import DAY_MS, Period
from ashioto.schedule.buckets import bucket_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.logical.nodes import TimeFrame
    from ashioto.schedule.sessions import Sessions

RECORD_MS: Final = 1
"""Timestamp of every record of an index."""
KEY: Final = "session_key"
SESSIONS: Final = "sessions"
SESSION_TYPE: Final = struct(open_ms=BIGINT, close_ms=BIGINT, day=BIGINT, week=BIGINT, month=BIGINT)
"""A session: when it opens and closes, and the midnights of its market date, of that week's Monday, and of the 1st."""
FIELDS: Final = tuple(name for name, _ in SESSION_TYPE.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSession:
    """Holds a session with its labels, all in ms.

    >>> LabelledSession(open_ms=0, close_ms=1, day=0, week=-259_200_000, month=0).close_ms
    1
    """

    open_ms: int
    close_ms: int
    day: int
    week: int
    month: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """Holds the sessions that touch one UTC day of one key, in order; none to take the record back.

    Args:
        key: `1␟key…␟utc day`.
        sessions: The sessions.

    >>> DayRow(key=b"k", sessions=()).sessions
    ()
    """

    key: bytes
    sessions: tuple[LabelledSession, ...]


def labelled(sessions: Sessions) -> list[LabelledSession]:
    """Return sessions with their labels.

    >>> from ashioto.schedule.sessions import Sessions
    >>> labelled(Sessions.build(np.array([0]), np.array([9]), np.array([31])))[0].month == 31 * DAY_MS
    True
    """
    opens, days = sessions.opens, sessions.days
    columns = [opens, sessions.closes]
    columns += [bucket_start(frame, "clock", opens, opens, days) for frame in _LABELS]
    return [LabelledSession(**dict(zip(FIELDS, row, strict=True))) for row in np.stack(columns, axis=1).tolist()]


def by_day(sessions: Sessions) -> dict[int, tuple[LabelledSession, ...]]:
    """Return the sessions that touch each UTC day, by the day's midnight in ms.

    >>> from ashioto.schedule.sessions import Sessions
    >>> night = Sessions.build(np.array([DAY_MS - 1]), np.array([DAY_MS + 1]), np.array([1]))
    >>> sorted(by_day(night)) == [0, DAY_MS]
    True
    """
    found: dict[int, list[LabelledSession]] = {}
    for session in labelled(sessions):
        for day in range(session.open_ms // DAY_MS, (session.close_ms - 1) // DAY_MS + 1):
            found.setdefault(day * DAY_MS, []).append(session)
    return {day: tuple(rows) for day, rows in sorted(found.items())}


def day_rows(schedule: Mapping[tuple[str, ...], Sessions]) -> list[DayRow]:
    """Return the rows of an index, by key and day.

    Args:
        schedule: Sessions by the parts of their key, in the order of the schedule's key columns. Keys that share an
            object of sessions share its computation.
    """
    known: dict[int, dict[int, tuple[LabelledSession, ...]]] = {}
    rows = []
    for parts, sessions in schedule.items():
        days = known.get(id(sessions))
        if days is None:
            days = known[id(sessions)] = by_day(sessions)
        rows += [DayRow(key=day_key(parts, day), sessions=held) for day, held in days.items()]
    return rows


def changed_rows(before: Sequence[DayRow], after: Sequence[DayRow]) -> list[DayRow]:
    """Return what must be written so that an index says something else; rows that go come without sessions.

    >>> row = DayRow(key=b"k", sessions=(LabelledSession(open_ms=0, close_ms=1, day=0, week=0, month=0),))
    >>> changed_rows([row], [])
    [DayRow(key=b'k', sessions=())]
    """
    old = {row.key: row for row in before}
    new = {row.key for row in after}
    gone = [DayRow(key=row.key, sessions=()) for row in before if row.key not in new]
    return [row for row in after if old.get(row.key) != row] + gone


def index_join(frame: TimeFrame) -> tuple[str, ...] | None:
    """Return the columns of the ticks that name a row of the index, in the order of the schedule's keys.

    Args:
        frame: How the schedule is read.

    Returns:
        The columns; None where ticks are joined by more than the keys of the schedule.

    >>> from ashioto.logical.schedules import always_open
    >>> index_join(always_open())
    ()
    """
    names = [name for name in frame.schedule.keys if name != frame.open_column]
    ours = {theirs: mine for mine, theirs in frame.join}
    return tuple(ours[name] for name in names) if sorted(theirs for _, theirs in frame.join) == sorted(names) else None


def index_parts(frame: TimeFrame, parts: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of a key of `schema.sessions.sessions_by_key` in the order of the index.

    Args:
        frame: How the schedule is read.
        parts: One for each pair of `frame.join`.
    """
    named = dict(zip((theirs for _, theirs in frame.join), parts, strict=True))
    return tuple(named[name] for name in frame.schedule.keys if name != frame.open_column)


def day_key(parts: Sequence[str], day_ms: int) -> bytes:
    r"""Return the key of a row of an index.

    >>> day_key(["FX"], 0)
    b'1\x1fFX\x1f0000000000000'
    """
    return keys.encode(parts) + keys.SEPARATOR.encode() + keys.time_part(day_ms).encode()


_LABELS: Final = (Period.days(1), Period.weeks(1), Period.months(1))
