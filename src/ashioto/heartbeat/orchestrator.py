"""Sends every marker of a context in time: one heap of deadlines, and a look at what has changed now and then."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ashioto.control.specs import heartbeat_specs
from ashioto.control.state import state_batch
from ashioto.control.topics import HB_SPECS, HB_STATE
from ashioto.errors import (
    AshiotoError,
    LogBusyError,
    LogFullError,
    ScheduleError,
    SpecError,
    UnknownTopicError,
)
from ashioto.heartbeat.beat import Sender, SpecBeat
from ashioto.heartbeat.checks import ScheduleEnds
from ashioto.heartbeat.deadlines import Deadlines
from ashioto.heartbeat.hold import LOOK_S
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.heartbeat.visible import VisibleLog
from ashioto.observe.logs import fields
from ashioto.observe.metrics import HeartbeatMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.clock import Clock
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.beat import Sent
    from ashioto.heartbeat.hold import Hold
    from ashioto.log.base import Fence, Log

LOG: Final = logging.getLogger("ashioto.heartbeat")
_CATCH_UP_MS: Final = 1_000


def _nothing() -> None:
    """Do nothing."""


class Orchestrator:
    """Serves every specification of one context.

    While it stands by it follows specifications and schedules, so that it can begin at once. It never waits for what
    somebody's open append hides, since its lease would end meanwhile: it looks again later. Where a specification can
    only go on from a state that may be hidden, the others do not wait for it.

    Args:
        log: Where everything is.
        env: Environment and cluster.
        context: Whose specifications it serves.
        clock: Tells the time that deadlines are measured by.
        options: How much at once, and how often changes are looked for.
        metrics: Where it counts what it does.
        hold: Holds markers back for engines that cannot wait; None where the engine waits itself.
        replaying: Says whether the clock is that of a replay, which may have set it back while nobody was active.
    """

    def __init__(
        self,
        log: Log,
        *,
        env: tuple[str, ...],
        context: str,
        clock: Clock,
        options: HeartbeatOptions | None = None,
        metrics: HeartbeatMetrics | None = None,
        hold: Hold | None = None,
        replaying: Callable[[], bool] = bool,
    ) -> None:
        self.context = context
        self._replaying = replaying
        self._log, self._env, self._clock, self._hold = VisibleLog(log), env, clock, hold
        self._options = HeartbeatOptions() if options is None else options
        self._metrics = HeartbeatMetrics() if metrics is None else metrics
        self._sender: Sender | None = None
        self._beats: dict[str, SpecBeat] = {}
        self._specs: dict[str, HeartbeatSpec] = {}
        self._offsets: dict[int, int] | None = None
        self._problems: dict[str, str] = {}
        self._waiting: dict[str, Mapping[int, int] | None] = {}
        """Which beats are to begin, and how far the states must be seen for that; None where that was not asked yet."""
        self._deadlines = Deadlines()
        self._ends = ScheduleEnds(self._options.warn_days, self._metrics)
        self._watch_at = 0.0
        self._retry_at = 0.0

    @property
    def problems(self) -> dict[str, str]:
        """Why specifications cannot be served, by their id."""
        return dict(self._problems)

    @property
    def beats(self) -> dict[str, SpecBeat]:
        """What is served, by the id of its specification."""
        return dict(self._beats)

    def watch(self) -> None:
        """Look for changed specifications, schedules and keys, when it is time to."""
        if self._clock.monotonic() < self._watch_at:
            return
        self._watch_at = self._clock.monotonic() + self._options.watch_s
        self._follow_specs()
        for name, beat in list(self._beats.items()):
            try:
                changed = beat.refresh(find=True)
            except ScheduleError as error:
                self._warn_schedule(name, error)
                continue
            except UnknownTopicError as error:
                self._drop(name, error)
                continue
            self._ends.look(name, beat, self._clock.now_ms())
            if changed:
                self._schedule(name, beat)

    def promote(self, fence: Fence, holder: str) -> None:
        """Begin to send: read where the last sender stood; what was due since is sent by the next steps.

        Args:
            fence: Under which the log accepts it; taken before this is called.
            holder: Its name, for people.
        """
        self._sender = Sender(fence=fence, holder=holder, since_ms=self._clock.now_ms())
        self._waiting = dict.fromkeys(self._beats)
        self._watch_at = 0.0
        self.watch()
        self._begin()

    def rewind(self, fence: Fence, at: int) -> None:
        """Go on from another moment under a new epoch, as after the clock was set for a replay.

        Args:
            fence: The new epoch.
            at: Markers due after this moment are sent, ms.
        """
        holder = "" if self._sender is None else self._sender.holder
        self._sender = Sender(fence=fence, holder=holder, since_ms=self._clock.now_ms())
        self._waiting.clear()  # where the last sender stood does not count any more
        for name, beat in self._beats.items():
            beat.rewind(at)
            self._schedule(name, beat)

    def step(self, keep: Callable[[], None] = _nothing) -> int:
        """Send what is due now, at most one append of each specification.

        Args:
            keep: Called before each of them, to keep the role however long they take.

        Returns:
            How many markers were sent.

        Raises:
            StaleEpochError: Somebody else has taken over; nothing was sent.
        """
        self.watch()
        self._begin()
        count = 0
        now = self._clock.now_ms()
        for name in self._deadlines.take(now):
            keep()
            count += self._turn(name, self._beats[name])
        return count

    def wake_ms(self) -> int | None:
        """Return when the next marker or watermark is due, ms; None when there is none."""
        return self._deadlines.first()

    def watch_s(self) -> float:
        """Return in how many seconds changes are looked for again, or states that are hidden still."""
        left = max(self._watch_at - self._clock.monotonic(), 0.0)
        return min(left, LOOK_S) if self._waiting else left

    def hand_over(self) -> None:
        """Record that sending has ended; the lease is handed back after this."""
        sender, now = self._sender, self._clock.now_ms()
        if sender is None:
            return
        begun = [beat for name, beat in self._beats.items() if name not in self._waiting]
        states = [state_batch(beat.key, beat.state(sender, now, mode="stopped")) for beat in begun]
        self._sender = None
        if states:
            self._log.append(states, fence=sender.fence)

    def _turn(self, name: str, beat: SpecBeat) -> int:
        sender, held = self._sender, beat.is_held
        if sender is None:
            return 0
        now = self._clock.now_ms()
        try:
            sent = beat.send(now, sender)
        except ScheduleError as error:
            self._warn_schedule(name, error)
            self._schedule(name, beat)
            return 0
        except (LogBusyError, LogFullError) as error:
            LOG.warning("%s: %s; tried again", name, error.message, extra=fields(spec=name))
            self._schedule(name, beat, not_before=now + round(self._options.watch_s * 1000))
            return 0
        except UnknownTopicError as error:
            self._drop(name, error)
            return 0
        self._count(name, beat, sent, sender, held=held)
        self._schedule(name, beat)
        return sent.live + sent.final

    def _count(self, name: str, beat: SpecBeat, sent: Sent, sender: Sender, *, held: bool) -> None:
        if beat.is_held and not held:
            self._metrics.held(name)
        if beat.overran:
            self._metrics.overrun(name)
            LOG.warning(
                "%s: the query has not read up to the cut in time, its markers were sent all the same", name,
                extra=fields(spec=name),
            )  # fmt: skip
        if sent.first_due is not None:
            is_late = sent.first_due < sender.since_ms - _CATCH_UP_MS
            self._metrics.sent(
                name,
                live=sent.live,
                final=sent.final,
                delay_s=max(self._clock.now_ms() - sent.first_due, 0) / 1000,
                catch_up=sent.live + sent.final if is_late else 0,
            )
        self._metrics.watermark(name, last_hb_ms=beat.sent)

    def _schedule(self, name: str, beat: SpecBeat, *, not_before: int | None = None) -> None:
        if self._sender is None or name in self._waiting:
            return
        wake = beat.wake_ms(self._clock.now_ms())
        self._deadlines.put(name, wake if not_before is None else max(wake, not_before))

    def _follow_specs(self) -> None:
        try:
            offsets = self._log.end_offsets(HB_SPECS)
        except UnknownTopicError:
            return  # nothing was ever applied: `rc infra apply` will make it
        retry = bool(self._problems) and self._clock.monotonic() >= self._retry_at
        if offsets == self._offsets and not retry:
            return
        wanted = {s.id: s for s in heartbeat_specs(self._log, self._env, self.context) if s.enabled}
        for name in [n for n in self._specs if n not in wanted]:
            self._forget(name)
        for name, spec in wanted.items():
            if self._specs.get(name) != spec or name not in self._beats:
                self._serve(name, spec)
        self._specs, self._offsets = wanted, offsets

    def _serve(self, name: str, spec: HeartbeatSpec) -> None:
        try:
            beat = SpecBeat(self._log, self._env, spec, options=self._options, hold=self._hold)
        except (SpecError, ScheduleError, UnknownTopicError) as error:
            self._drop(name, error)
            return
        if self._problems.pop(name, None) is not None:
            LOG.info("%s: can be served now", name, extra=fields(spec=name))
        self._metrics.problem(name, present=False)
        self._beats[name] = beat
        self._ends.look(name, beat, self._clock.now_ms())
        if self._sender is not None:
            self._waiting[name] = None
            self._deadlines.drop(name)

    def _begin(self) -> None:
        """Have specifications go on from where the last sender stood, once nothing hides that any more."""
        for name, wanted in list(self._waiting.items()):
            try:
                self._promote(name, self._log.end_offsets(HB_STATE, committed=False) if wanted is None else wanted)
            except UnknownTopicError as error:
                self._drop(name, error)

    def _promote(self, name: str, wanted: Mapping[int, int]) -> None:
        """Have a specification begin, if states are seen up to where they ended once nobody else could write them."""
        self._waiting[name] = wanted
        seen = self._log.end_offsets(HB_STATE)
        if all(seen[partition] >= end for partition, end in wanted.items()):
            beat = self._beats[name]
            beat.promote(self._clock.now_ms(), replaying=self._replaying())
            del self._waiting[name]
            self._schedule(name, beat)

    def _drop(self, name: str, error: AshiotoError) -> None:
        """Serve a specification no more until its problem is solved; the others go on."""
        self._beats.pop(name, None)
        self._waiting.pop(name, None)
        self._deadlines.drop(name)
        self._retry_at = self._clock.monotonic() + self._options.retry_s
        self._metrics.problem(name, present=True)
        if self._problems.get(name) != error.message:
            self._problems[name] = error.message
            LOG.error("%s (%s)", error.message, error.hint, extra=fields(spec=name))

    def _forget(self, name: str) -> None:
        self._beats.pop(name, None)
        self._waiting.pop(name, None)
        self._deadlines.drop(name)
        self._problems.pop(name, None)
        self._ends.forget(name)
        self._metrics.forget(name)
        LOG.info("%s: no heartbeats are wanted any more", name, extra=fields(spec=name))

    def _warn_schedule(self, name: str, error: ScheduleError) -> None:
        LOG.error(
            "%s: the schedule was changed and does not hold together, the one before stays in use: %s", name,
            error.message, extra=fields(spec=name),
        )  # fmt: skip
