"""Runs queries on a log, some partitions of each or all, until told to stop."""

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
from ashioto.errors import ScheduleError, StaleEpochError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

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
        fences: Which partitions it runs, and what the appends of each carry; None runs all, without a fence.

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
        fences: Mapping[int, Fence] | None = None,
    ) -> None:
        self.query = query
        self._log, self._clock, self._emit_interval = log, clock, emit_interval
        self._schedules = LogSchedules(log, query)
        plan = compile_query(query)
        self.source = source_of(query)
        partitions = log.describe(self.source).spec.partitions
        check_grouping(query, partitions)
        self._made = partial(PartitionRunner, log, plan, env=env, identity=identity, start=start)
        self._books: dict[int, SessionBook] = {}
        self._parts: dict[int, PartitionRunner] = {}
        self._fences: dict[int, Fence | None] = {}
        self._flushed_at = clock.monotonic()
        self._looked_at = -math.inf
        self.written = 0
        for number, fence in sorted((dict.fromkeys(range(partitions)) if fences is None else fences).items()):
            self._add(number, fence)

    @property
    def progress(self) -> list[Progress]:
        """How far each partition has been read, in the order of their numbers."""
        return [part.progress for _, part in sorted(self._parts.items())]

    def read(self) -> dict[int, int]:
        """Return the offset of the next tick, by partition."""
        return {number: part.progress.source_offset for number, part in sorted(self._parts.items())}

    def settled(self) -> dict[int, int]:
        """Return the offset below which all ticks are in bars, by partition."""
        return {number: part.written for number, part in sorted(self._parts.items())}

    @property
    def keys(self) -> set[tuple[str, ...]]:
        """Every key that has been met."""
        return {name for book in self._books.values() for name in book.names}

    def begin(self) -> None:
        """Record where every partition begins, at once; a version that has begun is left alone."""
        self._open(self._parts)

    def assign(self, fences: Mapping[int, Fence]) -> None:
        """Run these partitions: others are dropped as they are, new ones begin from the log, the rest goes on.

        Args:
            fences: What the appends of each carry; where it is another one than before, others may have written since.

        Raises:
            StaleEpochError: One of them has been taken over again.
        """
        self._drop([number for number, fence in self._fences.items() if fences.get(number) != fence])
        new = sorted(fences.keys() - self._parts.keys())
        if new:
            self._follow_schedule()  # whoever ran them may have followed it further
        for number in new:
            self._add(number, fences[number])
        self._open(new)

    def release(self, partitions: Collection[int]) -> int:
        """Write what has been read of some partitions, and run them no more; returns how many bars were written.

        Args:
            partitions: Their numbers; those that it does not run are left out.
        """
        mine = [number for number in partitions if number in self._parts]
        before = self.written
        try:
            self._write(mine)
        except StaleEpochError as error:
            LOGGER.debug("%s.%s: taken over already: %s", self.query.context, self.query.name, error.message)
        self._drop(mine)
        return self.written - before

    def poll(self) -> bool:
        """Read and write what there is.

        Returns:
            Whether there was anything to read.
        """
        self._follow_schedule()
        busy = self._clock.monotonic() - self._looked_at >= LOOK_INTERVAL and self.look()
        for number, part in sorted(self._parts.items()):
            busy = part.poll() or busy
            if part.urgent:
                self.written += part.flush(self._clock.now_ms())
            busy = self._tend(part) or busy
            self._renew(number)
        if self._clock.monotonic() - self._flushed_at >= self._emit_interval:
            self.flush()
        return busy

    def flush(self) -> int:
        """Write every changed bar now; returns how many.

        Raises:
            StaleEpochError: A partition has been taken over; the others are written all the same.
        """
        self._flushed_at = self._clock.monotonic()
        return self._write(sorted(self._parts))

    def look(self) -> bool:
        """Take in the bars that others have written; returns whether there was anything."""
        self._looked_at = self._clock.monotonic()
        ends = {period: self._log.end_offsets(self._topic(period)) for period in self.query.frames}
        found = False
        for number, part in sorted(self._parts.items()):
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

    def _add(self, number: int, fence: Fence | None) -> None:
        self._fences[number], self._books[number] = fence, SessionBook(self.query, self._schedules)
        self._parts[number] = self._part(number)

    def _drop(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            del self._parts[number], self._books[number], self._fences[number]

    def _open(self, numbers: Iterable[int]) -> None:
        """Record where partitions begin, those that are written under one fence in one append."""
        records: dict[Fence | None, list[tuple[bytes, Progress]]] = {}
        for number in numbers:
            if (record := self._parts[number].opening()) is not None:
                records.setdefault(self._fences[number], []).append(record)
        for fence, found in records.items():
            self._log.append([progress_batch(found, self._clock.now_ms())], fence=fence)

    def _write(self, numbers: Iterable[int]) -> int:
        count, refused = 0, None
        for number in numbers:
            try:
                count += self._parts[number].flush(self._clock.now_ms())
                self._renew(number)
            except StaleEpochError as error:
                refused = error
        self.written += count
        if refused is not None:
            raise refused
        return count

    def _part(self, number: int) -> PartitionRunner:
        """Return what runs a partition, from the log on."""
        book = self._books[number]
        part = self._made(book, number, fence=self._fences[number])
        seen, offset = part.progress.schedule_offset, self._schedules.offset
        if seen not in {-1, offset}:
            part.reschedule(changes_since(self._log, self.query, book, self._schedules, seen), offset)
        part.progress.schedule_offset = offset
        part.before_ticks = self._follow_schedule
        return part

    def _renew(self, number: int) -> None:
        """Begin a partition again from the log where bars that others wrote have overtaken it."""
        while self._parts[number].stale:
            if (fence := self._fences[number]) is not None:  # who has been replaced learns it here
                self._log.append([], fence=fence)
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
        for number, part in self._parts.items() if changed else ():
            part.reschedule(self._books[number].reload(self._schedules), self._schedules.offset)


def source_of(query: Query) -> str:
    """Return the topic of the ticks of a query."""
    return naming.topic(query.context, query.entity.name)


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
