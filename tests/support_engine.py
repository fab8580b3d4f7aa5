"""A market for tests of the engine: declared by the DSL, ticks and time sent by hand, bars read back as plain rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from tests.support_heartbeat import Beats

import ashioto as ao
from ashioto import Field, Period, naming
from ashioto.clock import ManualClock
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.engines.embedded.runner import EmbeddedEngine, QueryRunner
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.log.base import Batch
from ashioto.log.dead_letters import DEAD_LETTERS
from ashioto.log.partition import partitions_of
from ashioto.schema.arrow import key_column, storage_schema
from ashioto.tables import EntitySet
from ashioto.tables.convert import batch_of_records
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ashioto.dsl import BarQuery, Column
    from ashioto.log.base import Log, Slice
    from ashioto.logical.nodes import AlignName, Entity

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START = 1_710_115_200_000
"""2024-03-11, a Monday, midnight UTC."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


class Trade(ao.Stream):
    """A tick of every type of column."""

    venue: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 2)
    size: Field[Decimal] = ao.decimal(18, 1, default=Decimal(1))
    lots: Field[int] = ao.field(default=1)
    weight: Field[float] = ao.field(default=1.0)


class Hours(ao.Table):
    """Sessions of symbols."""

    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


def moment(ms: int) -> datetime:
    """Return milliseconds as a time."""
    return EPOCH + timedelta(milliseconds=ms)


def bars(
    *periods: str,
    select: Mapping[str, Column[Any]] | None = None,
    schedule: bool = True,
    continuous: bool = True,
    grace: int = 0,
    retention: int = 7 * DAY,
    align: AlignName = "clock",
    where: Sequence[Column[bool]] = (),
    group_by: Sequence[Column[str]] | None = None,
    when_empty: Mapping[str, Any] | None = None,
    context: ao.Context | None = None,
    name: str | None = None,
    entity: type[ao.Stream] = Trade,
) -> BarQuery:
    """Declare a query over trades; times in ms."""
    stream: Any = entity
    chain: Any = (context or ao.Context("t")).events(stream)
    for condition in where:
        chain = chain.where(condition)
    if schedule:
        inside = (stream.symbol == Hours.symbol) & (Hours.open <= stream.at) & (stream.at < Hours.close)
        chain = chain.time_frame(Hours, inside, day_key=Hours.market_date)
    elif continuous:
        chain = chain.time_frame(ao.AlwaysOpen)
    chain = chain.tumbling(
        stream.at, *map(Period.parse, periods), ensure_continuous=continuous, align=align,
        grace=timedelta(milliseconds=grace), retention=timedelta(milliseconds=retention),
    )  # fmt: skip
    if group_by is not None:
        chain = chain.group_by(*group_by)
    chain = chain.select(**(ao.ohlcv(stream.price, stream.size) if select is None else select))
    if when_empty is not None:
        chain = chain.when_empty(**when_empty)
    made: BarQuery = chain.to_query(name)
    return made


def trade(symbol: str, at: int, price: float | Decimal | None = 1, **others: Any) -> Row:
    """Return a tick as a plain row; `at` in ms since START."""
    exact = None if price is None else Decimal(str(price))
    row = {"venue": "V", "symbol": symbol, "at": moment(START + at), "price": exact, "size": Decimal(1), "lots": 1}
    return {**row, "weight": 1.0, **others}


def batch_of(entity: Entity, rows: Sequence[Row]) -> pa.RecordBatch:
    """Lay rows out as they are stored, nulls and NaN included."""
    return pa.RecordBatch.from_pylist(
        [{c.name: row[c.name] for c in entity.columns} for row in rows], schema=storage_schema(entity)
    )


class SlowLog(MemoryLog):
    """A log that gives few records of the ticks at a time."""

    rows = 1 << 18

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records; at most `rows` of ticks."""
        most = self.rows if topic == "t.trade" else max_rows
        return super().read(topic, partition, offset, max_rows=most)


@dataclass
class Market:
    """A log with the topics of some queries, and what runs on it.

    Args:
        queries: What runs; all of one context.
        log: Where everything is.
        partitions: How many partitions the ticks have.
        engine_log: What the engine sees of the log, where that is another object.
        since: When heartbeats begin, ms since START.
        in_sql: Whether topics are as for an engine that speaks SQL; nothing runs them then.
    """

    queries: Sequence[BarQuery]
    log: Log = field(default_factory=MemoryLog)
    partitions: int = 1
    engine_log: Log | None = None
    since: int = -DAY
    in_sql: bool = False
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    engine: EmbeddedEngine = field(init=False)
    beats: list[Beats] = field(init=False)
    sent: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context: Any = self.queries[0].context
        self.entity: Entity = self.queries[0].plan.entity
        self.log.create(wanted_topics([self.context], partitions=self.partitions, in_sql=self.in_sql))
        self.beats = [Beats(self.log, q.plan, start_ms=START + self.since) for q in self.queries if q.plan.continuous]
        self.restart()

    @classmethod
    def of(cls, *queries: BarQuery, hours: Iterable[tuple[str, int, int]] = (), **options: Any) -> Market:
        """Make a market with sessions (symbol, open, close), ms since START."""
        market = cls(list(queries), **options)
        market.open(*hours)
        market.restart()
        return market

    @property
    def runners(self) -> list[QueryRunner]:
        """What runs the queries."""
        return self.engine.runners

    def restart(self, *, engine_log: Log | None = None) -> None:
        """Begin again with nothing but the log."""
        if engine_log is not None:
            self.engine_log = engine_log
        plans = [q.plan for q in self.queries]
        self.engine = EmbeddedEngine(self.engine_log or self.log, plans, clock=self.clock)

    def open(self, *hours: tuple[str, int, int]) -> None:
        """Add sessions; the market date is that of the open."""
        rows = [
            Hours(symbol=s, open=moment(START + o), close=moment(START + c), market_date=moment(START + o).date())
            for s, o, c in hours
        ]
        EntitySet(self.context, Hours, self.log, clock=self.clock).add_range(rows)

    def close(self, symbol: str, opened: int) -> None:
        """Delete a session."""
        there = Hours(symbol=symbol, open=moment(START + opened), close=moment(START), market_date=moment(START).date())
        data = batch_of_records(Hours.__entity__, [there])
        gone, times = np.ones(1, dtype=np.bool_), np.zeros(1, dtype=np.int64)
        topic, made = naming.topic(self.context.name, "Hours"), key_column(["symbol", "open"], data)
        self.log.append([Batch(topic=topic, partition=0, keys=made, timestamps=times, data=data, tombstones=gone)])

    def send(self, *rows: Row) -> None:
        """Append ticks as they are, in one batch a partition."""
        self._append(rows, deleted=False)

    def delete(self, *rows: Row) -> None:
        """Append tombstones of the keys of ticks."""
        self._append(rows, deleted=True)

    def _append(self, rows: Sequence[Row], *, deleted: bool) -> None:
        self.sent += rows
        data = batch_of(self.entity, rows)
        keyed = data
        for name in self.entity.keys:
            at = data.schema.get_field_index(name)
            keyed = keyed.set_column(at, name, data.column(name).cast(pa.string()).fill_null("?"))
        made = key_column(self.entity.keys, keyed)
        times = np.array([0 if row["at"] is None else (row["at"] - EPOCH) // timedelta(milliseconds=1) for row in rows])
        places = partitions_of(made, self.partitions)
        self.log.append(
            [
                Batch(
                    topic=naming.topic(self.context.name, self.entity.name),
                    partition=partition,
                    keys=made.take(pa.array(at)),
                    timestamps=times[at].astype(np.int64),
                    data=data.take(pa.array(at)),
                    tombstones=np.ones(at.size, dtype=np.bool_) if deleted else None,
                )
                for partition in np.unique(places).tolist()
                for at in [np.flatnonzero(places == partition)]
            ]
        )

    def beat(self, at: int) -> None:
        """Send the heartbeats due at a time, ms since START."""
        for query, beat in zip([q for q in self.queries if q.plan.continuous], self.beats, strict=True):
            names = query.plan.group_by
            beat.know(key for row in self.sent if None not in (key := tuple(row[name] for name in names)))
        for beat in self.beats:
            beat.send(START + at)

    def run(self) -> None:
        """Let the engine read and write everything."""
        self.engine.drain()

    def at(self, at: int) -> None:
        """Read all ticks, then let it be so late."""
        self.run()
        self.beat(at)
        self.run()

    def bars(self, period: str) -> list[Row]:
        """Return the bars of a frame as they stand in the log; times in ms since START."""
        return [_plain(row) for row in self.table(period)]

    def table(self, period: str) -> list[Row]:
        """Return the bars of a frame as they stand in the log, as they are."""
        topic = naming.bars_topic(self.context.name, self.entity.name, Period.parse(period))
        found: list[Row] = self.log.view(topic).data.to_pylist()
        return found

    def records(self, topic: str) -> int:
        """Return how many records a topic ever got."""
        return sum(self.log.end_offsets(topic).values())

    def written(self) -> dict[str, int]:
        """Return how many bars of each frame were ever written."""
        found = {
            p.kind: naming.bars_topic(self.context.name, self.entity.name, p) for q in self.queries for p in q.frames
        }
        return {kind: self.records(topic) for kind, topic in found.items()}

    def late(self) -> list[Row]:
        """Return the late ticks, all partitions one after another."""
        return self._all(naming.late_topic(self.context.name, self.entity.name))

    def dead(self) -> list[Row]:
        """Return the dead letters."""
        return self._all(DEAD_LETTERS)

    def progress(self) -> list[Row]:
        """Return how far each query has read each partition, as it stands in the log."""
        return list(self.log.view(OFFSETS).data.to_pylist())

    def forget_progress(self) -> None:
        """Delete how far each query has read."""
        page = self.log.view(OFFSETS)
        size = len(page.keys)
        gone = np.ones(size, dtype=np.bool_)
        made = pa.array(page.keys, pa.binary())
        times = np.zeros(size, dtype=np.int64)
        self.log.append(
            [Batch(topic=OFFSETS, partition=0, keys=made, timestamps=times, data=page.data, tombstones=gone)]
        )

    def _all(self, topic: str) -> list[Row]:
        found: list[Row] = []
        for partition in self.log.end_offsets(topic):
            at = 0
            while (part := self.log.read(topic, partition, at)) is not None:
                found += part.data.to_pylist()
                at = part.next_offset
        return found


def _plain(row: Row) -> Row:
    found = {k: v for k, v in row.items() if not k.startswith("__")}
    for name in ("bucket_start", "bucket_end", "first_at", "last_at"):
        if found[name] is not None:
            found[name] = (found[name] - EPOCH) // timedelta(milliseconds=1) - START
    return found


def columns(rows: Iterable[Row], *names: str) -> list[tuple[Any, ...]]:
    """Return these columns of each row."""
    return [tuple(row[name] for name in names) for row in rows]
