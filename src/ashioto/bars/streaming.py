"""Bars that come piece by piece: gathered into batches, each checked and written as a whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from ashioto.bars.inputs import is_table
from ashioto.schema.sessions import one_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.bars.adding import BarAdder
    from ashioto.bars.options import BarAddReport


class BarStream:
    """Takes bars and tables as they come. Memory holds a few batches, whatever comes.

    Args:
        adder: Checks and writes the batches.
    """

    def __init__(self, adder: BarAdder) -> None:
        self._adder = adder
        self._flight = adder.flight()
        self._bars: list[object] = []
        self._parts: list[pa.RecordBatch] = []
        self._row = self._rows = 0

    def __enter__(self) -> Self:
        self._flight.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._flight.__exit__(kind, error, trace)

    def push(self, items: Sequence[object]) -> None:
        """Take more bars or tables, and write what makes whole batches.

        Raises:
            InputError: A row breaks a rule; names it, the rule and the value.
            ScheduleError: The schedule does not have a row's key or bucket.
            LogError: The log refused or failed.
        """
        for item in items:
            if isinstance(item, pa.RecordBatch):
                self._flush_bars()
                self._add(item)
            elif is_table(item):
                self._flush_bars()
                for part in pa.RecordBatchReader.from_stream(item):
                    self._add(part)
            else:
                self._bars.append(item)
                if len(self._bars) >= self._adder.batch_rows(self._adder.bar_bytes):
                    self._flush_bars()

    def finish(self) -> BarAddReport:
        """Write what is left, and return what became of everything."""
        self._flush_bars()
        self._write()
        return self._flight.land()

    def _flush_bars(self) -> None:
        if self._bars:
            bars, self._bars = self._bars, []
            self._add(self._adder.bars_batch(bars, self._row + self._rows))

    def _add(self, part: pa.RecordBatch) -> None:
        if not part.num_rows:
            return
        if self._parts and part.schema != self._parts[0].schema:
            self._write()
        size = self._adder.batch_rows(part.nbytes / part.num_rows)
        at = 0
        while at < part.num_rows:
            room = max(size - self._rows, 1)
            piece = part.slice(at, room)
            self._parts.append(piece)
            self._rows += piece.num_rows
            at += piece.num_rows
            if self._rows >= size:
                self._write()

    def _write(self) -> None:
        if not self._parts:
            return
        parts, self._parts = self._parts, []
        raw = one_batch(pa.Table.from_batches(parts))
        first, self._row, self._rows = self._row, self._row + raw.num_rows, 0
        taken = self._adder.take(raw, first)
        self._flight.send(partial(self._adder.write, taken), keys=taken.record_keys)
