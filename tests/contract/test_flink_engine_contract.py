"""The contract of Flink as the engine, on a real cluster; a person may name theirs (see docs/operations/flink.md)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.engine_contract import HIGHER, HOURLY, MINUTES, EngineContract, EngineUnderTest, market
from tests.support_engine import MINUTE, trade
from tests.support_host import ENV
from tests.support_kafka_log import open_kafka_log
from tests.support_roles import CLOCK, wait_until

from ashioto.config import Config, EngineConfig, LogConfig, RegistryConfig
from ashioto.control.applied import registrations
from ashioto.engines.flink.options import flink_options, open_gateway, open_jobs
from ashioto.engines.flink.registry import FlinkEngine
from ashioto.engines.sql.index import indexes
from ashioto.errors import AshiotoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.control.applied import Registration
    from ashioto.log.kafka import KafkaLog
    from ashioto.testing.stack import FlinkPlace

PATIENCE_S = 180.0
"""A job of many tasks takes long to start on a busy machine, and a quiet source tells what it has read every 10 s."""


@dataclass(frozen=True)
class Cluster:
    """A cluster of Flink, and the brokers and registry that it reaches."""

    gateway_url: str
    jobmanager_url: str
    checkpoints: Path
    kafka: str
    registry: str


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A cluster that `ASHIOTO_TEST_FLINK` names: gateway, job manager, folder, brokers, registry; else one of ours."""
    named = os.environ.get("ASHIOTO_TEST_FLINK", "").split()
    if named:
        gateway, jobmanager, folder, kafka, registry = named
        return Cluster(gateway, jobmanager, Path(folder), kafka, registry)
    flink: FlinkPlace = request.getfixturevalue("flink")
    kafka, registry = request.getfixturevalue("kafka"), request.getfixturevalue("registry")
    return Cluster(flink.gateway_url, flink.jobmanager_url, flink.checkpoints, kafka, registry)


def engine_of(cluster: Cluster, log: KafkaLog) -> FlinkEngine:
    """Return the engine on a log."""
    config = Config(
        file=Path("ashioto.toml"),
        log=LogConfig(kind="kafka", bootstrap=cluster.kafka, prefix=log.options.prefix),
        schema_registry=RegistryConfig(url=cluster.registry),
        engine=EngineConfig(
            kind="flink", url=cluster.gateway_url, jobmanager=cluster.jobmanager_url,
            checkpoints=f"file://{cluster.checkpoints}", checkpoint_interval_ms=1_000,
        ),
    )  # fmt: skip
    options = flink_options(config)
    return FlinkEngine(
        log, env=ENV, gateway=open_gateway(config, options, CLOCK), jobs=open_jobs(config, options, CLOCK),
        options=options, clock=CLOCK,
    )  # fmt: skip


class Running:
    """What is registered on a log, and runs in a cluster."""

    def __init__(self, log: KafkaLog, engine: FlinkEngine) -> None:
        log.create([index.spec(1) for index in indexes([MINUTES.plan])])  # as `rc infra apply` does for such engines
        self.log, self.engine, self.market = log, engine, market(log)

    @property
    def versions(self) -> list[Registration]:
        return [version for version in registrations(self.log, ENV) if version.runs]

    def turn(self) -> None:
        for version in self.versions:
            wait_until(
                lambda known=version: self.engine.progress(known) == self.log.end_offsets("t.trade"),  # type: ignore[misc]  # bound at once
                every=0.25, what=f"all ticks of {version.name}", patience_s=PATIENCE_S,
            )  # fmt: skip

    def leave(self) -> None:
        """Have the jobs end, as in a job manager that has lost them."""
        for version in self.versions:
            self.engine.stop(version)


class TestFlinkEngine(EngineContract):
    @pytest.fixture
    def site(self, cluster: Cluster, unique: str, tmp_path: Path) -> Iterator[EngineUnderTest]:
        with open_kafka_log(cluster.kafka, cluster.registry, unique, tmp_path) as log:
            running = Running(log, engine_of(cluster, log))
            yield EngineUnderTest(
                engine=running.engine, market=running.market, turn=running.turn, leave=running.leave
            )  # fmt: skip
            running.leave()
            running.engine.close()

    def test_without_a_process_a_query_waits_and_goes_on_with_the_next(self, site: EngineUnderTest) -> None:
        """A job that has ended is told, and goes on once it is registered again: that is what `rc infra apply` does."""
        version = site.version()
        site.register(version)
        site.turn()
        site.leave()
        site.market.send(trade("A", 0, 1))
        assert site.stand(version).state == "ended"
        site.engine.register(version)
        site.turn()
        assert dict(site.stand(version).cuts) == site.sent
        assert site.stand(version).state == "running"
        assert [row["ticks"] for row in site.market.bars("1m")] == [1]

    def test_a_changed_version_takes_over_from_the_start(self, site: EngineUnderTest) -> None:
        """Bars that the version before has made and the new one does not stay: a job knows nothing of them."""
        first, second = site.version(), site.version(HIGHER, 2)
        site.register(first)
        site.market.send(trade("A", 0, 1), trade("A", MINUTE, 2, lots=2), trade("A", MINUTE, 3))
        site.turn()
        site.check_bars("1m", (0, 1), (MINUTE, 2))
        site.register(second)
        site.turn()
        site.stop(first)
        site.turn()
        assert site.engine.progress(second) == site.sent
        assert [found.name for found in site.engine.inspect([replace(first, state="stopped"), second])] == [second.name]
        site.check_bars("1m", (0, 1), (MINUTE, 1))

    def test_a_plan_that_cannot_run_fails_and_the_others_go_on(self, site: EngineUnderTest) -> None:
        bad, good = replace(site.version(), plan="{}"), site.version(HOURLY)
        with pytest.raises(AshiotoError, match="no plan"):
            site.engine.register(bad)
        site.register(good)
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.engine.inspect([bad]) == []
        assert [row["ticks"] for row in site.market.bars("1h")] == [1]

    def test_a_version_that_cannot_run_leaves_the_one_before_running(self, site: EngineUnderTest) -> None:
        first = site.version()
        site.register(first)
        site.turn()
        with pytest.raises(AshiotoError, match="no plan"):
            site.engine.register(replace(site.version(version=2), plan="{}"))
        site.market.send(trade("A", 0, 1))
        site.turn()
        assert site.engine.progress(first) == site.sent
        assert [row["ticks"] for row in site.market.bars("1m")] == [1]
