"""Ticks that fall into a bar that nothing merges into: no frame takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ashioto.bars.algebra import CUT
from ashioto.engines.embedded.imported import OPAQUE
from ashioto.schedule.buckets import bucket_start

if TYPE_CHECKING:
    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.fold import TickColumns
    from ashioto.engines.embedded.frames import FrameTable
    from ashioto.engines.embedded.sessions import SessionBook
    from ashioto.logical.nodes import Query
    from ashioto.period import Period


@dataclass(frozen=True, slots=True)
class OpaqueBars(Exception):  # noqa: N818  # control flow inside the engine, never shown
    """Says that ticks fall into bars that nothing merges into.

    Args:
        period: Their frame.
        codes: Numbers of their keys; shape (n,).
        starts: Their bucket starts, ms; shape (n,).
    """

    period: Period
    codes: Ints
    starts: Ints

    @property
    def reason(self) -> str:
        """Why the ticks are late, for people."""
        return f"its bar of {self.period.kind} was imported without first and last times, so nothing can be added to it"


def refuse_opaque(table: FrameTable, period: Period, codes: Ints, starts: Ints, cut: int) -> None:
    """Raise where ticks would be merged into a bar that nothing merges into.

    Args:
        table: The bars of a frame.
        period: The frame.
        codes: Numbers of the keys, ascending.
        starts: Bucket starts, ascending for each key, ms.
        cut: Source offset that the ticks reach to; bars that include it already are left alone.

    Raises:
        OpaqueBars: There are such.
    """
    if not table.opaque:
        return
    rows = table.locate(codes, starts)
    at = np.maximum(rows, 0)
    bad = (rows >= 0) & (table.kinds[at] & OPAQUE != 0) & (table.ints[at, CUT] < cut)
    if bad.any():
        raise OpaqueBars(period, codes[bad], starts[bad])


def ticks_inside(query: Query, book: SessionBook, ticks: TickColumns, bars: OpaqueBars) -> Ints:
    """Return the offsets of the ticks that fall into some bars.

    Args:
        query: Says how buckets are cut.
        book: The sessions of the keys.
        ticks: The ticks, with their offsets.
        bars: The bars.
    """
    found: list[Ints] = []
    groups = book.groups[ticks.codes]
    for number, sessions in enumerate(book.group_sessions()):
        mine = np.flatnonzero((groups == number) & np.isin(ticks.codes, bars.codes))
        at = ticks.at[mine]
        session = sessions.index_of(at)
        mine, at, session = mine[session >= 0], at[session >= 0], session[session >= 0]
        start = bucket_start(bars.period, query.align, at, sessions.opens[session], sessions.days[session])
        wanted = set(zip(bars.codes.tolist(), bars.starts.tolist(), strict=True))
        inside = [pair in wanted for pair in zip(ticks.codes[mine].tolist(), start.tolist(), strict=True)]
        found.append(ticks.order[mine[np.array(inside, dtype=np.bool_)]])
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
