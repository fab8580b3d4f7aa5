"""Whom a specification serves: its keys, grouped by the sessions they follow, kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto import naming
from ashioto.control.known_keys import KeyFinder
from ashioto.control.schedules import LogSchedules
from ashioto.heartbeat.changes import Stretch, changed_since, starts_between, stretches, unchanged_until
from ashioto.heartbeat.checks import schedule_end
from ashioto.heartbeat.members import Layout
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.members import Key, Members
    from ashioto.log.base import Log
    from ashioto.schedule.sessions import Sessions


class Followed:
    """Follows the schedule of a specification, and the keys that have bars where the schedule does not name them.

    Args:
        log: Where its topics are.
        spec: The specification.

    Raises:
        ScheduleError: Its sessions do not hold together.
        UnknownTopicError: A topic does not exist.
    """

    def __init__(self, log: Log, spec: HeartbeatSpec) -> None:
        self._log, self._spec = log, spec
        self._schedules = LogSchedules(log, spec)
        self._layout = Layout(log.describe(spec.heartbeat_topic).spec.partitions)
        self._finder = None
        if {mine for mine, _ in spec.join} != set(spec.group_by):
            self._finder = KeyFinder(log, naming.bars_topic(spec.context, spec.entity, spec.base))
        self.sessions: dict[Key, Sessions] = {}
        """The schedule of each key."""
        self.groups: list[Members] = []
        """The keys of each schedule."""
        self.ends_ms: int | None = None
        """When the first schedule runs out, ms; None when there is no session at all."""
        self._regroup()

    @property
    def is_named(self) -> bool:
        """Whether the schedule names the keys, so that none means that it is missing."""
        return self._finder is None

    @property
    def offset(self) -> int:
        """Up to which record the schedule is followed; -1 where there is no schedule topic."""
        return self._schedules.offset

    def refresh(self, sent: int, again: Sequence[Stretch]) -> list[Stretch] | None:
        """Follow the schedule.

        Args:
            sent: Every marker of the schedules so far, due at or before this moment, was sent, ms.
            again: Except for these.

        Returns:
            What to send again now; None when the schedule has not changed.

        Raises:
            ScheduleError: The new sessions do not hold together; those before stay in use.
            UnknownTopicError: The schedule is gone.
        """
        if not self._schedules.refresh():
            return None
        before = self.sessions
        self._regroup()
        starts = starts_between(before, self.sessions)
        for stretch in again:
            for key in stretch.members.keys:
                starts[key] = min(stretch.after, starts.get(key, stretch.after))
        return stretches(starts, self.sessions, self._layout, sent)

    def find(self) -> bool:
        """Look for keys that have bars now; returns whether there are new ones."""
        if self._finder is None or not self._finder.poll():
            return False
        self._regroup()
        return True

    def know(self, found: set[Key]) -> None:
        """Add keys whose bars are still to be written, where the schedule does not name them."""
        if self._finder is not None and not found <= self._finder.keys:
            self._finder.keys |= found
            self._regroup()

    def all_after(self, after: int, until: int) -> list[Stretch]:
        """Return what to send again to every key, due after a moment and at or before another, ms."""
        return [Stretch(members=group, after=after, until=until) for group in self.groups]

    def since(self, offset: int, sent: int) -> list[Stretch]:
        """Return what to send again because the schedule changed while nobody followed it.

        Args:
            offset: Up to which record it was followed.
            sent: Every marker of the schedules as they were then, due at or before this moment, was sent, ms.
        """
        starts = self._starts_since(offset, unknown=sent - DAY_MS)
        return stretches(starts, self.sessions, self._layout, sent)

    def _starts_since(self, offset: int, *, unknown: int) -> dict[Key, int]:
        owners = {key: self._schedules.owner(key) for key in self.sessions}
        known = self._schedules.as_of(offset)
        if known is not None:
            before = {key: known[owner] for key, owner in owners.items() if owner in known}
            return starts_between(before, self.sessions)
        moments = changed_since(self._log, self._spec, offset, unknown=unknown)
        found = {key: [moments[whose] for whose in (None, owner) if whose in moments] for key, owner in owners.items()}
        return {key: unchanged_until(self.sessions[key], min(since)) for key, since in found.items() if since}

    def _regroup(self) -> None:
        followed: dict[Key, Sessions] = {}
        split: dict[int, tuple[Sessions, list[Key]]] = {}
        for key in self._all_keys():
            sessions = self._schedules.sessions(key)
            if sessions is not None and len(sessions):
                followed[key] = sessions
                split.setdefault(id(sessions), (sessions, []))[1].append(key)
        self.sessions = followed
        self.groups = [self._layout.members(sessions, members) for sessions, members in split.values()]
        self.ends_ms = schedule_end(group.sessions for group in self.groups)

    def _all_keys(self) -> set[Key]:
        """Return the keys that have bars, or those that the schedule names, perhaps in another order."""
        if self._finder is not None:
            return self._finder.keys
        if self._spec.schedule_topic is None:
            return {()}
        named = [mine for mine, _ in self._spec.join]
        places = [named.index(name) for name in self._spec.group_by]
        return {tuple(key[place] for place in places) for key in self._schedules.scheduled()}
