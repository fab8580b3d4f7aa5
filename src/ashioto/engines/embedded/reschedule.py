"""What a changed schedule means for buckets that exist already: those that differ are laid out again.

Sessions may be added in the past, or have another close. Bars of buckets that are gone stay as they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto import keys
from ashioto.schedule.buckets import bucket_start, frame_buckets
from ashioto.schedule.sessions import Sessions
from ashioto.schema.arrow import int64_view, key_column
from ashioto.schema.sessions import session_columns

if TYPE_CHECKING:
    from ashioto.bars.algebra import Ints
    from ashioto.control.schedules import LogSchedules
    from ashioto.engines.embedded.sessions import SessionBook
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query
    from ashioto.period import Period
    from ashioto.schedule.buckets import Align, Buckets
    from ashioto.schedule.sessions import Flags

NO_SESSIONS: Final = Sessions.from_sessions([])
_NONE: Final = np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """Says that some keys follow other sessions than before.

    Args:
        codes: Numbers of the keys; shape (n,).
        before: The sessions they followed.
        after: The sessions they follow now.
    """

    codes: Ints
    before: Sessions
    after: Sessions


def differing(before: Sessions, after: Sessions, period: Period, align: Align, now: int) -> Ints:
    """Return runs of buckets that exist by now and are not as they were: (first, last) bucket start, ms; shape (n, 2).

    Args:
        before: The sessions as they were.
        after: As they are.
        period: The frame.
        align: What intraday buckets count from.
        now: The time, ms.

    >>> from ashioto.period import Period
    >>> minute = 60_000
    >>> one = Sessions.build(np.array([0]), np.array([9 * minute]), np.array([0]))
    >>> two = Sessions.build(np.array([0, 20 * minute]), np.array([9 * minute, 22 * minute]), np.array([0, 0]))
    >>> differing(one, two, Period.minutes(1), "clock", 50 * minute).tolist()
    [[1200000, 1260000]]
    """
    since = _since(before, after, period, align)
    if since is None or since > now:
        return _NONE
    old, new = (frame_buckets(sessions, period, align, since, now + 1) for sessions in (before, after))
    found = ~_same(old, new) & (new.exists_at <= now)
    if not found.any():
        return _NONE
    places = np.searchsorted(np.union1d(old.start, new.start), new.start[found])
    starts = new.start[found]
    heads = np.flatnonzero(np.diff(places, prepend=places[0] - 2) > 1)
    tails = np.append(heads[1:], starts.shape[0]) - 1
    return np.stack([starts[heads], starts[tails]], axis=1)


def changes_since(log: Log, query: Query, book: SessionBook, schedules: LogSchedules, offset: int) -> list[Change]:
    """Return what has changed in a schedule from an offset on, as changes of the keys of a book.

    Where the log no longer tells how it stood, sessions that were written since count as added; of one that was deleted
    there is nothing left to say.

    Args:
        log: Where the schedule is.
        query: Says how it is read.
        book: The keys, with their sessions as they are now.
        schedules: The sessions as they are now.
        offset: Records from this one on are new.
    """
    known = schedules.as_of(offset)
    fresh = _fresh(log, query, offset) if known is None else {}
    after = book.group_sessions()
    shared: dict[Sessions, Sessions] = {}
    found: dict[tuple[int, int], tuple[Sessions, list[int]]] = {}
    for code, name in enumerate(book.names):
        group, owner = int(book.groups[code]), schedules.owner(name)
        if group >= 0:
            before = known.get(owner, NO_SESSIONS) if known is not None else _without(after[group], fresh.get(owner))
            before = shared.setdefault(before, before)
            found.setdefault((group, id(before)), (before, []))[1].append(code)
    return [
        Change(codes=np.array(codes), before=before, after=after[group])
        for (group, _), (before, codes) in found.items()
        if before != after[group]
    ]


def _since(before: Sessions, after: Sessions, period: Period, align: Align) -> int | None:
    """Return an instant before which no bucket differs, or None when none does.

    The last bucket of a schedule ends as the calendar says, so that it differs when the schedule goes on.
    """
    size = min(len(before), len(after))
    same = (
        (before.opens[:size] == after.opens[:size])
        & (before.closes[:size] == after.closes[:size])
        & (before.days[:size] == after.days[:size])
    )
    first = size if same.all() else int(same.argmin())
    if first == len(before) == len(after):
        return None
    labels, opens = [], []
    for sessions in (before, after):
        names = bucket_start(period, align, sessions.opens, sessions.opens, sessions.days)
        last = bucket_start(period, align, sessions.closes - 1, sessions.opens, sessions.days)
        labels += [*names[first:], *last[-1:]] if period.is_intraday else [*names[first:], names.max(initial=0)]
        opens.append((names, sessions))
    low = min(labels)
    if period.is_intraday:
        return int(low)
    return min(int(sessions.opens[names >= low].min()) for names, sessions in opens if (names >= low).any())


def _same(old: Buckets, new: Buckets) -> Flags:
    """Return which of the new buckets are as they were; shape of `new`."""
    if not old.start.shape[0]:
        return np.zeros(new.start.shape[0], dtype=np.bool_)
    at = np.minimum(np.searchsorted(old.start, new.start), old.start.shape[0] - 1)
    same: Flags = old.start[at] == new.start
    for name in ("exists_at", "closes_at", "day"):
        same &= getattr(old, name)[at] == getattr(new, name)
    return same


def _fresh(log: Log, query: Query, offset: int) -> dict[tuple[str, ...], Ints]:
    """Return the opens of the sessions that were written from an offset on, by key in the columns that join it."""
    frame, topic = query.time_frame, query.schedule_topic
    if frame is None or topic is None:
        return {}
    page = log.view(topic)
    rows = page.data.take(np.flatnonzero(page.offsets >= offset))
    owners = key_column(session_columns(frame), rows)
    codes, opens = np.asarray(owners.indices), int64_view(rows.column(frame.open_column))
    return {
        tuple(keys.decode(key)): opens[codes == code]
        for code, key in enumerate(owners.dictionary.to_pylist() if rows.num_rows else ())
    }


def _without(sessions: Sessions, opens: Ints | None) -> Sessions:
    if opens is None:
        return sessions
    kept = ~np.isin(sessions.opens, opens)
    return Sessions(sessions.opens[kept], sessions.closes[kept], sessions.days[kept])
