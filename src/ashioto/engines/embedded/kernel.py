"""What every fold kernel shares: finding the slot of a tick, and the hash from (key, segment) to slot.

The fold itself is written out for each list of aggregates by `codegen`, so that its inner loop has no branches on what to
aggregate. A slot is one partial bar of (key, session, base bucket).
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from ashioto.bars.algebra import COUNT, CUT, DAY, FIXED, KEY, START, Floats, Ints

OUT_OF_SESSION: Final = -1
UNKNOWN_KEY: Final = -2
FULL: Final = -3
EMPTY: Final = np.iinfo(np.int64).min
SESSION_BITS: Final = 21


@nb.njit(cache=True, nogil=True, inline="never")  # type: ignore[untyped-decorator]  # numba ships no types
def session_of(opens: Ints, closes: Ints, lo: int, hi: int, at: int) -> int:
    """Return the index in [lo, hi) of the session that holds `at`, or -1.

    >>> session_of(np.array([0, 20]), np.array([10, 30]), 0, 2, 20)
    1
    """
    left, right = lo, hi
    while left < right:
        middle = (left + right) >> 1
        if opens[middle] <= at:
            left = middle + 1
        else:
            right = middle
    found = left - 1
    if found < lo or at >= closes[found]:
        return -1
    return found


@nb.njit(cache=True, nogil=True, inline="never")  # type: ignore[untyped-decorator]  # numba ships no types
def probe(table: Ints, key: int, session: int, start: int) -> int:
    """Return where (key, session, start) is in the open-addressing table, or where it belongs.

    The table has one row of (key, session, start, slot) a place, and a power of two of rows.
    """
    mask = table.shape[0] - 1
    mixed = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= np.uint64(session) * np.uint64(0x165667B19E3779F9)
    mixed ^= mixed >> np.uint64(29)
    place = np.int64(mixed & np.uint64(mask))
    while table[place, 3] >= 0:
        if table[place, 0] == key and table[place, 2] == start and table[place, 1] == session:
            return place
        place = (place + 1) & mask
    return place


@nb.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba ships no types
def rehash(old: Ints, new: Ints) -> None:
    """Copy every entry of one table into a larger, empty one (slot -1 everywhere)."""
    for i in range(old.shape[0]):
        if old[i, 3] >= 0:
            place = probe(new, old[i, 0], old[i, 1], old[i, 2])
            for c in range(4):
                new[place, c] = old[i, c]


@nb.njit(cache=True, nogil=True, inline="never")  # type: ignore[untyped-decorator]  # numba ships no types
def locate(
    key: int, at: int, groups: Ints, offsets: Ints, sessions: Ints, size: int, cursor: Ints, table: Ints, ints: Ints,
    used: int,
) -> int:  # fmt: skip
    """Find or make the slot of a tick and point the key's cursor at it.

    Args:
        key: Number of the key.
        at: Event time, ms.
        groups: Number of the schedule of each key, -1 for none.
        offsets: Where the sessions of each schedule begin in `sessions`; one more entry than schedules.
        sessions: Columns open, close, origin of base buckets, market date, calendar bucket start.
        size: Length of the base bucket in ms; 0 when the base is a day, week or month.
        cursor: (from, until, slot) of the segment each key last fell into.
        table: Hash from (key, session, start) to slot.
        ints: The partials; a new one gets KEY, DAY, START, COUNT = 0, and the session's open in CUT.
        used: How many slots are taken.

    Returns:
        The slot; `used` when it is new; OUT_OF_SESSION, UNKNOWN_KEY, or FULL when there is no room for another.
    """
    group = groups[key]
    if group < 0:
        return UNKNOWN_KEY
    index = session_of(sessions[0], sessions[1], offsets[group], offsets[group + 1], at)
    if index < 0:
        return OUT_OF_SESSION
    begin, until = sessions[0, index], sessions[1, index]
    if size > 0:
        origin = sessions[2, index]
        start = origin + ((at - origin) // size) * size
        begin, until = max(begin, start), min(until, start + size)
    else:
        start = sessions[4, index]
    place = probe(table, key, index, start)
    slot = table[place, 3]
    if slot < 0:
        if used >= ints.shape[0] or 2 * used >= table.shape[0]:
            return FULL
        slot = used
        table[place, 0], table[place, 1], table[place, 2], table[place, 3] = key, index, start, slot
        ints[slot, KEY], ints[slot, DAY], ints[slot, START], ints[slot, COUNT] = key, sessions[3, index], start, 0
        ints[slot, CUT] = sessions[0, index]
    cursor[key, 0], cursor[key, 1], cursor[key, 2] = begin, until, slot
    return slot


def new_table(rows: int) -> Ints:
    """Return an empty hash table of `rows` places, a power of two.

    >>> new_table(8).shape
    (8, 4)
    """
    return np.full((rows, 4), -1, dtype=np.int64)


def new_partials(rows: int, ints: int, floats: int) -> tuple[Ints, Floats]:
    """Return room for `rows` partials with this many int64 aggregates and float64 aggregates.

    >>> [m.shape for m in new_partials(4, 3, 0)]
    [(4, 12), (4, 0)]
    """
    return np.zeros((rows, FIXED + ints), dtype=np.int64), np.zeros((rows, floats), dtype=np.float64)
