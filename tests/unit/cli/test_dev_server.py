from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ashioto as ao
from ashioto import Field, Period, TimeBucket
from ashioto.cli.dev import IDLE_SECONDS, DevServer
from ashioto.cli.replay import announced, begin, replay
from ashioto.clock import ManualClock
from ashioto.deploy.bootstrap import ensure_topics
from ashioto.heartbeat import portions
from ashioto.heartbeat.planner import plan_markers
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.deploy.target import DeployLog
    from ashioto.log.base import Log

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = date(2025, 1, 6)
OPEN = int(datetime(2025, 1, 6, 9, tzinfo=UTC).timestamp()) * 1000
GRACE = 5 * SECOND


class Rate(ao.Stream):
    """One tick."""

    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 2)


class Hours(ao.Table):
    """One session."""

    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


trading = ao.Context("dev_server")
bars = (
    trading.events(Rate)
    .time_frame(
        Hours,
        (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
        day_key=Hours.market_date,
    )
    .tumbling(
        Rate.at, Period.minutes(1), Period.minutes(5), ensure_continuous=True, grace=timedelta(milliseconds=GRACE)
    )
    .select(close=ao.last(Rate.price), ticks=ao.count())
    .to_query()
)
always = ao.Context("dev_server_always")
always_bars = (
    always.events(Rate)
    .time_frame(ao.AlwaysOpen)
    .tumbling(Rate.at, Period.minutes(1), ensure_continuous=True)
    .select(close=ao.last(Rate.price), ticks=ao.count())
    .to_query()
)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def import_sessions(log: Log, *symbols: str, opened: int = OPEN, hours: int = 2) -> None:
    rows = [
        Hours(symbol=s, open=moment(opened), close=moment(opened + hours * HOUR), market_date=moment(opened).date())
        for s in symbols
    ]
    trading.set(Hours, log=log).add_range(rows)


def send(log: Log, at: int, price: int = 1, symbol: str = "A", context: ao.Context = trading) -> None:
    context.set(Rate, log=log).add(Rate(symbol=symbol, at=moment(at), price=Decimal(price)))


def read(log: Log, minutes: int = 1, symbol: str = "A") -> list[dict[str, Any]]:
    period = Period.minutes(minutes)
    found: list[dict[str, Any]] = TimeBucket.set(bars.bar(period), period, log=log).read(symbol).to_pylist()
    return [{name: value for name, value in row.items() if name != "source_cut"} for row in found]


def said(log: Log, minutes: int = 1) -> list[tuple[int, int, str]]:
    """Minute, ticks and state of every bar."""
    return [
        (row["bucket_start"].minute, row["ticks"], ("final" if row["final"] else "live") + "*" * row["synthetic"])
        for row in read(log, minutes)
    ]


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    ensure_topics(made, [trading, always])
    import_sessions(made, "A", "B")
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(OPEN)


def server_of(log: DeployLog, clock: ManualClock, *, follow: bool = True, context: ao.Context = trading) -> DevServer:
    return DevServer(log=log, contexts=[context], base_clock=clock, follow=follow)


def turn(server: DevServer, clock: ManualClock, ms: int) -> None:
    """Let a stretch of time pass, as the loop of `rc dev` does."""
    end = clock.now_ms() + ms
    while clock.now_ms() < end:
        if not server.step():
            clock.sleep(min(server.pause(), (end - clock.now_ms()) / 1000))
    server.step()


def test_a_bar_is_live_within_the_interval_and_final_at_its_deadline(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock)
    turn(server, clock, 10 * SECOND)
    send(log, OPEN + 9 * SECOND)
    turn(server, clock, SECOND)
    assert said(log) == [(0, 1, "live")]
    turn(server, clock, 49 * SECOND + GRACE - 1)
    assert said(log) == [(0, 1, "live"), (1, 0, "live*")]
    turn(server, clock, 1)
    assert said(log) == [(0, 1, "final"), (1, 0, "live*")]
    assert clock.now_ms() == OPEN + MINUTE + GRACE


def test_no_deadline_is_slept_over(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock)
    seen: dict[int, int] = {}
    send(log, OPEN)
    while clock.now_ms() < OPEN + 3 * MINUTE + 30 * SECOND:
        if not server.step():
            clock.sleep(server.pause())
        for minute, _, state in said(log):
            if state.startswith("final"):
                seen.setdefault(minute, clock.now_ms())
    assert seen == {n: OPEN + (n + 1) * MINUTE + GRACE for n in range(3)}


def test_empty_buckets_are_filled_and_longer_frames_end_with_them(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock)
    send(log, OPEN + 1, price=7)
    turn(server, clock, 5 * MINUTE + GRACE)
    assert said(log)[:5] == [(0, 1, "final"), *((n, 0, "final*") for n in range(1, 5))]
    assert said(log, 5)[0] == (0, 1, "final")
    assert {row["close"] for row in read(log)} == {Decimal("7.00")}
    assert server.status.ticks == 1
    assert server.status.line().startswith("2025-01-06T09:05:05Z · 1 ticks · ")


def test_between_two_heartbeats_nothing_is_planned(
    log: MemoryLog, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[int] = []

    def counted(*args: Any, **options: Any) -> Any:
        planned.append(clock.now_ms())
        return plan_markers(*args, **options)

    monkeypatch.setattr(portions, "plan_markers", counted)
    turn(server_of(log, clock), clock, 2 * MINUTE)
    assert planned == [OPEN, OPEN + MINUTE, OPEN + MINUTE + GRACE, OPEN + 2 * MINUTE]


def test_a_schedule_that_has_ended_leaves_nothing_to_do(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(30 * 24 * HOUR)
    server = server_of(log, clock)
    assert not server.scheduled
    server.step()
    ends = {topic: log.end_offsets(topic) for topic in ("dev_server.rate_hb", "dev_server.rate_bars_1m")}
    for _ in range(100):
        assert not server.step()
        assert 0 <= server.pause() <= IDLE_SECONDS
        clock.sleep(server.pause())
    assert ends == {topic: log.end_offsets(topic) for topic in ends}


def test_a_schedule_that_is_imported_later_takes_effect_at_once(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(30 * 24 * HOUR)
    server, now = server_of(log, clock), clock.now_ms()
    turn(server, clock, MINUTE)
    import_sessions(log, "A", opened=now, hours=1)
    send(log, now + MINUTE + 1)
    turn(server, clock, 2 * MINUTE)
    assert server.scheduled
    assert said(log)[0] == (1, 1, "final")


def test_what_ended_while_nothing_ran_is_closed_at_the_start(log: MemoryLog, clock: ManualClock) -> None:
    send(log, OPEN)
    turn(server_of(log, clock), clock, 30 * SECOND)
    send(log, OPEN + 40 * SECOND)
    clock.advance(3 * MINUTE)
    server = server_of(log, clock)
    server.step()
    assert said(log) == [(0, 2, "final"), (1, 0, "final*"), (2, 0, "final*"), (3, 0, "live*")]


@settings(max_examples=8, deadline=None)
@given(
    ticks=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 99), st.sampled_from("AB")), max_size=15),
    crashes=st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=4),
    pause=st.integers(0, 60),
)
def test_however_often_it_is_killed_nothing_is_lost(
    ticks: Sequence[tuple[int, int, str]], crashes: Sequence[tuple[int, bool]], pause: int
) -> None:
    ends = []
    for chosen in (crashes, []):
        inner, clock = MemoryLog(), ManualClock(OPEN)
        ensure_topics(inner, [trading])
        import_sessions(inner, "A", "B")
        run_with(inner, clock, sorted(ticks), chosen, pause)
        ends.append([read(inner, minutes, symbol) for minutes in (1, 5) for symbol in "AB"])
    assert ends[0] == ends[1]


def run_with(
    inner: MemoryLog, clock: ManualClock, ticks: Sequence[tuple[int, int, str]], crashes: Sequence[tuple[int, bool]],
    pause: int,
) -> None:  # fmt: skip
    """Run for a quarter of an hour; ticks come at their time, each crash happens at an append and costs a pause."""
    waiting, left, end = list(ticks), list(crashes), OPEN + 15 * MINUTE
    while clock.now_ms() < end:
        at, written = left.pop(0) if left else (10_000_000, False)
        log = CrashingLog(inner, crash_at=at, when="after" if written else "before")
        try:
            server = server_of(log, clock)
            while clock.now_ms() < end:
                while waiting and OPEN + waiting[0][0] * SECOND <= clock.now_ms():
                    second, price, symbol = waiting.pop(0)
                    send(inner, OPEN + second * SECOND, price, symbol)
                server.step()
                clock.advance(min(5 * SECOND, end - clock.now_ms()))
        except CrashError:
            clock.advance(min(pause * SECOND, end - clock.now_ms()))
    assert not waiting
    server = server_of(inner, clock)
    server.step()
    server.finish()


def test_a_replay_is_followed_and_goes_on_at_real_pace(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(400 * 24 * HOUR)
    server = server_of(log, clock)
    turn(server, clock, SECOND)
    assert not server.replaying
    with replay(log, clock, event_ms=OPEN, speed=60.0, lead_ms=500) as market:
        turn(server, clock, 500)
        send(log, OPEN)
        market.sleep(1)
        server.step()
        assert (server.replaying, server.status.now_ms) == (True, OPEN + MINUTE)
        market.sleep(1)
        server.step()
    assert said(log) == [(0, 1, "final"), (1, 0, "live*"), (2, 0, "live*")]
    turn(server, clock, 3 * SECOND)
    assert server.status.now_ms == OPEN + 2 * MINUTE + 3 * SECOND
    turn(server, clock, 2 * SECOND)
    assert said(log) == [(0, 1, "final"), (1, 0, "final*"), (2, 0, "live*")]


def test_a_change_of_pace_is_no_new_epoch(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock)
    with replay(log, clock, event_ms=OPEN, speed=60.0) as market:
        server.step()
        market.sleep(3)
        server.step()
    turn(server, clock, 3 * MINUTE)
    part = log.read("dev_server.rate_hb", 0, 0)
    assert part is not None
    assert len(set(part.data.column("epoch").to_pylist())) == 1
    due = part.data.column("due").to_pylist()
    assert due == sorted(due)


def test_a_restart_in_the_middle_of_a_replay_follows_it(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(400 * 24 * HOUR)
    with replay(log, clock, event_ms=OPEN, speed=60.0) as market:
        send(log, OPEN)
        turn(server_of(log, clock), clock, 500)
        market.sleep(3)
        server = server_of(log, clock)
        server.step()
        assert server.status.now_ms == market.now_ms() == OPEN + 210 * SECOND
        assert said(log) == [(0, 1, "final"), (1, 0, "final*"), (2, 0, "final*"), (3, 0, "live*")]


def test_after_a_replay_and_a_long_pause_no_days_are_filled(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(400 * 24 * HOUR)
    server = server_of(log, clock)
    with replay(log, clock, event_ms=OPEN, speed=60.0) as market:
        send(log, OPEN)
        server.step()
        market.sleep(2)
        server.step()
    before = said(log)
    clock.advance(24 * HOUR)
    server = server_of(log, clock)
    server.step()
    assert (server.replaying, said(log)) == (True, before)
    turn(server, clock, GRACE)
    assert said(log) == [(0, 1, "final"), (1, 0, "final*"), (2, 0, "live*")]


def test_a_second_replay_goes_back(log: MemoryLog, clock: ManualClock) -> None:
    clock.advance(400 * 24 * HOUR)
    server = server_of(log, clock)
    for symbol in "AB":
        with replay(log, clock, event_ms=OPEN, speed=60.0) as market:
            send(log, OPEN, symbol=symbol)
            server.step()
            market.sleep(2)
            server.step()
    assert [row["final"] for row in read(log, symbol="B")] == [True, False, False]
    assert [row["ticks"] for row in read(log, symbol="A")] == [1, 0, 0]


def test_the_wall_clock_is_kept_to_when_wanted(log: MemoryLog, clock: ManualClock) -> None:
    begin(log, clock, event_ms=OPEN - 50 * HOUR, speed=1.0)
    server = server_of(log, clock, follow=False)
    assert not server.replaying
    line = announced(log)
    assert line is not None
    assert line.is_wall
    begin(log, clock, event_ms=OPEN - 50 * HOUR, speed=60.0)
    turn(server, clock, SECOND)
    assert server.status.now_ms == clock.now_ms()


def test_markets_that_never_close_need_no_schedule(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock, context=always)
    assert server.scheduled
    send(log, OPEN, context=always)
    turn(server, clock, MINUTE)
    table = TimeBucket.set(always_bars.bar(Period.minutes(1)), Period.minutes(1), log=log)
    assert [(r["ticks"], r["final"]) for r in table.read("A").to_pylist()] == [(1, True), (0, False)]


def test_troubles_are_counted(log: MemoryLog, clock: ManualClock) -> None:
    server = server_of(log, clock)
    send(log, OPEN - 1)
    send(log, OPEN, symbol="C")
    server.finish()
    line = server.status.line()
    assert "1 out of session" in line
    assert "1 of unknown keys" in line
    assert "late" not in line
