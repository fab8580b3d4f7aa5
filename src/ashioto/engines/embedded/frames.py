"""The bars with ticks of one frame: rows in a table, chained per key in order of bucket start.

A chain makes the two things cheap that bars need: adding to the newest bucket (the tail), and walking from a bar to its
neighbours, whose close is carried into empty buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numba as nb
import numpy as np

from ashioto.bars.algebra import COUNT, CUT, KEY, START, Floats, Ints, add_overflows, combine
from ashioto.engines.embedded.imported import GIVEN, OPAQUE

if TYPE_CHECKING:
    from ashioto.engines.embedded.imported import Labels

TOUCHED: Final = 1
CARRY: Final = 2
MERGING: Final = 4
RESTORE: Final = -2
"""A cut that says: these are bars read back, not ticks; add the missing ones as they are."""
FOREVER: Final = np.iinfo(np.int64).max


@nb.njit(cache=True, nogil=True)
def seek(ints: Ints, links: Ints, ends: Ints, key: int, start: int, hint: int) -> int:
    """Return the row of the key's last bar whose bucket starts at or before `start`, or -1.

    Args:
        ints: Rows of bars.
        links: (previous, next) row of each row.
        ends: (first, last) row of each key.
        key: Number of the key.
        start: Bucket start, ms.
        hint: A row of the same key to begin from, or -1 for its last.
    """
    if ends[key, 0] < 0 or ints[ends[key, 0], START] > start:
        return -1
    row = hint if hint >= 0 else ends[key, 1]
    while row >= 0 and ints[row, START] > start:
        row = links[row, 0]
    if row >= 0:
        while links[row, 1] >= 0 and ints[links[row, 1], START] <= start:
            row = links[row, 1]
    return row


@nb.njit(cache=True, nogil=True)
def link(links: Ints, ends: Ints, key: int, row: int, before: int) -> None:
    """Put `row` into the chain of its key behind `before`; -1 means first."""
    after = links[before, 1] if before >= 0 else ends[key, 0]
    links[row, 0], links[row, 1] = before, after
    if before >= 0:
        links[before, 1] = row
    else:
        ends[key, 0] = row
    if after >= 0:
        links[after, 0] = row
    else:
        ends[key, 1] = row


@nb.njit(cache=True, nogil=True)
def unlink(links: Ints, ends: Ints, key: int, row: int) -> None:
    """Take `row` out of the chain of its key."""
    before, after = links[row, 0], links[row, 1]
    if before >= 0:
        links[before, 1] = after
    else:
        ends[key, 0] = after
    if after >= 0:
        links[after, 0] = before
    else:
        ends[key, 1] = before


@nb.njit(cache=True, nogil=True)
def unlink_all(links: Ints, ends: Ints, ints: Ints, rows: Ints) -> None:
    """Take rows out of the chains of their keys."""
    for row in rows:
        unlink(links, ends, ints[row, KEY], row)


@nb.njit(cache=True, nogil=True)
def merge(
    ops: Ints, ints: Ints, floats: Floats, links: Ints, ends: Ints, marks: Ints, free: Ints, used: int,
    other: Ints, other_f: Floats, cut: int,
) -> int:  # fmt: skip
    """Merge partials into the bars of a frame.

    Args:
        ops: The aggregates, see `algebra.program`.
        ints: Rows of bars.
        floats: Their float aggregates.
        links: (previous, next) row of each row.
        ends: (first, last) row of each key.
        marks: TOUCHED and CARRY of each row, set here and cleared by who writes the bars.
        free: Stack of free rows; the caller has made sure that there are enough.
        used: How many entries of `free` are taken.
        other: Partials of this frame, sorted by KEY and START.
        other_f: Their float aggregates.
        cut: Source offset these partials reach to; bars that include it already are left alone. -1 merges all.

    Returns:
        How many entries of `free` are taken now.
    """
    hint, hint_key = -1, -1
    for slot in range(other.shape[0]):
        key, start = other[slot, KEY], other[slot, START]
        row = seek(ints, links, ends, key, start, hint if key == hint_key else -1)
        if row < 0 or ints[row, START] != start:
            new = free[used]
            used += 1
            for c in range(other.shape[1]):
                ints[new, c] = other[slot, c]
            for c in range(other_f.shape[1]):
                floats[new, c] = other_f[slot, c]
            link(links, ends, key, new, row)
            if cut != RESTORE:
                ints[new, CUT] = cut
                marks[new] = TOUCHED | CARRY
            row = new
        elif cut == RESTORE or (cut >= 0 and ints[row, CUT] >= cut and not (marks[row] & MERGING)):
            hint, hint_key = row, key
            continue
        else:
            later = combine(ops, ints, floats, row, other, other_f, slot)
            marks[row] |= TOUCHED | (CARRY if later else 0)
        if cut >= 0:
            ints[row, CUT] = cut
            marks[row] |= MERGING
        hint, hint_key = row, key
    for slot in range(other.shape[0] if cut >= 0 else 0):
        key = other[slot, KEY]
        row = seek(ints, links, ends, key, other[slot, START], hint if key == hint_key else -1)
        marks[row] &= TOUCHED | CARRY
        hint, hint_key = row, key
    return used


@nb.njit(cache=True, nogil=True)
def locate(ints: Ints, links: Ints, ends: Ints, keys: Ints, starts: Ints) -> Ints:
    """Return the row of each bucket, or -1 where it has no bar; buckets that come sorted are found quickest.

    Args:
        ints: Rows of bars.
        links: Their neighbours.
        ends: (first, last) row of each key.
        keys: Number of the key of each bucket.
        starts: Its start, ms.
    """
    found = np.empty(keys.shape[0], dtype=np.int64)
    hint, hint_key = -1, -1
    for i in range(keys.shape[0]):
        key, start = keys[i], starts[i]
        row = seek(ints, links, ends, key, start, hint if key == hint_key else -1)
        found[i] = row if row >= 0 and ints[row, START] == start else -1
        hint, hint_key = row, key
    return found


@nb.njit(cache=True, nogil=True)
def overflow(ops: Ints, ints: Ints, links: Ints, ends: Ints, other: Ints) -> int:
    """Return the aggregate whose sum merging would take out of 64 bits, or -1."""
    for a in range(ops.shape[0]):
        if ops[a, 0] != 4 or ops[a, 1] != 0:
            continue
        column = ops[a, 2]
        running, running_key, running_start, row = 0, -1, -1, -1
        for slot in range(other.shape[0]):
            key, start = other[slot, KEY], other[slot, START]
            if key != running_key or start != running_start:
                row = seek(ints, links, ends, key, start, row if key == running_key else -1)
                running = ints[row, column] if row >= 0 and ints[row, START] == start else 0
                running_key, running_start = key, start
            if add_overflows(running, other[slot, column]):
                return a
            running += other[slot, column]
    return -1


@nb.njit(cache=True, nogil=True)
def dirty_ranges(ints: Ints, links: Ints, marks: Ints, ripples: int, fills: int, passes: int) -> Ints:
    """Return (key, first start, last start) of the buckets that touched bars change; clears the marks.

    A bar whose last tick changed also changes the empty buckets up to the next bar, and with `ripples` that bar; with
    `passes` so does any bar that was touched.
    """
    count = 0
    for row in range(marks.shape[0]):
        if marks[row]:
            count += 1
    found = np.empty((count, 3), dtype=np.int64)
    count = 0
    for row in range(marks.shape[0]):
        if not marks[row]:
            continue
        until = ints[row, START]
        if (passes or marks[row] & CARRY) and (fills or ripples):
            after = links[row, 1]
            until = ints[after, START] - (0 if ripples else 1) if after >= 0 else FOREVER
        found[count, 0], found[count, 1], found[count, 2] = ints[row, KEY], ints[row, START], until
        marks[row] = 0
        count += 1
    return found


@nb.njit(cache=True, nogil=True)
def lay_out(
    ranges: Ints, ints: Ints, links: Ints, ends: Ints, starts: Ints, exists: Ints, now: int, fills: int, out: Ints
) -> int:
    """List the bars that stand in some ranges of buckets: with ticks, and without where the bucket exists.

    Args:
        ranges: (key, first start, last start), sorted and without overlap.
        ints: Rows of bars.
        links: Their neighbours.
        ends: (first, last) row of each key.
        starts: Bucket starts of the schedule, ascending, around the ranges.
        exists: From when on each of these buckets exists, ms.
        now: The time, ms.
        fills: Whether buckets without ticks get bars.
        out: (key, bucket number or -1, row of the bar or of the one it carries, whether it has ticks); with no rows,
            nothing is written and only the count returned.

    Returns:
        How many bars there are.
    """
    n, write = 0, out.shape[0] > 0
    for r in range(ranges.shape[0]):
        key, first, last = ranges[r, 0], ranges[r, 1], ranges[r, 2]
        carry = seek(ints, links, ends, key, first - 1, -1)
        row = links[carry, 1] if carry >= 0 else ends[key, 0]
        bucket = np.searchsorted(starts, first)
        while True:
            row_start = ints[row, START] if row >= 0 else FOREVER
            while (
                bucket < starts.shape[0]
                and starts[bucket] < row_start
                and starts[bucket] <= last
                and exists[bucket] <= now
            ):
                if fills and carry >= 0:
                    if write:
                        out[n, 0], out[n, 1], out[n, 2], out[n, 3] = key, bucket, carry, 0
                    n += 1
                bucket += 1
            while bucket < starts.shape[0] and starts[bucket] < row_start and exists[bucket] > now:
                bucket += 1
            if row < 0 or row_start > last:
                break
            known = bucket < starts.shape[0] and starts[bucket] == row_start
            if write:
                out[n, 0], out[n, 1], out[n, 2], out[n, 3] = key, bucket if known else -1, row, 1
            n += 1
            if known:
                bucket += 1
            carry = row
            row = links[row, 1]
    return n


class FrameTable:
    """Owns the arrays of one frame's bars and grows them.

    Args:
        int_width: int64 columns a row, fixed ones included.
        float_width: float64 columns a row.

    >>> FrameTable(12, 0).rows
    0
    """

    def __init__(self, int_width: int, float_width: int, *, capacity: int = 1024) -> None:
        self.ints: Ints = np.zeros((capacity, int_width), dtype=np.int64)
        self.floats: Floats = np.zeros((capacity, float_width), dtype=np.float64)
        self.links: Ints = np.full((capacity, 2), -1, dtype=np.int64)
        self.marks: Ints = np.zeros(capacity, dtype=np.int64)
        self.ends: Ints = np.full((16, 2), -1, dtype=np.int64)
        self._free: Ints = np.arange(capacity, dtype=np.int64)
        self._used = 0
        self.kinds: Ints = np.zeros(capacity, dtype=np.int64)
        self.given: Ints = np.zeros((0, 0), dtype=np.int64)
        self.opaque = False
        """Whether any of its bars may be opaque."""

    @property
    def rows(self) -> int:
        """How many bars are held."""
        return self._used

    def reserve_keys(self, count: int) -> None:
        """Make room for keys numbered below `count`."""
        have = self.ends.shape[0]
        if count > have:
            more = np.full((max(count, 2 * have) - have, 2), -1, dtype=np.int64)
            self.ends = np.concatenate([self.ends, more])

    def merge(self, ops: Ints, other: Ints, other_f: Floats, *, cut: int) -> None:
        """Merge partials; see the kernel `merge`."""
        self._reserve(other.shape[0])
        self._used = merge(
            ops, self.ints, self.floats, self.links, self.ends, self.marks, self._free, self._used,
            other, other_f, cut,
        )  # fmt: skip

    def overflow(self, ops: Ints, other: Ints) -> int:
        """Return which aggregate would overflow, or -1; see the kernel `overflow`."""
        return int(overflow(ops, self.ints, self.links, self.ends, other))

    def find(self, key: int, start: int) -> int:
        """Return the row of the key's last bar at or before `start`, or -1."""
        return int(seek(self.ints, self.links, self.ends, key, start, -1))

    def locate(self, keys: Ints, starts: Ints) -> Ints:
        """Return the row of each bucket, or -1; see the kernel `locate`."""
        return locate(self.ints, self.links, self.ends, keys, starts)

    def label(self, rows: Ints, labels: Labels) -> None:
        """Say where bars come from.

        Args:
            rows: Rows of the bars.
            labels: One a row.
        """
        self.kinds[rows] = labels.kinds
        self.opaque = self.opaque or bool((labels.kinds & OPAQUE).any())
        if not self.given.shape[0]:
            self.given = np.zeros((self.ints.shape[0], labels.given.shape[1]), dtype=np.int64)
        self.given[rows] = labels.given

    def own(self) -> None:
        """Take bars that ticks were merged into for the engine's own: their columns are those of the partial now."""
        if self.given.shape[0]:
            self.kinds[(self.marks & TOUCHED) != 0] &= ~GIVEN

    def drop(self, rows: Ints) -> None:
        """Forget bars."""
        taken = self._free[: self._used]
        kept = taken[~np.isin(taken, rows)]
        unlink_all(self.links, self.ends, self.ints, rows)
        self.ints[rows, COUNT] = 0
        self.marks[rows] = 0
        self.kinds[rows] = 0
        self.opaque = self.opaque and bool((self.kinds & OPAQUE).any())
        self._free[: self._used] = np.concatenate([kept, rows])
        self._used = kept.shape[0]

    def live_rows(self) -> Ints:
        """Return the rows that hold a bar, ascending."""
        return np.sort(self._free[: self._used])

    def _reserve(self, more: int) -> None:
        have = self.ints.shape[0]
        if self._used + more <= have:
            return
        add = max(have, self._used + more - have)
        self.ints = _grown_ints(self.ints, add, 0)
        self.floats = np.concatenate([self.floats, np.zeros((add, self.floats.shape[1]), dtype=np.float64)])
        self.links = _grown_ints(self.links, add, -1)
        self.marks = np.concatenate([self.marks, np.zeros(add, dtype=np.int64)])
        self.kinds = np.concatenate([self.kinds, np.zeros(add, dtype=np.int64)])
        if self.given.shape[0]:
            self.given = _grown_ints(self.given, add, 0)
        self._free = np.concatenate([self._free, np.arange(have, have + add, dtype=np.int64)])


def _grown_ints(array: Ints, add: int, fill: int) -> Ints:
    return np.concatenate([array, np.full((add, array.shape[1]), fill, dtype=np.int64)])
