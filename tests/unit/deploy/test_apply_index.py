"""The index of a schedule is applied with it: created where the engine speaks SQL, and filled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from tests.support_deploy import Declared, Hours, World

from ashioto.deploy.explain import explain, line, step_content
from ashioto.deploy.stages import FillIndex
from ashioto.deploy.status import status
from ashioto.engines.sql.index import difference, index_batches, index_of, rows_in
from ashioto.testing import CrashError

if TYPE_CHECKING:
    from ashioto.engines.sql.index import Index

PLAIN = Declared()
INDEX = "trading.hours_by_day"
DAY = datetime(2025, 1, 6, tzinfo=UTC)


def sql_world() -> World:
    world = World()
    world.engine.kind = "ksqldb"
    return world


def add_sessions(world: World, *days: int) -> None:
    at = [DAY + timedelta(days=day) for day in days]
    rows = [Hours(symbol="A", open=day, close=day + timedelta(hours=8), market_date=date(2025, 1, 6)) for day in at]
    PLAIN.context().set(Hours, log=world.log).add_range(rows)


def the_index() -> Index:
    (query,) = PLAIN.context().queries.values()
    found = index_of("trading", query.plan.time_frame)
    assert found is not None
    return found


def with_sessions_before() -> World:
    """A world whose schedule was filled while another engine ran, so that it has no index."""
    world = World()
    world.apply(PLAIN)
    add_sessions(world, 0, 1)
    world.engine.kind = "ksqldb"
    return world


def test_an_index_is_created_and_empty_where_the_schedule_is() -> None:
    world = sql_world()
    outcome = world.apply(PLAIN)
    assert INDEX in world.log.topics()
    assert not any(isinstance(step, FillIndex) for step in outcome.plan.steps)
    assert world.apply(PLAIN).plan.steps == ()


def test_other_engines_have_none() -> None:
    world = World()
    world.apply(PLAIN)
    assert INDEX not in world.log.topics()


def test_the_index_of_a_schedule_with_sessions_is_filled() -> None:
    world = with_sessions_before()
    plan = world.plan(PLAIN)
    fill = next(step for step in plan.steps if isinstance(step, FillIndex))
    assert line(fill) == f"index: fill {INDEX} (from trading.hours)"
    assert step_content(fill) == {"FillIndex": INDEX}
    stages = [row["stage"] for row in explain(plan.steps)]
    assert stages.index("topics") < stages.index("index") < stages.index("register")
    world.apply(PLAIN)
    assert len(rows_in(world.log, the_index())) == 2
    assert difference(world.log, the_index()).rows == ()
    assert world.apply(PLAIN).plan.steps == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_it_dies_at_the_index_is_filled_by_the_next_run(when: Literal["before", "after"]) -> None:
    whole = with_sessions_before()
    whole.apply(PLAIN)
    for crash_at in range(1, whole.effects + 1):
        world = with_sessions_before()
        with pytest.raises(CrashError):
            world.apply(PLAIN, crash_at=crash_at, when=when)
        world.apply(PLAIN)
        assert world.end() == whole.end()
        assert difference(world.log, the_index()).rows == ()


def test_a_schedule_without_sessions_left_is_no_reason_to_fill_again_and_again() -> None:
    world = with_sessions_before()
    world.apply(PLAIN, allow_delete=())
    world.log.delete([INDEX, "trading.hours"])
    world.apply(PLAIN)
    assert world.apply(PLAIN).plan.steps == ()


def test_status_tells_an_index_that_differs() -> None:
    world = with_sessions_before()
    world.apply(PLAIN)
    found = {f.object: f for f in status(world.target, ["trading"], now_ms=0)}
    assert (found[INDEX].state, found[f"{INDEX} rows"].state) == ("ok", "ok")
    gone = [row for row in rows_in(world.log, the_index()) if row.key.endswith(b"1736208000000")]
    assert len(gone) == 1
    world.log.append(index_batches(the_index(), [type(gone[0])(key=gone[0].key, sessions=())], 1))
    row = next(f for f in status(world.target, ["trading"], now_ms=0) if f.object == f"{INDEX} rows")
    assert (row.state, row.detail) == ("drift", "1 missing (A 2025-01-07)")
    assert row.hint == "rc schedule check --fix"
