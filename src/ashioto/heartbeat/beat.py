"""The heartbeat of one specification: which markers are due, and the append that sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.control.known_keys import KeyFinder
from ashioto.control.schedules import LogSchedules
from ashioto.control.state import HeartbeatState, heartbeat_state, state_batch
from ashioto.heartbeat.changes import Stretch, changed_since, stretches_between, stretches_since
from ashioto.heartbeat.checks import check_spec, schedule_end
from ashioto.heartbeat.encoding import clock_batches, marker_batches
from ashioto.heartbeat.hold import LOOK_S
from ashioto.heartbeat.members import Layout
from ashioto.heartbeat.planner import next_due, plan_markers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.control.state import Mode
    from ashioto.heartbeat.encoding import Due
    from ashioto.heartbeat.hold import Held, Hold
    from ashioto.heartbeat.members import Key, Members
    from ashioto.heartbeat.options import HeartbeatOptions
    from ashioto.log.base import Fence, Log
    from ashioto.schedule.sessions import Sessions

_SEGMENTS: Final = 256
"""How many segments ahead a first look plans; later ones as many as fill an append."""


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
        self._schedules = LogSchedules(log, spec)
        self._layout = Layout(log.describe(spec.heartbeat_topic).spec.partitions)
        self._finder = None
        if {mine for mine, _ in spec.join} != set(spec.group_by):
            self._finder = KeyFinder(log, naming.bars_topic(spec.context, spec.entity, spec.base))
        self._followed: dict[Key, Sessions] = {}
        self._groups: list[Members] = []
        self._again: list[Stretch] = []
        self._held: Held | None = None
        self._due: int | None = None
        self._known_due = False
        self._span = _SEGMENTS * _segment_ms(spec)
        self._stated = 0
        self._state_offset = -1
        self._set = False
        self.sent = 0
        self._regroup()

    @property
    def keys(self) -> int:
        """How many keys it serves."""
        return len(self._followed)

    @property
    def ends_ms(self) -> int | None:
        """When the first of its schedules runs out, ms; None when there is no session at all."""
        return schedule_end(group.sessions for group in self._groups)

    @property
    def is_named(self) -> bool:
        """Whether the schedule names the keys, so that none means that it is missing."""
        return self._finder is None

    def promote(self, now: int, *, replaying: bool = False) -> None:
        """Read where the last sender stood, and go on from there.

        Args:
            now: The time, ms.
            replaying: Whether the clock is that of a replay, which may have set it back since.
        """
        state = heartbeat_state(self._log, self.key)
        if state is None:
            self.sent, self._state_offset = min(self.spec.updated_ms, now) - 1, self._schedules.offset
        else:
            self.sent, self._state_offset = state.last_hb_ms, state.schedule_offset
            limit = self._options.catch_up_ms
            self.sent = self.sent if limit is None else max(self.sent, now - limit)
            if 0 <= state.schedule_offset < self._schedules.offset:
                self._again = self._changed_since(state.schedule_offset)
        self._stated, self._held, self._known_due = 0, None, False
        if replaying and self.sent > now:
            self.rewind(now - 1)

    def rewind(self, at: int) -> None:
        """Go on from another moment, ms, as after the clock was set for a replay."""
        self.sent, self._held, self._known_due, self._stated = at, None, False, 0
        self._again.clear()
        self._set = True

    def refresh(self, *, find: bool = False) -> bool:
        """Follow the schedule, and new keys.

        Args:
            find: Whether to look for new keys too.

        Returns:
            Whether anything changed.

        Raises:
            ScheduleError: The new sessions do not hold together; those before stay in use.
        """
        changed = self._schedules.refresh()
        found = find and self._finder is not None and self._finder.poll()
        if not changed and not found:
            return False
        before = self._followed
        self._regroup()
        if changed:
            self._again += stretches_between(before, self._followed, self._layout, self.sent)
        return True

    def due_ms(self) -> int | None:
        """Return when the next marker is due, ms, or None when the schedule has run out."""
        if not self._known_due:
            found = [next_due(self.spec, group.sessions, after=self.sent) for group in self._groups]
            self._due = min((due for due in found if due is not None), default=None)
            self._known_due = True
        return self._due

    def wake_ms(self, now: int) -> int:
        """Return when there is something to do again, ms: a marker, or the watermark alone.

        Args:
            now: The time, ms.
        """
        if self._again:
            return now
        due, stated = self.due_ms(), self._stated + self.spec.interval_ms
        wake = stated if due is None else min(due, stated)
        return max(wake, now + round(LOOK_S * 1000)) if self._held is not None else wake

    def send(self, now: int, sender: Sender) -> Sent:
        """Send what is due, at most one append of it; after a failure the same is due again.

        Args:
            now: The time, ms.
            sender: Who sends.

        Raises:
            LogError: The log refused; nothing was sent.
            ScheduleError: The schedule was changed into one that does not hold together.
        """
        self.refresh()
        if self._again:
            return self._send_again(now, sender)
        if now <= self.sent:
            return Sent()
        until, cuts = now, None
        if self._held is not None:
            if not self._is_released(self._held):
                return Sent()
            until, cuts = self._held.until, self._held.cuts
        due, until = self._chunk(self._groups, self.sent, until)
        if cuts is None and due:
            cuts = self._log.end_offsets(self.spec.source_topic)
            if self._hold is not None and any(m.kind == "final" for m, _ in due):
                self._held = self._hold.begin(until, cuts)
                if not self._is_released(self._held):
                    return Sent()
        if due or now >= self._stated + self.spec.interval_ms:
            self._append(due, cuts or {}, sender, now, until)
        self.sent, self._known_due, self._held = until, False, None
        return _counted(due)

    def state(self, sender: Sender, now: int, *, last: int | None = None, mode: Mode = "active") -> HeartbeatState:
        """Return where it stands, as it is recorded.

        Args:
            sender: Who sends.
            now: The time, ms.
            last: The watermark, ms; where it stands when not given.
            mode: Whether somebody goes on sending.
        """
        return HeartbeatState(
            last_hb_ms=self.sent if last is None else last, mode=mode, holder=sender.holder,
            epoch=sender.fence.epoch, updated_ms=now, schedule_offset=self._state_offset,
        )  # fmt: skip

    @property
    def is_held(self) -> bool:
        """Whether markers wait for the query to read up to their cut."""
        return self._held is not None

    @property
    def overran(self) -> bool:
        """Whether the markers that were released last had waited up to the limit."""
        return self._overran

    _overran = False

    def _send_again(self, now: int, sender: Sender) -> Sent:
        stretch, *rest = self._again
        due, reached = self._chunk([stretch.members], stretch.after, stretch.until)
        if reached < stretch.until:
            rest = [Stretch(members=stretch.members, after=reached, until=stretch.until), *rest]
        if not rest:
            self._state_offset = self._schedules.offset
        self._append(due, self._log.end_offsets(self.spec.source_topic), sender, now, self.sent)
        self._again, self._known_due = rest, False
        return _counted(due)

    def _append(self, due: Sequence[Due], cuts: Mapping[int, int], sender: Sender, now: int, until: int) -> None:
        if not self._again:
            self._state_offset = self._schedules.offset
        batches = marker_batches(self.spec, due, cuts, sender.fence.epoch)
        if self._set:  # whatever is sent next follows it
            ends = self._log.end_offsets(self.spec.source_topic)
            batches = [*clock_batches(self.spec, self.sent, ends, sender.fence.epoch), *batches]
        self._log.append([*batches, state_batch(self.key, self.state(sender, now, last=until))], fence=sender.fence)
        self._stated, self._set = now, False

    def _is_released(self, held: Held) -> bool:
        self._overran = False
        if self._hold is None or self._hold.is_read(self.spec, held):
            return True
        self._overran = self._hold.is_over(held)
        return self._overran

    def _chunk(self, groups: Sequence[Members], after: int, until: int) -> tuple[list[Due], int]:
        """Return markers of at most one append, in the order in which they are due, and up to when they are all."""
        first = self._first_due(groups, after)
        if first is None or first > until:
            return [], until
        horizon = min(until, first + self._span)
        due = [
            (marker, group)
            for group in groups
            for marker in plan_markers(self.spec, group.sessions, after=after, until=horizon)
        ]
        due.sort(key=lambda d: (d[0].due, d[0].kind == "live"))
        kept, rows = 0, 0
        while kept < len(due):
            same = kept
            while same < len(due) and due[same][0].due == due[kept][0].due:
                rows += due[same][1].size
                same += 1
            if kept and rows > self._options.max_rows:
                break
            kept = same
        self._span = max(_segment_ms(self.spec), self._span // 2 if kept < len(due) else min(2 * self._span, _YEAR_MS))
        return due[:kept], horizon if kept == len(due) else due[kept][0].due - 1

    def _first_due(self, groups: Sequence[Members], after: int) -> int | None:
        if groups is self._groups and after == self.sent:
            return self.due_ms()
        found = [next_due(self.spec, group.sessions, after=after) for group in groups]
        return min((due for due in found if due is not None), default=None)

    def _changed_since(self, offset: int) -> list[Stretch]:
        joined = changed_since(self._log, self.spec, offset)
        places = [self.spec.group_by.index(mine) for mine, _ in self.spec.join]
        since = {key: joined[owner] for key in self._followed if (owner := tuple(key[at] for at in places)) in joined}
        return stretches_since(since, self._followed, self._layout, self.sent)

    def _regroup(self) -> None:
        followed: dict[Key, Sessions] = {}
        split: dict[int, tuple[Sessions, list[Key]]] = {}
        for key in self._all_keys():
            sessions = self._schedules.sessions(key)
            if sessions is not None and len(sessions):
                followed[key] = sessions
                split.setdefault(id(sessions), (sessions, []))[1].append(key)
        self._followed, self._known_due = followed, False
        self._groups = [self._layout.members(sessions, members) for sessions, members in split.values()]

    def _all_keys(self) -> set[Key]:
        """Return the keys that have bars, and those that the schedule names, perhaps in another order."""
        if self._finder is not None:
            return self._finder.keys
        named = [mine for mine, _ in self.spec.join]
        places = [named.index(name) for name in self.spec.group_by]
        return {tuple(key[place] for place in places) for key in self._schedules.scheduled()}


_YEAR_MS: Final = 366 * 86_400_000


def _segment_ms(spec: HeartbeatSpec) -> int:
    return spec.base.millis if spec.base.is_intraday else 86_400_000


def _counted(due: Sequence[Due]) -> Sent:
    finals = sum(group.size for marker, group in due if marker.kind == "final")
    every = sum(group.size for _, group in due)
    return Sent(live=every - finals, final=finals, first_due=due[0][0].due if due else None)
