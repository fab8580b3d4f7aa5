"""Where bars belong: the bucket of each, by the schedule of its key."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from ashioto import keys
from ashioto.control.schedules import LogSchedules
from ashioto.errors import ScheduleError, UnknownTopicError
from ashioto.period import DAY_MS
from ashioto.schedule.buckets import bucket_end, bucket_start, buckets_named

if TYPE_CHECKING:
    import pyarrow as pa

    from ashioto.log.base import Log
    from ashioto.logical.nodes import AlignName, Query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags, Ints, Key, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Says where bars belong; arrays of one length.

    Args:
        end: Bucket end, ms.
        day: Market date, days.
        exists_at: When the bucket begins to exist, ms.
        closes_at: When it ends, ms.
        on_edge: Whether the start is the start of a bucket.
        known: Whether the schedule has the key.
        scheduled: Whether the schedule has the bucket.
    """

    end: Ints
    day: Ints
    exists_at: Ints
    closes_at: Ints
    on_edge: Flags
    known: Flags
    scheduled: Flags


class BarPlaces:
    """Finds the buckets of bars of one period.

    Args:
        log: Where the schedule is.
        query: Whose bars these are.
        period: Their length.
        required: Whether there must be a schedule to read.

    Raises:
        UnknownTopicError: The topic of the schedule was never created.
        ScheduleError: The sessions in it do not hold together.
    """

    def __init__(self, log: Log, query: Query, period: Period, *, required: bool) -> None:
        self._query, self._period = query, period
        self._sessions: dict[bytes, Sessions | None] = {}
        self._schedules: LogSchedules | None = None
        try:
            self._schedules = LogSchedules(log, query)
        except UnknownTopicError as error:
            if required:
                raise UnknownTopicError(
                    f"the schedule {query.schedule_topic} does not exist yet",
                    hint="make the topics by rc infra apply, then fill it: rc schedule import",
                    topic=query.schedule_topic,
                ) from error
        except ScheduleError:
            if required:
                raise

    def find(self, series: pa.DictionaryArray, start: Ints) -> Places:
        """Return where bars belong.

        Args:
            series: Key bytes of each, without the bucket start; shape (n,).
            start: Bucket start of each, ms; shape (n,).
        """
        period, align = self._query_frame
        end = bucket_end(period, align, start)
        found = Places(
            end=end, day=start // DAY_MS, exists_at=start.copy(), closes_at=end.copy(),
            on_edge=self._on_edge(start), known=np.zeros(start.shape, dtype=np.bool_),
            scheduled=np.zeros(start.shape, dtype=np.bool_),
        )  # fmt: skip
        for sessions, rows in self._by_sessions(series):
            self._fill(found, sessions, rows, start)
        return found

    def near(self, key: Key) -> str:
        """Return the key of the schedule most like one that it does not have, or nothing."""
        if self._schedules is None:
            return ""
        names = {" ".join(parts): None for parts in self._schedules.scheduled()}
        close = get_close_matches(" ".join(self._schedules.owner(key)), names, n=1)
        return close[0] if close else ""

    @property
    def _query_frame(self) -> tuple[Period, AlignName]:
        return self._period, self._query.align

    def _on_edge(self, start: Ints) -> Flags:
        if self._period.is_intraday and self._query.align == "session":
            return np.ones(start.shape, dtype=np.bool_)
        found: Flags = bucket_start(self._period, self._query.align, start, start, start // DAY_MS) == start
        return found

    def _by_sessions(self, series: pa.DictionaryArray) -> list[tuple[Sessions, Ints]]:
        """Return each different list of sessions with the rows that follow it."""
        followed = [self._of(key) for key in series.dictionary.to_pylist()]
        shared = {id(sessions): sessions for sessions in followed if sessions is not None}
        numbers = {at: number for number, at in enumerate(shared)}
        codes = np.asarray(series.indices)
        if len(shared) == 1 and None not in followed:
            return [(next(iter(shared.values())), np.arange(codes.shape[0]))]
        group = np.array([numbers.get(id(s), -1) for s in followed], dtype=np.int64)[codes]
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(len(shared) + 1))
        return [(s, order[bounds[n] : bounds[n + 1]]) for n, s in enumerate(shared.values())]

    def _of(self, key: bytes) -> Sessions | None:
        if key not in self._sessions:
            parts = tuple(keys.decode(key))
            self._sessions[key] = None if self._schedules is None else self._schedules.sessions(parts)
        return self._sessions[key]

    def _fill(self, found: Places, sessions: Sessions, rows: Ints, start: Ints) -> None:
        period, align = self._query_frame
        buckets, there = buckets_named(sessions, period, align, start[rows])
        found.known[rows], found.scheduled[rows] = True, there
        held = rows[there]
        found.exists_at[held], found.closes_at[held] = buckets.exists_at[there], buckets.closes_at[there]
        found.day[held] = buckets.day[there]
        if period.is_intraday and align == "session":
            inside = sessions.index_of(start[rows]) >= 0
            found.on_edge[rows] = there | ~inside
