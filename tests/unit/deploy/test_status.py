from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from tests.support_deploy import ENV, Declared, World, add_tick

from ashioto.control.applied import Registration, registration_batch
from ashioto.control.specs import heartbeat_specs, spec_batch
from ashioto.control.state import HeartbeatState, state_batch
from ashioto.deploy.actual import Actual
from ashioto.deploy.status import Finding, status, version_finding
from ashioto.engines.base import RunningQuery, RunState
from ashioto.log.base import TopicSpec

if TYPE_CHECKING:
    from ashioto.control.applied import RegistrationState
    from ashioto.control.state import Mode

PLAIN = Declared()
NOW = 10_000_000


def beat(world: World, *, last_ms: int = NOW, mode: Mode = "active") -> None:
    state = HeartbeatState(last_hb_ms=last_ms, mode=mode, holder="host:9", epoch=1, updated_ms=last_ms)
    (spec,) = heartbeat_specs(world.log, ENV)
    world.log.append([state_batch(spec.key(ENV), state)])


@pytest.fixture
def world() -> World:
    """A world in which all is well."""
    made = World()
    made.apply(PLAIN)
    add_tick(made.log, "trading.hours")
    beat(made)
    return made


def wrong(world: World, *contexts: str, now_ms: int = NOW) -> list[Finding]:
    return [f for f in status(world.target, contexts or ("trading",), now_ms=now_ms) if f.state != "ok"]


def only(world: World, **options: int) -> Finding:
    (found,) = wrong(world, **options)
    return found


def test_where_all_is_well_every_object_is_told(world: World) -> None:
    found = status(world.target, ["trading"], now_ms=NOW)
    assert {finding.state for finding in found} == {"ok"}
    assert [finding.object for finding in found] == [
        "trading.rate", "trading.rate_bars_1m", "trading.rate_bars_5m", "trading.rate_late", "trading.rate_hb",
        "trading_bars_v1", "trading.Rate.1m", "trading.hours", "trading.Rate.1m heartbeat",
    ]  # fmt: skip


def test_looking_writes_nothing(world: World) -> None:
    before = world.offsets()
    status(world.target, ["trading"], now_ms=NOW)
    assert world.offsets() == before


def test_where_nothing_was_ever_applied_that_is_told() -> None:
    found = only(World())
    assert (found.object, found.state, found.detail, found.hint) == (
        "trading", "drift", "nothing of it is applied", "rc infra apply",
    )  # fmt: skip


def test_topics_that_are_gone_or_other_are_told(world: World) -> None:
    world.log.delete(["trading.rate_late"])
    spec = world.log.describe("trading.rate").spec
    world.log.alter(replace(spec, schema=spec.schema.remove(2).append(pa.field("venue", pa.int64()))))
    assert {f.object: (f.state, f.detail) for f in wrong(world)} == {
        "trading.rate": ("drift", "has no column price; has also the column venue"),
        "trading.rate_late": ("drift", "does not exist"),
    }


def test_topics_of_another_kind_are_told(world: World) -> None:
    world.log.delete(["trading.rate"])
    world.log.create([TopicSpec(name="trading.rate", partitions=2, schema=pa.schema({"symbol": pa.int64()}))])
    detail = only_of(world, "trading.rate").detail
    assert detail.startswith("has partitions = 2, not 1; has no column at; has no column price; symbol is int64, not")


def only_of(world: World, name: str) -> Finding:
    (found,) = [finding for finding in wrong(world) if finding.object == name]
    return found


def test_a_schedule_without_sessions_or_topic_is_told() -> None:
    world = World()
    world.apply(PLAIN)
    beat(world)
    assert (only(world).object, only(world).state, only(world).hint) == (
        "trading.hours", "problem", "rc schedule import",
    )  # fmt: skip
    world.log.delete(["trading.hours"])
    assert (only(world).object, only(world).state) == ("trading.hours", "drift")


def test_a_version_that_does_not_run_is_told(world: World) -> None:
    world.engine.failing["trading_bars_v1"] = "close left 64 bits"
    assert (only(world).object, only(world).state, only(world).detail) == (
        "trading_bars_v1", "problem", "failed: close left 64 bits",
    )  # fmt: skip
    world.engine.failing.clear()
    world.engine.partly = True
    assert (only(world).state, only(world).detail) == ("problem", "nobody runs partition 1 yet")
    world.engine.absent = True
    assert (only(world).state, only(world).hint) == ("problem", "rc engine run")
    world.engine.queries.clear()
    assert (only(world).state, only(world).detail) == ("drift", "the engine does not know it")


def test_a_version_that_has_ended_in_the_engine_is_told_and_applied_again(world: World) -> None:
    world.engine.ended["trading_bars_v1"] = "its job is FAILED"
    found = only(world)
    assert (found.state, found.detail, found.hint) == ("problem", "ended: its job is FAILED", "rc infra apply")
    (change,) = [change for change in world.plan(PLAIN).changes if change.gravity != "no-op"]
    assert (change.action, change.reason) == ("register", "it has ended in the engine")
    world.apply(PLAIN)
    assert wrong(world) == []
    assert world.plan(PLAIN).steps == ()


def test_what_fails_in_a_server_is_looked_up_there() -> None:
    known = Registration(
        context="trading", query="bars", version=1, state="applied", engine="flink", checksum="", plan="",
        begins="start", updated_ms=0,
    )  # fmt: skip
    hints = {}
    states: tuple[RunState, ...] = ("failed", "starting")
    for state in states:
        run = RunningQuery(name=known.name, state=state)
        hints[state] = version_finding(known, known, Actual(running=(run,))).hint
    assert hints == {"failed": "see the engine's own pages and logs, and rc doctor",
                     "starting": "look again in a moment; rc doctor"}  # fmt: skip


@pytest.mark.parametrize("state", ["intent", "registered"])
def test_an_apply_that_was_left_half_done_is_told(world: World, state: RegistrationState) -> None:
    (known,) = world.records()
    second = replace(known, version=2, state=state)
    world.log.append([registration_batch(ENV, [second])])
    world.engine.register(second)
    found = {f.object: f.detail for f in wrong(world)}
    assert found["trading_bars_v1"] == "v2 is to take its place; apply was left half done"
    assert found["trading_bars_v2"] == f"is only {state}; apply was left half done: in memory"


def test_a_spec_that_is_not_as_applied_is_told(world: World) -> None:
    (spec,) = heartbeat_specs(world.log, ENV)
    for changed, detail in (
        (replace(spec, enabled=False), "is disabled"),
        (replace(spec, grace_ms=7), "is not as v1 of bars implies: grace_ms"),
    ):
        world.log.append([spec_batch(ENV, [changed])])
        assert (only(world).object, only(world).state, only(world).detail) == (spec.id, "drift", detail)


def test_a_spec_without_a_query_is_told(world: World) -> None:
    (spec,) = heartbeat_specs(world.log, ENV)
    world.log.append([spec_batch(ENV, [replace(spec, query="other", kind="5m")])])
    assert (only(world).object, only(world).detail) == (
        "trading.Rate.5m", "is enabled, but other is not applied as a continuous query",
    )  # fmt: skip


def test_a_query_without_a_spec_is_told(world: World) -> None:
    (spec,) = heartbeat_specs(world.log, ENV)
    world.log.delete(["rc.hb.specs"])
    assert (only(world).object, only(world).detail) == (spec.id, "has no specification")


def test_a_query_that_is_not_continuous_needs_no_heartbeat() -> None:
    world = World()
    world.apply(PLAIN)
    world.apply(Declared(continuous=False))
    assert wrong(world) == []


@pytest.mark.parametrize(("late_ms", "state"), [(180_000, "ok"), (180_001, "problem")])
def test_heartbeats_that_stay_away_for_three_intervals_are_told(world: World, late_ms: int, state: str) -> None:
    found = [f for f in status(world.target, ["trading"], now_ms=NOW + late_ms) if f.object.endswith("heartbeat")]
    assert [f.state for f in found] == [state]
    assert "the last at 1970-01-01T02:46:40Z by host:9" in found[0].detail


def test_heartbeats_that_were_stopped_or_never_sent_are_told(world: World) -> None:
    beat(world, mode="stopped")
    assert only(world).detail.startswith("stopped; the last at")
    fresh = World()
    fresh.apply(PLAIN)
    add_tick(fresh.log, "trading.hours")
    assert (only(fresh).object, only(fresh).detail, only(fresh).hint) == (
        "trading.Rate.1m heartbeat", "was never sent", "rc hb run",
    )  # fmt: skip
    fresh.log.delete(["rc.hb.state"])
    assert only(fresh).detail == "was never sent"


def test_only_the_named_contexts_are_looked_at(world: World) -> None:
    world.engine.absent = True
    assert [f.object for f in wrong(world, "analytics")] == ["analytics"]
