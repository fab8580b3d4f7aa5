"""The contract of the engine on Kafka, where a group says what it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.engine_contract import EngineContract, EngineUnderTest, market
from tests.support_host import ENV
from tests.support_kafka_log import open_kafka_log
from tests.support_roles import CLOCK, wait_until

from ashioto.cli.engine_run import engine_host
from ashioto.control.sharing import engine_owners
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.registry import EmbeddedRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.engines.embedded.host import EngineHost
    from ashioto.log.kafka import KafkaLog


class Hosts:
    """One host at a time, made anew once the one before has ended."""

    def __init__(self, log: KafkaLog) -> None:
        self.log, self.market = log, market(log)
        self.owners = engine_owners(log, env=ENV, clock=CLOCK)
        self.host: EngineHost | None = None
        self.started = 0

    def turn(self) -> None:
        if self.host is None:
            self.started += 1
            self.host = engine_host(self.log, env=ENV, clock=self.market.clock, holder=str(self.started))
        wait_until(self.settled, what="the partitions")
        self.market.clock.advance(1)
        self.host.drain()

    def settled(self) -> bool:
        assert self.host is not None
        self.host.step()
        found = [*self.owners.of("t.trade", 1).values(), *self.owners.of(APPLIED, 1).values()]
        return len(found) == 2 and all(name.endswith(f":{self.started}") for name in found)

    def leave(self) -> None:
        if self.host is not None:
            self.host.finish()
        self.host = None


class TestEngineOnKafka(EngineContract):
    @pytest.fixture
    def site(self, kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[EngineUnderTest]:
        with open_kafka_log(kafka, registry, unique, tmp_path) as log:
            hosts = Hosts(log)
            engine = EmbeddedRegistry(log, env=ENV, owners=hosts.owners)
            yield EngineUnderTest(engine=engine, market=hosts.market, turn=hosts.turn, leave=hosts.leave)
            hosts.leave()
