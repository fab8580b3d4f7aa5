"""Writes plain streams and tables, and reads tables by key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.clock import SystemClock
from ashioto.dsl.entity import Record
from ashioto.engines.sql.index import index_changes, index_of
from ashioto.errors import UnknownTopicError, UsageError
from ashioto.log.base import Batch
from ashioto.log.partition import partitions_of
from ashioto.schema.arrow import int64_view, key_column, user_table
from ashioto.schema.sessions import session_columns
from ashioto.tables.convert import batch_of_arrow, batch_of_records
from ashioto.tables.overlap import check_sessions, schedule_frames

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Iterator

    import numpy.typing as npt

    from ashioto.clock import Clock
    from ashioto.dsl.context import Context
    from ashioto.log.base import Log
    from ashioto.logical.nodes import TimeFrame

R = TypeVar("R", bound=Record)
_AFTER_SEPARATOR = chr(ord(keys.SEPARATOR) + 1).encode()


class EntitySet(Generic[R]):
    """Writes the records of one stream or table, and reads a table.

    Args:
        context: Where the entity is declared.
        entity: A `Stream` or `Table` class.
        log: Where its topic is.
        clock: Dates the rows of tables, which have no event time.

    >>> EntitySet.add.__name__
    'add'
    """

    def __init__(self, context: Context, entity: type[R], log: Log, clock: Clock | None = None) -> None:
        self.context = context
        self.entity = entity
        self.log = log
        self._clock = clock or SystemClock()
        self._declared = entity.__entity__
        self._partitions: int | None = None

    def __repr__(self) -> str:
        return f"<{self._declared.kind} {self.topic}>"

    @property
    def topic(self) -> str:
        """The topic that holds the records."""
        return naming.topic(self.context.name, self._declared.name)

    def add(self, row: R) -> None:
        """Write one record, durably; a session together with what the schedule index says of its days.

        Raises:
            InputError: It is another kind of record.
            ScheduleError: It is a session that is empty or overlaps another.
            UnknownTopicError: The topic was never created.
        """
        self._write(batch_of_records(self._declared, [row]))

    def add_range(self, rows: Iterable[R] | object) -> int:
        """Write many records, all or none, and return how many; sessions together with the schedule index.

        Args:
            rows: Records, or anything with `__arrow_c_stream__`: pyarrow, polars, pandas, duckdb.

        Raises:
            InputError: A row does not fit; names row and column.
            ScheduleError: A session is empty or overlaps another.
            UnknownTopicError: The topic was never created.
        """
        if hasattr(rows, "__arrow_c_stream__"):
            return self._write(batch_of_arrow(self._declared, rows))
        if not hasattr(rows, "__iter__"):
            raise UsageError(f"cannot add {rows!r}", hint="hand in records, or a table of pyarrow, polars or pandas")
        return self._write(batch_of_records(self._declared, rows))

    async def add_async(self, row: R) -> None:
        """Do what `add` does, from asyncio: in a thread."""
        await asyncio.to_thread(self.add, row)

    async def add_range_async(self, rows: Iterable[R] | AsyncIterable[R] | object) -> int:
        """Do what `add_range` does, from asyncio: in a thread; takes async iterables too."""
        if hasattr(rows, "__aiter__"):
            rows = [row async for row in rows]
        return await asyncio.to_thread(self.add_range, rows)

    def read(self, *key: keys.Part, limit: int | None = None, newest_first: bool = False) -> pa.Table:
        """Return the newest row of each key of a table, in key order.

        Args:
            key: The first parts of the key; none for all rows.
            limit: At most so many.
            newest_first: Begin at the last key.

        Raises:
            UsageError: It is a stream, or there are too many key parts.
            UnknownTopicError: The topic was never created.
        """
        return user_table(self._stored(*key, limit=limit, reverse=newest_first))

    def latest(self, *key: keys.Part) -> R | None:
        """Return the row of a whole key, or None when there is none.

        Raises:
            UsageError: It is a stream, or the number of key parts is wrong.
            UnknownTopicError: The topic was never created.
        """
        names = self._declared.keys
        if len(key) != len(names):
            raise UsageError(f"{self.topic} has {len(names)} key columns, {len(key)} given", hint=", ".join(names))
        found = self.read(*key, limit=1).to_pylist()
        return self.entity(**found[0]) if found else None

    def _stored(self, *key: keys.Part, limit: int | None = None, reverse: bool = False) -> pa.Table:
        names = self._declared.keys
        if self._declared.kind != "table":
            raise UsageError(f"{self.topic} is a stream, it has no rows to read", hint="read its bars: TimeBucket.set")
        if len(key) > len(names):
            raise UsageError(f"{self.topic} has {len(names)} key columns, {len(key)} given", hint=", ".join(names))
        start, stop = _key_range(key, whole=len(key) == len(names))
        try:
            page = self.log.view(self.topic, start=start, stop=stop, limit=limit, reverse=reverse)
        except UnknownTopicError as error:
            raise self._missing() from error
        return pa.Table.from_batches([page.data])

    def _write(self, batch: pa.RecordBatch) -> int:
        count: int = batch.num_rows
        if count == 0:
            return 0
        frame = schedule_frames([q.plan.time_frame for q in self.context.queries.values()], self._declared.name)
        indexed: list[Batch] = []
        if frame is not None:
            sessions = check_sessions(frame, batch, self._present(frame, batch))
            index = index_of(self.context.name, frame)
            indexed = [] if index is None else index_changes(self.log, index, sessions)
        self.log.append([*self._batches(batch), *indexed])
        return count

    def _present(self, frame: TimeFrame, batch: pa.RecordBatch) -> pa.Table:
        whose = session_columns(frame)
        leading = tuple(name for name in self._declared.keys if name in whose)
        if not leading or leading != self._declared.keys[: len(leading)]:
            return self._stored()
        found = batch.select(leading).to_pylist()
        owners = {tuple(row.values()): None for row in found}
        return pa.concat_tables([self._stored(*owner) for owner in owners])

    def _batches(self, batch: pa.RecordBatch) -> Iterator[Batch]:
        made = key_column(self._declared.keys, batch)
        times = self._times(batch)
        places = self._places(made)
        for partition in np.unique(places).tolist():
            rows = np.flatnonzero(places == partition)
            every = rows.size == batch.num_rows
            at = None if every else pa.array(rows)
            yield Batch(
                topic=self.topic,
                partition=partition,
                keys=made if at is None else made.take(at),
                timestamps=times[rows],
                data=batch if at is None else batch.take(at),
            )

    def _times(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        name = self._declared.timestamp
        if name is None:
            return np.full(batch.num_rows, self._clock.now_ms(), dtype=np.int64)
        return np.ascontiguousarray(int64_view(batch.column(name)))

    def _places(self, made: pa.DictionaryArray) -> npt.NDArray[np.int32]:
        if self._partitions is None:
            try:
                self._partitions = self.log.describe(self.topic).spec.partitions
            except UnknownTopicError as error:
                raise self._missing() from error
        return partitions_of(made, self._partitions)

    def _missing(self) -> UnknownTopicError:
        return UnknownTopicError(
            f"the topic {self.topic} does not exist yet",
            hint="topics are made once, before anything runs: rc infra apply, or rc dev",
            topic=self.topic,
        )


def _key_range(key: tuple[keys.Part, ...], *, whole: bool) -> tuple[bytes | None, bytes | None]:
    if not key:
        return None, None
    prefix = keys.encode(key)
    return (prefix, prefix + b"\0") if whole else (prefix + keys.SEPARATOR.encode(), prefix + _AFTER_SEPARATOR)
