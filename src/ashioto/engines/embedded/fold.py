"""Folds columns of ticks into partial bars of (key, session, base bucket)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.engines.embedded.codegen import fold_kernel
from ashioto.engines.embedded.kernel import CURSOR, INDEXED, new_partials

if TYPE_CHECKING:
    import numpy.typing as npt

    from ashioto.bars.algebra import Floats, Ints
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import SessionBook

_START: Final = 2048
_EMPTY: Final = np.zeros(0, dtype=np.int64)
_EMPTY_F: Final = np.zeros(0, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickColumns:
    """Holds ticks as columns of one length.

    Args:
        codes: Number of the key of each tick, int32.
        at: Event time, ms.
        first: Source offset of the first tick, where they follow one another.
        order: Source offset of each tick, where they do not; else empty.
        sequence: The declared sequence, or empty when the source offset is it.
        ints: int64 values of each input; an empty array where the input is float.
        floats: float64 values of each input; an empty array where it is not.
    """

    codes: npt.NDArray[np.int32]
    at: Ints
    first: int = 0
    order: Ints
    sequence: Ints
    ints: tuple[Ints, ...]
    floats: tuple[Floats, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldCounts:
    """Counts what became of ticks; adds up.

    Args:
        ticks: Read, in all.
        out_of_session: Dropped because no session of their key holds them.
        unknown_key: Dropped because their key has no sessions at all.
        filtered: Left out by `where`.
        rejected: Refused as bad (null, NaN, overflow).

    >>> (FoldCounts(ticks=2) + FoldCounts(ticks=3, filtered=1)).ticks
    5
    """

    ticks: int = 0
    out_of_session: int = 0
    unknown_key: int = 0
    filtered: int = 0
    rejected: int = 0

    def __add__(self, other: FoldCounts) -> FoldCounts:
        return FoldCounts(
            ticks=self.ticks + other.ticks,
            out_of_session=self.out_of_session + other.out_of_session,
            unknown_key=self.unknown_key + other.unknown_key,
            filtered=self.filtered + other.filtered,
            rejected=self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class SumOverflow(Exception):  # noqa: N818  # control flow inside the engine, never shown
    """Says which aggregate left 64 bits, and at which tick of the batch; -1 when merging."""

    slot: int
    tick: int = -1


class Folder:
    """Keeps the partial bars that one thread folds into.

    Args:
        plan: The query.
        book: Schedules of the keys.
    """

    def __init__(self, plan: CompiledQuery, book: SessionBook) -> None:
        self._plan, self._book = plan, book
        self._kernel = fold_kernel(plan.slots)
        self._state = np.zeros(8, dtype=np.int64)
        self._cursor = np.zeros((16, CURSOR), dtype=np.int64)
        self._table = _EMPTY
        self._ints, self._floats = new_partials(_START, plan.int_width, plan.float_width)

    def fold(self, ticks: TickColumns) -> FoldCounts:
        """Fold ticks in.

        Raises:
            SumOverflow: A sum left 64 bits at a tick; the ticks before it are in, it and what follows are not.
        """
        self._reserve_keys(self._book.keys)
        n, state = ticks.at.shape[0], self._state
        state[0] = state[2] = state[3] = state[4] = 0
        base = self._plan.query.base
        size = base.millis if base.is_intraday else 0
        while True:
            self._kernel(
                ticks.codes, ticks.at, ticks.order, ticks.sequence, ticks.first, ticks.ints, ticks.floats,
                self._book.groups, self._book.offsets, self._book.sessions, size, self._cursor, self._table,
                self._ints, self._floats, state,
            )  # fmt: skip
            if state[4]:
                raise SumOverflow(int(state[4]) - 1, tick=int(state[0]))
            if state[0] >= n:
                return FoldCounts(ticks=n, out_of_session=int(state[2]), unknown_key=int(state[3]))
            if state[1] >= self._ints.shape[0]:
                self._grow()
            else:
                self._index()

    def partials(self) -> tuple[Ints, Floats]:
        """Return the partial bars so far; CUT holds the open of their session."""
        used = int(self._state[1])
        return self._ints[:used], self._floats[:used]

    def clear(self) -> None:
        """Forget all partial bars."""
        if self._ints.shape[0] > 64 * _START:
            self._ints, self._floats = new_partials(_START, self._plan.int_width, self._plan.float_width)
        if self._state[INDEXED]:
            self._table = _EMPTY
        self._cursor[:] = 0
        self._state[1] = self._state[INDEXED] = 0

    def _reserve_keys(self, count: int) -> None:
        have = self._cursor.shape[0]
        if count > have:
            more = np.zeros((max(count - have, have), CURSOR), dtype=np.int64)
            self._cursor = np.concatenate([self._cursor, more])

    def _grow(self) -> None:
        used = int(self._state[1])
        ints, floats = self._ints, self._floats
        self._ints, self._floats = new_partials(4 * ints.shape[0], self._plan.int_width, self._plan.float_width)
        self._ints[:used], self._floats[:used] = ints[:used], floats[:used]
        if self._table.shape[0]:
            self._index()

    def _index(self) -> None:
        """Make a hash with room for all slots; the kernel fills it."""
        self._table = np.full(4 * self._ints.shape[0], -1, dtype=np.int64)
        self._state[INDEXED] = 0


def no_ints() -> Ints:
    """Return an empty int64 column."""
    return _EMPTY


def no_floats() -> Floats:
    """Return an empty float64 column."""
    return _EMPTY_F
