"""The versions of one query in a host: the newest that can runs, at most one at a time, and failures are told."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.progress import Progress, Start, progress_batch, progress_key, version_progress
from ashioto.engines.embedded.runner import QueryRunner, source_of
from ashioto.errors import (
    AshiotoError,
    InputError,
    LeaseLostError,
    StaleEpochError,
    UnknownTopicError,
    UnsupportedError,
)
from ashioto.logical.validate import check_query
from ashioto.observe.logs import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.log.base import Fence, Log
    from ashioto.logical.nodes import Query

LOGGER: Final = logging.getLogger("ashioto.engine")
RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0
_TAKEN_OVER: Final = (StaleEpochError, LeaseLostError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Says where and how queries run.

    Args:
        log: Where everything is.
        env: Environment and cluster.
        clock: Tells the time.
        fences: Says which partitions of a topic are run here, and what the appends of each carry; it gets the topic and
            how many partitions that has.
        emit_interval: Seconds that live bars are coalesced for.
    """

    log: Log
    env: tuple[str, ...]
    clock: Clock
    fences: Callable[[str, int], Mapping[int, Fence]]
    emit_interval: float


@dataclass(slots=True, kw_only=True)
class Failure:
    """Remembers why a version does not run.

    Args:
        message: Why; empty where it is to be tried again all the same, or no partition of it is run here.
        retry_at: When it is tried again, monotonic seconds.
        delay: How long after it failed that is, seconds.
        has_begun: Whether it ran before, so that no older one may run any more.
    """

    message: str
    retry_at: float
    delay: float
    has_begun: bool


class Versions:
    """Runs one query of a context in the newest version that can run.

    Args:
        site: Where and how.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: list[Registration] = []
        self._running: Registration | None = None
        self._failures: dict[str, Failure] = {}
        self._since = site.clock.monotonic()
        self.runner: QueryRunner | None = None
        self.sources: frozenset[str] = frozenset()
        """The topics that the versions read."""

    @property
    def running(self) -> Registration | None:
        """The version that runs; None while none can."""
        return self._running

    def want(self, registrations: Sequence[Registration]) -> None:
        """Say which versions there are; what had failed is tried again at once.

        Args:
            registrations: All versions of the query, also those that shall not run, oldest first.
        """
        self._known = list(registrations)
        self.sources = frozenset(self._sources())
        for failure in self._failures.values():
            failure.retry_at, failure.message = self._now(), ""

    def assign(self) -> None:
        """Run the partitions that are run here now.

        Raises:
            StaleEpochError: Another host has taken over one of them.
        """
        for failure in self._failures.values():
            failure.retry_at = failure.retry_at if failure.message else self._now()
        runner, version = self.runner, self._running
        if runner is not None and version is not None:
            self._guarded(version, lambda: self._assigned(runner, version))

    def release(self, topic: str, partitions: Collection[int]) -> None:
        """Write what has been read of partitions that are to be given up, and run them no more.

        Args:
            topic: Whose.
            partitions: Their numbers.
        """
        runner, version = self.runner, self._running
        if runner is not None and version is not None and runner.source == topic:
            self._guarded(version, lambda: runner.release(partitions) > 0)

    def turn(self) -> bool:
        """Take over a newer version if there is one, then read and write what there is.

        Returns:
            Whether there was anything to do.

        Raises:
            StaleEpochError: Another host has taken over.
            LeaseLostError: Another host has taken over.
        """
        took_over = self._choose()
        if self.runner is None or self._running is None:
            return took_over
        version = self._running
        busy = self._guarded(version, self.runner.poll)
        self._forget_failure(version)
        return busy or took_over

    def flush(self) -> None:
        """Write what has been read.

        Raises:
            StaleEpochError: Another host has taken over.
            LeaseLostError: Another host has taken over.
        """
        if self.runner is not None and self._running is not None:
            runner = self.runner
            self._guarded(self._running, lambda: runner.flush() > 0)

    def look(self) -> bool:
        """Take in the bars that others have written; returns whether there was anything.

        Raises:
            StaleEpochError: Another host has taken over.
            LeaseLostError: Another host has taken over.
        """
        return self.runner is not None and self._running is not None and self._guarded(self._running, self.runner.look)

    def stop(self) -> None:
        """Write what has been read, and run no more."""
        self.flush()
        if self._running is not None:
            LOGGER.info("%s: stopped", self._running.name, extra=fields(query=self._running.name))
        self.runner = self._running = None

    def _wanted(self) -> list[Registration]:
        return [r for r in reversed(self._known) if r.runs]

    def _now(self) -> float:
        return self._site.clock.monotonic()

    def _choose(self) -> bool:
        """Have the newest version run that can; returns whether another one runs now.

        Where a version has begun, its bars are in the topics, and older ones run no more even if it fails.
        """
        for version in self._wanted():
            if self._running is not None and _same(version, self._running):
                return False
            failure = self._failures.get(version.object)
            if failure is None or self._now() >= failure.retry_at:
                if self._try(version):
                    return True
                failure = self._failures.get(version.object)
            if failure is not None and failure.has_begun:
                break
        if self._running is not None:
            self.stop()
        return False

    def _try(self, version: Registration) -> bool:
        """Construct a version; only when that works it takes the place of the one that runs."""
        self.flush()  # so that a newer version finds all that an older one has read

        def start() -> bool:
            query = plan_of(version)
            fences = self._fences(query)
            if not fences:
                self._wait(version)
                return False
            runner = self._runner(version, query, fences)
            runner.begin()
            self.runner, self._running, self._since = runner, version, self._now()
            LOGGER.info("%s: runs", version.name, extra=fields(query=version.name))
            return True

        return self._guarded(version, start)

    def _assigned(self, runner: QueryRunner, version: Registration) -> bool:
        """Give a runner its partitions; returns whether there are any."""
        fences = self._fences(runner.query)
        runner.assign(fences)
        if not fences:
            self.runner = self._running = None
            LOGGER.info("%s: all its partitions run elsewhere", version.name, extra=fields(query=version.name))
        return bool(fences)

    def _wait(self, version: Registration) -> None:
        """Look later again whether a version is to be run here; where others have begun with it, no older one runs."""
        begun = any(p.source_offset >= 0 for p in (self._records(version) or {}).values())
        self._failures[version.object] = Failure(
            message="", retry_at=self._now() + RETRY_S, delay=RETRY_S, has_begun=begun
        )

    def _fences(self, query: Query) -> Mapping[int, Fence]:
        """Return which partitions of a query's source are run here."""
        source = source_of(query)
        return self._site.fences(source, self._site.log.describe(source).spec.partitions)

    def _sources(self) -> Iterator[str]:
        for version in self._wanted():
            try:
                yield source_of(plan_of(version))
            except AshiotoError:
                continue  # it is told when the version is to run

    def _runner(self, version: Registration, query: Query, fences: Mapping[int, Fence]) -> QueryRunner:
        site = self._site
        older = [r for r in reversed(self._known) if r.version < version.version]
        return QueryRunner(
            site.log,
            query,
            clock=site.clock,
            env=site.env,
            emit_interval=site.emit_interval,
            identity=version.object,
            start=Start(
                begins=version.begins, older=tuple(r.object for r in older), graces=tuple(map(_grace_ms, older))
            ),
            fences=fences,
        )

    def _guarded(self, version: Registration, work: Callable[[], bool]) -> bool:
        """Do something for a version; if it fails, it waits and the others go on."""
        try:
            return work()
        except _TAKEN_OVER:
            raise
        except AshiotoError as error:
            self._fail(version, error)
            return False

    def _fail(self, version: Registration, error: AshiotoError) -> None:
        if self._running is not None and _same(version, self._running):
            self.runner = self._running = None
        before = self._failures.get(version.object)
        delay = RETRY_S if before is None else min(2 * before.delay, LONGEST_RETRY_S)
        records = self._records(version)
        self._failures[version.object] = Failure(
            message=error.message,
            retry_at=self._now() + delay,
            delay=delay,
            has_begun=records is None or any(p.source_offset >= 0 for p in records.values()),
        )
        told = before is not None and before.message == error.message
        if not told:
            LOGGER.error("%s: %s (%s)", version.name, error.message, error.hint, extra=fields(query=version.name))
        if records is not None:
            self._record(version, records, error.message, told=told)

    def _forget_failure(self, version: Registration) -> None:
        """Begin to count anew once a version has run for longer than it had to wait."""
        failure = self._failures.get(version.object)
        if failure is not None and self.runner is not None and self._now() >= self._since + failure.delay:
            del self._failures[version.object]

    def _records(self, version: Registration) -> dict[int, Progress] | None:
        """Return the progress of a version by partition, or None when the log does not give it."""
        try:
            return version_progress(self._site.log, self._site.env, version.context, version.object)
        except _TAKEN_OVER:
            raise
        except UnknownTopicError:
            return {}
        except AshiotoError:
            return None

    def _record(self, version: Registration, records: Mapping[int, Progress], problem: str, *, told: bool) -> None:
        """Tell other processes of a problem, in the partitions run here; the progress stays as it is in the log."""
        site = self._site
        try:
            for fence, known in self._own(version, records).items():
                if told and all(progress.problem for progress in known.values()):
                    continue
                rows = [
                    (progress_key(site.env, version.context, version.object, number), replace(found, problem=problem))
                    for number, found in sorted(known.items())
                ]
                site.log.append([progress_batch(rows, site.clock.now_ms())], fence=fence)
        except _TAKEN_OVER:
            raise
        except AshiotoError as error:
            LOGGER.warning("%s: the problem could not be recorded: %s", version.name, error.message)

    def _own(self, version: Registration, records: Mapping[int, Progress]) -> dict[Fence, dict[int, Progress]]:
        """Return the records of the partitions of a version that are run here, by fence."""
        grouped: dict[Fence, dict[int, Progress]] = {}
        for number, fence in self._held(version, records).items():
            grouped.setdefault(fence, {})[number] = records.get(number, Progress(source_offset=-1))
        return grouped

    def _held(self, version: Registration, records: Mapping[int, Progress]) -> Mapping[int, Fence]:
        """Return which partitions of a version are run here.

        Where it cannot be said which it has, whoever runs the topic of the registrations answers for it, unless it has
        begun: then a process that can read its plan may be running it.
        """
        for known in (version, *self._wanted()):
            try:
                return self._fences(plan_of(known))
            except AshiotoError:
                continue
        return {} if any(p.source_offset >= 0 for p in records.values()) else self._site.fences(APPLIED, 1)


def plan_of(version: Registration) -> Query:
    """Return the plan of a version, checked.

    Raises:
        InputError: It is damaged, or of another query.
        UnsupportedError: It is of a version that this ashioto does not know.
        DefinitionError: It does not hold together.
    """
    query = check_query(version.decoded())
    if (query.context, query.name) != (version.context, version.query):
        raise InputError(
            f"the plan of {version.name} is that of {query.context}.{query.name}", hint="register the query again"
        )
    return query


def _grace_ms(version: Registration) -> int:
    """Return the grace of a version, ms; 0 where its plan cannot be read."""
    try:
        return version.decoded().grace_ms
    except (InputError, UnsupportedError):
        return 0


def _same(one: Registration, other: Registration) -> bool:
    return one.object == other.object and one.plan == other.plan
