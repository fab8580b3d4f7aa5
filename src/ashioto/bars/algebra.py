"""The bar algebra: how two partial bars of one bucket become one.

A partial is a row of an int64 matrix and of a float64 matrix. The first columns are the same for every query (below),
the rest are its aggregates, each in the matrix of its type. `combine` is associative and commutative as long as no two
ticks share (event time, sequence), which is what makes a bar a function of the *set* of its ticks; sums of floats may
differ in their last bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numba as nb
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

KEY: Final = 0
DAY: Final = 1
START: Final = 2
COUNT: Final = 3
FIRST_AT: Final = 4
FIRST_SEQ: Final = 5
LAST_AT: Final = 6
LAST_SEQ: Final = 7
CUT: Final = 8
FIXED: Final = 9
"""How many int64 columns every partial has before its aggregates.

KEY is the number of the key, DAY the market date (days) of the earliest session in it, START the bucket start (ms),
CUT the last source offset it includes (-1: none).
"""

Func = Literal["first", "last", "min", "max", "sum"]
OPCODE: Final[dict[str, int]] = {"first": 0, "last": 1, "min": 2, "max": 3, "sum": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Says where one aggregate of a partial lives.

    Args:
        func: How it merges.
        arg: Number of the tick input it aggregates.
        is_float: Whether it stands in the float matrix.
        column: Its column there.

    >>> Slot(func="sum", arg=0, is_float=False, column=FIXED).opcode
    4
    """

    func: Func
    arg: int
    is_float: bool
    column: int

    @property
    def opcode(self) -> int:
        """The number of its function, as the kernels know it."""
        return OPCODE[self.func]


def program(slots: tuple[Slot, ...]) -> Ints:
    """Return the aggregates as a matrix the merge kernel reads: (opcode, is_float, column) a row.

    >>> program((Slot(func="min", arg=0, is_float=False, column=9),)).tolist()
    [[2, 0, 9]]
    """
    rows = [(s.opcode, int(s.is_float), s.column) for s in slots]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


@nb.njit(cache=True, nogil=True)
def add_overflows(a: int, b: int) -> bool:
    """Return whether a + b leaves 64 bits.

    >>> bool(add_overflows(2**62, 2**62)), bool(add_overflows(1, 2))
    (True, False)
    """
    total = a + b
    return ((a ^ total) & (b ^ total)) < 0


@nb.njit(cache=True, nogil=True)
def combine(ops: Ints, into: Ints, into_f: Floats, row: int, other: Ints, other_f: Floats, slot: int) -> bool:
    """Merge partial `slot` of `other` into partial `row` of `into`; both hold at least one tick.

    Sums must have been checked for overflow before. KEY, START and CUT are left alone. Of two ticks that share time and
    sequence, `into` keeps its own.

    Returns:
        Whether the last tick changed, so that what the bar carries into empty buckets may have changed.

    >>> a = np.array([[0, 0, 0, 1, 10, 0, 10, 0, -1, 5]]); b = np.array([[0, 0, 0, 1, 20, 1, 20, 1, -1, 7]])
    >>> none = np.zeros((1, 0))
    >>> bool(combine(np.array([[1, 0, 9]]), a, none, 0, b, none, 0)), a[0].tolist()
    (True, [0, 0, 0, 2, 10, 0, 20, 1, -1, 7])
    """
    earlier: bool = other[slot, FIRST_AT] < into[row, FIRST_AT] or (
        other[slot, FIRST_AT] == into[row, FIRST_AT] and other[slot, FIRST_SEQ] < into[row, FIRST_SEQ]
    )
    later: bool = other[slot, LAST_AT] > into[row, LAST_AT] or (
        other[slot, LAST_AT] == into[row, LAST_AT] and other[slot, LAST_SEQ] > into[row, LAST_SEQ]
    )
    for i in range(ops.shape[0]):
        op, column = ops[i, 0], ops[i, 2]
        if ops[i, 1] == 0:
            mine, theirs = into[row, column], other[slot, column]
            if op == 4:
                into[row, column] = mine + theirs
            elif (
                (op == 0 and earlier)
                or (op == 1 and later)
                or (op == 2 and theirs < mine)
                or (op == 3 and theirs > mine)
            ):
                into[row, column] = theirs
        else:
            mine_f, theirs_f = into_f[row, column], other_f[slot, column]
            if op == 4:
                into_f[row, column] = mine_f + theirs_f
            elif (
                (op == 0 and earlier)
                or (op == 1 and later)
                or (op == 2 and theirs_f < mine_f)
                or (op == 3 and theirs_f > mine_f)
            ):
                into_f[row, column] = theirs_f
    into[row, COUNT] += other[slot, COUNT]
    into[row, DAY] = min(into[row, DAY], other[slot, DAY])
    if earlier:
        into[row, FIRST_AT] = other[slot, FIRST_AT]
        into[row, FIRST_SEQ] = other[slot, FIRST_SEQ]
    if later:
        into[row, LAST_AT] = other[slot, LAST_AT]
        into[row, LAST_SEQ] = other[slot, LAST_SEQ]
    return later


@nb.njit(cache=True, nogil=True)
def count_runs(ints: Ints, starts: Ints) -> int:
    """Return how many partials `roll_up` makes of these."""
    count = 0
    for i in range(ints.shape[0]):
        if i == 0 or (
            ints[i, KEY] != ints[i - 1, KEY] or ints[i, CUT] != ints[i - 1, CUT] or starts[i] != starts[i - 1]
        ):
            count += 1
    return count


@nb.njit(cache=True, nogil=True)
def roll_up(ops: Ints, ints: Ints, floats: Floats, starts: Ints, out: Ints, out_f: Floats) -> int:
    """Merge neighbouring partials of one key and one CUT that fall into one longer bucket.

    Args:
        ops: The aggregates, see `program`.
        ints: Partials, sorted by KEY and START.
        floats: Their float aggregates.
        starts: Start of the longer bucket of each.
        out: Where the longer partials go, `count_runs` rows.
        out_f: Their float aggregates.

    Returns:
        The number of the aggregate whose sum leaves 64 bits, or -1.

    >>> minutes = np.array([[0, 0, 0, 1, 5, 0, 5, 0, -1, 7], [0, 0, 60, 1, 65, 1, 65, 1, -1, 9]])
    >>> hours, none = np.zeros((1, 10), dtype=np.int64), np.zeros((2, 0))
    >>> roll_up(np.array([[4, 0, 9]]), minutes, none, np.array([0, 0]), hours, none), hours[0, COUNT], hours[0, 9]
    (-1, np.int64(2), np.int64(16))
    """
    n = -1
    for i in range(ints.shape[0]):
        if n >= 0 and out[n, KEY] == ints[i, KEY] and ints[i, CUT] == ints[i - 1, CUT] and out[n, START] == starts[i]:
            for a in range(ops.shape[0]):
                column = ops[a, 2]
                if ops[a, 0] == 4 and ops[a, 1] == 0 and add_overflows(out[n, column], ints[i, column]):
                    return a
            combine(ops, out, out_f, n, ints, floats, i)
            continue
        n += 1
        for c in range(ints.shape[1]):
            out[n, c] = ints[i, c]
        for c in range(floats.shape[1]):
            out_f[n, c] = floats[i, c]
        out[n, START] = starts[i]
    return -1
