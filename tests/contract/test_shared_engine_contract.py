"""The contract of the engine, where two processes share the partitions of its sources."""

from __future__ import annotations

import pytest
from tests.contract.engine_contract import EngineContract, EngineUnderTest, market
from tests.support_group import Crew, Engine
from tests.support_host import Site


class Pair:
    """Two engines at a time, made anew once those before have ended."""

    def __init__(self, site: Site) -> None:
        self.crew = Crew(site, {"t.trade": 1})
        self.engines: list[Engine] = []

    def turn(self) -> None:
        if not self.engines:
            self.engines = [self.crew.engine(), self.crew.engine()]
            self.crew.share((self.engines[0], []), (self.engines[1], [0]))
        self.crew.turn(*self.engines)

    def leave(self) -> None:
        for engine in self.engines:
            engine.host.finish()
        self.engines.clear()


class TestSharedEngine(EngineContract):
    @pytest.fixture
    def site(self) -> EngineUnderTest:
        pair = Pair(Site(market()))
        return EngineUnderTest(
            engine=pair.crew.registry, market=pair.crew.site.market, turn=pair.turn, leave=pair.leave
        )  # fmt: skip
