"""Whatever others write into the bars beside ticks, time, restarts and crashes: the end is what the model gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_engine import DAY, MINUTE, Market, Trade, bars, trade
from tests.support_history import Foreign, Model, RacingLog, check, foreign_batch
from tests.support_shared import oracle

import ashioto as ao
from ashioto.engines.embedded import following, rebuild, repair, residency, stream
from ashioto.testing.crashing_log import CrashError, CrashingLog

if TYPE_CHECKING:
    from tests.support_history import Kind

    from ashioto.dsl import BarQuery

LOOSE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
KINDS: list[Kind] = ["partial", "partial", "opaque", "bare", "deleted"]
FRAMES = ("1m", "5m", "1d")
LENGTH = 12 * MINUTE


def query(*, looks_back: bool, grace: int) -> BarQuery:
    """OHLCV, perhaps with a column that looks back."""
    select: dict[str, Any] = dict(ao.ohlcv(Trade.price, Trade.size))
    if looks_back:
        select["step"] = ao.last(Trade.price) - ao.previous("close")
    return bars(*FRAMES, select=select, grace=grace)


class Play:
    """A market and its model, acted upon step by step."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        grace = data.draw(st.sampled_from([0, 90_000]))
        self.query = query(looks_back=data.draw(st.booleans()), grace=grace)
        days = data.draw(st.sampled_from([(0, 1), (0, 2)]))
        hours = {s: [(d * DAY, d * DAY + LENGTH) for d in days] for s in "AB"}
        self.market = Market.of(self.query, hours=[(s, *span) for s, found in hours.items() for span in found])
        self.model = Model(oracle(), FRAMES, "clock", grace, hours)
        self.now = -MINUTE
        self.seq = 10**6
        self.moments = [d * DAY + m * MINUTE + 20_000 for d in days for m in range(12)]

    @property
    def read(self) -> int:
        """How far the ticks are in bars."""
        return sum(p["source_offset"] for p in self.market.progress())

    def tick(self) -> None:
        for _ in range(self.data.draw(st.integers(1, 4))):
            symbol = self.data.draw(st.sampled_from("AB"))
            at = self.data.draw(st.sampled_from(self.moments)) + self.data.draw(st.integers(0, 30_000))
            price = self.data.draw(st.integers(1, 9))
            self.market.send(trade(symbol, at, price))
            self.model.ticks.append((symbol, at, price))

    def beat(self) -> None:
        self.now = max(self.now, self.data.draw(st.sampled_from(self.moments)))
        self.market.beat(self.now)

    def foreign(self) -> tuple[str, str, dict[int, Foreign]]:
        """Some bars of one key and frame."""
        period, symbol = self.data.draw(st.sampled_from(FRAMES)), self.data.draw(st.sampled_from("AB"))
        starts = sorted(self.model.buckets(period, symbol))
        chosen = self.data.draw(st.lists(st.sampled_from(starts), min_size=1, max_size=4, unique=True))
        return period, symbol, {start: self.one(start) for start in chosen}

    def one(self, start: int) -> Foreign:
        kind: Kind = self.data.draw(st.sampled_from(KINDS))
        low, high = sorted(self.data.draw(st.tuples(st.integers(1, 20), st.integers(1, 20))))
        self.seq += 2
        spread = self.data.draw(st.integers(0, 50_000))
        return Foreign(
            kind=kind, open=low, high=high, low=low, close=high, volume=5, ticks=self.data.draw(st.integers(2, 4)),
            first=(start + 1, self.seq), last=(start + 1 + spread, self.seq + 1),
        )  # fmt: skip

    def write(self) -> None:
        period, symbol, found = self.foreign()
        self.note(period, symbol, found)
        self.market.log.append([foreign_batch(self.query, period, symbol, found)])

    def note(self, period: str, symbol: str, found: dict[int, Foreign]) -> None:
        for start, bar in found.items():
            self.model.write((period, symbol, start), bar, self.read)

    def race(self) -> None:
        """Somebody writes between the engine's look and its append."""
        period, symbol, found = self.foreign()
        noted: list[int] = []

        def after() -> None:
            noted.append(1)
            self.note(period, symbol, found)

        log = RacingLog(self.market.log, [foreign_batch(self.query, period, symbol, found)], after)
        crash = self.data.draw(st.sampled_from([0, 0, 1, 2, 3]))
        engine_log: Any = CrashingLog(log, crash_at=crash, when="after") if crash else log
        self.market.restart(engine_log=engine_log)
        try:
            self.market.run()
        except CrashError:
            self.market.clock.advance(1)
        self.market.restart(engine_log=self.market.log)

    def crash(self) -> None:
        when: Literal["before", "after"] = "before" if self.data.draw(st.booleans()) else "after"
        log = CrashingLog(self.market.log, crash_at=self.data.draw(st.integers(1, 4)), when=when)
        self.market.restart(engine_log=log)
        try:
            self.market.run()
        except CrashError:
            self.market.clock.advance(1)
        self.market.restart(engine_log=self.market.log)

    def poll(self) -> None:
        self.market.engine.poll()

    def later(self) -> None:
        self.market.clock.advance(self.data.draw(st.sampled_from([150, 1_500])))

    def flush(self) -> None:
        self.market.runners[0].flush()

    def drain(self) -> None:
        self.market.run()

    def restart(self) -> None:
        self.market.restart()


ACTIONS = ["tick", "tick", "beat", "write", "write", "race", "crash", "poll", "later", "flush", "drain", "restart"]


@pytest.fixture(params=[-1000, 4096], ids=["evicting", "keeping"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages and windows, and memory for everything or nothing."""
    monkeypatch.setattr(residency, "_SLACK", request.param)
    monkeypatch.setattr(rebuild, "PAGE", 3)
    monkeypatch.setattr(following, "PAGE", 3)
    monkeypatch.setattr(repair, "WINDOW", 200)
    monkeypatch.setattr(repair, "ENOUGH", 4)
    monkeypatch.setattr(stream, "MAX_ROWS", 3)


@settings(max_examples=60, deadline=None, suppress_health_check=LOOSE)
@given(data=st.data())
@pytest.mark.usefixtures("small")
def test_any_interleaving_ends_in_what_the_model_gives(data: st.DataObject) -> None:
    play = Play(data)
    for action in data.draw(st.lists(st.sampled_from(ACTIONS), max_size=16)):
        getattr(play, action)()
    play.market.run()
    check(play.market, play.model)
    before = play.market.written()
    play.market.restart()
    play.market.run()
    assert play.market.written() == before
    play.now = 5 * DAY
    play.market.at(play.now)
    check(play.market, play.model)
