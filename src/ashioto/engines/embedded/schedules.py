"""Reads the sessions of a query's keys from the schedule topic, and follows its changes."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto import naming
from ashioto.logical.schedules import is_always_open
from ashioto.schedule.buckets import bucket_start
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schedule.sessions import Sessions
from ashioto.schema.sessions import sessions_by_key

if TYPE_CHECKING:
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

Key = tuple[str, ...]
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2099, 12, 31)


@cache
def open_always() -> Sessions:
    """Return one session a UTC day, from 1970 to 2099."""
    return calendar_sessions("24x7", _FIRST, _LAST)


class LogSchedules:
    """Knows the sessions of every key of a query.

    Args:
        log: Where the schedule topic is.
        query: Whose sessions these are; without `time_frame` everything is always open.
    """

    def __init__(self, log: Log, query: Query) -> None:
        self._log, self._query = log, query
        self._always = named(query, open_always())
        frame = query.time_frame
        self._frame = None if frame is None or is_always_open(frame) else frame
        self._offsets: dict[int, int] = {}
        self._sessions: dict[Key, Sessions] = {}
        self.refresh()

    def sessions(self, key: Key) -> Sessions | None:
        """Return the sessions of a key of the query, or None where the schedule does not name it."""
        if self._frame is None:
            return self._always
        wanted = tuple(key[self._query.group_by.index(mine)] for mine, _ in self._frame.join)
        return self._sessions.get(wanted)

    def scheduled(self) -> list[Key]:
        """Return the keys the schedule names, in the columns that join it."""
        return list(self._sessions)

    def refresh(self) -> bool:
        """Read the schedule again if it has changed.

        Returns:
            Whether it had.
        """
        if self._frame is None:
            return False
        topic = naming.topic(self._query.context, self._frame.schedule.name)
        offsets = self._log.end_offsets(topic)
        if offsets == self._offsets:
            return False
        self._offsets = offsets
        found = sessions_by_key(self._frame, self._log.view(topic, start=None, stop=None).data)
        kept = {sessions: named(self._query, sessions) for sessions in found.values()}
        self._sessions = {key: kept[sessions] for key, sessions in found.items()}
        return True


def named(query: Query, sessions: Sessions) -> Sessions:
    """Return the sessions whose buckets can stand in keys: none of those begins before 1970."""
    opens, days = sessions.opens, sessions.days
    good = np.ones(len(sessions), dtype=np.bool_)
    for frame in query.frames:
        good &= bucket_start(frame, query.align, opens, opens, days) >= 0
    return sessions if good.all() else Sessions(opens[good], sessions.closes[good], days[good])
