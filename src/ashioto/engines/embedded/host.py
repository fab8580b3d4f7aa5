"""The engine as a resident role: it runs what is registered, and stands by while another one does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ashioto.control.applied import registrations
from ashioto.control.election import CAMPAIGN_S, RENEW_S
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.keptlog import KeptLog
from ashioto.engines.embedded.runner import EMIT_INTERVAL
from ashioto.engines.embedded.versions import Site, Versions, plan_of
from ashioto.engines.embedded.warmup import warm_up
from ashioto.errors import AshiotoError, LeaseLostError, LogBusyError, LogFullError, StaleEpochError, UnknownTopicError
from ashioto.log.base import Fence

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.control.election import Election
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
        election: Decides which host is active; the fence of its appends has the same name.
        emit_interval: Seconds that live bars are coalesced for.
    """

    def __init__(
        self,
        log: Log,
        *,
        env: tuple[str, ...],
        clock: Clock,
        election: Election,
        emit_interval: float = EMIT_INTERVAL,
    ) -> None:
        self._log = KeptLog(log, self._keep)
        self._env, self._clock, self._election, self._emit_interval = env, clock, election, emit_interval
        self._epoch: int | None = None
        self._next = clock.monotonic()
        self._offsets: dict[int, int] | None = None
        self._registered: dict[tuple[str, str], list[Registration]] = {}
        self._queries: dict[tuple[str, str], Versions] = {}
        self._ready: set[str] = set()
        self._told = False

    @property
    def is_active(self) -> bool:
        """Whether this host has the role."""
        return self._epoch is not None

    @property
    def runners(self) -> list[QueryRunner]:
        """What runs, by context and query."""
        return list(self.running().values())

    def running(self) -> dict[str, QueryRunner]:
        """Return what runs by its registered name, in the order of context and query."""
        found = [(v.running, v.runner) for _, v in sorted(self._queries.items())]
        return {version.name: runner for version, runner in found if version is not None and runner is not None}

    def step(self) -> bool:
        """Campaign, or renew, follow what is registered, and let each query read and write once.

        Returns:
            Whether there was anything to do.

        Raises:
            LeaseLostError: Another host has taken over; this one is to end.
            StaleEpochError: The same, as the log says it.
        """
        if self._epoch is None and not self._stand_by():
            return False
        try:
            self._keep()
            changed = self._follow()
            if changed:
                self._distribute()
            busy = [versions.turn() for _, versions in sorted(self._queries.items())]
        except (LeaseLostError, StaleEpochError):
            self._epoch = None
            self._queries.clear()
            raise
        return changed or any(busy)

    def pause(self) -> float:
        """Return how many seconds to wait after a step that had nothing to do."""
        return CAMPAIGN_S if self._epoch is None else IDLE_S

    def drain(self) -> None:
        """Read until there is nothing more, and write everything.

        Raises:
            LeaseLostError: Another host has taken over.
            StaleEpochError: The same, as the log says it.
        """
        while self.step() or any(versions.look() for versions in self._queries.values()):
            pass
        for versions in self._queries.values():
            versions.flush()

    def finish(self) -> None:
        """Write everything that has been read, and hand the role over."""
        if self._epoch is None:
            return
        try:
            for versions in self._queries.values():
                versions.stop()
            self._election.resign()
        except (LeaseLostError, StaleEpochError):
            LOGGER.warning("another engine had taken over already")
        self._queries.clear()
        self._epoch = self._offsets = None

    def _stand_by(self) -> bool:
        """Get ready, and campaign; returns whether this host has become active."""
        if self._clock.monotonic() < self._next:
            return False
        self._next = self._clock.monotonic() + CAMPAIGN_S
        if self._follow():
            self._warm_up()
        epoch = self._campaign()
        if epoch is None:
            if not self._told:
                LOGGER.info("stands by, %s is active", self._election.leader() or "another engine")
                self._told = True
            return False
        LOGGER.info("active (epoch %d)", epoch)
        self._epoch, self._next, self._told = epoch, self._clock.monotonic() + RENEW_S, False
        self._queries.clear()
        self._distribute()
        return True

    def _campaign(self) -> int | None:
        try:
            return self._election.campaign()
        except LogFullError as error:
            LOGGER.warning("the lease could not be taken: %s", error.message)
            return None

    def _keep(self) -> None:
        """Renew in time; also called between the reads of a long stretch of work."""
        if self._epoch is None or self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + RENEW_S
        try:
            self._election.renew()
        except (LogBusyError, LogFullError) as error:  # the fence keeps others out until somebody really takes over
            LOGGER.warning("the lease could not be renewed: %s", error.message)

    def _follow(self) -> bool:
        """Read what is registered, if that has changed; returns whether it had."""
        try:
            offsets = self._log.end_offsets(APPLIED)
        except UnknownTopicError:
            return False  # nothing was ever applied: `rc infra apply` will make it
        if offsets == self._offsets:
            return False
        self._registered = {}
        for found in registrations(self._log, self._env):
            if found.engine == KIND:
                self._registered.setdefault((found.context, found.query), []).append(found)
        self._offsets = offsets
        return True

    def _distribute(self) -> None:
        for name in [name for name in self._queries if name not in self._registered]:
            self._queries.pop(name).stop()
        site = Site(
            log=self._log,
            env=self._env,
            clock=self._clock,
            fence=Fence(name=self._election.name, epoch=self._epoch or 0),
            emit_interval=self._emit_interval,
        )
        for name, found in self._registered.items():
            self._queries.setdefault(name, Versions(site)).want(found)

    def _warm_up(self) -> None:
        """Make the kernels ready, so that taking over is quick; what does not compile is told once it shall run."""
        for found in [r for group in self._registered.values() for r in group if r.runs]:
            if found.plan not in self._ready:
                self._ready.add(found.plan)
                try:
                    warm_up(plan_of(found))
                except AshiotoError as error:
                    LOGGER.debug("%s cannot be made ready: %s", found.name, error.message)
