"""The versions of one query in a host: the newest that can runs, at most one at a time, and failures are told."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ashioto.engines.embedded.progress import Progress, Start, progress_batch, progress_key, version_progress
from ashioto.engines.embedded.runner import QueryRunner
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
    from collections.abc import Callable, Sequence

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
        fence: What every append carries.
        emit_interval: Seconds that live bars are coalesced for.
    """

    log: Log
    env: tuple[str, ...]
    clock: Clock
    fence: Fence
    emit_interval: float


@dataclass(slots=True, kw_only=True)
class Failure:
    """Remembers why a version does not run.

    Args:
        message: Why.
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
        for failure in self._failures.values():
            failure.retry_at, failure.message = self._site.clock.monotonic(), ""

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
            runner = self._runner(version)
            runner.begin()
            self.runner, self._running, self._since = runner, version, self._now()
            LOGGER.info("%s: runs", version.name, extra=fields(query=version.name))
            return True

        return self._guarded(version, start)

    def _runner(self, version: Registration) -> QueryRunner:
        site = self._site
        older = [r for r in reversed(self._known) if r.version < version.version]
        return QueryRunner(
            site.log,
            plan_of(version),
            clock=site.clock,
            env=site.env,
            emit_interval=site.emit_interval,
            identity=version.object,
            start=Start(
                begins=version.begins, older=tuple(r.object for r in older), graces=tuple(map(_grace_ms, older))
            ),
            fence=site.fence,
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
        if records is not None and not (told and records and all(p.problem for p in records.values())):
            self._record(version, records or {0: Progress(source_offset=-1)}, error.message)

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

    def _record(self, version: Registration, records: dict[int, Progress], problem: str) -> None:
        """Tell other processes of a problem; the progress stays as it is in the log."""
        site = self._site
        rows = [
            (progress_key(site.env, version.context, version.object, partition), replace(progress, problem=problem))
            for partition, progress in sorted(records.items())
        ]
        try:
            site.log.append([progress_batch(rows, site.clock.now_ms())], fence=site.fence)
        except _TAKEN_OVER:
            raise
        except AshiotoError as error:
            LOGGER.warning("%s: the problem could not be recorded: %s", version.name, error.message)


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
