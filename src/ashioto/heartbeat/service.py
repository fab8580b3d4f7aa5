"""The heartbeat as a role: stands by or is active in each context, and hands over when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

from ashioto.control.election import CAMPAIGN_S, RENEW_S
from ashioto.errors import LeaseLostError, LogBusyError, LogError, LogFullError, StaleEpochError
from ashioto.log.base import Fence
from ashioto.observe.logs import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.clock import Clock
    from ashioto.control.election import Election
    from ashioto.heartbeat.guard import ClockGuard
    from ashioto.heartbeat.orchestrator import Orchestrator
    from ashioto.observe.metrics import HeartbeatMetrics

LOG: Final = logging.getLogger("ashioto.heartbeat")
_LONGEST_S: Final = 0.5

RoleMode = Literal["standby", "active", "stopped"]


class ContextRole:
    """Is active or stands by in one context.

    Args:
        orchestrator: Sends the markers.
        election: Who may.
        clock: Its monotonic reading says when to campaign and to renew.
        holder: Its name, for people.
        metrics: Where it counts what it does.
        renew_s: How often it renews, seconds.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        election: Election,
        *,
        clock: Clock,
        holder: str,
        metrics: HeartbeatMetrics,
        renew_s: float = RENEW_S,
    ) -> None:
        self.orchestrator, self.election = orchestrator, election
        self.mode: RoleMode = "standby"
        self.epoch = 0
        self._clock, self._holder, self._metrics, self._renew_s = clock, holder, metrics, renew_s
        self._next = 0.0
        self._told = False

    @property
    def context(self) -> str:
        """Whose heartbeats these are."""
        return self.orchestrator.context

    def step(self) -> int:
        """Campaign, or renew and send what is due; returns how many markers were sent.

        Raises:
            LeaseLostError: Somebody else has taken over.
        """
        if self.mode == "standby":
            self._stand_by()
        if self.mode != "active":
            return 0
        try:
            if self._clock.monotonic() >= self._next:
                self._renew()
            return self.orchestrator.step()
        except (StaleEpochError, LeaseLostError) as error:
            self._lost()
            raise LeaseLostError(
                f"{self.context}: {self.election.leader() or 'another process'} has taken over, "
                f"and epoch {self.epoch} of {self._holder} is refused",
                hint="this process was paused or cut off for too long; start it again, it will stand by",
                context=self.context,
                epoch=self.epoch,
            ) from error

    def wait_s(self, now: int, speed: float) -> float:
        """Return how many seconds there is nothing to do.

        Args:
            now: The time that deadlines are measured by, ms.
            speed: How many seconds of that time pass in a real one.
        """
        if self.mode == "stopped":
            return _LONGEST_S
        waits = [_LONGEST_S, self._next - self._clock.monotonic()]
        if self.mode == "active":
            waits.append(self.orchestrator.watch_s())
            if (wake := self.orchestrator.wake_ms()) is not None:
                waits.append((wake - now) / 1000 / speed)
        return max(min(waits), 0.0)

    def rewind(self, at: int) -> None:
        """Go on from another moment, ms, under a new epoch, as after the clock was set for a replay."""
        if self.mode == "active" and (epoch := self.election.campaign()) is not None:
            self.epoch = epoch
            self.orchestrator.rewind(Fence(name=self.election.name, epoch=epoch), at)

    def stop(self) -> None:
        """Hand over: record it, and give the role back."""
        if self.mode == "active":
            try:
                self.orchestrator.hand_over()
                self.election.resign()
            except (StaleEpochError, LeaseLostError):
                LOG.warning("%s: somebody else had taken over already", self.context)
            except LogError as error:
                LOG.warning("%s: not handed over, others wait until the lease ends: %s", self.context, error.message)
        self._turn("stopped")

    def _stand_by(self) -> None:
        if self._clock.monotonic() < self._next:
            return
        self.orchestrator.watch()
        epoch = self._campaign()
        if epoch is None:
            self._next = self._clock.monotonic() + CAMPAIGN_S
            if not self._told:
                self._told = True
                LOG.info("%s: stands by, %s is active", self.context, self.election.leader() or "another process")
            return
        self.epoch = epoch
        self._next = self._clock.monotonic() + self._renew_s
        self._turn("active")
        self.orchestrator.promote(Fence(name=self.election.name, epoch=epoch), self._holder)

    def _campaign(self) -> int | None:
        try:
            return self.election.campaign()
        except LogFullError as error:
            LOG.warning("%s: the lease could not be taken: %s", self.context, error.message)
            return None

    def _renew(self) -> None:
        try:
            self.election.renew()
        except (LogBusyError, LogFullError) as error:  # the fence keeps others out until somebody really takes over
            LOG.warning("%s: the lease could not be renewed: %s", self.context, error.message)
        self._next = self._clock.monotonic() + self._renew_s

    def _lost(self) -> None:
        self._turn("stopped")
        self._metrics.fenced(self.context)

    def _turn(self, mode: RoleMode) -> None:
        if mode != self.mode:
            self.mode = mode
            if mode == "stopped":
                self._metrics.stopped(self.context)
            else:
                self._metrics.leading(self.context, epoch=self.epoch, active=mode == "active")
            said = f"{self.context}: {mode} (epoch {self.epoch})" if self.epoch else f"{self.context}: {mode}"
            LOG.info(said, extra=fields(context=self.context, mode=mode, epoch=self.epoch))


class HeartbeatService:
    """Turns the roles of several contexts over, one step at a time.

    Args:
        roles: One a context.
        clock: Tells the time that deadlines are measured by.
        guard: Watches the machine's clock.
        metrics: Where the clock's offset is told.
    """

    def __init__(
        self, roles: Sequence[ContextRole], *, clock: Clock, guard: ClockGuard, metrics: HeartbeatMetrics
    ) -> None:
        self.roles = list(roles)
        self._clock, self._guard, self._metrics = clock, guard, metrics

    def step(self) -> int:
        """Do what is to be done now, once; returns how many markers were sent.

        Raises:
            HeartbeatError: The clock jumped, or somebody else has taken over; call `stop` and end.
        """
        self._guard.check()
        self._metrics.clock_offset(self._guard.offset_s)
        return sum(role.step() for role in self.roles)

    def wait_s(self, speed: float = 1.0) -> float:
        """Return how many seconds there is nothing to do, at most half a second."""
        now = self._clock.now_ms()
        return min([role.wait_s(now, speed) for role in self.roles], default=_LONGEST_S)

    def rewind(self, at: int) -> None:
        """Go on from another moment, ms, as after the clock was set for a replay."""
        for role in self.roles:
            role.rewind(at)

    def stop(self) -> None:
        """Hand every role over."""
        for role in self.roles:
            role.stop()

    @property
    def problems(self) -> list[str]:
        """Why specifications cannot be served."""
        return [text for role in self.roles for text in role.orchestrator.problems.values()]
