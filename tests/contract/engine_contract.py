"""What every engine promises; a test class per engine inherits it and says how to open one and let it work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import HOUR, MINUTE, Market, Trade, bars, trade
from tests.support_host import ENV, version_of

import ashioto as ao
from ashioto.control.applied import registration_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.control.applied import Registration
    from ashioto.engines.base import Engine, RunningQuery
    from ashioto.log.base import Log

CONTEXT = ao.Context("t")
MINUTES = bars("1m", context=CONTEXT, name="minutes")
HOURLY = bars("1h", context=CONTEXT, name="hours")
HIGHER = bars("1m", context=ao.Context("t"), name="minutes", where=[Trade.lots > 1])


@dataclass
class EngineUnderTest:
    """An engine beside the market it works on.

    Args:
        engine: What is tested.
        market: Topics, ticks and heartbeats of `MINUTES` and `HOURLY`.
        turn: Lets the engine do all there is to do.
        leave: Has the processes of the engine end.
        makes_bars: Whether there is somebody who runs the statements, so that bars come of ticks.
    """

    engine: Engine
    market: Market
    turn: Callable[[], None]
    leave: Callable[[], None]
    makes_bars: bool = True

    def version(self, plan: Any = MINUTES, version: int = 1, **others: Any) -> Registration:
        """Return a version of a query for this engine."""
        return version_of(plan.plan, version, **({"engine": self.engine.kind} | others))

    def register(self, *versions: Registration) -> None:
        """Record versions, and register them."""
        self.market.log.append([registration_batch(ENV, versions)])
        for version in versions:
            self.engine.register(version)

    def stop(self, version: Registration) -> None:
        """Record that a version is stopped, and stop it."""
        self.market.log.append([registration_batch(ENV, [replace(version, state="stopped")])])
        self.engine.stop(version)

    @property
    def sent(self) -> dict[int, int]:
        """Where the ticks end: that far everything is read once there is nothing left to do."""
        return self.market.log.end_offsets("t.trade")

    def check_bars(self, period: str, *wanted: tuple[int, int]) -> None:
        """Check where the bars of a frame start and how many ticks they have, where bars are made at all."""
        if self.makes_bars:
            assert [(row["bucket_start"], row["ticks"]) for row in self.market.bars(period)] == list(wanted)

    def stand(self, version: Registration) -> RunningQuery:
        """Return how a version stands."""
        (found,) = self.engine.inspect([version])
        return found


def market(log: Log | None = None) -> Market:
    """Return a market with an hour of sessions, in memory or on a log."""
    return Market.of(MINUTES, HOURLY, hours=[("A", 0, HOUR)], **({} if log is None else {"log": log}))


class EngineContract:
    """Runs against the engine of the fixture `site`, on whose log nothing is registered yet."""

    @pytest.fixture
    def site(self) -> EngineUnderTest:
        raise NotImplementedError

    def test_a_registered_query_runs_and_makes_progress(self, site: EngineUnderTest) -> None:
        version = site.version()
        assert site.engine.compile(version)
        assert site.engine.progress(version) is None
        site.register(version)
        site.turn()
        assert site.engine.progress(version) == {0: 0}
        site.market.send(trade("A", 0, 1), trade("A", 1, 2))
        site.turn()
        assert site.engine.progress(version) == site.sent
        stand = site.stand(version)
        assert (stand.name, stand.state, dict(stand.cuts)) == ("t_minutes_v1", "running", site.sent)
        assert stand.detail
        site.check_bars("1m", (0, 2))

    def test_registering_twice_changes_nothing(self, site: EngineUnderTest) -> None:
        version = site.version()
        site.register(version)
        site.market.send(trade("A", 0, 1))
        site.turn()
        before = site.market.written(), site.market.progress()
        site.register(version)
        site.turn()
        assert (site.market.written(), site.market.progress()) == before

    def test_a_changed_version_takes_over_from_the_start(self, site: EngineUnderTest) -> None:
        first, second = site.version(), site.version(HIGHER, 2)
        site.register(first)
        site.market.send(trade("A", 0, 1), trade("A", MINUTE, 2, lots=2))
        site.turn()
        site.register(second)
        site.turn()
        site.stop(first)
        site.turn()
        assert site.engine.progress(second) == site.sent
        assert [found.name for found in site.engine.inspect([replace(first, state="stopped"), second])] == [second.name]
        site.check_bars("1m", (MINUTE, 1))

    def test_a_stopped_query_reads_no_more(self, site: EngineUnderTest) -> None:
        version, other = site.version(), site.version(HOURLY)
        site.register(version, other)
        site.turn()
        site.stop(version)
        site.turn()
        site.market.send(trade("A", 0, 1))
        site.turn()
        site.check_bars("1m")
        site.check_bars("1h", (0, 1))
        site.engine.stop(version)
        assert site.engine.inspect([replace(version, state="stopped")]) == []

    def test_without_a_process_a_query_waits_and_goes_on_with_the_next(self, site: EngineUnderTest) -> None:
        version = site.version()
        site.register(version)
        site.turn()
        site.leave()
        site.market.send(trade("A", 0, 1))
        stand = site.stand(version)
        assert (stand.state, dict(stand.cuts)) == ("waiting", {0: 0})
        assert stand.detail
        site.turn()
        assert dict(site.stand(version).cuts) == site.sent
        assert site.stand(version).state == "running"

    def test_a_plan_that_cannot_run_fails_and_the_others_go_on(self, site: EngineUnderTest) -> None:
        bad, good = replace(site.version(), plan="{}"), site.version(HOURLY)
        site.register(bad, good)
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.stand(bad).state == "failed"
        assert "no plan" in site.stand(bad).detail
        assert site.engine.progress(bad) is None
        assert site.stand(good).state == "running"
        site.check_bars("1h", (0, 1))

    def test_a_version_that_cannot_run_leaves_the_one_before_running(self, site: EngineUnderTest) -> None:
        first = site.version()
        site.register(first)
        site.turn()
        site.register(replace(site.version(version=2), plan="{}"))
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.engine.progress(first) == site.sent
        site.check_bars("1m", (0, 1))
