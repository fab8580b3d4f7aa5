"""Keeps in memory the bars that can still change, and fetches older ones from the log when a late tick needs them.

Of each key and frame, everything from `resident_from` on is in memory. What is older is final and in the bars topic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.bars.algebra import COUNT, CUT, FIRST_AT, KEY, LAST_AT, START, Ints
from ashioto.control.known_keys import known_keys
from ashioto.engines.embedded.core import BEGINNING, BarCore
from ashioto.engines.embedded.frames import FOREVER
from ashioto.engines.embedded.imported import OPAQUE, is_history, labels_of
from ashioto.engines.embedded.output import partial_rows
from ashioto.engines.embedded.rebuild import is_old
from ashioto.errors import LogError
from ashioto.log.partition import partition_of
from ashioto.period import DAY_MS
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from ashioto.control.known_keys import Key
    from ashioto.engines.embedded.imported import Labels
    from ashioto.engines.embedded.rebuild import Rebuild
    from ashioto.log.base import Log, ViewPage
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

Part = tuple[int, pa.Table, list[int]]
"""Number of a key, bars of it, and the offset of each."""
_PAGE: Final = 32
_SLACK: Final = 4096


class Residency:
    """Restores, fetches and evicts the bars of a core.

    Args:
        log: Where the bars topics are.
        core: Whose bars these are.
        partition: Number of the partition that its keys lie in.
        rebuild: Says which bars are of older versions and so are left unread; None means none.
        sparse: Whether there may be keys without bars of the base frame.
    """

    def __init__(
        self, log: Log, core: BarCore, *, partition: int = 0, rebuild: Rebuild | None = None, sparse: bool = True
    ) -> None:
        self._log, self._core, self._partition, self.rebuild, self._sparse = log, core, partition, rebuild, sparse
        self._from: dict[Period, Ints] = {p: np.zeros(0, dtype=np.int64) for p in core.tables}
        self.cuts: set[int] = set()
        self.met_ticks = False
        """Whether there can be bars of the stream that are not final."""

    def restore(self) -> None:
        """Read back the bars that were still open, and the last closed one of each key."""
        for key in self._known_keys():
            self._core.book.code(key)
        for period in self._core.tables:
            self._reserve(period)
            parts = [self._read_back(period, code, None) for code in range(self._core.book.keys)]
            self._load(period, [p for p in parts if p is not None])

    def sparse(self) -> bool:
        """Return whether a key has bars of some frame, but none of the base frame."""
        query, count = self._core.plan.query, self._core.book.keys
        held = {}
        for period, table in self._core.tables.items():
            table.reserve_keys(count)
            held[period] = table.ends[:count, 1] >= 0
        return any(bool((found & ~held[query.base]).any()) for found in held.values())

    def require(self, period: Period, codes: Ints, starts: Ints) -> None:
        """Make sure that these buckets and the bar before each are in memory."""
        self._reserve(period)
        missing = starts < self._from[period][codes]
        if not missing.any():
            return
        for code in np.unique(codes[missing]).tolist():
            first = int(starts[missing & (codes == code)].min())
            part = self._read_back(period, code, first)
            self._load(period, [part] if part is not None else [])

    def refresh(self, period: Period, codes: Ints) -> None:
        """Read the bars of some keys anew, as a restart would; those that ticks were merged into since stay.

        Args:
            period: The frame.
            codes: Numbers of the keys, each once.
        """
        self._reserve(period)
        table, among = self._core.tables[period], np.zeros(self._core.book.keys, dtype=np.bool_)
        among[codes] = True
        rows = table.live_rows()
        rows = rows[among[table.ints[rows, KEY]]]
        table.drop(rows[table.marks[rows] == 0])
        self._from[period][codes] = FOREVER
        since = self._core.changing(period)
        parts = [self._read_back(period, code, int(since[code]), closed=True) for code in codes.tolist()]
        self._load(period, [part for part in parts if part is not None])

    def recall(self, period: Period, codes: Ints, runs: Ints) -> None:
        """Make sure that the bars in some runs of buckets, and the one before each, are in memory.

        Args:
            period: The frame.
            codes: Numbers of the keys.
            runs: (first, last) bucket start, ms, ascending.
        """
        self._reserve(period)
        for code in codes[self._from[period][codes] > runs[0, 0]].tolist():
            earliest = self._earliest(period, code)
            if earliest is not None and runs[-1, 1] > earliest:
                first = runs[runs[:, 1] > earliest][:1, 0]
                self.require(period, np.array([code]), np.maximum(first, earliest))

    def evict(self) -> None:
        """Forget closed bars, two of each key apart."""
        for period, table in self._core.tables.items():
            if table.rows <= 4 * self._core.book.keys + _SLACK:
                continue
            rows = table.live_rows()
            after = table.links[rows, 1]
            spare = (after >= 0) & (table.links[np.maximum(after, 0), 1] >= 0)
            if self._core.plan.query.continuous:  # the one after it is closed too: that may look back at it
                second = np.maximum(table.links[np.maximum(after, 0), 1], 0)
                closed_by = np.maximum(table.ints[second, FIRST_AT], table.ints[second, START])
                spare &= closed_by + self._core.plan.query.grace_ms <= self._core.now
            gone = rows[spare]
            self._reserve(period)
            first_kept = np.maximum(table.ints[np.maximum(table.links[gone, 1], 0), START] + 1, 0)
            np.maximum.at(self._from[period], table.ints[gone, KEY], first_kept)
            table.drop(gone)

    def _reserve(self, period: Period) -> None:
        have, need = self._from[period].shape[0], self._core.book.keys
        if need > have:
            more = np.full(max(need, 2 * have) - have, BEGINNING, dtype=np.int64)
            self._from[period] = np.concatenate([self._from[period], more])
        self._core.tables[period].reserve_keys(need)

    def topic(self, period: Period) -> str:
        """Return the topic of a frame's bars."""
        query = self._core.plan.query
        return naming.bars_topic(query.context, query.entity.name, period)

    def _known_keys(self) -> list[Key]:
        """List the keys of the partition that have bars; an older version may have grouped by other columns."""
        query = self._core.plan.query
        partitions = self._log.describe(self.topic(query.base)).spec.partitions
        frames = query.frames if self._sparse else [query.base]
        names = dict.fromkeys(key for frame in frames for key in known_keys(self._log, self.topic(frame)))
        found = [key for key in names if len(key) == len(query.group_by)]
        return [key for key in found if partition_of(keys.encode(key), partitions) == self._partition]

    def _earliest(self, period: Period, code: int) -> int | None:
        """Return where the first bar of a key starts, ms, or None when it has none."""
        prefix = keys.encode(self._core.book.names[code]) + keys.SEPARATOR.encode()
        page = self._log.view(self.topic(period), start=prefix, stop=prefix + b"\xff", limit=1)
        return int(keys.decode(page.keys[0])[-1]) if page.keys else None

    def _read_back(self, period: Period, code: int, first: int | None, *, closed: bool = False) -> Part | None:
        """Read bars with ticks backwards from what is in memory.

        Stops behind the first bar before the bucket `first`; with None, behind the first closed one; with both, behind
        the first that is both.
        """
        prefix = keys.encode(self._core.book.names[code]) + keys.SEPARATOR.encode()
        resident = int(self._from[period][code])
        newest = first is None or resident == FOREVER
        stop = prefix + (b"\xff" if newest else keys.time_part(max(resident, 0)).encode())
        kept: list[pa.RecordBatch] = []
        offsets: list[int] = []
        limit = 2 if newest else _PAGE
        while True:
            page = self._log.view(self.topic(period), start=prefix, stop=stop, limit=limit, reverse=True)
            if kept and page.data.schema != kept[0].schema:
                raise LogError(
                    f"the columns of {self.topic(period)} were changed while its bars were read",
                    hint="they are read again in a moment", topic=self.topic(period),
                )  # fmt: skip
            for row in np.flatnonzero(self.readable(period, page)).tolist():
                bar = page.data.slice(row, 1)
                kept.append(bar)
                offsets.append(int(page.offsets[row]))
                start = int(keys.decode(page.keys[row])[-1])
                if (first is None or start < first) and (not (closed or first is None) or self._closed(bar)):
                    self._from[period][code] = start + 1
                    return code, pa.Table.from_batches(kept), offsets
            if len(page.keys) < limit:
                self._from[period][code] = BEGINNING
                return (code, pa.Table.from_batches(kept), offsets) if kept else None
            stop, limit = page.keys[-1], min(4 * limit, _PAGE * 256)

    def readable(self, period: Period, page: ViewPage) -> Flags:
        """Return which bars have ticks, hold all that is needed to go on with them, and are of this version.

        A topic may have got columns later; bars from before lack them. Imported bars may lack what they like.

        Args:
            period: The frame.
            page: Bars of it.

        Raises:
            LogError: The topic has lost a column: a newer version is about to take over.
        """
        for name in set(self._core.plan.shown()).difference(page.data.schema.names):
            raise LogError(
                f"{self.topic(period)} has no column {name!r} any more",
                hint="the version that wants it no more goes on; if there is none, run rc infra apply",
                topic=self.topic(period), column=name,
            )  # fmt: skip
        good: Flags = ~page.data.column("synthetic").to_numpy(zero_copy_only=False)
        for name in self._core.plan.shown():
            column = page.data.column(name)
            if column.null_count:
                good &= column.is_valid().to_numpy(zero_copy_only=False) | is_history(page.data)
        return good if self.rebuild is None else good & ~is_old(page, self.rebuild.floor(period))

    def _closed(self, bar: pa.RecordBatch) -> bool:
        """Return whether older bars can stay in the log: they are final, also if the clock was set back, or sparse.

        An imported bar is final from the start. Before the first heartbeat that says nothing of bars of the stream.
        """
        query, now = self._core.plan.query, self._core.now
        if not query.continuous:
            return True
        end = int(int64_view(bar.column("bucket_end"))[0])
        if now == BEGINNING and self.met_ticks and is_history(bar)[0]:
            return False
        return bool(bar.column("final")[0].as_py()) and (now == BEGINNING or end + query.grace_ms <= now)

    def _load(self, period: Period, parts: list[Part]) -> None:
        if not parts:
            return
        codes = np.repeat([code for code, _, _ in parts], [table.num_rows for _, table, _ in parts])
        offsets = np.array([offset for _, _, found in parts for offset in found], dtype=np.int64)
        before, floor = (0, 0) if self.rebuild is None else (self.rebuild.before, self.rebuild.floor(period))
        ints = load_bars(
            self._core, period, codes, pa.concat_tables(table for _, table, _ in parts),
            included=np.where(offsets < floor, before - 1, -1),
        )  # fmt: skip
        self.cuts.update(int(c) for c in np.unique(ints[:, CUT]) if c >= 0)


def load_bars(core: BarCore, period: Period, codes: Ints, table: pa.Table, *, included: Ints | None = None) -> Ints:
    """Put bars as they are stored into a core, those apart that it has; returns them as partials.

    Args:
        core: Where they go.
        period: Their frame.
        codes: Number of the key of each; shape (n,).
        table: The bars.
        included: Source offset up to which imported ones count as complete, at least; -1 says nothing; shape (n,).
    """
    ints, floats = partial_rows(core.plan, table)
    ints[:, KEY] = codes
    labels = labels_of(core.plan, table)
    if labels is not None:
        _place(period, ints, labels)
        if included is not None:
            ints[:, CUT] = np.where(labels.kinds != 0, np.maximum(ints[:, CUT], included), ints[:, CUT])
    core.load(period, ints, floats, labels)
    return ints


def _place(period: Period, ints: Ints, labels: Labels) -> None:
    """Say of bars without times that they begin with their bucket; those named by dates may begin days before."""
    opaque = labels.kinds & OPAQUE != 0
    at = ints[:, START] - (0 if period.is_intraday else 3 * DAY_MS)
    ints[:, COUNT] = np.where(opaque, np.maximum(ints[:, COUNT], 1), ints[:, COUNT])
    for column in (FIRST_AT, LAST_AT):
        ints[:, column] = np.where(opaque, at, ints[:, column])
