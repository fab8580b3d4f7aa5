"""Takes in the bars that others write: into memory, and into what stands behind them.

A foreign bar takes the place of the record before it. Ticks that were in that record are gone with it; ticks that were
in no record yet come after it. So where ticks wait in memory for the very bucket, the runner begins again from the log,
as after a crash: then they are merged into the foreign bar, or refused by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys
from ashioto.engines.embedded.following import plain_keys
from ashioto.engines.embedded.repair import Repairs
from ashioto.log.base import Batch
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.bars.algebra import Ints
    from ashioto.engines.embedded.core import BarCore
    from ashioto.engines.embedded.following import Follower, Race
    from ashioto.engines.embedded.outbox import Outbox
    from ashioto.engines.embedded.residency import Residency
    from ashioto.log.base import Appended, Log, Slice
    from ashioto.period import Period
    from ashioto.schedule.sessions import Flags

OVERWRITTEN: Final = "an imported bar was written at the same time and stands; this one held ticks that it may not hold"


class Overtaken(Exception):  # noqa: N818  # control flow inside the engine, never shown
    """Says that a foreign bar meets ticks that are in no record yet: what is in memory must be made anew."""


class Intake:
    """Follows the bars topics of one partition for a core.

    Args:
        log: Where they are.
        core: What takes the bars in.
        residency: What is in memory of them.
        follower: Knows which records are foreign.
        partition: Number of the partition.
    """

    def __init__(self, log: Log, core: BarCore, residency: Residency, follower: Follower, partition: int) -> None:
        self._core, self._residency, self._partition = core, residency, partition
        self._follower = follower
        self._races = follower.resume()
        self.repairs = Repairs(log, core, residency, partition)

    def text(self, batches: Sequence[Batch], since: int) -> str:
        """Return what to keep of it in an append; see `Follower.text`."""
        self.finish()
        return self._follower.text(batches, since)

    def appended(self, found: Sequence[Appended]) -> None:
        """Learn where an append went."""
        self._races |= self._follower.appended(found)

    def finish(self) -> None:
        """Note what is done with."""
        for period, place in self._follower.places.items():
            if place.known == place.end and not self.repairs.has(period):
                place.finish()

    def follow(self, ends: Mapping[Period, int] | None = None) -> bool:
        """Take in what is new.

        Args:
            ends: Where the topics end; None looks.

        Returns:
            Whether there was anything.

        Raises:
            Overtaken: A bar meets ticks that are in no record yet.
        """
        found = False
        for period, end in (self._follower.ends() if ends is None else ends).items():
            if self._follower.places[period].known < end:
                found = self._take(period, end) or found
        return found

    def overwritten(self, outbox: Outbox) -> list[Batch] | None:
        """Return what puts back the foreign bars that the last append overwrote; None where it overwrote nothing.

        Args:
            outbox: Makes dead letters of the bars that stood there meanwhile, where they held ticks of their own.
        """
        races, self._races = self._races, {}
        found: list[Batch] = []
        for period, behind in races.items():
            for race in behind:
                found += self._put_back(period, race, outbox)
        return found if races else None

    def _take(self, period: Period, end: int) -> bool:
        table, book = self._core.tables[period], self._core.book
        seen: list[Ints] = []
        for names, pairs in self._follower.news(period, end):
            codes = np.array([self._code(name) for name in names], dtype=np.int64)[pairs[:, 0]]
            codes, starts = codes[codes >= 0], pairs[codes >= 0, 1]
            table.reserve_keys(book.keys)
            rows = table.locate(codes, starts)
            if (table.marks[rows[rows >= 0]] != 0).any():
                raise Overtaken
            self.repairs.add(period, codes, starts)
            seen.append(np.unique(codes))
        self._follower.taken(period, end)
        if not seen:
            return False
        touched = np.unique(np.concatenate(seen))
        self._residency.refresh(period, touched)
        self._follower.sparse = self._follower.sparse or self._residency.sparse()
        return True

    def _code(self, name: bytes) -> int:
        """Return the number of a key; -1 where an older version grouped by other columns."""
        parts = tuple(keys.decode(name))
        return self._core.book.code(parts) if len(parts) == len(self._core.plan.query.group_by) else -1

    def _put_back(self, period: Period, race: Race, outbox: Outbox) -> list[Batch]:
        topic, stop = self._follower.topic(period), race.base + race.count
        ours = list(self._follower.between(period, race.base, stop))
        if not ours:
            return []
        mine = pa.concat_arrays([plain_keys(part.keys) for part in ours])
        theirs = self._newest(period, race.start, race.base, mine)
        for key in self._newest(period, stop, self._follower.ends()[period], mine):
            theirs.pop(key, None)
        data = pa.Table.from_batches([part.data for part in ours])
        rows = {key: int(row) for row, key in enumerate(mine.to_pylist()) if key in theirs}
        empty = np.asarray(data["synthetic"].combine_chunks())
        wanted = [key for key in rows if not (empty[rows[key]] and not _is_real(*theirs[key]))]
        if not wanted:
            return []
        cuts = int64_view(data["source_cut"].combine_chunks().fill_null(-1))
        lost = [key for key in wanted if not empty[rows[key]] and cuts[rows[key]] >= self._follower.since]
        rejected = data.take(pa.array([rows[key] for key in lost], pa.int64()))
        letters = outbox.overwritten(topic, lost, rejected, why=OVERWRITTEN)
        return [_records([theirs[key] for key in wanted]), *letters]

    def _newest(self, period: Period, start: int, end: int, among: pa.Array) -> dict[bytes, tuple[Slice, int]]:
        """Return the newest foreign record of some keys between two offsets."""
        found: dict[bytes, tuple[Slice, int]] = {}
        for part in self._follower.between(period, start, end):
            plain = plain_keys(part.keys)
            foreign: Flags = ~self._follower.places[period].is_own(part.base_offset, len(plain))
            for row in np.flatnonzero(foreign & np.asarray(pc.is_in(plain, among))).tolist():
                found[plain[row].as_py()] = part, row
        return found


def _is_real(part: Slice, row: int) -> bool:
    gone = part.tombstones is not None and bool(part.tombstones[row])
    return not gone and not part.data.column("synthetic")[row].as_py()


def _records(found: Sequence[tuple[Slice, int]]) -> Batch:
    """Return records again as they were."""
    first = found[0][0]
    rows = pa.Table.from_batches([part.data.slice(row, 1) for part, row in found]).combine_chunks()
    return Batch(
        topic=first.topic,
        partition=first.partition,
        keys=pa.array([part.keys[row].as_py() for part, row in found], pa.binary()),
        timestamps=np.array([part.timestamps[row] for part, row in found], dtype=np.int64),
        data=rows.to_batches()[0],
        tombstones=np.array([p.tombstones is not None and p.tombstones[row] for p, row in found], dtype=np.bool_),
    )
