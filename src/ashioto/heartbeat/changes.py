"""What a changed schedule means for markers that should have been sent already: they are sent, or sent again.

A marker says the same whenever it is sent, so sending one twice does no harm, and nobody needs to know which ones the
change made. Up to the close before the first difference nothing is another; everything due since is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ashioto import keys
from ashioto.control.topics import HEARTBEATS_KEPT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.members import Key, Layout, Members
    from ashioto.log.base import Log, Slice
    from ashioto.schedule.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """Names markers to send again.

    Args:
        members: Who gets them.
        after: Markers due after this moment, ms.
        until: And at or before this one, ms.
    """

    members: Members
    after: int
    until: int


def first_difference(before: Sessions | None, after: Sessions) -> int | None:
    """Return up to when two schedules are equal, ms; None when they are so for ever.

    >>> from ashioto.schedule.sessions import Sessions
    >>> one = Sessions.build(np.array([0]), np.array([5]), np.array([0]))
    >>> two = Sessions.build(np.array([0, 7]), np.array([5, 9]), np.array([0, 0]))
    >>> first_difference(one, two), first_difference(two, one), first_difference(one, one)
    (7, 7, None)
    >>> first_difference(one, Sessions.build(np.array([0]), np.array([6]), np.array([0])))
    5
    """
    if before is None or not len(before):
        return int(after.opens[0]) if len(after) else None
    size = min(len(before), len(after))
    begun = (before.opens[:size] == after.opens[:size]) & (before.days[:size] == after.days[:size])
    same = begun & (before.closes[:size] == after.closes[:size])
    at = size if same.all() else int(same.argmin())
    if at < size and begun[at]:
        return int(min(before.closes[at], after.closes[at]))
    return min((int(sessions.opens[at]) for sessions in (before, after) if at < len(sessions)), default=None)


def starts_between(before: Mapping[Key, Sessions], after: Mapping[Key, Sessions]) -> dict[Key, int]:
    """Return from when on markers are others because schedules were replaced, ms, by key.

    Args:
        before: The sessions of each key as they were.
        after: As they are.
    """
    known: dict[tuple[int, int], int | None] = {}
    found: dict[Key, int] = {}
    for key, sessions in after.items():
        old = before.get(key)
        pair = id(old), id(sessions)
        if pair not in known:
            moment = first_difference(old, sessions)
            known[pair] = None if moment is None else unchanged_until(sessions, moment)
        if (start := known[pair]) is not None:
            found[key] = start
    return found


def stretches(starts: Mapping[Key, int], sessions: Mapping[Key, Sessions], layout: Layout, sent: int) -> list[Stretch]:
    """Return what to send again.

    Args:
        starts: Markers due after this moment are others now, ms, by key.
        sessions: The sessions of each key as they are now.
        layout: Lays keys out.
        sent: Until when markers should have been sent, ms.
    """
    found: dict[tuple[int, int], list[Key]] = {}
    for key, moment in starts.items():
        start = max(moment, sent - HEARTBEATS_KEPT_MS)
        if key in sessions and start < sent:
            found.setdefault((id(sessions[key]), start), []).append(key)
    return [
        Stretch(members=layout.members(sessions[members[0]], members), after=start, until=sent)
        for (_, start), members in found.items()
    ]


def changed_since(log: Log, spec: HeartbeatSpec, offset: int, *, unknown: int) -> dict[Key | None, int]:
    """Return from which moment on the schedule changed, ms, by key in the columns that join it.

    Args:
        log: Where the schedule is.
        spec: Names the schedule and its columns.
        offset: Records from this one on are new.
        unknown: Since when all may have changed where the log no longer keeps those records, ms.

    Returns:
        The moments; None in place of a key means every key.
    """
    topic = spec.schedule_topic or ""
    found: dict[Key | None, int] = {None: unknown} if log.describe(topic).start_offsets[0] > offset else {}
    at = offset
    while (part := log.read(topic, 0, at)) is not None:
        for key, opened in _rows(spec, part):
            found[key] = min(opened, found.get(key, opened))
        at = part.next_offset
    return found


def _rows(spec: HeartbeatSpec, part: Slice) -> Iterator[tuple[Key | None, int]]:
    """Yield whose session each record is, and its open; both stand in the record's key, unless it joins by others."""
    names = [theirs for _, theirs in spec.join]
    is_told = set(names) <= set(spec.schedule_keys)
    for record in part.keys.to_pylist():
        said = dict(zip(spec.schedule_keys, keys.decode(record), strict=True))
        yield tuple(said[name] for name in names) if is_told else None, int(said[spec.open_column])


def unchanged_until(sessions: Sessions, moment: int) -> int:
    """Return the last moment whose markers stay as they are when the schedule changes from `moment` on.

    The session before it may end more bars now than it did, or fewer, and says so when it closes.
    """
    index = int(np.searchsorted(sessions.opens, moment, "left")) - 1
    return min(moment, int(sessions.closes[index]) if index >= 0 else moment) - 1
