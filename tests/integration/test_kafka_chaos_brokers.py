"""Brokers that are killed under a live market: one that comes back, and the leader of a cluster of three."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_kafka_chaos import BEATS, SOURCE, Engines, World, verdict
from tests.support_roles import CLOCK, wait_until

from ashioto.errors import LogBusyError
from ashioto.testing.stack import Broker, Cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support_crew import Crew

pytestmark = pytest.mark.alone
TIMES = 2
PATIENCE_S = 300.0
"""On two cores three brokers share with their clients, a new leader can be long in coming; what is lost counts here."""


def bars_go_on(world: World, beats: Crew, engines: Engines, more: int = 3) -> None:
    """Wait until all roles are taken and bars of the time from now on are final."""
    beats.fill(2)
    engines.fill(2)
    after = CLOCK.now_ms()

    def written() -> bool:
        try:
            rows = world.log.view(f"{SOURCE}_bars_1s").data.to_pylist()
        except LogBusyError:
            return False
        finals = [row["bucket_end"].timestamp() * 1000 for row in rows if row["final"]]
        return max(finals, default=0) > after + more * 1000

    wait_until(written, every=0.2, what="final bars", patience_s=PATIENCE_S)


def wrong_after(world: World, trouble: Callable[[], None]) -> dict[str, int]:
    """Return what is wrong after brokers have come to grief while everything ran."""

    def troubled(beats: Crew, engines: Engines) -> None:
        bars_go_on(world, beats, engines)
        for _ in range(TIMES):
            trouble()
            bars_go_on(world, beats, engines)

    _, _, roles = world.run(troubled)
    assert roles.tracebacks() == []
    return verdict(world)


def test_a_broker_that_is_killed_and_comes_back(
    java: None, registry: str, unique: str, tmp_path: Path
) -> None:  # fmt: skip
    del java
    with Broker() as broker, World.on(tmp_path, broker.bootstrap, registry, unique) as world:

        def trouble() -> None:
            broker.kill()
            broker.start()

        wrong = wrong_after(world, trouble)
    assert not any(wrong.values()), wrong


def test_a_cluster_that_loses_its_leader(java: None, registry: str, unique: str, tmp_path: Path) -> None:
    del java
    with Cluster() as cluster, World.on(tmp_path, cluster.bootstrap, registry, unique) as world:
        gone: list[Broker] = []

        def trouble() -> None:
            if gone:
                gone.pop().start()
            leader = cluster.leader(f"{unique}.{BEATS}")
            leader.kill()
            gone.append(leader)

        wrong = wrong_after(world, trouble)
    assert not any(wrong.values()), wrong
