"""Bar tables: reads bars by key and time along the order of the keys, and adds bars that were made elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from ashioto import keys
from ashioto.bars.adding import BarAdder
from ashioto.bars.options import BarAddOptions
from ashioto.bars.streaming import BarStream
from ashioto.bars.topic import missing_topic
from ashioto.clock import SystemClock
from ashioto.dsl.bar import bind_bar
from ashioto.errors import UnknownTopicError, UsageError
from ashioto.log.opening import default_log
from ashioto.logical.outputs import computed
from ashioto.schema.arrow import user_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ashioto.bars.options import BarAddReport
    from ashioto.clock import Clock
    from ashioto.dsl.bar import Bar, BarBinding
    from ashioto.dsl.context import Context
    from ashioto.log.base import Log
    from ashioto.period import Period

Moment = datetime | int
"""An aware datetime, or UTC milliseconds since 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOGETHER = 1024
_AFTER_SEPARATOR = chr(ord(keys.SEPARATOR) + 1).encode()


class TimeBucket:
    """Gives access to the bars of a query.

    >>> TimeBucket.__name__
    'TimeBucket'
    """

    @staticmethod
    def set(
        bar: type[Bar],
        period: Period,
        *,
        context: Context | None = None,
        log: Log | None = None,
        clock: Clock | None = None,
    ) -> BarTable:
        """Return the table of one kind of bars.

        Args:
            bar: The class of the bars, e.g. `RateBar5m`.
            period: Their length; must agree with the class.
            context: Where their query is; not needed for classes that a query made.
            log: Where the bars live; the project's log when not given.
            clock: Says which buckets are over; that of the machine when not given.

        Raises:
            PeriodError: The period disagrees with the class; shows both.
            DefinitionError: The name does not parse, or no query makes such bars.
            ConfigError: No log was given and there is no project around.
        """
        binding = bind_bar(bar, period, context=context)
        return BarTable(binding, log if log is not None else default_log(), clock=clock)


class BarTable:
    """Reads and adds the bars of one period.

    Args:
        binding: What ties the bars to their query.
        log: Where they live.
        clock: Says which buckets are over, for bars that are added.

    >>> BarTable.read.__name__
    'read'
    """

    def __init__(self, binding: BarBinding, log: Log, *, clock: Clock | None = None) -> None:
        self.binding = binding
        self.log = log
        self._clock = clock or SystemClock()

    def __repr__(self) -> str:
        return f"<bars {self.binding.topic}>"

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the columns that say which series a bar belongs to."""
        return self.binding.query.group_by

    def add(self, bar: Bar, options: BarAddOptions | None = None) -> BarAddReport:
        """Write one bar, durably.

        Args:
            bar: Of the class that `TimeBucket.set` was given.
            options: How it is added.

        Raises:
            InputError: It breaks a rule; names the rule and the value.
            ScheduleError: The schedule does not have its key or its bucket.
            UnknownTopicError: The topic was never created.
            LogError: The topic has other columns, or the log failed; nothing was written.
        """
        return self._adder(options).add(bar)

    def add_range(self, bars: Iterable[Bar] | object, options: BarAddOptions | None = None) -> BarAddReport:
        """Write many bars, durably; a bar is there once, however often it is added.

        Args:
            bars: Bars, or anything with `__arrow_c_stream__` (pyarrow, polars, pandas, duckdb): all of it is checked
                before anything is written. Or an iterator of bars or of tables, or a reader of record batches, larger
                than memory: each batch is checked and written by itself.
            options: How they are added.

        Raises:
            InputError: A row breaks a rule; names the row, the rule and the value. `ids["report"]` says what was
                written.
            ScheduleError: The schedule does not have the key or the bucket of a row.
            UnknownTopicError: The topic was never created.
            LogFullError: The disk is full; nothing of the batch was written.
            LogError: The topic has other columns, or the log failed.
            UsageError: It is nothing that holds bars.
        """
        return self._adder(options).add(bars)

    async def add_async(self, bar: Bar, options: BarAddOptions | None = None) -> BarAddReport:
        """Do what `add` does, from asyncio: in a thread."""
        return await asyncio.to_thread(self.add, bar, options)

    async def add_range_async(
        self, bars: Iterable[Bar] | AsyncIterable[object] | object, options: BarAddOptions | None = None
    ) -> BarAddReport:
        """Do what `add_range` does, from asyncio: in a thread; takes async iterables of bars or of tables too."""
        if not isinstance(bars, AsyncIterable):
            return await asyncio.to_thread(self.add_range, bars, options)
        adder = await asyncio.to_thread(self._adder, options)
        with BarStream(adder) as stream:
            items: list[object] = []
            async for item in bars:
                items.append(item)
                if len(items) >= _TOGETHER or hasattr(item, "__arrow_c_stream__"):
                    await asyncio.to_thread(stream.push, items)
                    items = []
            await asyncio.to_thread(stream.push, items)
            return await asyncio.to_thread(stream.finish)

    def read(
        self,
        *key: str,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> pa.Table:
        """Return the bars of a key, in order of time.

        Args:
            key: One part a key column, e.g. `"FX", "USDJPY"`.
            start: Only buckets that start at or after this.
            end: Only buckets that start before this.
            limit: At most so many.
            newest_first: Turn the order round; with `limit`, the newest are returned.

        Returns:
            Key columns, bucket_start, bucket_end, market_date, the selected columns, and the envelope. Decimals are
            `decimal128`, times UTC milliseconds.

        Raises:
            UsageError: The number of key parts is wrong, or a datetime has no zone.
            UnknownTopicError: The topic was never created.
        """
        self._check_key(key)
        prefix = keys.encode(key)
        first = keys.SEPARATOR.encode() if start is None else _time_bytes(start)
        last = _AFTER_SEPARATOR if end is None else _time_bytes(end)
        return self._view(prefix + first, prefix + last, limit, reverse=newest_first)

    def read_all(self, *, limit: int | None = None, newest_first: bool = False) -> pa.Table:
        """Return the bars of every key, sorted by key and time.

        Raises:
            UnknownTopicError: The topic was never created.
        """
        return self._view(None, None, limit, reverse=newest_first)

    def newest(self, *, limit: int | None = None) -> pa.Table:
        """Return the newest bar of every key, sorted by key; skips from key to key along the key order.

        Args:
            limit: At most so many keys, from the last on.

        Raises:
            UnknownTopicError: The topic was never created.
        """
        found: list[pa.Table] = []
        stop: bytes | None = None
        while limit is None or len(found) < limit:
            bar = self._view(None, stop, 1, reverse=True)
            if not bar.num_rows:
                break
            found.append(bar)
            parts = [bar[name][0].as_py() for name in self.key_columns]
            stop = keys.encode(parts) + keys.SEPARATOR.encode()
        return pa.concat_tables(reversed(found)) if found else self._view(None, stop, 0, reverse=False)

    def latest(self, *key: str, count: int = 1) -> pa.Table:
        """Return the newest bars of a key, oldest of them first.

        Args:
            key: One part a key column.
            count: How many at most.

        Raises:
            UsageError: The number of key parts is wrong, or the count is not positive.
        """
        if count < 1:
            raise UsageError(f"cannot return {count} bars", hint="count is at least 1")
        newest = self.read(*key, limit=count, newest_first=True)
        return newest.take(pa.array(range(newest.num_rows - 1, -1, -1), pa.int64()))

    async def read_async(
        self,
        *key: str,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> pa.Table:
        """Do what `read` does, from asyncio: in a thread."""
        return await asyncio.to_thread(self.read, *key, start=start, end=end, limit=limit, newest_first=newest_first)

    def as_read(self, stored: pa.RecordBatch) -> pa.Table:
        """Return stored bars of this table as `read` gives them."""
        return user_table(pa.Table.from_batches([stored]), computed=computed(self.binding.query.outputs))

    def _check_key(self, key: tuple[str, ...]) -> None:
        if len(key) != len(self.key_columns):
            raise UsageError(
                f"{self.binding.topic} has {len(self.key_columns)} key columns, {len(key)} were given: {key}",
                hint=f"give {', '.join(self.key_columns)} in this order",
            )
        for name, part in zip(self.key_columns, key, strict=True):
            if not isinstance(part, str):
                raise UsageError(f"the key column {name} is text, not {part!r}", hint=f"give str({part!r})")

    def _view(self, first: bytes | None, last: bytes | None, limit: int | None, *, reverse: bool) -> pa.Table:
        try:
            page = self.log.view(self.binding.topic, start=first, stop=last, limit=limit, reverse=reverse)
        except UnknownTopicError as error:
            raise missing_topic(self.binding.topic) from error
        return self.as_read(page.data)

    def _adder(self, options: BarAddOptions | None) -> BarAdder:
        return BarAdder(self.binding, self.log, options=options or BarAddOptions(), clock=self._clock)


def _time_bytes(moment: Moment) -> bytes:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise UsageError(f"{moment!r} has no time zone", hint="for UTC add tzinfo=timezone.utc")
        moment = -((_EPOCH - moment) // timedelta(milliseconds=1))  # rounded up: no bucket starts in between
    return (keys.SEPARATOR + keys.time_part(moment)).encode()
