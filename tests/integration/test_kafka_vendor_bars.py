"""Ticks of real markets in pieces on the embedded log and on Kafka: the same bars, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.support_engine import DAY, START, Market, bars
from tests.support_kafka_bars import stand
from tests.support_kafka_log import open_kafka_log
from tests.support_shared import shared

import ashioto as ao
from ashioto import Field
from ashioto.log.base import Batch
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.partition import partitions_of
from ashioto.schema.arrow import from_numpy, key_column, storage_schema

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from ashioto.log.base import Ints, Log

PARTITIONS, PIECES, MOST = 2, 5, 40_000
SCALE = 8


class Deal(ao.Stream):
    """A quote of one side, or a trade."""

    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, SCALE)
    size: Field[Decimal] = ao.decimal(18, SCALE)


QUERY = bars(
    "1m", "5m", "1h", "1d", entity=Deal, schedule=False, select=ao.ohlcv(Deal.price, Deal.size), grace=2_000
)  # fmt: skip


@dataclass(frozen=True)
class Vendor:
    """Where ticks of a vendor are, and how their columns are called.

    Args:
        file: Below the folder of the data.
        time: Column of the event time.
        prices: Columns of prices, by symbol; or one of them, and `symbol` names the column of symbols.
        size: Column of sizes, if there is one.
        order: Column of the time of arrival, where that is another.
    """

    file: str
    time: str
    prices: dict[str, str]
    size: str = ""
    symbol: str = ""
    order: str = ""


QUOTES = {"BID": "bid", "ASK": "ask"}
VENDORS = [
    Vendor("fxcm_eurusd_2014-05/ticks", "ts", QUOTES),
    Vendor("oanda_eurusd_2014-05/ticks", "ts", QUOTES),
    Vendor("dukascopy_eurusd_2019-02-04/ticks", "ts", QUOTES, "bid_vol"),
    Vendor("usdjpy_2024-01-08/ticks", "ts", QUOTES, "ask_vol"),
    Vendor("binance_xrpeth_2019-10/trades", "timestamp", {"XRPETH": "price"}, "amount"),
    Vendor("spy_trades_2013-10-07/trades", "ts", {"": "price"}, "size", symbol="exch"),
    Vendor("tardis_btcusdt_2020-02-22/trades", "timestamp", {"BTC": "price"}, "amount", order="local_timestamp"),
]


def ticks(vendor: Vendor) -> pa.RecordBatch:
    """Return the ticks of a vendor, in the order in which they arrived."""
    table = pq.read_table(shared(f"data/{vendor.file}.parquet")).slice(0, MOST)
    if vendor.order:
        table = table.sort_by(vendor.order)
    at = _millis(table[vendor.time])
    parts = []
    for symbol, column in vendor.prices.items():
        names = table[vendor.symbol] if vendor.symbol else pa.repeat(symbol, len(table))
        sizes = table[vendor.size] if vendor.size else pa.repeat(1.0, len(table))
        parts.append((pa.array(names.to_pylist(), pa.string()), at, _scaled(table[column]), _scaled(sizes)))
    names, *numbers = zip(*parts, strict=True)
    rows = np.arange(len(at) * len(parts)).reshape(len(parts), -1).T.ravel()  # sides of a quote follow each other
    schema = storage_schema(Deal.__entity__)
    columns = [from_numpy(np.concatenate(n)[rows], schema.field(i + 1).type) for i, n in enumerate(numbers)]
    return pa.RecordBatch.from_arrays(
        [pa.concat_arrays(list(names)).take(pa.array(rows)).dictionary_encode(), *columns], schema=schema
    )


def _millis(column: pa.ChunkedArray) -> Ints:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    found: Ints = column.to_numpy()
    return found // 1000 if found[0] > 10**14 else found


def _scaled(column: Any) -> Ints:
    made: Ints = np.round(np.asarray(column.to_numpy(zero_copy_only=False), float) * 10**SCALE).astype(np.int64)
    return made


def played(log: Log, data: pa.RecordBatch) -> Market:
    """Send ticks in pieces, and let the engine and the heartbeat follow them."""
    at = pc.cast(data.column("at"), pa.int64()).to_numpy()
    market = Market.of(QUERY, partitions=PARTITIONS, log=log, since=int(at.min()) - START - DAY)
    market.sent = [{"symbol": symbol} for symbol in data.column("symbol").dictionary.to_pylist()]
    for rows in np.array_split(np.arange(len(at)), PIECES):
        send(market, data.slice(int(rows[0]), len(rows)), at[rows])
        market.engine.poll()
        market.beat(int(at[rows].max()) - START - 60_000)
        market.run()
        market.restart()
    market.at(int(at.max()) - START + DAY)
    return market


def send(market: Market, data: pa.RecordBatch, at: Ints) -> None:
    made = key_column(["symbol"], data)
    places = partitions_of(made, PARTITIONS)
    batches = []
    for partition in range(PARTITIONS):
        rows = np.flatnonzero(places == partition)
        if rows.size:
            keys, part = made.take(pa.array(rows)), data.take(pa.array(rows))
            batches.append(Batch(topic="t.deal", partition=partition, keys=keys, timestamps=at[rows], data=part))
    market.log.append(batches)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: v.file.partition("_")[0])
def test_ticks_of_a_vendor_give_the_same_bars_on_both_logs(
    kafka: str, registry: str, unique: str, tmp_path: Path, vendor: Vendor
) -> None:
    data = ticks(vendor)
    with EmbeddedLog(tmp_path / "log.db") as mine, open_kafka_log(kafka, registry, unique, tmp_path) as theirs:
        wanted, found = (stand(played(log, data)) for log in (mine, theirs))
    assert found == wanted
    assert sum(row["ticks"] for row in wanted["progress"]) == data.num_rows
    assert all(wanted["bars"].values())
