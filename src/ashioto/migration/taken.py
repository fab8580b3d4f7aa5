"""Takes ticks out of files and folds them into partial bars: the same kernel as the stream, on several threads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.engines.embedded.fold import TickColumns
from ashioto.engines.embedded.frames import FOREVER
from ashioto.engines.embedded.ticks import prepare
from ashioto.errors import InputError
from ashioto.files.rejected import REJECTS, RejectedRow
from ashioto.files.rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from ashioto.bars.algebra import Floats, Ints
    from ashioto.engines.embedded.plan import CompiledQuery
    from ashioto.engines.embedded.sessions import Key, SessionBook, SessionSource
    from ashioto.engines.embedded.ticks import Rejected as BadTicks
    from ashioto.files.reading import Part, TableFile
    from ashioto.files.rejected import Rejected
    from ashioto.files.rows import ColumnSource, Rows
    from ashioto.logical.nodes import Entity, Query
    from ashioto.schedule.sessions import Flags

BEGINNING_OF_TIME: Final = -FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSource:
    """Says which ticks.

    Args:
        files: Where they are.
        source: Which column is which.
        start_ms: Only those at or after this event time, ms.
        end_ms: Only those before this event time, ms.
        threads: How many threads fold.
    """

    files: tuple[TableFile, ...]
    source: ColumnSource
    start_ms: int | None = None
    end_ms: int | None = None
    threads: int = 2

    def chosen(self) -> dict[str, object]:
        """Return what decides, beside the files, which ticks these are: it names a job."""
        columns, constants = dict(self.source.columns), dict(self.source.constants)
        return {"from": self.start_ms, "to": self.end_ms, "map": columns, "key": constants}


@dataclass(slots=True, kw_only=True)
class TickCounts:
    """Counts what became of the rows of files.

    Args:
        rows: How many rows they have.
        good: How many of them are ticks.
        outside: Ticks before `--from` or from `--to` on.
        in_stream: Ticks from where the stream has them on.
        filtered: Ticks the query leaves out by its conditions.
        out_of_session: Ticks that no session of their key holds.
        unknown_key: Ticks of keys without a schedule.
        rejected: Bad rows, by reason.
        examples: The first bad row, by reason.
        rounded: Values with more digits than are kept, by column of the file.
    """

    rows: int = 0
    good: int = 0
    outside: int = 0
    in_stream: int = 0
    filtered: int = 0
    out_of_session: int = 0
    unknown_key: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, RejectedRow] = field(default_factory=dict)
    rounded: Counter[str] = field(default_factory=Counter)

    @property
    def taken(self) -> int:
        """How many ticks are in bars."""
        bad_ticks = self.rows - self.rejected.total()
        return bad_ticks - self.outside - self.in_stream - self.filtered - self.out_of_session - self.unknown_key

    def add(self, part: Part, rows: Rows) -> None:
        """Count the rows of a part."""
        self.rows += part.rows.num_rows + len(part.broken)
        self.good += rows.batch.num_rows
        self.rounded.update(rows.rounded)
        if rows.rejected is not None:
            self.rejected.update(rows.rejected.counts())
            self.examples = {**rows.rejected.examples(), **self.examples}

    def check(self, files: Sequence[TableFile]) -> None:
        """Raise when there are no rows, or none of them can be used.

        Raises:
            InputError: It is so.
        """
        names = ", ".join(str(file.path) for file in files)
        if not self.rows:
            raise InputError(f"{names} has no rows", hint="give files with ticks in them", file=names)
        if self.rejected.total() == self.rows:
            (reason, count), *_ = self.rejected.most_common(1)
            row = self.examples[reason]
            raise InputError(
                f"no row can be used; {reason} in {count:,}, e.g. {row.value!r} in row {row.row:,} of {row.file}",
                hint="map another column, or clean the file",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Is told how the reading gets on.

    Args:
        read: Hears how many bytes of how many, and how many rows, have been read.
        rejected: Hears of bad rows, as a table of `REJECTS`.
    """

    read: Callable[[int, int, int], object] = lambda _done, _total, _rows: None
    rejected: Callable[[pa.Table], object] = lambda _: None


class TickReader:
    """Reads the ticks of files part by part; bad rows are left out and counted.

    Args:
        entity: The stream they belong to.
        files: Where they are.
        source: Which column is which.
        watching: Is told how it gets on.

    Raises:
        InputError: A column is missing or of a wrong type.
        UsageError: A constant cannot be read as what it should be.
    """

    def __init__(
        self, entity: Entity, files: Sequence[TableFile], source: ColumnSource, watching: Watching | None = None
    ) -> None:
        self._files, self._reader = files, RowReader(entity, source)
        self._wanted = [self._reader.wanted(file) for file in files]
        self._total = sum(file.size for file in files)
        self._watching = watching or Watching()
        self.counts = TickCounts()

    def each(self, use: Callable[[Part, Rows], object]) -> None:
        """Hand every part over; `counts` knows of those before it.

        Args:
            use: Gets the part as it was read, and the ticks in it.

        Raises:
            InputError: A file cannot be read on, or no row of all can be used.
        """
        before = 0
        for file, wanted in zip(self._files, self._wanted, strict=True):
            for part in file.parts(wanted):
                rows = self._reader.read(part)
                use(part, rows)
                self.counts.add(part, rows)
                if rows.rejected is not None:
                    self._watching.rejected(rows.rejected.to_table())
                self._watching.read(before + part.done, self._total, self.counts.rows)
            before += file.size
        self.counts.check(self._files)


class Gathered:
    """Folds ticks of files into partial bars of base buckets.

    The sequence of a tick that declares none is its number among the ticks of the files, from 0.

    Args:
        query: What a bar is.
        sessions: Who knows the sessions of each key.
        source: Which ticks.
        seam: Says from when on the ticks of a key are in the stream, ms; None where they are not.
        watching: Is told how it gets on.
    """

    def __init__(
        self,
        query: Query,
        sessions: SessionSource,
        source: TickSource,
        *,
        seam: Callable[[Key], int | None] = lambda _: None,
        watching: Watching | None = None,
    ) -> None:
        self._builder = BatchBuilder(query, sessions, threads=source.threads)
        self._source, self._seam_of = source, seam
        self._watching = watching or Watching()
        self._reader = TickReader(query.entity, source.files, source.source, self._watching)
        self.seams: Ints = np.zeros(0, dtype=np.int64)
        """From when on the ticks of each key are in the stream, ms, by number of the key."""
        self.parts: list[tuple[Ints, Floats]] = []
        """Partial bars, each thread's own; CUT holds the open of their session."""

    @property
    def plan(self) -> CompiledQuery:
        """The query."""
        return self._builder.plan

    @property
    def book(self) -> SessionBook:
        """Keys and their sessions."""
        return self._builder.book

    @property
    def counts(self) -> TickCounts:
        """What became of the rows."""
        return self._reader.counts

    def read(self) -> None:
        """Read and fold all of them.

        Raises:
            InputError: A file cannot be read on, or no row of all can be used.
            DecimalOverflowError: A sum leaves 64 bits.
        """
        self._reader.each(self._fold)
        self.parts = [folder.partials() for folder in self._builder.folded()]
        found, counts = self._builder.counts, self.counts
        counts.out_of_session, counts.unknown_key = found.out_of_session, found.unknown_key

    def _fold(self, part: Part, rows: Rows) -> None:
        if not rows.batch.num_rows:
            return
        prepared = prepare(self.plan, self.book, rows.batch, offsets=self.counts.good)
        self.counts.filtered += prepared.filtered
        if prepared.rejected.rows:
            self._reject(part, rows.rejected, prepared.rejected)
        ticks = self._within(prepared.ticks)
        if ticks.at.shape[0]:
            self._builder.add_columns(ticks)

    def _within(self, ticks: TickColumns) -> TickColumns:
        """Return the ticks of the range, before their key's seam."""
        low = BEGINNING_OF_TIME if self._source.start_ms is None else self._source.start_ms
        high = FOREVER if self._source.end_ms is None else self._source.end_ms
        wanted = (ticks.at >= low) & (ticks.at < high)
        for name in self.book.names[self.seams.shape[0] :]:
            seam = self._seam_of(name)
            self.seams = np.append(self.seams, FOREVER if seam is None else seam)
        before = ticks.at < self.seams[ticks.codes] if self.seams.shape[0] else wanted
        self.counts.outside += int(np.count_nonzero(~wanted))
        self.counts.in_stream += int(np.count_nonzero(wanted & ~before))
        kept = wanted & before
        return ticks if kept.all() else _these(ticks, kept)

    def _reject(self, part: Part, left_out: Rejected | None, bad: BadTicks) -> None:
        """Count ticks whose numbers cannot be used."""
        import pyarrow as pa

        kept = np.arange(part.rows.num_rows)
        if left_out is not None:
            kept = np.delete(kept, left_out.rows)
        found = [
            RejectedRow(file=part.file, row=part.number(int(kept[row])), reason=reason, value="")
            for row, reason in zip(bad.rows, bad.reasons, strict=True)
        ]
        for one in found:
            self.counts.rejected[one.reason] += 1
            self.counts.examples.setdefault(one.reason, one)
        rows = [{"file": str(r.file), "row": r.row, "reason": r.reason, "value": r.value} for r in found]
        self._watching.rejected(pa.Table.from_pylist(rows, schema=REJECTS))


def _these(ticks: TickColumns, kept: Flags) -> TickColumns:
    order = ticks.order if ticks.order.shape[0] else ticks.first + np.arange(ticks.at.shape[0], dtype=np.int64)
    return TickColumns(
        codes=ticks.codes[kept],
        at=ticks.at[kept],
        order=order[kept],
        sequence=ticks.sequence[kept] if ticks.sequence.shape[0] else ticks.sequence,
        ints=tuple(column[kept] if column.shape[0] else column for column in ticks.ints),
        floats=tuple(column[kept] if column.shape[0] else column for column in ticks.floats),
    )
