"""The bars that stand in the log, looked up along the order of their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys, naming
from ashioto.engines.embedded.output import STREAM, bar_schema
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import Key
    from ashioto.log.base import Log, TopicSpec, ViewPage
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

_PAGE: Final = 8192
_FIRST_PAGE: Final = 16
_SEPARATOR: Final = keys.SEPARATOR.encode()
ENVELOPE: Final = ("first_at", "first_seq", "last_at", "last_seq")


class StoredBars:
    """Reads bars of a query.

    Args:
        log: Where they are.
        plan: The query.
    """

    def __init__(self, log: Log, plan: CompiledQuery) -> None:
        self._log, self._plan = log, plan
        self._specs = {period: log.describe(self.topic(period)).spec for period in plan.query.frames}

    def topic(self, period: Period) -> str:
        """Return the topic of a frame."""
        query = self._plan.query
        return naming.bars_topic(query.context, query.entity.name, period)

    def spec(self, period: Period) -> TopicSpec:
        """Return how the topic of a frame was made."""
        return self._specs[period]

    def has(self, name: Key) -> bool:
        """Return whether a key has bars in any frame."""
        return any(self._first(period, name) is not None for period in self._plan.query.frames)

    def seam(self, name: Key) -> int | None:
        """Return from when on the ticks of a key are in the stream, ms; None where they are not.

        That is where the first bar begins that the stream alone has made. Where history has been merged into the bar
        before that already, it is behind the last tick of that one: what lies in it cannot be told apart any more.
        """
        merged: int | None = None
        for page in self.pages(self._plan.query.base, name):
            bars, rows = page.data, np.flatnonzero(is_real(page.data))
            pure, mixed = is_stream(bars)[rows], has_stream(bars)[rows]
            firsts, lasts = int64_view(bars.column("first_at"))[rows], int64_view(bars.column("last_at"))[rows]
            stop = int(np.argmax(pure)) if pure.any() else rows.size
            if stop:
                merged = int(lasts[stop - 1]) + 1 if mixed[stop - 1] else None
            if stop < rows.size:
                return int(firsts[stop]) if merged is None else merged
        return merged

    def pages(
        self, period: Period, name: Key, first: int = 0, last: int | None = None, *, reverse: bool = False
    ) -> Iterator[ViewPage]:
        """Yield the bars of a key whose buckets start in `[first, last]`, ms, in order of time or backwards."""
        prefix = keys.encode(name) + _SEPARATOR
        start = prefix + keys.time_part(max(first, 0)).encode()
        stop = prefix + (b"\xff" if last is None else keys.time_part(max(last, 0)).encode() + b"\x00")
        limit = _FIRST_PAGE
        while start < stop:
            page = self._log.view(self.topic(period), start=start, stop=stop, limit=limit, reverse=reverse)
            if page.keys:
                yield page
            if len(page.keys) < limit:
                return
            if reverse:
                stop = page.keys[-1]
            else:
                start = page.keys[-1] + b"\x00"
            limit = min(8 * limit, _PAGE)

    def real(self, period: Period, name: Key, first: int, last: int) -> pa.Table:
        """Return the bars with ticks of a key whose buckets start in `[first, last]`, ms."""
        found = [page.data.filter(pa.array(is_real(page.data))) for page in self.pages(period, name, first, last)]
        return pa.Table.from_batches(found, schema=self.schema(period))

    def before(self, period: Period, name: Key, start: int) -> pa.Table:
        """Return the last bar with ticks before a bucket, or no row."""
        for page in self.pages(period, name, 0, start - 1, reverse=True) if start > 0 else ():
            rows = np.flatnonzero(is_real(page.data))
            if rows.size:
                return pa.Table.from_batches([page.data.slice(rows[0], 1)])
        return self.schema(period).empty_table()

    def after(self, period: Period, name: Key, start: int) -> tuple[pa.Table, int | None]:
        """Return the first bar with ticks behind a bucket, or no row; and where the last bar looked at starts, ms."""
        seen: int | None = None
        for page in self.pages(period, name, start + 1):
            rows = np.flatnonzero(is_real(page.data))
            if rows.size:
                found = pa.Table.from_batches([page.data.slice(rows[0], 1)])
                return found, int(int64_view(page.data.column("bucket_start"))[rows[0]])
            seen = int(int64_view(page.data.column("bucket_start"))[-1])
        return self.schema(period).empty_table(), seen

    def at(self, period: Period, named: list[bytes]) -> tuple[pa.Table, Flags]:
        """Return the bars of some record keys, and which of them there are; a row without a bar is null.

        Args:
            period: Their frame.
            named: Record keys, in any order.
        """
        found: dict[bytes, int] = {}
        pages: list[pa.RecordBatch] = []
        rows = 0
        for page in self._near(period, sorted(named)):
            found |= {key: rows + at for at, key in enumerate(page.keys)}
            rows += len(page.keys)
            pages.append(page.data)
        places = pa.array([found.get(key) for key in named], pa.int64())
        table = pa.Table.from_batches(pages, schema=self.schema(period))
        return table.take(places), np.asarray(places.is_valid())

    def _near(self, period: Period, named: list[bytes]) -> Iterator[ViewPage]:
        """Yield pages with these keys in them: stretches of them where they stand close, else one by one."""
        topic = self.topic(period)
        for first in range(0, len(named), _PAGE):
            part = named[first : first + _PAGE]
            limit = 4 * len(part) + _FIRST_PAGE
            page = self._log.view(topic, start=part[0], stop=part[-1] + b"\x00", limit=limit)
            if len(page.keys) < limit:
                yield page
            else:
                yield from (self._log.view(topic, start=key, stop=key + b"\x00") for key in part)

    def whole(self, bars: pa.Table) -> Flags:
        """Return which bars with ticks hold all that is needed to merge them with others; shape (n,)."""
        plan = self._plan
        good = np.ones(bars.num_rows, dtype=np.bool_)
        for name in (*ENVELOPE, *plan.shown(), *(hidden for hidden, _ in plan.hidden)):
            if bars[name].null_count:
                good &= np.asarray(pc.is_valid(bars[name]))
        return good

    def schema(self, period: Period) -> pa.Schema:
        """Return the columns of a frame's bars as they are read."""
        return bar_schema(self._plan, period).remove_metadata()

    def _first(self, period: Period, name: Key) -> ViewPage | None:
        return next(self.pages(period, name), None)


def is_real(bars: pa.RecordBatch | pa.Table) -> Flags:
    """Return which bars have ticks; shape (n,)."""
    return ~np.asarray(pc.fill_null(bars.column("synthetic"), False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def is_stream(bars: pa.RecordBatch | pa.Table) -> Flags:
    """Return which bars the stream alone has made; shape (n,)."""
    return np.asarray(pc.fill_null(pc.equal(bars.column("origin"), STREAM), False).to_numpy(zero_copy_only=False))


def has_stream(bars: pa.RecordBatch | pa.Table) -> Flags:
    """Return which bars hold ticks of the stream, alone or merged with others; shape (n,)."""
    found: Flags = is_stream(bars) | np.asarray(pc.is_valid(bars.column("source_cut")).to_numpy(zero_copy_only=False))
    return found
