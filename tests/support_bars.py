"""A bar table for tests of adding: two symbols with sessions, bars as plain rows, a log that can fail."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, bars, moment

from ashioto import Period, TimeBucket
from ashioto.clock import ManualClock
from ashioto.errors import LogFullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ashioto.bars.timebucket import BarTable
    from ashioto.dsl import BarQuery
    from ashioto.log.base import Appended, Batch, Fence, Log

Row = dict[str, Any]
HOURS = [("A", 0, 8 * HOUR), ("A", 9 * HOUR, 10 * HOUR), ("B", 0, 8 * HOUR)]
LATER = START + 2 * DAY


def market(query: BarQuery | None = None, **options: Any) -> Market:
    """Make a market of the symbols A and B on one day, with the log of bars of 1m, 5m and 1d."""
    return Market.of(query or bars("1m", "5m", "1d", grace=5_000), hours=HOURS, **options)


def table_of(made: Market, period: str = "1m", *, log: Log | None = None, now: int = LATER) -> BarTable:
    """Return the bar table of a period, two days after START unless another time is said."""
    query, wanted = made.queries[0], Period.parse(period)
    return TimeBucket.set(query.bar(wanted), wanted, log=log or made.log, clock=ManualClock(now))


def row(symbol: str, minute: int, close: float | str = 5, **others: Any) -> Row:
    """Return a bar of 1m as a plain row; prices from 1 to 9."""
    price = {"open": Decimal(4), "high": Decimal(9), "low": Decimal(1), "close": Decimal(str(close))}
    start = moment(START + minute * MINUTE)
    return {"venue": "V", "symbol": symbol, "bucket_start": start, **price, "volume": Decimal(1), "ticks": 1, **others}


def table(rows: Iterable[Row]) -> pa.Table:
    """Return rows as a table of all their columns."""
    given = list(rows)
    return pa.table({name: [one.get(name) for one in given] for one in given for name in one})


def without(given: Row, *names: str) -> Row:
    """Return a row without some columns."""
    return {name: value for name, value in given.items() if name not in names}


def read(found: BarTable) -> list[Row]:
    """Return the bars that are there, as (symbol, minute, close)."""
    return [
        {
            "symbol": r["symbol"],
            "minute": (r["bucket_start"] - moment(START)) // timedelta(minutes=1),
            "close": r["close"],
        }
        for r in found.read_all().to_pylist()
    ]


def closes(found: BarTable) -> dict[tuple[str, int], Decimal]:
    """Return the closes of the bars that are there, by symbol and minute."""
    return {(r["symbol"], r["minute"]): r["close"] for r in read(found)}


class Passing:
    """Passes everything on to another log."""

    def __init__(self, inner: Log) -> None:
        self.inner = inner
        self.sizes: list[int] = []
        self.views = 0

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, and remember how many rows."""
        done = self.inner.append(batches, fence=fence)
        self.sizes.append(sum(batch.data.num_rows for batch in batches))
        return done

    def view(self, topic: str, **given: Any) -> Any:
        """View, and count."""
        self.views += 1
        return self.inner.view(topic, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class FullLog(Passing):
    """A log whose disk is full after some appends.

    Args:
        inner: What keeps the records.
        room: How many appends it has room for.
    """

    def __init__(self, inner: Log, room: int) -> None:
        super().__init__(inner)
        self.room = room

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, as long as there is room.

        Raises:
            LogFullError: There is none.
        """
        if len(self.sizes) >= self.room:
            raise LogFullError("the disk of the log is full", hint="make room")
        return super().append(batches, fence=fence)
