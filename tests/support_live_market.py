"""A market of one-second bars that opens and closes while a test runs: declarations, sessions, a stream of ticks."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ashioto as ao
from ashioto import Field, Period, naming
from ashioto.errors import LogBusyError
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from tests.support_planning import Row

    from ashioto.clock import Clock
    from ashioto.log.base import Log

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GRACE_MS = 500
"""So deadlines come every half second: a segment begins at the full second, the one before is final at half past."""
TOML = """
[project]
contexts = ["tests.support_live_market:trading"]

[log]
path = "log.db"
partitions = 2
"""
Key = tuple[str, ...]


class Rate(ao.Stream):
    """One tick."""

    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 2)
    size: Field[Decimal] = ao.decimal(18, 2)


class Hours(ao.Table):
    """One session."""

    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


trading = ao.Context("trading")
rate_bars = (
    trading.events(Rate)
    .time_frame(
        Hours,
        (Rate.broker == Hours.broker)
        & (Rate.symbol == Hours.symbol)
        & (Hours.open <= Rate.at)
        & (Rate.at < Hours.close),
        day_key=Hours.market_date,
    )
    .tumbling(
        Rate.at, *map(Period.parse, ("1s", "5s", "1m")), ensure_continuous=True,
        grace=timedelta(milliseconds=GRACE_MS),
    )
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)  # fmt: skip


def sessions(now: int) -> dict[Key, list[Row]]:
    """Return sessions around a time, ms: open all along, with short breaks off the full second, and still to come."""
    second, day = now // 1000 * 1000, now // 86_400_000
    through = [(second - 60_000, second + 900_000, day)]
    found: dict[Key, list[Row]] = {("FX", f"OPEN{n}"): through for n in range(6)}
    for n in range(4):
        first = second - 20_000 + n * 1_300
        found["FX", f"BREAK{n}"] = [(first + at, first + at + 13_700, day) for at in range(0, 880_000, 17_000)]
    found["NEW", "LATER"] = [(second + 25_000, second + 900_000, day + 1)]
    return found


def moment(ms: int) -> datetime:
    """Return milliseconds as a time."""
    return EPOCH + timedelta(milliseconds=ms)


def import_sessions(log: Log, hours: Mapping[Key, list[Row]]) -> None:
    """Write sessions to the schedule."""
    rows = [
        Hours(broker=b, symbol=s, open=moment(o), close=moment(c), market_date=(EPOCH + timedelta(days=d)).date())
        for (b, s), found in hours.items()
        for o, c, d in found
    ]
    trading.set(Hours, log=log).add_range(rows)


class Feed:
    """Sends ticks until told to stop, some of them late, and looks whether a heartbeat came before its time.

    Args:
        log: Where to.
        keys: Of the ticks.
        clock: Dates them.
        seed: Of what is drawn.
    """

    def __init__(self, log: Log, keys: list[Key], clock: Clock, seed: int) -> None:
        self.sent: Counter[tuple[Any, ...]] = Counter()
        self.unsure: Counter[tuple[Any, ...]] = Counter()
        self.busy = self.early = 0
        self._log, self._keys, self._clock = log, keys, clock
        self._random = random.Random(seed)  # noqa: S311  # no secret is drawn
        self._seen = dict.fromkeys(log.end_offsets(self._topic), 0)

    @property
    def _topic(self) -> str:
        return naming.heartbeat_topic(trading.name, "Rate")

    def run(self, stopping: threading.Event) -> None:
        """Send until told to stop."""
        while not stopping.wait(0.05):
            self.send()
            with suppress(LogBusyError):
                self.look()

    def send(self) -> None:
        """Send a few ticks; where the log is held by a process that was stopped, later."""
        draw, now = self._random, self._clock.now_ms()
        rows = []
        for broker, symbol in draw.sample(self._keys, 4):
            late = draw.choice((0, 0, 0, 40, 300, 700, 2_500, 9_000))
            price, size = (Decimal(draw.randint(*bounds)) / 100 for bounds in ((9_000, 11_000), (1, 500)))
            rows.append(Rate(broker=broker, symbol=symbol, at=moment(now - late), price=price, size=size))
        try:
            trading.set(Rate, log=self._log).add_range(rows)
        except LogBusyError:
            self.busy += 1
            into = self.unsure
        else:
            into = self.sent
        into.update((r.broker, r.symbol, r.at, r.price, r.size) for r in rows)

    def look(self) -> None:
        """Count new markers that were due later than now."""
        for partition, offset in self._seen.items():
            at = offset
            while (part := self._log.read(self._topic, partition, at)) is not None:
                at = part.next_offset
                self.early += int((int64_view(part.data.column("due")) > self._clock.now_ms()).sum())
            self._seen[partition] = at
