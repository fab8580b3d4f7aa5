"""What a changed schedule means for markers that should have been sent already: they are sent, or sent again.

A marker says the same whenever it is sent, so sending one twice does no harm, and nobody needs to know which ones the
change made. From the session before the first one that differs, everything due so far is sent again for that key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ashioto import keys
from ashioto.control.topics import HEARTBEATS_KEPT_MS
from ashioto.schema.arrow import int64_view, key_column

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Return the open of the first session in which two schedules differ, ms; None when they are equal.

    >>> from ashioto.schedule.sessions import Sessions
    >>> one = Sessions.build(np.array([0]), np.array([5]), np.array([0]))
    >>> two = Sessions.build(np.array([0, 7]), np.array([5, 9]), np.array([0, 0]))
    >>> first_difference(one, two), first_difference(two, one), first_difference(one, one)
    (7, 7, None)
    """
    if before is None or not len(before):
        return int(after.opens[0]) if len(after) else None
    size = min(len(before), len(after))
    same = (
        (before.opens[:size] == after.opens[:size])
        & (before.closes[:size] == after.closes[:size])
        & (before.days[:size] == after.days[:size])
    )
    at = size if same.all() else int(same.argmin())
    found = [int(sessions.opens[at]) for sessions in (before, after) if at < len(sessions)]
    return min(found, default=None)


def stretches_between(
    before: Mapping[Key, Sessions], after: Mapping[Key, Sessions], layout: Layout, sent: int
) -> list[Stretch]:
    """Return what to send again when schedules were replaced.

    Args:
        before: The sessions of each key as they were.
        after: As they are.
        layout: Lays keys out.
        sent: Every marker of the old schedules due at or before this moment was sent, ms.
    """
    known: dict[tuple[int, int], int | None] = {}
    since: dict[Key, int] = {}
    for key, sessions in after.items():
        old = before.get(key)
        if old is sessions:
            continue
        pair = id(old), id(sessions)
        if pair not in known:
            known[pair] = first_difference(old, sessions)
        if (moment := known[pair]) is not None:
            since[key] = moment
    return stretches_since(since, after, layout, sent)


def stretches_since(
    since: Mapping[Key, int], sessions: Mapping[Key, Sessions], layout: Layout, sent: int
) -> list[Stretch]:
    """Return what to send again when the schedule of each of these keys changed from a moment on.

    Args:
        since: The moment, ms, by key.
        sessions: The sessions of each key as they are now.
        layout: Lays keys out.
        sent: Every marker due at or before this moment was sent, ms.
    """
    found: dict[tuple[int, int], list[Key]] = {}
    for key, moment in since.items():
        if key in sessions:
            start = max(_before(sessions[key], moment), sent - HEARTBEATS_KEPT_MS)
            if start < sent:
                found.setdefault((id(sessions[key]), start), []).append(key)
    return [
        Stretch(members=layout.members(sessions[members[0]], members), after=start, until=sent)
        for (_, start), members in found.items()
    ]


def changed_since(log: Log, spec: HeartbeatSpec, offset: int) -> dict[Key, int]:
    """Return from which moment on the schedule changed, ms, by key in the columns that join it.

    Args:
        log: Where the schedule is.
        spec: Names the schedule and its columns.
        offset: Records from this one on are new.
    """
    found: dict[Key, int] = {}
    topic, at = spec.schedule_topic or "", offset
    while (part := log.read(topic, 0, at)) is not None:
        for key, opened in _rows(spec, part):
            found[key] = min(opened, found.get(key, opened))
        at = part.base_offset + len(part.keys)
    return found


def _rows(spec: HeartbeatSpec, part: Slice) -> list[tuple[Key, int]]:
    names = [theirs for _, theirs in spec.join]
    gone = np.zeros(len(part.keys), dtype=np.bool_) if part.tombstones is None else part.tombstones
    owners = key_column(names, part.data).to_pylist()
    opens = int64_view(part.data.column(spec.open_column)).tolist()
    rows = []
    for record, owner, opened, is_gone in zip(part.keys.to_pylist(), owners, opens, gone.tolist(), strict=True):
        if is_gone:  # its values do not count, but its key says what it was
            said = dict(zip(spec.schedule_keys, keys.decode(record), strict=True))
            rows.append((tuple(said[name] for name in names), int(said.get(spec.open_column, 0))))
        else:
            rows.append((tuple(keys.decode(owner)), opened))
    return rows


def _before(sessions: Sessions, moment: int) -> int:
    """Return a moment just before the session that precedes `moment` opens, so that what it closes is said anew."""
    index = int(np.searchsorted(sessions.opens, moment, "left")) - 1
    return min(moment, int(sessions.opens[index]) if index >= 0 else moment) - 1
