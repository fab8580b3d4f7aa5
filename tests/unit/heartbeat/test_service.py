from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support_heartbeat import contents, planned
from tests.support_orchestrator import ENV, MINUTE, PLAN, RefusingLog, Stage
from tests.support_planning import START

from ashioto.control.election import LeaseElection
from ashioto.control.roles import heartbeat_role
from ashioto.control.state import heartbeat_state
from ashioto.errors import ClockJumpError, LeaseLostError, LogBusyError, LogError, LogFullError
from ashioto.heartbeat.guard import ClockGuard
from ashioto.heartbeat.service import ContextRole, HeartbeatService
from ashioto.log.base import Fence
from ashioto.log.embedded.log import EmbeddedLog
from ashioto.log.leases import Holder
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ashioto.log.base import Log
    from ashioto.log.leases import Lease, Leases

BEGUN = START - MINUTE - 1


class NoProcesses:
    """Knows nothing of processes: only time tells that one is gone."""

    def is_gone(self, holder: Holder) -> bool:
        """Whether it is certainly gone."""
        del holder
        return False

    def end(self, holder: Holder) -> bool:
        """End it."""
        del holder
        return False


class BusyLog:
    """Keeps leases in another log, but is held by somebody for the next changes.

    Args:
        inner: The other log.
    """

    def __init__(self, inner: Leases) -> None:
        self._inner = inner
        self.errors = 0
        self.kind: type[LogError] = LogBusyError

    def lease(self, name: str) -> Lease | None:
        """Return a lease."""
        return self._inner.lease(name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Change a lease, or refuse."""
        if self.errors:
            self.errors -= 1
            raise self.kind("not now")
        return self._inner.change_lease(name, change)


def role_of(
    stage: Stage, name: str, *, log: Log | None = None, leases: Leases | None = None, context: str = "t"
) -> ContextRole:
    """A role of one process."""
    orchestrator = stage.orchestrator(log)
    orchestrator.context = context
    election = LeaseElection(
        stage.log if leases is None else leases, heartbeat_role(ENV, context), holder=Holder(name=name),
        clock=stage.clock, processes=NoProcesses(),
    )  # fmt: skip
    return ContextRole(orchestrator, election, clock=stage.clock, holder=name, metrics=stage.metrics)


def service_of(stage: Stage, *roles: ContextRole) -> HeartbeatService:
    """A service of these roles."""
    return HeartbeatService(roles, clock=stage.clock, guard=ClockGuard(stage.clock), metrics=stage.metrics)


def turn(stage: Stage, until: int, *services: HeartbeatService) -> int:
    """Step all of them up to a moment, resting as they say; returns how many steps that took."""
    count = 0
    while True:
        for service in services:
            service.step()
        count += 1
        now = stage.clock.now_ms()
        if now >= until and all(service.wait_s() > 0 for service in services):
            return count
        wait = min(service.wait_s() for service in services) * 1000
        stage.clock.advance(min(wait, max(until - now, 0)) if wait else 0)


@pytest.fixture(params=["memory", "embedded"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    logs: dict[str, Callable[[], MemoryLog | EmbeddedLog]] = {
        "memory": MemoryLog,
        "embedded": lambda: EmbeddedLog(tmp_path / "log.db"),
    }
    made = Stage(log=logs[request.param]())
    made.specify()
    return made


def test_one_is_active_and_when_it_stops_the_other_goes_on_at_once(stage: Stage) -> None:
    one, two = role_of(stage, "one"), role_of(stage, "two")
    first, second = service_of(stage, one), service_of(stage, two)
    turn(stage, START, first, second)
    assert (one.mode, two.mode, two.epoch) == ("active", "standby", 0)
    first.stop()
    state = heartbeat_state(stage.log, stage.spec().key(ENV))
    assert state is not None
    assert (one.mode, state.mode, state.holder) == ("stopped", "stopped", "one")
    stage.clock.advance(2 * MINUTE)
    missed = planned(PLAN, stage.hours, after=START, until=START + 2 * MINUTE)
    assert second.step() == sum(missed.values())
    assert (two.mode, two.epoch) == ("active", 2)
    turn(stage, START + 3 * MINUTE, second)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + 3 * MINUTE)


def test_one_that_was_paused_is_refused_and_leaves_nothing(stage: Stage) -> None:
    one, two = role_of(stage, "one"), role_of(stage, "two")
    first, second = service_of(stage, one), service_of(stage, two)
    turn(stage, START, first, second)
    stage.clock.advance(MINUTE)
    assert second.step() == 2
    before = stage.log.end_offsets("t.rate_hb")
    with pytest.raises(LeaseLostError, match="two has taken over, and epoch 1 of one") as lost:
        first.step()
    assert lost.value.exit_code == 5
    assert "stand by" in lost.value.hint
    assert stage.log.end_offsets("t.rate_hb") == before
    assert one.mode == "stopped"
    assert stage.metrics.registry.get_sample_value("ashioto_hb_fenced_total", {"context": "t"}) == 1
    first.stop()
    assert two.election.leader() == "two"
    turn(stage, START + 2 * MINUTE, second)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=BEGUN, until=START + 2 * MINUTE)


def test_one_that_wakes_between_two_renewals_is_refused_by_the_log(stage: Stage) -> None:
    one = role_of(stage, "one")
    first = service_of(stage, one)
    turn(stage, START - 400, first)
    stage.log.append([], fence=Fence(name=one.election.name, epoch=7))
    stage.clock.advance(400)
    with pytest.raises(LeaseLostError):
        first.step()
    assert not contents(stage.log, PLAN)


@pytest.mark.parametrize("mode", ["active", "standby"])
def test_it_never_spins(stage: Stage, mode: str) -> None:
    one, two = role_of(stage, "one"), role_of(stage, "two")
    first, second = service_of(stage, one), service_of(stage, two)
    turn(stage, START, first, second)
    watched = first if mode == "active" else second
    for _ in range(100):
        first.step()
        second.step()
        wait = watched.wait_s()
        assert 0 <= wait <= 0.5
        stage.clock.advance(wait * 1000)
    assert stage.clock.now_ms() > START + 100 * (40 if mode == "standby" else 100)


def test_contexts_are_led_apart(stage: Stage) -> None:
    other = replace(PLAN, context="u")
    held = LeaseElection(
        stage.log, heartbeat_role(ENV, "u"), holder=Holder(name="x"), clock=stage.clock, processes=NoProcesses()
    )
    assert held.campaign() == 1
    roles = [role_of(stage, "one"), role_of(stage, "one", context=other.context)]
    service = service_of(stage, *roles)
    service.step()
    assert [role.mode for role in roles] == ["active", "standby"]
    stage.clock.advance(2_001)
    service.step()
    assert [(role.mode, role.epoch) for role in roles] == [("active", 1), ("active", 2)]


def test_a_replay_that_sets_the_clock_begins_a_new_epoch(stage: Stage) -> None:
    role = role_of(stage, "one")
    service = service_of(stage, role)
    turn(stage, START + MINUTE, service)
    service.rewind(START - 1)
    assert role.epoch == 2
    service.step()
    state = heartbeat_state(stage.log, stage.spec().key(ENV))
    assert state is not None
    assert (state.epoch, state.last_hb_ms) == (2, START + MINUTE)


def test_a_clock_that_jumps_ahead_stops_it_before_anything_is_sent(stage: Stage) -> None:
    service = service_of(stage, role_of(stage, "one"))
    service.step()
    before = stage.log.end_offsets("t.rate_hb")
    now = stage.clock.now_ms()
    stage.clock.now_ms = lambda: now + 3 * MINUTE  # type: ignore[method-assign]  # time itself does not jump
    with pytest.raises(ClockJumpError):
        service.step()
    assert stage.log.end_offsets("t.rate_hb") == before


@pytest.mark.parametrize("kind", [LogBusyError, LogFullError])
def test_a_log_that_is_busy_or_full_costs_neither_the_role_nor_the_process(
    caplog: pytest.LogCaptureFixture, kind: type[LogError]
) -> None:
    caplog.set_level(logging.WARNING)
    stage = Stage()
    stage.specify()
    refusing, busy = RefusingLog(stage.log), BusyLog(stage.log)
    busy.kind = kind
    role = role_of(stage, "one", log=refusing, leases=busy)
    service = service_of(stage, role)
    busy.errors = 1
    assert (service.step(), role.mode) == (0, "standby")
    turn(stage, START, service)
    busy.errors = 1
    turn(stage, START + MINUTE, service)
    refusing.errors = [LogBusyError("held")]
    service.stop()
    assert role.mode == "stopped"
    said = [r.message for r in caplog.records]
    assert [sum(text in m for m in said) for text in ("not be renewed", "not handed over")] == [1, 1]
