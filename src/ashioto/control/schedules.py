"""Reads the sessions of a query's keys from the schedule topic, and follows its changes."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa

from ashioto.errors import ScheduleError
from ashioto.log.records import concat_slices, cut, newest
from ashioto.schedule.buckets import bucket_start
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schedule.sessions import Sessions
from ashioto.schema.sessions import sessions_by_key

if TYPE_CHECKING:
    from ashioto.log.base import Log, Slice
    from ashioto.logical.nodes import AlignName, TimeFrame
    from ashioto.period import Period

Key = tuple[str, ...]
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(2099, 12, 31)
_TRIES: Final = 64
"""How many records a schedule that does not hold together is taken back by at most, to find one that does."""


class Timetable(Protocol):
    """What is asked of a query, or of a heartbeat spec, to know its buckets and whose sessions they follow."""

    @property
    def frames(self) -> tuple[Period, ...]:
        """Lengths of the bars, ascending."""
        ...

    @property
    def align(self) -> AlignName:
        """What intraday buckets count from."""
        ...

    @property
    def group_by(self) -> tuple[str, ...]:
        """Grouping columns."""
        ...

    @property
    def time_frame(self) -> TimeFrame | None:
        """How the schedule is read."""
        ...

    @property
    def schedule_topic(self) -> str | None:
        """Topic of the sessions; None when the market is always open."""
        ...


@cache
def open_always() -> Sessions:
    """Return one session a UTC day, from 1970 to 2099."""
    return calendar_sessions("24x7", _FIRST, _LAST)


class LogSchedules:
    """Knows the sessions of every key of a query.

    Args:
        log: Where the schedule topic is.
        query: A query, or a heartbeat spec; without a schedule topic everything is always open.
    """

    def __init__(self, log: Log, query: Timetable) -> None:
        self._log, self._query = log, query
        self._always = named(query, open_always())
        self._topic = query.schedule_topic
        self._frame = query.time_frame if self._topic is not None else None
        self._seen: dict[int, int] = {}
        self._sessions: dict[Key, Sessions] = {}
        self.offset = -1
        """Up to which record the sessions in use follow the schedule; -1 where there is no schedule topic."""
        self.refresh()

    def sessions(self, key: Key) -> Sessions | None:
        """Return the sessions of a key of the query, or None where the schedule does not name it."""
        if self._frame is None:
            return self._always
        return self._sessions.get(self.owner(key))

    def owner(self, key: Key) -> Key:
        """Return the parts of a key by which it finds its sessions, in the order of `scheduled`."""
        join = () if self._frame is None else self._frame.join
        return tuple(key[self._query.group_by.index(mine)] for mine, _ in join)

    def scheduled(self) -> list[Key]:
        """Return the keys the schedule names, in the columns that join it."""
        return list(self._sessions)

    def different(self) -> list[Sessions]:
        """Return the sessions that some key follows, each once."""
        if self._frame is None:
            return [self._always]
        return list({id(sessions): sessions for sessions in self._sessions.values()}.values())

    def refresh(self) -> bool:
        """Read the schedule again if it has changed.

        Returns:
            Whether it had.

        Where its sessions do not hold together, what it was before that is in use, also if nobody looked meanwhile.

        Raises:
            ScheduleError: Its sessions do not hold together; those before stay in use until it changes again.
        """
        if self._frame is None or self._topic is None:
            return False
        seen = self._log.end_offsets(self._topic)
        if seen == self._seen:
            return False
        try:
            self._sessions = self._read(self._frame, self._log.view(self._topic, start=None, stop=None).data)
        except ScheduleError:
            if self._go_back(sum(seen.values())):
                return True
            self._seen = seen
            raise
        self._seen, self.offset = seen, sum(seen.values())
        return True

    def as_of(self, offset: int) -> dict[Key, Sessions] | None:
        """Return the sessions by key as they stood before a record, or None where the log does not keep all of them.

        Args:
            offset: Of the record.
        """
        records = self._records(offset)
        return None if records is None else self._stood(records, offset)

    def _go_back(self, end: int) -> bool:
        """Take over what the schedule was when it held together last, if that is newer; returns whether it is.

        No reader can tell half an edit from a whole one: where the first half holds together, that is followed.
        """
        first = max(self.offset + 1, end - _TRIES, 1)
        if first >= end or (records := self._records(end)) is None:
            return False
        for offset in reversed(range(first, end)):
            if (found := self._stood(records, offset)) is not None:
                self._sessions, self.offset = found, offset
                return True
        return False

    def _records(self, offset: int) -> list[Slice] | None:
        """Return the records of the schedule before an offset, or None where the log does not keep all of them."""
        if self._frame is None or self._topic is None or self._log.describe(self._topic).start_offsets[0]:
            return None
        parts: list[Slice] = []
        at = 0
        while at < offset and (part := self._log.read(self._topic, 0, at)) is not None and part.base_offset == at:
            parts.append(part)
            at = part.next_offset
        return None if at < offset else parts

    def _stood(self, records: list[Slice], offset: int) -> dict[Key, Sessions] | None:
        """Return the sessions by key before a record, or None where they do not hold together."""
        before = [cut(part, 0, offset - part.base_offset) for part in records if part.base_offset < offset]
        if self._frame is None or not before:
            return {}
        whole = concat_slices(before, offset)
        _, rows = newest(whole.keys)
        kept = rows if whole.tombstones is None else rows[~whole.tombstones[rows]]
        try:
            return self._read(self._frame, whole.data.take(pa.array(kept)))
        except ScheduleError:
            return None

    def _read(self, frame: TimeFrame, rows: pa.RecordBatch) -> dict[Key, Sessions]:
        found = sessions_by_key(frame, rows)
        shared = {id(sessions): sessions for sessions in found.values()}
        kept = {at: named(self._query, sessions) for at, sessions in shared.items()}
        return {key: kept[id(sessions)] for key, sessions in found.items()}


def named(query: Timetable, sessions: Sessions) -> Sessions:
    """Return the sessions whose buckets can stand in keys: none of those begins before 1970."""
    opens, days = sessions.opens, sessions.days
    good = np.ones(len(sessions), dtype=np.bool_)
    for frame in query.frames:
        good &= bucket_start(frame, query.align, opens, opens, days) >= 0
    return sessions if good.all() else Sessions(opens[good], sessions.closes[good], days[good])
