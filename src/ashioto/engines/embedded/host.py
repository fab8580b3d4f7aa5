"""The engine as a resident role: it runs what is registered, in the partitions that are its share."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ashioto.control.applied import registrations
from ashioto.control.election import CAMPAIGN_S
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.keptlog import KeptLog
from ashioto.engines.embedded.runner import EMIT_INTERVAL
from ashioto.engines.embedded.versions import Site, Versions, plan_of
from ashioto.engines.embedded.warmup import warm_up
from ashioto.errors import AshiotoError, LeaseLostError, LogBusyError, LogFullError, StaleEpochError, UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.control.shares import Shares
    from ashioto.engines.embedded.runner import QueryRunner
    from ashioto.log.base import Log

LOGGER: Final = logging.getLogger("ashioto.engine")
KIND: Final = "embedded"
IDLE_S: Final = 0.01
"""How often ticks and heartbeats are looked for where there were none."""


class EngineHost:
    """Runs every registered query of an environment: the stand-in for a ksqlDB server.

    Args:
        log: Where everything is.
        env: Environment and cluster.
        clock: Tells the time.
        shares: Which partitions it runs, and the fences of its appends.
        emit_interval: Seconds that live bars are coalesced for.
    """

    def __init__(
        self,
        log: Log,
        *,
        env: tuple[str, ...],
        clock: Clock,
        shares: Shares,
        emit_interval: float = EMIT_INTERVAL,
    ) -> None:
        self._log = KeptLog(log, shares.keep)
        self._env, self._shares = env, shares
        self._site = Site(log=self._log, env=env, clock=clock, fences=shares.fences, emit_interval=emit_interval)
        self._offsets: dict[int, int] | None = None
        self._queries: dict[tuple[str, str], Versions] = {}
        self._ready: set[str] = set()
        self._cold: list[Registration] = []
        self._moved = False
        self._warned = False

    @property
    def is_active(self) -> bool:
        """Whether this host has anything to run."""
        return self._shares.is_active

    @property
    def runners(self) -> list[QueryRunner]:
        """What runs, by context and query."""
        return list(self.running().values())

    def running(self) -> dict[str, QueryRunner]:
        """Return what runs by its registered name, in the order of context and query."""
        found = [(v.running, v.runner) for v in self._sorted()]
        return {version.name: runner for version, runner in found if version is not None and runner is not None}

    def step(self) -> bool:
        """Look what is to be run here, and let each query read and write once.

        A log that is busy or full, or a cluster that does not answer, is tried again.

        Returns:
            Whether there was anything to do.

        Raises:
            LeaseLostError: Another host has taken over; this one is to end.
            StaleEpochError: The same, as the log says it.
        """
        if not self.is_active:
            self._follow()
            self._warm_up()
        busy: list[bool] = []
        with self._fenced():
            self._moved = self._shares.step(self._wanted(), self._release) or self._moved
            if self.is_active:
                busy.append(self._follow())
            if self._moved:
                self._moved = False
                for versions in self._sorted():
                    versions.assign()
            if self.is_active:
                busy += [versions.turn() for versions in self._sorted()]
        return any(busy)

    def pause(self) -> float:
        """Return how many seconds to wait after a step that had nothing to do."""
        return IDLE_S if self.is_active else CAMPAIGN_S

    def drain(self) -> None:
        """Read until there is nothing more, and write everything.

        Raises:
            LeaseLostError: Another host has taken over.
            StaleEpochError: The same, as the log says it.
        """
        while self.step() or self._look():
            pass
        with self._fenced():
            for versions in self._sorted():
                versions.flush()

    def finish(self) -> None:
        """Write everything that has been read, and hand over what it runs."""
        for versions in self._sorted():
            try:
                versions.stop()
            except (LeaseLostError, StaleEpochError):
                LOGGER.warning("another engine had taken over already")
        self._forget()
        self._shares.resign()

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        """Give up what the log has refused; where that is everything, this host has nothing more to do."""
        try:
            yield
        except LeaseLostError:
            self._forget()
            raise
        except StaleEpochError as error:
            self._moved = True
            try:
                self._shares.refused(error)
            except StaleEpochError:
                self._forget()
                raise

    def _forget(self) -> None:
        self._queries.clear()
        self._offsets = None

    def _sorted(self) -> list[Versions]:
        return [versions for _, versions in sorted(self._queries.items())]

    def _look(self) -> bool:
        found: list[bool] = []
        with self._fenced():
            found += [versions.look() for versions in self._sorted()]
        return any(found)

    def _wanted(self) -> dict[str, dict[int, int]]:
        """Return the topics that are to be read, and how far that has come here."""
        wanted: dict[str, dict[int, int]] = {APPLIED: {}}
        for versions in self._queries.values():
            for topic in versions.sources:
                wanted.setdefault(topic, {})
        for runner in self.runners:
            known = wanted.setdefault(runner.source, {})
            for partition, offset in runner.settled().items():
                known[partition] = min(offset, known.get(partition, offset))
        return wanted

    def _release(self, topic: str, partitions: Collection[int]) -> None:
        """Write what has been read of some partitions, before they are given up."""
        for versions in self._sorted():
            versions.release(topic, partitions)

    def _follow(self) -> bool:
        """Read what is registered, if that has changed and can be read; returns whether it had."""
        try:
            found = self._followed()
        except (LogBusyError, LogFullError) as error:
            if not self._warned:
                LOGGER.warning("what is registered cannot be read now: %s; tried again", error.message)
            self._warned = True
            return False
        self._warned = False
        return found

    def _followed(self) -> bool:
        try:
            offsets = self._log.end_offsets(APPLIED)
        except UnknownTopicError:
            return False  # nothing was ever applied: `rc infra apply` will make it
        if offsets == self._offsets:
            return False
        registered: dict[tuple[str, str], list[Registration]] = {}
        for found in registrations(self._log, self._env):
            if found.engine == KIND:
                registered.setdefault((found.context, found.query), []).append(found)
        for name in self._queries.keys() - registered.keys():
            self._queries.pop(name).stop()
        for name, versions in registered.items():
            self._queries.setdefault(name, Versions(self._site)).want(versions)
        self._cold = [r for versions in registered.values() for r in versions if r.runs]
        self._offsets = offsets
        return True

    def _warm_up(self) -> None:
        """Make the kernels ready, so that taking over is quick; what does not compile is told once it shall run."""
        for found in self._cold:
            if found.plan not in self._ready:
                self._ready.add(found.plan)
                try:
                    warm_up(plan_of(found))
                except AshiotoError as error:
                    LOGGER.debug("%s cannot be made ready: %s", found.name, error.message)
        self._cold = []
