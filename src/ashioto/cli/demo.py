"""`make demo`: ticks of three markets go all the way to bars, in accelerated time, and what came of them is shown."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import ashioto as ao
from ashioto import Field, Period, TimeBucket
from ashioto.charts.candles import ChartOptions, candles_of, write_chart
from ashioto.cli.demo_live import run_live
from ashioto.cli.dev import DevServer
from ashioto.cli.output import progress_bar, show, table_of
from ashioto.clock import ManualClock, SystemClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.calendars import calendar_sessions
from ashioto.testing.ticks import SimulationOptions, TickSimulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.deploy.target import DeployLog
    from ashioto.schedule.sessions import Sessions

Key = tuple[str, str]
MARKETS: Final[dict[Key, str]] = {("FX", "EURUSD"): "fx", ("TSE", "7203"): "XTKS", ("COIN", "BTCUSD"): "24x7"}
PRICES: Final[dict[tuple[str, ...], float]] = {
    ("FX", "EURUSD"): 1.0832,
    ("TSE", "7203"): 2754.0,
    ("COIN", "BTCUSD"): 86_120.0,
}
FIRST, LAST = date(2025, 3, 6), date(2025, 3, 14)
BEGIN: Final = datetime(2025, 3, 6, 12, tzinfo=UTC)
"""Thursday noon; New York's clocks go forward in the weekend that follows."""
ARRIVAL: Final = datetime(2025, 3, 10, 1, 31, tzinfo=UTC)
"""When the ticks that Tokyo sent in `DELAYED` come in."""
END: Final = datetime(2025, 3, 10, 4, 17, 20, tzinfo=UTC)
DELAYED: Final = (datetime(2025, 3, 10, 1, 18, tzinfo=UTC), datetime(2025, 3, 10, 1, 20, tzinfo=UTC))
QUIET: Final = (DELAYED[1], ARRIVAL)
"""A stretch in which Tokyo trades nothing."""
STEP_MS: Final = 300_000
EURUSD, TOYOTA, BTCUSD = MARKETS
SHOWN: Final = ("bucket_start", "open", "high", "low", "close", "volume", "ticks", "final", "synthetic")
NEXT: Final = """
Try next:
  rc init mybars && cd mybars     a project of your own with this schedule, query and a README
  rc dev                          all roles in one process; then rc ticks simulate, rc bars tail in another terminal
  rc infra apply                  or each role by itself: rc engine run, rc hb run (twice), rc hb list
  rc bars build TICKS.parquet --period 1m,5m,1h,1d --time ts --price bid --sessions fx --out BARS.parquet"""


class Rate(ao.Stream):
    """One tick."""

    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 0, default=Decimal(0))


class MarketSchedule(ao.Table):
    """One session of a market."""

    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


trading = ao.Context("demo")
rate_bars = (
    trading.events(Rate)
    .time_frame(
        MarketSchedule,
        (Rate.broker == MarketSchedule.broker)
        & (Rate.symbol == MarketSchedule.symbol)
        & (MarketSchedule.open <= Rate.at)
        & (Rate.at < MarketSchedule.close),
        day_key=MarketSchedule.market_date,
    )
    .tumbling(
        Rate.at,
        Period.minutes(1),
        Period.minutes(5),
        Period.hours(1),
        Period.days(1),
        ensure_continuous=True,
        grace=timedelta(seconds=5),
    )
    .select(**ao.ohlcv(Rate.price, Rate.size))
    .to_query()
)


class Demo:
    """Plays the markets to a running project, as fast as it goes.

    Args:
        log: Where everything is.
        step_ms: So much market time is sent at once.
    """

    def __init__(self, log: DeployLog, *, step_ms: int = STEP_MS) -> None:
        self._step_ms = step_ms
        self.clock = ManualClock(_ms(BEGIN))
        self._rates = trading.set(Rate, log=log)
        ensure_topics(log, [trading])
        self._sessions = {key: calendar_sessions(name, FIRST, LAST) for key, name in MARKETS.items()}
        hours = trading.set(MarketSchedule, log=log)
        for key, sessions in self._sessions.items():
            hours.add_range(_schedule_table(key, sessions))
        options = SimulationOptions(rate=0.35, volatility=8e-5, prices=PRICES)
        self._market = TickSimulator(Rate.__entity__, list(MARKETS), options)
        self.server = DevServer(log=log, contexts=[trading], base_clock=self.clock, follow=False)
        self._held: list[pa.Table] = []

    def play(self, until: datetime, tell: Callable[[int], None]) -> None:
        """Send ticks and work them off until a time; `tell` gets the time after every step, ms."""
        while (at := self.clock.now_ms()) < _ms(until):
            then = min(at + self._step_ms, _ms(until))
            trading_now = np.array([len(s.between(at, then)) > 0 for s in self._sessions.values()])
            ticks = pa.Table.from_batches([self._market.batch(at, then, trading=trading_now)])
            ticks = ticks.filter(pc.invert(_of(ticks, TOYOTA, QUIET)))
            delayed = _of(ticks, TOYOTA, DELAYED)
            self._held.append(ticks.filter(delayed))
            self._rates.add_range(ticks.filter(pc.invert(delayed)))
            self.clock.advance(then - at)
            self.server.step()
            tell(then)
        self.server.finish()

    def deliver(self) -> int:
        """Send the ticks that were held back; returns how many."""
        count = self._rates.add_range(pa.concat_tables(self._held))
        self._held.clear()
        self.server.finish()
        return count


def run(
    log: DeployLog, out: Path, *, ready: Callable[[DevServer], None] = lambda _: None, step_ms: int = STEP_MS
) -> None:
    """Play the demo on a log, print what it shows and draw it into a folder.

    Args:
        log: Where everything is.
        out: Folder for the pictures.
        ready: Waits until the roles have begun.
        step_ms: So much market time is sent at once.
    """
    print(
        "Three markets, four days: EURUSD with its weekend, 7203 in Tokyo with a lunch break, BTCUSD without a pause."
    )
    demo = Demo(log, step_ms=step_ms)
    ready(demo.server)
    with progress_bar("ticks → log → engine → bars", _ms(END) - _ms(BEGIN)) as advance:
        demo.play(ARRIVAL, lambda now: advance(now - _ms(BEGIN)))
        around = (datetime(2025, 3, 10, 1, 10, tzinfo=UTC), ARRIVAL)
        before = five_minutes(log, TOYOTA, *around)
        late = demo.deliver()
        after = five_minutes(log, TOYOTA, *around)
        demo.play(END, lambda now: advance(now - _ms(BEGIN)))
    status = demo.server.status
    print(
        f"{status.ticks:,} ticks went in, {status.bars:,} bar updates came out, {status.markers:,} heartbeats beat.\n"
    )
    _show_bars(log, late, before, after)
    draw(log, out)


def _show_bars(log: DeployLog, late: int, before: pa.Table, after: pa.Table) -> None:
    tell = partial(print, end="\n\n")
    weekend = (datetime(2025, 3, 7, 21, 50, tzinfo=UTC), datetime(2025, 3, 9, 21, 10, tzinfo=UTC))
    print_bars(f"{' '.join(EURUSD)} 5m around the weekend", five_minutes(log, EURUSD, *weekend))
    tell(
        "EURUSD stops at 17:00 in New York on Friday (22:00 UTC) and goes on at 17:00 on Sunday: 21:00 UTC, since the\n"
        "clocks went forward in between. No bars were made for the weekend; the schedule says there is none."
    )
    lunch = (datetime(2025, 3, 10, 2, 20, tzinfo=UTC), datetime(2025, 3, 10, 3, 40, tzinfo=UTC))
    print_bars(f"{' '.join(TOYOTA)} 5m around the lunch break", five_minutes(log, TOYOTA, *lunch))
    tell("Tokyo pauses from 11:30 to 12:30 (02:30 to 03:30 UTC): again no bars, and none is missing around it.")
    print_bars(f"{' '.join(TOYOTA)} 5m at 01:31, before the late ticks", before)
    tell(
        "Nothing traded from 01:20 to 01:31, yet the bars were there on time: synthetic ones, flat at the last close.\n"
        f"Then {late} ticks of 01:18 to 01:20 arrived, more than ten minutes late:"
    )
    print_bars(f"{' '.join(TOYOTA)} 5m after the late ticks", after)
    tell(
        "The final bar of 01:15 was revised, and with it every synthetic bar that carries its close. The order in\n"
        "which ticks arrive never changes what a bar ends up as."
    )
    newest = TimeBucket.set(rate_bars.bar(Period.minutes(5)), Period.minutes(5), log=log)
    print_bars(f"{' '.join(BTCUSD)} 5m, the newest", newest.latest(*BTCUSD, count=4))
    tell("It is 04:17:20: the last bar is live and still grows, the others are final.")
    days = TimeBucket.set(rate_bars.bar(Period.days(1)), Period.days(1), log=log)
    print_bars(f"{' '.join(TOYOTA)} 1d by market date", days.latest(*TOYOTA, count=4))
    tell("Days are trading days: Friday's bar is final since Friday's close, Monday's is live.")


def five_minutes(log: DeployLog, key: Key, start: datetime, end: datetime) -> pa.Table:
    """Return the 5m bars of a key that start in a range."""
    bars = TimeBucket.set(rate_bars.bar(Period.minutes(5)), Period.minutes(5), log=log)
    return bars.read(*key, start=start, end=end)


def draw(log: DeployLog, out: Path) -> None:
    """Draw Tokyo's morning as a PNG, and the weekend of EURUSD as a page."""
    morning = five_minutes(log, TOYOTA, datetime(2025, 3, 10, tzinfo=UTC), END + timedelta(minutes=1))
    title = f"{' '.join(TOYOTA)} 5m, 10 March 2025 (UTC)"
    write_chart(candles_of(morning, title=title), out / "demo.png", ChartOptions(width=1200, height=640))
    hours = TimeBucket.set(rate_bars.bar(Period.hours(1)), Period.hours(1), log=log).read(*EURUSD)
    page = ChartOptions(gaps=False)
    write_chart(candles_of(hours, title=f"{' '.join(EURUSD)} 1h, without closed hours"), out / "weekend.html", page)


def print_bars(title: str, bars: pa.Table) -> None:
    """Print bars as a table."""
    show(table_of(bars.select(list(SHOWN)).to_pylist(), title=title))


def _of(ticks: pa.Table, key: Key, span: tuple[datetime, datetime]) -> pa.ChunkedArray:
    broker, symbol = (
        pc.equal(pc.cast(ticks[n], pa.string()), v) for n, v in zip(("broker", "symbol"), key, strict=True)
    )
    start, end = (pa.scalar(moment, ticks["at"].type) for moment in span)
    inside = pc.and_(pc.greater_equal(ticks["at"], start), pc.less(ticks["at"], end))
    return pc.and_(pc.and_(broker, symbol), inside)


def _schedule_table(key: Key, sessions: Sessions) -> pa.Table:
    rows = sessions.to_table()
    names = {
        name: pa.repeat(pa.scalar(part), rows.num_rows) for name, part in zip(("broker", "symbol"), key, strict=True)
    }
    return pa.table({**names, **{name: rows[name] for name in rows.column_names}})


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def main() -> None:
    """Run the demo; everything it makes is in one folder."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="Folder for the log and the pictures.")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("log.db*"):
        old.unlink()
    clock = SystemClock()
    started = clock.monotonic()
    with EmbeddedLog(out / "log.db") as log:
        run(log, out)
    run_live(out / "live")
    took = clock.monotonic() - started
    print(f"Pictures: {out}/demo.png, {out}/weekend.html. The log: {out}/log.db. It took {took:.0f} s.")
    print(NEXT)


if __name__ == "__main__":
    main()
