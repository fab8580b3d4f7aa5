"""What every fold kernel shares: finding the slot of a tick, and the hash from (key, segment) to slot.

The fold itself is written out for each list of aggregates by `codegen`, so that its inner loop has no branches on what
to aggregate. A slot is one partial bar of (key, session, base bucket).
"""

from __future__ import annotations

from typing import Final

import numba as nb
import numpy as np

from ashioto.bars.algebra import COUNT, CUT, DAY, FIXED, KEY, START, Floats, Ints

OUT_OF_SESSION: Final = -1
UNKNOWN_KEY: Final = -2
FULL: Final = -3
NO_INDEX: Final = -4
CURSOR: Final = 8
"""How many columns the cursor of a key has."""
INDEXED: Final = 5
"""Where the state of a fold says how many slots are in the hash."""


@nb.njit(cache=True, nogil=True, inline="never")
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


@nb.njit(cache=True, nogil=True, inline="never")
def probe(table: Ints, ints: Ints, key: int, session: int, start: int) -> int:
    """Return where the slot of (key, session, start) is in the open-addressing table, or where it belongs.

    Args:
        table: Slot numbers, -1 where free; a power of two of places.
        ints: The partials: KEY, START, and the session's open in CUT.
        key: Number of the key.
        session: Open of the session, ms.
        start: Start of the base bucket, ms.
    """
    mask = table.shape[0] - 1
    mixed = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) ^ (np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= np.uint64(session) * np.uint64(0x165667B19E3779F9)
    mixed ^= mixed >> np.uint64(29)
    place: int = np.int64(mixed & np.uint64(mask))  # type: ignore[assignment]  # a 64-bit int to the compiler
    while table[place] >= 0:
        slot = table[place]
        if ints[slot, KEY] == key and ints[slot, START] == start and ints[slot, CUT] == session:
            return place
        place = (place + 1) & mask
    return place


@nb.njit(cache=True, nogil=True, inline="never")
def near_session(sessions: Ints, lo: int, hi: int, hint: int, at: int) -> int:
    """Return the index of the session that holds `at`, or -1; looks first at the one hinted at and the next."""
    for index in range(max(hint, lo), min(hint + 2, hi)):
        if sessions[0, index] <= at < sessions[1, index]:
            return index
    return session_of(sessions[0], sessions[1], lo, hi, at)


@nb.njit(cache=True, nogil=True, inline="never")
def look_up(table: Ints, ints: Ints, used: int, state: Ints, key: int, session: int, start: int) -> int:
    """Return the slot of (key, session, start), -1, or NO_INDEX, after bringing the table up to date."""
    if table.shape[0] == 0:
        return NO_INDEX
    for i in range(state[INDEXED], used):
        table[probe(table, ints, ints[i, KEY], ints[i, CUT], ints[i, START])] = i
    state[INDEXED] = used
    slot: int = table[probe(table, ints, key, session, start)]
    return slot


@nb.njit(cache=True, nogil=True, inline="never")
def locate(
    key: int, at: int, groups: Ints, offsets: Ints, sessions: Ints, size: int, cursor: Ints, table: Ints, ints: Ints,
    used: int, state: Ints,
) -> int:  # fmt: skip
    """Find or make the slot of a tick and point the key's cursor at it.

    Ticks in the order of time need no hash: what begins after everything a key has had is new. The index over the slots
    is made when the first tick asks for something older.

    Args:
        key: Number of the key.
        at: Event time, ms.
        groups: Number of the schedule of each key, -1 for none.
        offsets: Where the sessions of each schedule begin in `sessions`; one more entry than schedules.
        sessions: Columns open, close, origin of base buckets, market date, calendar bucket start.
        size: Length of the base bucket in ms; 0 when the base is a day, week or month.
        cursor: Of each key (from, until, slot) of the segment its last tick fell into, the same of the one before, the
            end of its latest segment, and the number of its last session.
        table: Hash from (key, session, start) to slot; no places while there is none.
        ints: The partials; a new one gets KEY, DAY, START, COUNT = 0, and the session's open in CUT.
        used: How many slots are taken.
        state: INDEXED holds how many slots are in the table.

    Returns:
        The slot; `used` when it is new; OUT_OF_SESSION, UNKNOWN_KEY, FULL when there is no room for another, or
        NO_INDEX when a table is needed.
    """
    if cursor[key, 3] <= at < cursor[key, 4]:
        for c in range(3):
            cursor[key, c], cursor[key, c + 3] = cursor[key, c + 3], cursor[key, c]
        before: int = cursor[key, 2]
        return before
    group = groups[key]
    if group < 0:
        return UNKNOWN_KEY
    index = near_session(sessions, offsets[group], offsets[group + 1], cursor[key, 7], at)
    if index < 0:
        return OUT_OF_SESSION
    opened = sessions[0, index]
    begin, until = opened, sessions[1, index]
    if size > 0:
        origin = sessions[2, index]
        start = origin + ((at - origin) // size) * size
        begin, until = max(begin, start), min(until, start + size)
    else:
        start = sessions[4, index]
    slot: int = look_up(table, ints, used, state, key, opened, start) if begin < cursor[key, 6] else -1
    if slot == NO_INDEX:
        return NO_INDEX
    if slot < 0:
        if used >= ints.shape[0]:
            return FULL
        slot = used
        ints[slot, KEY], ints[slot, DAY], ints[slot, START], ints[slot, COUNT] = key, sessions[3, index], start, 0
        ints[slot, CUT] = opened
        cursor[key, 6] = max(cursor[key, 6], until)
    for c in range(3):
        cursor[key, c + 3] = cursor[key, c]
    cursor[key, 0], cursor[key, 1], cursor[key, 2], cursor[key, 7] = begin, until, slot, index
    return slot


def new_partials(rows: int, ints: int, floats: int) -> tuple[Ints, Floats]:
    """Return room for `rows` partials with this many int64 aggregates and float64 aggregates.

    >>> [m.shape for m in new_partials(4, 3, 0)]
    [(4, 12), (4, 0)]
    """
    return np.empty((rows, FIXED + ints), dtype=np.int64), np.empty((rows, floats), dtype=np.float64)
