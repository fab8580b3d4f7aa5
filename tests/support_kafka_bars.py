"""What two logs say of one market, made comparable: offsets become the number of the record in its partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.support_engine import DAY, MINUTE, Market, Trade, bars, trade

import ashioto as ao
from ashioto import naming
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    import random

    from tests.support_engine import Row

    from ashioto.log.base import Ints, Log

FRAMES = ("1m", "5m", "1h", "1d")
PARTITIONS = 3
SYMBOLS = "ABCDE"
HOURS = [
    (symbol, day * DAY + start, day * DAY + stop)
    for symbol in SYMBOLS
    for day in range(3)
    for start, stop in ((0, 11 * MINUTE + 700), (17 * MINUTE, 30 * MINUTE))
]
"""Two sessions a day, with a break that begins off the full minute."""
QUERY = bars(
    *FRAMES,
    select={
        **ao.ohlcv(Trade.price, Trade.size),
        "total": ao.sum(Trade.lots),
        "mean": ao.avg(Trade.weight),
        "step": ao.last(Trade.price) - ao.previous("close"),
    },
    grace=30_000,
)
OFFSETS = ("first_seq", "last_seq")


def record_offsets(log: Log, topic: str) -> dict[int, Ints]:
    """Return the offsets of all records of a topic, by partition."""
    found: dict[int, Ints] = {}
    for partition in log.end_offsets(topic):
        at, parts = 0, [np.zeros(0, dtype=np.int64)]
        while (part := log.read(topic, partition, at)) is not None:
            parts.append(part.base_offset + np.arange(len(part.keys), dtype=np.int64))
            at = part.next_offset
        found[partition] = np.concatenate(parts)
    return found


def numbered(log: Log, topic: str, source: str) -> list[str]:
    """Return the bars of a topic with all their columns, bit for bit, and which ticks they begin and end with.

    Left out is only up to where the source had been read when a bar was written.
    """
    ticks = record_offsets(log, source)
    page = log.view(topic)
    rows: list[Row] = page.data.to_pylist()
    for key, row in zip(page.keys, rows, strict=True):
        own = ticks[partition_of(key.rpartition(b"\x1f")[0], len(ticks))]
        for name in OFFSETS:
            if row[name] is not None and row["origin"] == "stream":
                at = int(np.searchsorted(own, row[name]))
                assert own[at] == row[name]
                row[name] = at
        del row["source_cut"]
    return [f"{key!r} {row!r}" for key, row in zip(page.keys, rows, strict=True)]


def stand(market: Market) -> dict[str, Any]:
    """Return everything that must be the same on every log."""
    context, entity = market.context.name, market.entity.name
    source = naming.topic(context, entity)
    places = record_offsets(market.log, source)
    progress = [
        {name: row[name] for name in ("ticks", "late", "rejected", "unknown_key", "out_of_session")}
        for row in market.progress()
    ]
    return {
        "bars": {
            period.kind: numbered(market.log, naming.bars_topic(context, entity, period), source)
            for query in market.queries
            for period in query.plan.frames
        },
        "late": [repr(row) for row in market.late()],
        "dead": sorted(
            (row["source_partition"], int(np.searchsorted(places[row["source_partition"]], row["source_offset"])))
            for row in market.dead()
        ),
        "progress": progress,
        "ends": {number: len(found) for number, found in places.items()},
    }


def some_trades(draw: random.Random, count: int, day: int) -> list[Row]:
    """Return ticks of a day in any order: out of session, of unknown keys, at the same time, and some bad ones."""
    found = []
    for _ in range(count):
        at = day * DAY + draw.choice((draw.randrange(40 * MINUTE), draw.randrange(30) * MINUTE))
        price = None if draw.random() < 0.02 else draw.randint(1, 999) / 100
        symbol = draw.choice(SYMBOLS + "Z")
        found.append(trade(symbol, at, price, lots=draw.randint(0, 9), weight=draw.randint(0, 64) / 4))
    return found


def ancient_trades(draw: random.Random, count: int) -> list[Row]:
    """Return ticks of the first day, to be sent when they are too late."""
    return [trade(draw.choice(SYMBOLS), draw.randrange(10 * MINUTE), draw.randint(1, 9)) for _ in range(count)]
