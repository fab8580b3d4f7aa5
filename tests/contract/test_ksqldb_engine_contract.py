"""The contract of the engine against the stand-in for a ksqlDB server, which makes no bars."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.engine_contract import HOURLY, EngineContract, EngineUnderTest, market
from tests.support_engine import trade
from tests.support_ksqldb_server import Network, ServedLog, engine_of

from ashioto.errors import EngineBusyError, UnsupportedError
from ashioto.testing.ksqldb_catalog import Topic
from ashioto.testing.ksqldb_server import KsqldbServer


class TestKsqldbEngine(EngineContract):
    @pytest.fixture
    def site(self) -> EngineUnderTest:
        server = KsqldbServer()
        network, log = Network(server), ServedLog(server)
        there = market(log)
        server.catalog.topics.setdefault("t.hours_by_day", Topic())

        def turn() -> None:
            network.down = False
            server.work(log.end_offsets)

        def leave() -> None:
            network.down = True

        engine = engine_of(log, network, there.clock)
        return EngineUnderTest(engine=engine, market=there, turn=turn, leave=leave, makes_bars=False)

    def test_without_a_process_a_query_waits_and_goes_on_with_the_next(self, site: EngineUnderTest) -> None:
        version = site.version()
        site.register(version)
        site.turn()
        site.leave()
        site.market.send(trade("A", 0, 1))
        with pytest.raises(EngineBusyError, match="was not reached"):
            site.stand(version)
        site.turn()
        assert dict(site.stand(version).cuts) == site.sent
        assert site.stand(version).state == "running"

    def test_a_plan_that_cannot_run_fails_and_the_others_go_on(self, site: EngineUnderTest) -> None:
        bad, good = replace(site.version(), plan="{}"), site.version(HOURLY)
        with pytest.raises(UnsupportedError, match="no plan"):
            site.register(bad)
        site.register(good)
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.engine.progress(bad) is None
        assert site.engine.inspect([bad]) == []
        assert site.stand(good).state == "running"

    def test_a_version_that_cannot_run_leaves_the_one_before_running(self, site: EngineUnderTest) -> None:
        first = site.version()
        site.register(first)
        site.turn()
        with pytest.raises(UnsupportedError, match="no plan"):
            site.register(replace(site.version(version=2), plan="{}"))
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.engine.progress(first) == site.sent
        assert site.stand(first).state == "running"
