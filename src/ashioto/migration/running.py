"""A migration while it runs: one at a time a query, every write under the epoch of its lock, and paced if asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

from ashioto import naming
from ashioto.control.applied import registrations
from ashioto.control.election import LeaseElection, LeaseOptions
from ashioto.control.processes import this_process
from ashioto.control.roles import migrate_role
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import CompiledQuery, compile_query
from ashioto.errors import BlockedError, LockHeldError, UnknownTopicError
from ashioto.log.base import Fence, Log
from ashioto.log.leases import Leases
from ashioto.logical.codec import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from ashioto.clock import Clock
    from ashioto.log.base import Appended, Batch, Slice
    from ashioto.logical.nodes import Query

LOCK: Final = LeaseOptions(renew_s=5.0, expire_s=120.0)
"""A lock whose holder is gone is free at once; the time only counts where nobody can tell."""
BATCH_BYTES: Final = 8 << 20
"""About how much is written at once, all or none."""


class MigrationLog(Log, Leases, Protocol):
    """A log that also keeps leases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Says where a migration takes place.

    Args:
        log: Where bars, ticks and schedules are.
        env: Environment and cluster.
        clock: Waits, and measures.
        now_ms: The time in the market, ms; it says which bars are live.
        holder: Tells migrations inside one process apart.
    """

    log: MigrationLog
    env: tuple[str, str]
    clock: Clock
    now_ms: int
    holder: str = ""


class Running:
    """Holds the lock of a query's migrations, and writes under it; a context manager.

    Args:
        place: Where.
        query: Whose bars are written.
        max_rate: How many rows are written a second at most; None is as fast as it goes.

    Raises:
        UnknownTopicError: A topic of its bars was never created.
        BlockedError: The query that is applied is another than this one.
    """

    def __init__(self, place: Place, query: Query, *, max_rate: float | None = None) -> None:
        check_applied(place, query)
        self.place, self.plan = place, compile_query(query)
        check_topics(place.log, self.plan)
        self._election = LeaseElection(
            place.log, migrate_role(place.env, query.context, query.name), holder=this_process(place.holder),
            clock=place.clock, options=LOCK,
        )  # fmt: skip
        self._max_rate = max_rate
        self._epoch = 0
        self._renewed = self._paced_from = 0.0
        self._rows = 0
        self._mine: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def __enter__(self) -> Self:
        epoch = self._election.campaign()
        if epoch is None:
            query = self.plan.query
            raise LockHeldError(
                f"another migration of {query.context}.{query.name} runs: {self._election.leader() or 'unknown'}",
                hint="wait until it is done; one at a time writes the bars of a query",
                lock=self._election.name,
            )
        self._epoch = epoch
        self._renewed = self._paced_from = self.place.clock.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, Exception | KeyboardInterrupt):
            self._election.resign()

    @property
    def fence(self) -> Fence:
        """What its writes carry."""
        return Fence(name=self._election.name, epoch=self._epoch)

    def keep(self) -> None:
        """Keep the lock; to be called every few seconds of work.

        Raises:
            LeaseLostError: Somebody else has it.
        """
        now = self.place.clock.monotonic()
        if now - self._renewed >= LOCK.renew_s:
            self._election.renew()
            self._renewed = now

    def append(self, batches: Sequence[Batch]) -> None:
        """Append batches, all or none, then wait where that is faster than allowed.

        Raises:
            StaleEpochError: Another migration of the query has begun since.
            LogFullError: The disk is full.
        """
        if not batches:
            return
        self.keep()
        self._note(self.place.log.append(batches, fence=self.fence))
        self._rows += sum(batch.data.num_rows for batch in batches)
        if self._max_rate is not None:
            ahead = self._paced_from + self._rows / self._max_rate - self.place.clock.monotonic()
            while ahead > 0:
                self.place.clock.sleep(min(ahead, LOCK.renew_s))
                ahead -= LOCK.renew_s
                self.keep()

    def ends(self) -> dict[tuple[str, int], int]:
        """Return where the bars topics end now, by topic and partition."""
        query = self.plan.query
        topics = [naming.bars_topic(query.context, query.entity.name, period) for period in query.frames]
        return {(t, partition): end for t in topics for partition, end in self.place.log.end_offsets(t).items()}

    def foreign_since(self, ends: dict[tuple[str, int], int]) -> Iterator[Slice]:
        """Yield the bars that others have written since, in no order of topics.

        Args:
            ends: As from `ends`, when it was taken.
        """
        for (topic, partition), end in self.ends().items():
            at = ends[topic, partition]
            for first, stop in [*self._mine.get((topic, partition), []), (end, end)]:
                yield from self._between(topic, partition, at, min(first, end))
                at = max(at, stop)

    def _between(self, topic: str, partition: int, at: int, stop: int) -> Iterator[Slice]:
        while at < stop:
            part = self.place.log.read(topic, partition, at, max_rows=stop - at)
            if part is None:
                return
            if len(part.keys):
                yield part
            at = part.next_offset

    def _note(self, appended: Sequence[Appended]) -> None:
        for one in appended:
            self._mine.setdefault((one.topic, one.partition), []).append((one.base_offset, one.next_offset))


def check_applied(place: Place, query: Query) -> None:
    """Refuse a query that is declared in another way than it runs.

    Raises:
        BlockedError: It is.
    """
    try:
        known = registrations(place.log, place.env, query.context)
    except UnknownTopicError:  # nothing was ever applied; the topics are looked at next
        return
    running = [r for r in known if r.query == query.name and r.runs]
    if running and all(r.checksum != checksum(query) for r in running):
        raise BlockedError(
            f"the query {query.context}.{query.name} is declared in another way than version {running[-1].version} "
            "that is applied",
            hint="rc infra apply, then run this again",
            query=query.name,
        )


def check_topics(log: Log, plan: CompiledQuery) -> None:
    """Refuse bars topics that are not there, or have not the columns of the query.

    Raises:
        UnknownTopicError: One was never created.
        BlockedError: One has other columns.
    """
    query = plan.query
    for period in query.frames:
        topic = naming.bars_topic(query.context, query.entity.name, period)
        try:
            spec = log.describe(topic).spec
        except UnknownTopicError as error:
            raise UnknownTopicError(
                f"the topic {topic} does not exist yet",
                hint="topics are made once, before anything runs: rc infra apply, or rc dev",
                topic=topic,
            ) from error
        if not spec.schema.equals(bar_schema(plan, period), check_metadata=False):
            raise BlockedError(
                f"the topic {topic} has other columns than the bars of {query.name}", hint="rc infra apply", topic=topic
            )
