from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.engine_contract import EngineContract, EngineUnderTest, market
from tests.support_host import Site

if TYPE_CHECKING:
    from ashioto.engines.embedded.host import EngineHost


class Hosts:
    """One host at a time, made anew once the one before has ended."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.host: EngineHost | None = None

    def turn(self) -> None:
        if self.host is None:
            self.host = self.site.host()
        self.site.run(self.host)

    def leave(self) -> None:
        assert self.host is not None
        self.host.finish()
        self.host = None


class TestEmbeddedEngine(EngineContract):
    @pytest.fixture
    def site(self) -> EngineUnderTest:
        hosts = Hosts(Site(market()))
        return EngineUnderTest(engine=hosts.site.registry, market=hosts.site.market, turn=hosts.turn, leave=hosts.leave)
