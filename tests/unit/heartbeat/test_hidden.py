"""The heartbeat on a log where somebody's open append hides records: it waits for nothing, and forgets nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.support_heartbeat import contents, planned, records, session_batch
from tests.support_hidden import HidingLog, SlowLog
from tests.support_orchestrator import ENV, KEYS, MINUTE, PLAN, Stage
from tests.support_planning import START, START_DAY
from tests.unit.heartbeat.test_service import role_of, service_of, turn

from ashioto.control.specs import spec_batch
from ashioto.control.state import HeartbeatState, state_batch
from ashioto.control.topics import HB_SPECS, HB_STATE
from ashioto.errors import LeaseLostError, LogBusyError
from ashioto.log.base import Batch, Fence
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

BEGUN = START - MINUTE - 1
HOURS_TOPIC = "t.hours"


@pytest.fixture
def stage() -> Stage:
    made = Stage(log=HidingLog())
    made.specify()
    return made


def hiding(stage: Stage) -> HidingLog:
    assert isinstance(stage.log, HidingLog)
    return stage.log


def test_a_cut_includes_ticks_that_were_acknowledged_and_are_hidden(stage: Stage) -> None:
    log = hiding(stage)
    written = {0: 7, 1: 3}
    seen = log.end_offsets

    def end_offsets(topic: str, *, committed: bool = True) -> dict[int, int]:
        return written if (topic, committed) == ("t.rate", False) else seen(topic, committed=committed)

    log.end_offsets = end_offsets  # type: ignore[method-assign]  # ticks that nobody sees yet
    stage.run(stage.active(), START + MINUTE)
    del log.end_offsets
    cuts = {(partition, row["source_cut"]) for partition, rows in records(log, PLAN) for row in rows}
    assert cuts
    assert cuts <= set(written.items())


def test_one_that_takes_over_renews_until_it_sees_where_the_last_one_stood(stage: Stage) -> None:
    log = hiding(stage)
    one, two, three = (role_of(stage, name) for name in ("one", "two", "three"))
    first, second, third = service_of(stage, one), service_of(stage, two), service_of(stage, three)
    turn(stage, START, first, second)
    log.hide(HB_STATE)
    turn(stage, START + 2 * MINUTE, first)
    before = log.end_offsets("t.rate_hb")
    stage.clock.advance(MINUTE)
    for _ in range(100):  # five seconds and more: longer than a lease lasts
        second.step()
        assert 0 < second.wait_s() <= 0.05
        stage.clock.advance(1000 * second.wait_s() + 5)
        third.step()
    assert (two.mode, three.mode) == ("active", "standby")
    assert log.end_offsets("t.rate_hb") == before
    log.show(HB_STATE)
    turn(stage, START + 4 * MINUTE, second)
    assert contents(log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + 4 * MINUTE)


def test_one_that_ends_before_it_has_begun_says_nothing_of_where_it_stands(stage: Stage) -> None:
    log = hiding(stage)
    first, second = service_of(stage, role_of(stage, "one")), service_of(stage, role_of(stage, "two"))
    turn(stage, START + MINUTE, first)
    log.hide(HB_STATE)
    first.stop()
    second.step()
    ends = log.end_offsets(HB_STATE, committed=False)
    second.stop()
    assert log.end_offsets(HB_STATE, committed=False) == ends


def test_a_context_that_waits_keeps_no_other_from_being_taken_over(stage: Stage) -> None:
    log = hiding(stage)
    log.hide(HB_STATE)
    log.append([_state(stage)], fence=Fence(name="other", epoch=1))
    roles = [role_of(stage, "one"), role_of(stage, "one", context="u")]
    taken = roles[1].election.campaign

    def campaign() -> int | None:  # whose append it was is shut out, and that is what ends it
        log.show(HB_STATE)
        return taken()

    roles[1].election.campaign = campaign  # type: ignore[method-assign]
    service = service_of(stage, *roles)
    turn(stage, START + MINUTE, service)
    assert [role.mode for role in roles] == ["active", "active"]
    assert contents(log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + MINUTE)


def test_an_edit_of_the_schedule_that_is_hidden_is_followed_once_it_is_seen(stage: Stage) -> None:
    log = hiding(stage)
    runs = stage.active()
    stage.run(runs, START)
    log.hide(HOURS_TOPIC)
    key = ("FX", "GBPUSD")
    stage.hours[key] = [(START + 2 * MINUTE, START + 4 * MINUTE, START_DAY)]
    log.append([session_batch({key: stage.hours[key]})])
    stage.run(runs, START + MINUTE)
    assert contents(log, PLAN) == planned(
        PLAN, {key: stage.hours[key] for key in KEYS}, after=BEGUN, until=START + MINUTE
    )
    log.show(HOURS_TOPIC)
    stage.run(runs, START + 5 * MINUTE)
    assert contents(log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + 5 * MINUTE)


def test_a_changed_specification_begins_where_it_stood_also_while_that_is_hidden(stage: Stage) -> None:
    log = hiding(stage)
    runs = stage.active()
    log.hide(HB_STATE)
    stage.run(runs, START + MINUTE)
    stage.specify(stage.spec(interval_ms=5_000))
    stage.run(runs, START + MINUTE + 30_000)
    log.show(HB_STATE)
    stage.run(runs, START + 3 * MINUTE)
    assert contents(log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + 3 * MINUTE)


def test_the_role_is_kept_between_appends_however_long_they_take() -> None:
    log = SlowLog()
    stage = Stage(log=log)
    stage.specify(stage.spec(), stage.spec(kind="5m"), stage.spec(kind="1h"))
    one, two = role_of(stage, "one"), role_of(stage, "two")
    first, second = service_of(stage, one), service_of(stage, two)
    turn(stage, START - 1_000, first, second)
    others: list[Callable[[], object]] = [lambda: stage.clock.advance(900), second.step]
    log.meanwhile = others
    stage.clock.advance(1_000)
    for _ in range(5):
        first.step()
    assert (one.mode, two.mode) == ("active", "standby")


@pytest.mark.parametrize("mode", ["active", "standby"])
def test_a_cluster_that_does_not_answer_costs_no_role(caplog: pytest.LogCaptureFixture, mode: str) -> None:
    caplog.set_level(logging.WARNING)
    stage = Stage(log=MemoryLog())
    stage.specify()
    one, two = role_of(stage, "one"), role_of(stage, "two")
    first, second = service_of(stage, one), service_of(stage, two)
    turn(stage, START, first, second)
    watched, role = (first, one) if mode == "active" else (second, two)
    ends, lease = stage.log.end_offsets, stage.log.lease

    def silent(*_: object, **__: object) -> None:
        raise LogBusyError("Kafka does not answer", hint="wait")

    stage.log.end_offsets = stage.log.lease = silent  # type: ignore[method-assign,assignment]
    for _ in range(20):
        assert watched.step() == 0
        stage.clock.advance(300)
    stage.log.end_offsets, stage.log.lease = ends, lease  # type: ignore[method-assign]
    told = [r.message for r in caplog.records if "does not answer" in r.message and "be taken" not in r.message]
    assert len(told) == 1
    assert role.mode == mode
    turn(stage, START + MINUTE, first)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + MINUTE)


def test_one_whose_role_was_taken_while_nothing_answered_ends_at_the_first_answer(stage: Stage) -> None:
    role = role_of(stage, "one")
    service = service_of(stage, role)
    turn(stage, START, service)
    stage.log.append([], fence=Fence(name=role.election.name, epoch=9))
    ends = stage.log.end_offsets

    def silent(*_: object, **__: object) -> None:
        raise LogBusyError("Kafka does not answer", hint="wait")

    stage.log.end_offsets = silent  # type: ignore[method-assign,assignment]
    stage.clock.advance(400)
    assert service.step() == 0
    stage.log.end_offsets = ends  # type: ignore[method-assign]
    stage.clock.advance(MINUTE)
    with pytest.raises(LeaseLostError, match="taken over"):
        service.step()
    assert role.mode == "stopped"


def test_one_that_stands_by_learns_that_a_problem_was_solved(stage: Stage) -> None:
    first, second = service_of(stage, role_of(stage, "one")), service_of(stage, role_of(stage, "two"))
    first.step()
    stage.log.append([spec_batch(ENV, [stage.spec(schedule_topic="t.nothing")])])
    second.step()
    assert second.problems
    stage.log.append([spec_batch(ENV, [stage.spec()])])
    turn(stage, START, first, second)
    assert not second.problems


def test_specifications_that_are_hidden_are_served_once_they_are_seen(stage: Stage) -> None:
    log = hiding(stage)
    runs = stage.active()
    log.hide(HB_SPECS)
    stage.specify(stage.spec(enabled=False))
    stage.run(runs, START)
    assert runs.beats
    log.show(HB_SPECS)
    stage.run(runs, START + 500)
    assert not runs.beats


def _state(stage: Stage) -> Batch:
    state = HeartbeatState(last_hb_ms=0, mode="active", holder="x", epoch=1, updated_ms=0)
    return state_batch(stage.spec(kind="1d").key(ENV), state)
