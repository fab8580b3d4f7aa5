"""Brings finished bars from files into a bar table, part by part."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.bars.timebucket import BarTable
from ashioto.errors import AshiotoError, InputError
from ashioto.migration.dry import DryLog
from ashioto.migration.reading import START, BarReader
from ashioto.migration.seen import SeenBars
from ashioto.schedule.sessions import time_text
from ashioto.schema.arrow import int64_view
from ashioto.schema.sessions import one_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ashioto.bars.options import BarAddOptions, BarAddReport
    from ashioto.clock import Clock
    from ashioto.files.parsed import Ints
    from ashioto.files.reading import TableFile
    from ashioto.migration.mapping import BarMap
    from ashioto.migration.reading import BarPart

UNFINISHED: Final = "not final"
NO_TICKS: Final = "without ticks, which the engine fills"
_DROPPED: Final = ("source_cut", "origin", "synthetic", "final")
"""Columns that bars get anew when they are written."""
_REMEMBERED: Final = 256
"""Of so many parts the rows can still be named while they are on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertReport:
    """Says what became of files of bars.

    Args:
        added: Bars that were written (in a dry run: would be), that were left, and that met others.
        left_out: How many bars of the files were not added, by reason.
        other_periods: Rows that are bars of other periods.
        rounded: How many values had more digits than are kept, by column of the file.
        dry_run: Whether nothing was written.

    >>> from ashioto.bars.options import BarAddReport
    >>> UpsertReport(added=BarAddReport(skipped=2)).is_unchanged
    True
    """

    added: BarAddReport
    left_out: Mapping[str, int] = field(default_factory=dict)
    other_periods: int = 0
    rounded: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to write."""
        return not self.added.written


class BarUpsert:
    """Reads bars out of files and adds them.

    Args:
        table: Where they go.
        files: Where they come from.
        mapping: How the files say them.
        told: Is told how many bytes of the files have been read.

    Raises:
        ConfigError: The mapping does not fit these bars.

    >>> BarUpsert.run.__name__
    'run'
    """

    def __init__(
        self,
        table: BarTable,
        files: Sequence[TableFile],
        mapping: BarMap,
        *,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._table, self._files, self._told = table, files, told
        self._reader = BarReader(table.binding, mapping, whole=True)
        self._continuous = table.binding.query.continuous

    def run(
        self, options: BarAddOptions | None = None, *, dry_run: bool = False, clock: Clock | None = None
    ) -> UpsertReport:
        """Add every bar; each batch whole or not at all.

        Args:
            options: How they are added.
            dry_run: Check everything and count what would be written, and write nothing.
            clock: Says which buckets are over; that of the machine when not given.

        Raises:
            InputError: A file cannot be read, has no bars, or a row is refused; names file, row, rule and the way out.
            ScheduleError: The schedule does not have the key or the bucket of a row.
            UnknownTopicError: The topic of the bars was never created.
            LogError: The log refused or failed.
        """
        log = DryLog(self._table.log) if dry_run else self._table.log
        target = BarTable(self._table.binding, log, clock=clock)
        pass_ = _Pass(self._table.key_columns)
        for file in self._files:
            self._reader.columns(file)
        try:
            added = target.add_range(self._tables(pass_), options)
        except AshiotoError as error:
            pass_.name_row(error)
            raise
        if not pass_.rows:
            raise InputError(
                _nothing(self._table, self._files, pass_), hint="is it the right file, and the right --bar?"
            )
        return UpsertReport(
            added=added,
            left_out=dict(pass_.left_out),
            other_periods=pass_.other_periods,
            rounded=dict(pass_.rounded),
            dry_run=dry_run,
        )

    def _tables(self, pass_: _Pass) -> Iterator[pa.Table]:
        before = 0
        for file in self._files:
            for part in self._reader.parts(file):
                finished = self._finished(part, pass_)
                if finished.bars.num_rows:
                    pass_.take(finished)
                    yield finished.bars.drop_columns([n for n in _DROPPED if n in finished.bars.column_names])
                self._told(before + part.part.done)
            before += file.size

    def _finished(self, part: BarPart, pass_: _Pass) -> BarPart:
        """Leave out what only the engine says: bars without ticks, and those that are not over."""
        pass_.other_periods += part.other
        pass_.rounded.update(part.rounded)
        for name, reason, left in (("synthetic", NO_TICKS, True), ("final", UNFINISHED, False)):
            if name in part.bars.column_names and (self._continuous or name == "synthetic"):
                out = pc.equal(part.bars[name], left).fill_null(False).combine_chunks()
                count = pc.sum(out).as_py() or 0
                if count:
                    pass_.left_out[reason] += count
                    part = part.keep(np.flatnonzero(~np.asarray(out.to_numpy(zero_copy_only=False))))
        return part


class _Pass:
    """Follows one pass over the files: what has been counted, and which rows are on their way."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._seen = SeenBars(names)
        self._parts: deque[tuple[int, int, BarPart]] = deque(maxlen=_REMEMBERED)
        self.rows = 0
        self.left_out: Counter[str] = Counter()
        self.rounded: Counter[str] = Counter()
        self.other_periods = 0

    def take(self, part: BarPart) -> None:
        """Take a part in.

        Raises:
            InputError: A bar of it stands in the files before.
        """
        start = int64_view(part.bars[START])
        again = self._seen.again(one_batch(part.bars.select(list(self._names))), start)
        if again is not None:
            row = part.number(again)
            name = " ".join([*(str(part.bars[n][again]) for n in self._names), time_text(int(start[again]))])
            raise InputError(
                f"row {row} of {part.part.file} ({name}): the bar stands in the files before",
                hint="a bar is there once; leave one of them out",
                file=str(part.part.file),
                row=row,
                rule="duplicate",
            )
        self._parts.append((self.rows, part.bars.num_rows, _numbers_only(part)))
        self.rows += part.bars.num_rows

    def name_row(self, error: AshiotoError) -> None:
        """Turn the number of a row in an error into file and row."""
        number = error.ids.get("row")
        if not isinstance(number, int) or "file" in error.ids:
            return
        for first, count, part in self._parts:
            if first <= number < first + count:
                row, file = part.number(number - first), str(part.part.file)
                error.message = error.message.replace(f"row {number} ", f"row {row} of {file} ", 1)
                error.ids = {**error.ids, "row": row, "file": file}
                return


def _numbers_only(part: BarPart) -> BarPart:
    """Return what knows the numbers of the rows, without the rows."""
    empty: Ints = np.zeros(0, dtype=np.int64)
    nothing = pa.RecordBatch.from_pylist([], schema=part.part.rows.schema)
    return replace(part, bars=part.bars.take(pa.array(empty)), part=replace(part.part, rows=nothing))


def _nothing(table: BarTable, files: Sequence[TableFile], pass_: _Pass) -> str:
    where = ", ".join(str(file.path) for file in files[:3]) + ", ..." * (len(files) > 3)
    reasons = [f"{count:,} {reason}" for reason, count in pass_.left_out.items()]
    if pass_.other_periods:
        reasons.append(f"{pass_.other_periods:,} of other periods")
    rest = f", only {' and '.join(reasons)}" if reasons else ""
    return f"{where}: no bars of {table.binding.period} to add{rest}"
