"""The heartbeat of one specification: which markers are due, and the append that sends them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ashioto.control.state import HeartbeatState, heartbeat_state, state_batch
from ashioto.heartbeat.checks import check_spec
from ashioto.heartbeat.encoding import clock_batches, marker_batches
from ashioto.heartbeat.followed import Followed
from ashioto.heartbeat.hold import LOOK_S
from ashioto.heartbeat.portions import Portions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.control.state import Mode
    from ashioto.heartbeat.changes import Stretch
    from ashioto.heartbeat.encoding import Due
    from ashioto.heartbeat.hold import Held, Hold
    from ashioto.heartbeat.options import HeartbeatOptions
    from ashioto.log.base import Fence, Log


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Says who sends.

    Args:
        fence: Under which the log accepts it.
        holder: Its name, for people.
        since_ms: When it began, ms; what was due before is caught up on.
    """

    fence: Fence
    holder: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Says what one append sent.

    Args:
        live: How many live markers.
        final: How many final ones.
        first_due: When the first of them was due, ms; None when there was none.
    """

    live: int = 0
    final: int = 0
    first_due: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Holds what goes into the next append.

    Args:
        due: The markers.
        cuts: Offset of each partition of the source up to which ticks belong before them.
        last: The watermark after it, ms.
        again: What is still to be sent again after it.
    """

    due: Sequence[Due]
    cuts: Mapping[int, int]
    last: int
    again: list[Stretch]


class SpecBeat:
    """Sends the markers of one specification.

    Args:
        log: Where its topics are.
        env: Environment and cluster.
        spec: What to serve.
        options: How much at once.
        hold: Holds markers back for engines that cannot wait; None where the engine waits itself.

    Raises:
        SpecError: It names a topic or a column that does not exist.
        ScheduleError: Its sessions do not hold together.
    """

    def __init__(
        self, log: Log, env: tuple[str, ...], spec: HeartbeatSpec, *, options: HeartbeatOptions, hold: Hold | None
    ) -> None:
        check_spec(log, spec)
        self.spec, self.key = spec, spec.key(env)
        self._log, self._options, self._hold = log, options, hold
        self.followed = Followed(log, spec)
        """Whom it serves."""
        self._portions = Portions(spec, options.max_rows)
        self._again: list[Stretch] = []
        self._held: Held | None = None
        self._overran = False
        self._due: int | None = None
        self._known_due = False
        self._stated = 0
        self._state_offset = -1
        self._state_grace = spec.grace_ms
        self._set = False
        self.sent = 0
        """The watermark: every marker due at or before this moment has been sent, ms."""

    @property
    def keys(self) -> int:
        """How many keys it serves."""
        return len(self.followed.sessions)

    @property
    def ends_ms(self) -> int | None:
        """When the first of its schedules runs out, ms; None when there is no session at all."""
        return self.followed.ends_ms

    @property
    def is_named(self) -> bool:
        """Whether the schedule names the keys, so that none means that it is missing."""
        return self.followed.is_named

    @property
    def is_held(self) -> bool:
        """Whether markers wait for the query to read up to their cut."""
        return self._held is not None

    @property
    def is_behind(self) -> bool:
        """Whether markers are still to be sent again."""
        return bool(self._again)

    @property
    def overran(self) -> bool:
        """Whether the markers that were sent last had waited up to the limit."""
        return self._overran

    def promote(self, now: int, *, replaying: bool = False) -> None:
        """Read where the last sender stood, and go on from there.

        Args:
            now: The time, ms.
            replaying: Whether the clock is that of a replay, which may have set it back since.
        """
        state, offset = heartbeat_state(self._log, self.key), self.followed.offset
        self._begin_after(min(self.spec.updated_ms, now) - 1 if state is None else state.last_hb_ms)
        self._state_offset, self._state_grace = offset, self.spec.grace_ms
        if state is not None:
            limit = self._options.catch_up_ms
            self.sent = self.sent if limit is None else max(self.sent, now - limit)
            self._state_offset = state.schedule_offset
            if 0 <= state.schedule_offset < offset:
                self._again = self.followed.since(state.schedule_offset, self.sent)
            self._state_grace = state.grace_ms
            if (sooner := state.grace_ms - self.spec.grace_ms) > 0:
                self._again += self.followed.all_after(self.sent - sooner, self.sent)
        if replaying and self.sent > now:
            self.rewind(now - 1)

    def rewind(self, at: int) -> None:
        """Go on from another moment, ms, as after the clock was set for a replay."""
        self._begin_after(at)
        self._set = True

    def refresh(self, *, find: bool = False) -> bool:
        """Follow the schedule, and new keys.

        Args:
            find: Whether to look for new keys too.

        Returns:
            Whether anything changed.

        Raises:
            ScheduleError: The new sessions do not hold together; those before stay in use.
            UnknownTopicError: A topic is gone.
        """
        again = self.followed.refresh(self.sent, self._again)
        if again is not None:
            self._again = again
            self._held = None if self._held is None or self._held.is_again else self._held
        found = find and self.followed.find()
        self._known_due = self._known_due and again is None and not found
        return found or again is not None

    def due_ms(self) -> int | None:
        """Return when the next marker is due, ms, or None when the schedule has run out."""
        if not self._known_due:
            self._due, self._known_due = self._portions.first_due(self.followed.groups, self.sent), True
        return self._due

    def wake_ms(self, now: int) -> int:
        """Return when there is something to do again, ms: a marker, or the watermark alone.

        Args:
            now: The time, ms.
        """
        if self._held is not None:
            return now + round(LOOK_S * 1000)
        if self._again:
            return max(now, self._again_ms(self._again[0]))
        due, stated = self.due_ms(), self._stated + self.spec.interval_ms
        return max(stated if due is None else min(due, stated), self.sent + 1)

    def send(self, now: int, sender: Sender) -> Sent:
        """Send what is due, at most one append of it; after a failure the same is due again.

        Args:
            now: The time, ms.
            sender: Who sends.

        Raises:
            LogError: The log refused; nothing was sent.
            ScheduleError: The schedule was changed into one that does not hold together.
        """
        self._overran = False
        self.refresh()
        portion = self._next(now)
        if portion is None:
            return Sent()
        is_done = bool(self._again) and not portion.again  # recorded, or the next sender does it all over
        if portion.due or is_done or now >= self._stated + self.spec.interval_ms:
            self._append(portion, sender, now)
        self.sent, self._again, self._held, self._known_due = portion.last, portion.again, None, False
        return _counted(portion.due)

    def state(self, sender: Sender, now: int, *, mode: Mode = "active") -> HeartbeatState:
        """Return where it stands, as it is recorded.

        Args:
            sender: Who sends.
            now: The time, ms.
            mode: Whether somebody goes on sending.
        """
        return HeartbeatState(
            last_hb_ms=self.sent, mode=mode, holder=sender.holder,
            epoch=sender.fence.epoch, updated_ms=now, schedule_offset=self._state_offset,
            grace_ms=self._state_grace,
        )  # fmt: skip

    def _again_ms(self, stretch: Stretch) -> int:
        """Return when the first marker to send again is due, ms: the clock of a sender before may have been ahead."""
        first = self._portions.first_due([stretch.members], stretch.after)
        return stretch.until if first is None else min(first, stretch.until)

    def _begin_after(self, moment: int) -> None:
        self.sent, self._again, self._held = moment, [], None
        self._known_due, self._stated = False, 0

    def _next(self, now: int) -> _Portion | None:
        """Return what to send now; None while the clock has gone back, or markers are held."""
        held = self._held
        if held is not None and not self._is_released(held):
            return None
        is_again = bool(self._again) if held is None else held.is_again
        if is_again:
            stretch, *rest = self._again
            groups, after, until = [stretch.members], stretch.after, min(stretch.until, now)
            first = self._portions.first_due(groups, after)
        else:
            groups, after, until, first = self.followed.groups, self.sent, now, self.due_ms()
        until = until if held is None else held.until
        if until <= after:
            return None
        due, reached = self._portions.next(groups, after, until, first=first)
        cuts = self._cuts(due, reached, is_again=is_again) if held is None else held.cuts
        if cuts is None:
            return None
        if not is_again:
            return _Portion(due=due, cuts=cuts, last=reached, again=self._again)
        left = [replace(stretch, after=reached)] if reached < stretch.until else []
        return _Portion(due=due, cuts=cuts, last=self.sent, again=[*left, *rest])

    def _cuts(self, due: Sequence[Due], until: int, *, is_again: bool) -> Mapping[int, int] | None:
        """Return where the source ends now, after these markers' deadlines; None when they must wait until it is read.

        Args:
            due: The markers.
            until: They are all that are due at or before this moment, ms.
            is_again: Whether they are sent again.
        """
        if not due:
            return {}
        cuts = self._ends()
        if self._hold is None or all(marker.kind == "live" for marker, _ in due):
            return cuts
        held = self._hold.begin(until, cuts, is_again=is_again)
        if self._is_released(held):
            return cuts
        self._held = held
        return None

    def _ends(self) -> Mapping[int, int]:
        """Return where the source ends, behind all ticks that were acknowledged, also those that are hidden still."""
        return self._log.end_offsets(self.spec.source_topic, committed=False)

    def _append(self, portion: _Portion, sender: Sender, now: int) -> None:
        batches = marker_batches(self.spec, portion.due, portion.cuts, sender.fence.epoch)
        if self._set:  # whatever is sent next follows it
            batches = [*clock_batches(self.spec, self.sent, self._ends(), sender.fence.epoch), *batches]
        offset, grace = self.followed.offset, self.spec.grace_ms
        if portion.again:
            offset, grace = self._state_offset, self._state_grace
        state = replace(self.state(sender, now), last_hb_ms=portion.last, schedule_offset=offset, grace_ms=grace)
        self._log.append([*batches, state_batch(self.key, state)], fence=sender.fence)
        self._stated, self._set, self._state_offset, self._state_grace = now, False, offset, grace

    def _is_released(self, held: Held) -> bool:
        if self._hold is None or self._hold.is_read(self.spec, held):
            return True
        self._overran = self._hold.is_over(held)
        return self._overran


def _counted(due: Sequence[Due]) -> Sent:
    finals = sum(group.size for marker, group in due if marker.kind == "final")
    every = sum(group.size for _, group in due)
    return Sent(live=every - finals, final=finals, first_due=due[0][0].due if due else None)
