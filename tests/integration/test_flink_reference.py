"""Bars that a real Flink makes of the reference's worked case, and of vendors' ticks, are theirs."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime  # noqa: TC003  # the declaration reads it
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tests.integration.test_vendor_bars import PRICES, different, numbers, starts
from tests.support_engine import START, bars, trade
from tests.support_flink_bars import PATIENCE_S, FlinkMarket, World, version_of
from tests.support_roles import wait_until
from tests.support_shared import shared

import ashioto as ao
from ashioto import naming
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.log.base import Batch
from ashioto.period import Period
from ashioto.schema.arrow import key_column, storage_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.dsl import BarQuery

EXACT = pa.decimal128(18, 8)


class Tick(ao.Stream):
    """A trade, or a side of a quote, of one instrument."""

    symbol: ao.Field[str] = ao.key()
    at: ao.Field[datetime] = ao.timestamp()
    price: ao.Field[Decimal] = ao.decimal(18, 8)
    size: ao.Field[Decimal] = ao.decimal(18, 8)


def test_the_worked_case_of_the_reference(started: Any) -> None:
    case = json.loads(shared("oracle/scenario.json").read_text(encoding="utf-8"))
    hours = [(row["key"][1], row["open"] - START, row["close"] - START) for row in case["sessions"]]
    market: FlinkMarket = started(bars(*case["bars"], grace=case["grace"]), hours=hours)
    for row in sorted(case["ticks"], key=lambda row: row["seq"]):
        venue, symbol = row["key"]
        market.twin.send(trade(symbol, row["at"] - START, row["price"], venue=venue, size=Decimal(row["size"])))
    market.twin.at(case["now"] - START)
    market.copy()
    market.await_same()
    for period, wanted in case["bars"].items():
        found = [market.actual(period)[key] for key in sorted(market.actual(period))]
        assert [_said(row) for row in found] == [_wanted(row) for row in wanted], period


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: _ms(row[name]) for name in ("bucket_start", "bucket_end", "first_at", "last_at")}
    return {name: value for name, value in {**row, **times}.items() if name not in {"market_date", "origin"}}


def _wanted(row: Mapping[str, Any]) -> dict[str, Any]:
    venue, symbol = row["key"]
    values = {name: Decimal(row[name]) for name in (*PRICES, "volume")}
    held = {name: value for name, value in row.items() if name not in {"key", "period"}}
    return {"venue": venue, "symbol": symbol, **held, **values}


def _ms(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


def vendor_bars(world: World, ticks: pa.Table, *names: str, periods: tuple[str, ...]) -> dict[str, pa.Table]:
    """Return what Flink makes of ticks, by period; named are their columns of time, price and size."""
    stream: Any = Tick
    context = ao.Context("v")
    query: BarQuery = (
        context.events(stream)
        .tumbling(stream.at, *map(Period.parse, periods), ensure_continuous=False)
        .select(**ao.ohlcv(stream.price, stream.size))
        .to_query()
    )
    at, price, size = (ticks[name].combine_chunks() for name in names)
    at = at.cast(pa.timestamp("ms", tz="UTC"), safe=False)
    size = pc.round(size, 4)  # what was written, where it was kept in single precision
    columns = [pa.array(["X"] * len(at)), at, price.cast(EXACT), size.cast(EXACT)]
    schema = storage_schema(query.plan.entity)
    data = pa.RecordBatch.from_arrays([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    log, topic = world.log(), naming.topic("v", query.plan.entity.name)
    log.create(wanted_topics([context], partitions=1, in_sql=True))
    stamps = np.array(at.cast(pa.int64()))
    log.append([Batch(topic=topic, partition=0, keys=key_column(["symbol"], data), timestamps=stamps, data=data)])
    engine, version = world.engine(log), version_of(query)
    topics = {p.kind: naming.bars_topic("v", query.plan.entity.name, p) for p in query.plan.frames}

    def all_counted() -> bool:
        return {pc.sum(log.view(name).data["ticks"]).as_py() for name in topics.values()} == {len(at)}

    with closing(log), closing(engine):
        engine.register(version)
        try:
            wait_until(all_counted, every=0.2, what="every tick", patience_s=PATIENCE_S)
            found = {period: pa.Table.from_batches([log.view(name).data]) for period, name in topics.items()}
        finally:
            engine.stop(version)
    return {period: table.sort_by("bucket_start") for period, table in found.items()}


def test_trades_of_binance(world: World) -> None:
    folder = shared("data/binance_xrpeth_2019-10")
    trades = pq.read_table(folder / "trades.parquet")
    for period, ours in vendor_bars(world, trades, "timestamp", "price", "amount", periods=("1m", "5m")).items():
        theirs = pq.read_table(folder / f"bars_{period}.parquet")
        assert starts(ours["bucket_start"]) == starts(theirs["date"])
        assert not any(different(ours, theirs, {name: name for name in (*PRICES, "volume")}).values())


def test_quotes_of_dukascopy(world: World) -> None:
    folder = shared("data/dukascopy_eurusd_2019-02-04")
    ticks = pq.read_table(folder / "ticks.parquet")
    (ours,) = vendor_bars(world, ticks, "ts", "bid", "bid_vol", periods=("1m",)).values()
    theirs = pq.read_table(folder / "bars_1m_bid.parquet")
    theirs = theirs.filter(pc.greater(theirs["volume"], 0))  # they fill, which takes heartbeats here
    assert starts(ours["bucket_start"]) == starts(theirs["ts"])
    assert not any(different(ours, theirs, {name: name for name in PRICES}).values())
    assert (numbers(ours["volume"]).astype(np.float32) == numbers(theirs["volume"])).all()
