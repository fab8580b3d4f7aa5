"""Adds bars to a bar table: checks them, compares them with what is there, and writes what is new, batch by batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.bars.conflicts import check_clash, check_live, is_synthetic, twins
from ashioto.bars.flight import Flight
from ashioto.bars.inputs import bars_batch, takeable, whole_input
from ashioto.bars.intake import BarIntake
from ashioto.bars.options import BarAddReport
from ashioto.bars.ordering import key_order
from ashioto.bars.placement import bar_places
from ashioto.bars.present import look_up, unequal
from ashioto.bars.streaming import BarStream
from ashioto.bars.topic import bars_topic
from ashioto.log.base import Batch
from ashioto.schema.sessions import one_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.bars.intake import Taken
    from ashioto.bars.options import BarAddOptions
    from ashioto.bars.present import Present
    from ashioto.bars.rules import Candidates
    from ashioto.clock import Clock
    from ashioto.dsl.bar import BarBinding
    from ashioto.log.base import Log
    from ashioto.schedule.sessions import Flags, Ints

_CHECKED_ROWS: Final = 131_072
_CELL_BYTES: Final = 16


class BarAdder:
    """Adds bars of one period.

    Args:
        binding: Whose bars.
        log: Where they live.
        options: How they are added.
        clock: Says which buckets are over, and paces.
        trusted: Whether the caller is ashioto itself: hidden columns, the envelope and market dates are taken as given,
            and all columns that were given must be equal for a bar to be the same.

    Raises:
        UnknownTopicError: The topic, or that of the schedule, was never created.
        LogError: The topic has other columns than the query.

    >>> BarAdder.add.__name__
    'add'
    """

    def __init__(
        self, binding: BarBinding, log: Log, *, options: BarAddOptions, clock: Clock, trusted: bool = False
    ) -> None:
        self._binding, self._log, self._options, self._clock = binding, log, options, clock
        self._trusted = trusted
        self._spec = bars_topic(log, binding, exact=options.validate_topic)
        self._intake = BarIntake(binding, log, self._spec.schema, options, trusted=trusted)

    def add(self, given: object) -> BarAddReport:
        """Add what was handed in.

        Args:
            given: As `whole_input` takes it.

        Raises:
            InputError: A row breaks a rule; names it, the rule and the value.
            ScheduleError: The schedule does not have a row's key or bucket.
            LogError: The log refused or failed.
        """
        table = whole_input(self._binding, given)
        if table is not None:
            return self._add_whole(table)
        with BarStream(self) as stream:
            for item in given:  # type: ignore[attr-defined]  # whole_input refuses what cannot be iterated
                stream.push([item])
            return stream.finish()

    def flight(self) -> Flight:
        """Return what runs the jobs of one call."""
        return Flight(self._options, self._clock)

    def batch_rows(self, row_bytes: float) -> int:
        """Return how many rows are written at once.

        Args:
            row_bytes: Size of a row.
        """
        rows = self._options.batch_bytes / max(row_bytes, 1.0)
        return max(1, int(rows if self._options.max_rate is None else min(rows, self._options.max_rate)))

    def bars_batch(self, bars: Sequence[object], first_row: int) -> pa.RecordBatch:
        """Return bar objects as columns."""
        return bars_batch(self._binding, bars, first_row)

    @property
    def bar_bytes(self) -> int:
        """About how many bytes a bar object takes as a row."""
        return _CELL_BYTES * len(self._binding.columns)

    def take(self, raw: pa.RecordBatch, first_row: int) -> Taken:
        """Return rows that follow each other as they will be stored, in the order of their keys.

        Raises:
            InputError: A row breaks a rule, or two have one key.
            ScheduleError: The schedule does not have a row's key or bucket.
        """
        self._intake.check_names(raw.schema.names)
        bars = self._read(raw, np.arange(first_row, first_row + raw.num_rows, dtype=np.int64))
        self._intake.check(bars)
        series, start = bars.rows.series, bars.rows.start
        order = self._ordered(series.dictionary.to_pylist(), np.asarray(series.indices), start, first_row)
        taken = self._intake.lay_out(bars)
        return taken if order is None else taken.take(order)

    def write(self, taken: Taken) -> BarAddReport:
        """Write what is new of some bars, all or none.

        Args:
            taken: Bars in the order of their keys.

        Raises:
            InputError: A live bar is there; or another bar is, and `conflict` is `error`.
            LogError: The log refused or failed.
        """
        present, same, clash = self._compared(taken)
        left = same | clash if self._options.conflict == "skip" else same
        wanted = np.ones(len(taken.rows), dtype=np.bool_)
        wanted[present.rows[left]] = False
        count = int(wanted.sum())
        if count:
            new = taken if count == wanted.shape[0] else taken.take(np.flatnonzero(wanted))
            self._log.append(self._batches(new))
        return BarAddReport(written=count, skipped=wanted.shape[0] - count, conflicting=int(clash.sum()))

    def _add_whole(self, table: pa.Table) -> BarAddReport:
        self._intake.check_names(table.column_names)
        if not table.num_rows:
            return BarAddReport()
        order = self._checked(table)
        table = table if order is None else takeable(table)
        with self.flight() as flight:
            if self._options.conflict == "error":
                for raw, numbers in self._cut(table, order):
                    self._compared(self._intake.lay_out(self._read(raw, numbers)))
            for raw, numbers in self._cut(table, order):
                flight.send(partial(self._write_rows, raw, numbers))
            return flight.land()

    def _checked(self, table: pa.Table) -> Ints | None:
        """Check all rows, and return them in the order of their keys; None where they are in it."""
        known: dict[bytes, int] = {}
        codes, starts = [], []
        for at in range(0, table.num_rows, _CHECKED_ROWS):
            raw = one_batch(table.slice(at, _CHECKED_ROWS))
            bars = self._read(raw, np.arange(at, at + raw.num_rows, dtype=np.int64))
            self._intake.check(bars)
            rows = bars.rows
            numbers = [known.setdefault(key, len(known)) for key in rows.series.dictionary.to_pylist()]
            codes.append(np.array(numbers, dtype=np.int64)[np.asarray(rows.series.indices)])
            starts.append(rows.start)
        return self._ordered(list(known), np.concatenate(codes), np.concatenate(starts), 0)

    def _ordered(self, series: list[bytes], codes: Ints, start: Ints, first_row: int) -> Ints | None:
        found = key_order(series, codes, start)
        if found.twins is not None:
            first, second = found.twins
            raise twins(series[codes[second]], int(start[second]), (first + first_row, second + first_row))
        return found.order

    def _cut(self, table: pa.Table, order: Ints | None) -> Iterator[tuple[pa.RecordBatch, Ints]]:
        size = self.batch_rows(table.nbytes / table.num_rows)
        for at in range(0, table.num_rows, size):
            if order is None:
                raw = one_batch(table.slice(at, size))
                yield raw, np.arange(at, at + raw.num_rows, dtype=np.int64)
            else:
                yield one_batch(table.take(pa.array(order[at : at + size]))), order[at : at + size]

    def _read(self, raw: pa.RecordBatch, numbers: Ints) -> Candidates:
        return self._intake.read(raw, numbers, self._clock.now_ms())

    def _write_rows(self, raw: pa.RecordBatch, numbers: Ints) -> BarAddReport:
        return self.write(self._intake.lay_out(self._read(raw, numbers)))

    def _compared(self, taken: Taken) -> tuple[Present, Flags, Flags]:
        """Return the bars that are there, which equal those given, and which others are in their way."""
        present = look_up(self._log, self._spec.name, taken.record_keys)
        differs = unequal(present, taken, exact=self._trusted)
        check_live(self._binding, taken, present)
        nowhere = np.zeros(present.rows.shape[0], dtype=np.bool_)
        same = ~np.logical_or.reduce([nowhere, *differs.values()]) if self._options.idempotent else nowhere
        clash = ~same & ~is_synthetic(present)
        if self._options.conflict == "error":
            check_clash(taken, present, clash, differs)
        return present, same, clash

    def _batches(self, bars: Taken) -> list[Batch]:
        places = bar_places(self._spec, bars.rows.series, bars.record_keys)
        made = []
        for partition in np.unique(places).tolist():
            rows = np.flatnonzero(places == partition)
            part = bars if rows.size == len(bars.rows) else bars.take(rows)
            made.append(
                Batch(
                    topic=self._spec.name, partition=partition, keys=part.record_keys, timestamps=part.rows.start,
                    data=part.data,
                )
            )  # fmt: skip
        return made
