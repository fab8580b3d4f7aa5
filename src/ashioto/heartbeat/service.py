"""The heartbeat as a role: stands by or is active in each context, and hands over when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

from ashioto.control.candidate import Candidate
from ashioto.control.election import RENEW_S
from ashioto.errors import LeaseLostError, LogBusyError, LogError, LogFullError, StaleEpochError
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
_TELL_S: Final = 60.0
"""How often it is told that the log is not to be used, seconds."""

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
        self._holder, self._clock, self._metrics = holder, clock, metrics
        self._tell_at = clock.monotonic()
        self._role = Candidate(election, clock=clock, logger=LOG, label=f"{self.context}: ", renew_s=renew_s)

    @property
    def context(self) -> str:
        """Whose heartbeats these are."""
        return self.orchestrator.context

    def step(self) -> int:
        """Campaign, or renew and send what is due; returns how many markers were sent.

        A log that is busy or full, or a cluster that does not answer, is tried again. Who was replaced meanwhile learns
        it from the first answer.

        Raises:
            LeaseLostError: Somebody else has taken over.
        """
        try:
            if self.mode == "standby":
                self._stand_by()
            return self._send() if self.mode == "active" else 0
        except (LogBusyError, LogFullError) as error:
            self._tell(error)
            return 0

    def _send(self) -> int:
        try:
            self._role.keep()
            return self.orchestrator.step(self._role.keep)
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
        waits = [_LONGEST_S, self._role.wait_s]
        if self.mode == "active":
            waits.append(self.orchestrator.watch_s())
            if (wake := self.orchestrator.wake_ms()) is not None:
                waits.append((wake - now) / 1000 / speed)
        return max(min(waits), 0.0)

    def rewind(self, at: int) -> None:
        """Go on from another moment, ms, under a new epoch, as after the clock was set for a replay."""
        if self.mode == "active" and (fence := self._role.again()) is not None:
            self.epoch = fence.epoch
            self.orchestrator.rewind(fence, at)

    def stop(self) -> None:
        """Hand over: record it, and give the role back."""
        if self.mode == "active":
            try:
                self.orchestrator.hand_over()
                self._role.resign()
            except (StaleEpochError, LeaseLostError):
                LOG.warning("%s: somebody else had taken over already", self.context)
            except LogError as error:
                LOG.warning("%s: not handed over, others wait until the lease ends: %s", self.context, error.message)
        self._turn("stopped")

    def _stand_by(self) -> None:
        if self._role.wait_s > 0:
            return
        self.orchestrator.watch()
        if (fence := self._role.campaign()) is not None:
            self.epoch = fence.epoch
            self._turn("active")
            self.orchestrator.promote(fence, self._holder)

    def _tell(self, error: LogError) -> None:
        if self._clock.monotonic() >= self._tell_at:
            self._tell_at = self._clock.monotonic() + _TELL_S
            LOG.warning("%s: %s; tried again", self.context, error.message, extra=fields(context=self.context))

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
