"""Runs queries on a log, all partitions of each, until told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.control.schedules import LogSchedules
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.sessions import SessionBook
from ashioto.engines.embedded.stream import PartitionRunner
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.clock import Clock
    from ashioto.engines.embedded.stream import Progress
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

EMIT_INTERVAL: Final = 1.0
"""Seconds that live bars are coalesced for; final bars are written at once."""


class QueryRunner:
    """Runs one query.

    Args:
        log: Where its topics are.
        query: What it means.
        clock: Tells the time.
        env: Environment and cluster, as in every control key.
        emit_interval: Seconds that live bars are coalesced for.
    """

    def __init__(
        self,
        log: Log,
        query: Query,
        *,
        clock: Clock,
        env: tuple[str, ...] = ("dev", "local"),
        emit_interval: float = EMIT_INTERVAL,
    ) -> None:
        self.query = query
        self._clock, self._emit_interval = clock, emit_interval
        self._schedules = LogSchedules(log, query)
        plan = compile_query(query)
        partitions = log.describe(naming.topic(query.context, query.entity.name)).spec.partitions
        check_grouping(query, partitions)
        self._books = [SessionBook(query, self._schedules) for _ in range(partitions)]
        self._parts = [PartitionRunner(log, plan, book, number, env=env) for number, book in enumerate(self._books)]
        self._flushed_at = clock.monotonic()
        self.written = 0

    @property
    def progress(self) -> list[Progress]:
        """How far each partition has been read."""
        return [part.progress for part in self._parts]

    @property
    def keys(self) -> set[tuple[str, ...]]:
        """Every key that has been met."""
        return {name for book in self._books for name in book.names}

    def poll(self) -> bool:
        """Read and write what there is.

        Returns:
            Whether there was anything to read.
        """
        if self._schedules.refresh():
            for book in self._books:
                book.reload(self._schedules)
        busy = False
        for part in self._parts:
            busy = part.poll() or busy
            if part.urgent:
                self.written += part.flush(self._clock.now_ms())
        if self._clock.monotonic() - self._flushed_at >= self._emit_interval:
            self.flush()
        return busy

    def flush(self) -> int:
        """Write every changed bar now; returns how many."""
        self._flushed_at = self._clock.monotonic()
        count = sum(part.flush(self._clock.now_ms()) for part in self._parts)
        self.written += count
        return count

    def drain(self) -> int:
        """Read until there is nothing more, then write; returns how many bars that last write had."""
        while self.poll():
            pass
        return self.flush()


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
