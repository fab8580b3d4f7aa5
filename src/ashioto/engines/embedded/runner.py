"""Runs queries on a log, all partitions of each, until told to stop."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.control.schedules import LogSchedules
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.progress import progress_batch
from ashioto.engines.embedded.reschedule import changes_since
from ashioto.engines.embedded.sessions import SessionBook
from ashioto.engines.embedded.stream import PartitionRunner
from ashioto.errors import ScheduleError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.clock import Clock
    from ashioto.engines.embedded.progress import Progress, Start
    from ashioto.log.base import Fence, Log
    from ashioto.logical.nodes import Query
    from ashioto.period import Period

LOGGER: Final = logging.getLogger("ashioto.engine")
EMIT_INTERVAL: Final = 1.0
"""Seconds that live bars are coalesced for; final bars are written at once."""
LOOK_INTERVAL: Final = 0.1
"""Seconds between two looks for bars that others write; before bars are written there is always one."""


class QueryRunner:
    """Runs one query.

    Args:
        log: Where its topics are.
        query: What it means.
        clock: Tells the time.
        env: Environment and cluster, as in every control key.
        emit_interval: Seconds that live bars are coalesced for.
        identity: Name of the version inside its context, under which its progress is kept; None is the query's name.
        start: Where it begins if it has no progress yet.
        fence: What its appends carry.

    Raises:
        UnknownTopicError: A topic it reads or writes was never created.
        UnsupportedError: Its ticks are spread over partitions by other columns than it groups by.
        ScheduleError: The sessions of its schedule do not hold together.
    """

    def __init__(
        self,
        log: Log,
        query: Query,
        *,
        clock: Clock,
        env: tuple[str, ...] = ("dev", "local"),
        emit_interval: float = EMIT_INTERVAL,
        identity: str | None = None,
        start: Start | None = None,
        fence: Fence | None = None,
    ) -> None:
        self.query = query
        self._log, self._clock, self._emit_interval, self._fence = log, clock, emit_interval, fence
        self._schedules = LogSchedules(log, query)
        plan = compile_query(query)
        partitions = log.describe(naming.topic(query.context, query.entity.name)).spec.partitions
        check_grouping(query, partitions)
        self._books = [SessionBook(query, self._schedules) for _ in range(partitions)]
        self._made = partial(PartitionRunner, log, plan, env=env, identity=identity, start=start, fence=fence)
        self._parts = [self._part(number) for number in range(partitions)]
        self._flushed_at = clock.monotonic()
        self._looked_at = -math.inf
        self.written = 0

    @property
    def progress(self) -> list[Progress]:
        """How far each partition has been read."""
        return [part.progress for part in self._parts]

    @property
    def keys(self) -> set[tuple[str, ...]]:
        """Every key that has been met."""
        return {name for book in self._books for name in book.names}

    def begin(self) -> None:
        """Record where every partition begins, at once and in one append; a version that has begun is left alone."""
        records = [record for part in self._parts if (record := part.opening()) is not None]
        if records:
            self._log.append([progress_batch(records, self._clock.now_ms())], fence=self._fence)

    def poll(self) -> bool:
        """Read and write what there is.

        Returns:
            Whether there was anything to read.
        """
        self._follow_schedule()
        busy = self._clock.monotonic() - self._looked_at >= LOOK_INTERVAL and self.look()
        for number, part in enumerate(self._parts):
            busy = part.poll() or busy
            if part.urgent:
                self.written += part.flush(self._clock.now_ms())
            busy = self._tend(part) or busy
            self._renew(number)
        if self._clock.monotonic() - self._flushed_at >= self._emit_interval:
            self.flush()
        return busy

    def flush(self) -> int:
        """Write every changed bar now; returns how many."""
        self._flushed_at = self._clock.monotonic()
        count = sum(part.flush(self._clock.now_ms()) for part in self._parts)
        for number in range(len(self._parts)):
            self._renew(number)
        self.written += count
        return count

    def look(self) -> bool:
        """Take in the bars that others have written; returns whether there was anything."""
        self._looked_at = self._clock.monotonic()
        ends = {period: self._log.end_offsets(self._topic(period)) for period in self.query.frames}
        found = False
        for number, part in enumerate(self._parts):
            found = part.follow(self._clock.now_ms(), {p: end[number] for p, end in ends.items()}) or found
            self._renew(number)
        return found

    def drain(self) -> int:
        """Read until there is nothing more, then write; returns how many bars that last write had."""
        while True:
            while self.poll() or self.look():
                pass
            written = self.flush()
            if not self.poll():
                return written

    def _part(self, number: int) -> PartitionRunner:
        """Return what runs a partition, from the log on."""
        part, book = self._made(self._books[number], number), self._books[number]
        seen, offset = part.progress.schedule_offset, self._schedules.offset
        if seen not in {-1, offset}:
            part.reschedule(changes_since(self._log, self.query, book, self._schedules, seen), offset)
        part.progress.schedule_offset = offset
        part.before_ticks = self._follow_schedule
        return part

    def _renew(self, number: int) -> None:
        """Begin a partition again from the log where bars that others wrote have overtaken it."""
        while self._parts[number].stale:
            if self._fence is not None:  # who has been replaced learns it here
                self._log.append([], fence=self._fence)
            self._parts[number] = self._part(number)
            self._parts[number].follow(self._clock.now_ms())

    def _tend(self, part: PartitionRunner) -> bool:
        """Do some of what is left to do behind imported bars, and of older versions; returns whether there was any."""
        if part.stale or not (part.repairing or part.rebuilt):
            return False
        if part.repairing:
            self.written += part.repair(self._clock.now_ms())
        else:
            part.sweep(self._clock.now_ms())
        return True

    def _topic(self, period: Period) -> str:
        return naming.bars_topic(self.query.context, self.query.entity.name, period)

    def _follow_schedule(self) -> None:
        """Take changed schedules over; while they do not hold together, those read before stay in use."""
        try:
            changed = self._schedules.refresh()
        except ScheduleError as error:
            LOGGER.warning("%s.%s keeps the sessions it has: %s", self.query.context, self.query.name, error.message)
            return
        for part, book in zip(self._parts, self._books, strict=True) if changed else ():
            part.reschedule(book.reload(self._schedules), self._schedules.offset)


def check_grouping(query: Query, partitions: int) -> None:
    """Refuse bars whose ticks lie in several partitions.

    Raises:
        UnsupportedError: `group_by` is not the entity's keys, and there is more than one partition.
    """
    if partitions > 1 and query.group_by != query.entity.keys:
        raise UnsupportedError(
            f"{query.name} groups by {', '.join(query.group_by) or 'nothing'}, but {partitions} partitions hold the "
            f"ticks of {query.entity.name}, spread by {', '.join(query.entity.keys)}",
            hint="keep the stream in one partition, or make the grouping columns its keys",
        )


class EmbeddedEngine:
    """Runs several queries.

    Args:
        log: Where their topics are.
        queries: What they mean.
        clock: Tells the time.
        env: Environment and cluster, as in every control key.
        emit_interval: Seconds that live bars are coalesced for.
    """

    def __init__(
        self,
        log: Log,
        queries: Sequence[Query],
        *,
        clock: Clock,
        env: tuple[str, ...] = ("dev", "local"),
        emit_interval: float = EMIT_INTERVAL,
    ) -> None:
        self.runners = [QueryRunner(log, q, clock=clock, env=env, emit_interval=emit_interval) for q in queries]

    def poll(self) -> bool:
        """Read and write what there is, of every query; returns whether there was anything."""
        busy = [runner.poll() for runner in self.runners]
        return any(busy)

    def drain(self) -> None:
        """Read until there is nothing more, and write everything."""
        for runner in self.runners:
            runner.drain()
