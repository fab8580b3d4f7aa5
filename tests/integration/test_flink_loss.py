"""Parts of a cluster and its broker that are killed in mid-stream, and changed SQL: what goes on, what begins anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import HOUR, MINUTE, bars, trade
from tests.support_flink_bars import PATIENCE_S, FlinkMarket, World
from tests.support_roles import wait_until

from ashioto.engines.flink.statements import script
from ashioto.errors import EngineBusyError
from ashioto.testing.stack import Broker, Flink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.engines.base import RunState


@pytest.fixture
def own(java: None) -> Iterator[Flink]:  # noqa: ARG001  # skips
    with Flink() as cluster:
        yield cluster


@pytest.fixture
def market(kafka: str, registry: str, own: Flink, unique: str, tmp_path: Path) -> Iterator[FlinkMarket]:
    world = World(kafka=kafka, registry=registry, flink=own.place, unique=unique, folder=tmp_path)
    made = FlinkMarket.of(bars("1m", "5m"), world, hours=[("A", 0, HOUR)])
    yield made
    made.end()


def await_state(market: FlinkMarket, state: RunState) -> None:
    """Wait until the version stands so."""

    def stands() -> bool:
        return [found.state for found in market.engine.inspect([market.version])] == [state]

    wait_until(stands, every=0.25, what=state, patience_s=PATIENCE_S)


def await_read(market: FlinkMarket) -> None:
    """Wait until the version has read all ticks, and its state with them was saved."""
    ends = market.log.end_offsets("t.trade")
    wait_until(
        lambda: market.engine.progress(market.version) == ends, every=0.25, what="all ticks", patience_s=PATIENCE_S
    )  # fmt: skip


@pytest.mark.alone
def test_a_lost_job_goes_on_where_its_state_was_saved_and_changed_sql_begins_all_over(
    market: FlinkMarket, own: Flink, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.engine.register(market.version)
    market.twin.send(*(trade("A", n * MINUTE // 3, n) for n in range(60)))
    market.twin.at(21 * MINUTE)
    market.copy()
    await_read(market)
    market.await_same()

    own.kill_job_manager()
    with pytest.raises(EngineBusyError, match="was not reached"):
        market.engine.inspect([market.version])
    market.twin.send(*(trade("A", n * MINUTE // 3, n) for n in range(60, 90)), trade("A", MINUTE // 2, 7))
    market.twin.at(31 * MINUTE)
    market.copy()
    own.start_job_manager()
    assert market.engine.inspect([market.version]) == []

    market.engine.register(market.version)
    (first,) = market.engine._jobs.all()
    wait_until(lambda: market.engine._jobs.checkpoints(first.id).restored == 1, what="its state", patience_s=PATIENCE_S)
    await_state(market, "running")
    market.await_same()

    market.engine._jobs.cancel(first.id)
    await_state(market, "ended")

    def changed(*args: Any, **options: Any) -> Any:
        made = script(*args, **options)
        return replace(made, job=made.job.replace("BEGIN", "BEGIN /* of another ashioto */", 1))

    monkeypatch.setattr(market.engine, "_generate", changed)
    market.engine.register(market.version)
    (second,) = [job for job in market.engine._jobs.all() if not job.ended]
    await_state(market, "running")
    assert market.engine._jobs.checkpoints(second.id).restored == 0
    await_read(market)
    market.await_same()


@pytest.mark.alone
def test_a_task_manager_and_a_broker_that_are_killed_leave_no_trace_in_the_bars(
    own: Flink, registry: str, unique: str, tmp_path: Path
) -> None:
    rows = [trade("A", n * MINUTE // 3, n % 17) for n in range(120)]
    with Broker() as broker:
        world = World(kafka=broker.bootstrap, registry=registry, flink=own.place, unique=unique, folder=tmp_path)
        market = FlinkMarket.of(bars("1m", "5m"), world, hours=[("A", 0, HOUR)])
        market.engine.register(market.version)
        market.twin.send(*rows[:30])
        market.twin.at(10 * MINUTE)
        market.copy()
        market.await_same()

        market.twin.send(*rows[30:60])
        market.twin.at(20 * MINUTE)
        market.copy()
        own.kill_task_manager()
        market.twin.send(*rows[60:75])
        market.twin.at(25 * MINUTE)
        market.copy()
        own.start_task_manager()
        market.await_same()

        market.twin.send(*rows[75:105])
        market.twin.at(35 * MINUTE)
        market.copy()
        broker.kill()
        broker.start()
        market.twin.send(*rows[105:])
        market.twin.at(40 * MINUTE)
        market.copy()
        market.await_same()
        assert [market.records(period)[1] for period in ("1m", "5m")] == [0, 0]
        await_state(market, "running")
        market.end()
