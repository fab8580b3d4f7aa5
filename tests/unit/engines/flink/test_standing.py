from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_engine import HOUR, Market, bars, trade
from tests.support_flink_server import NOW, FakeJob, Site

if TYPE_CHECKING:
    from ashioto.control.applied import Registration
    from ashioto.engines.base import RunningQuery

QUERY = bars("1m", name="minutes")
GROUP = "p.ashioto-dev-local-t_minutes_v1"


class Case(Site):
    """A version whose job has been submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.market = Market.of(QUERY, hours=[("A", 0, HOUR)], log=self.log)
        self.known: Registration = self.version(QUERY)
        self.engine().register(self.known)

    @property
    def job(self) -> FakeJob:
        return self.server.job

    def stand(self) -> RunningQuery:
        (found,) = self.engine().inspect([self.known])
        return found


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_job_that_works_runs(case: Case) -> None:
    case.market.send(trade("A", 0), trade("A", 1))
    case.log.groups[GROUP] = {0: 2}
    found = case.stand()
    assert (found.state, dict(found.cuts), found.detail) == ("running", {0: 2}, f"job {case.job.id}")


@pytest.mark.parametrize("state", ["INITIALIZING", "CREATED", "RECONCILING"])
def test_a_job_that_begins_is_starting(case: Case, state: str) -> None:
    case.job.state = state
    assert (case.stand().state, state in case.stand().detail) == ("starting", True)


def test_a_job_that_waits_for_slots_or_for_its_first_state_is_starting(case: Case) -> None:
    case.job.running = 1
    assert (case.stand().state, case.stand().detail) == ("starting", "1 of 3 tasks run; are there free slots?")
    case.job.running, case.job.completed, case.job.saved_ms = 3, 0, None
    assert (case.stand().state, "has not saved its state yet" in case.stand().detail) == ("starting", True)
    case.job.restored = 1
    assert case.stand().state == "running"


def test_a_job_that_restarts_has_failed_also_while_it_is_called_running(case: Case) -> None:
    case.job.exceptions = [(NOW + 1, "java.lang.ArithmeticException: / by zero\n\tat a.B(C.java:1)")]
    assert (case.stand().state, case.stand().detail) == ("failed", "restarts: / by zero")
    case.job.saved_ms = NOW + 2
    assert case.stand().state == "running"
    case.job.state = "RESTARTING"
    assert case.stand().detail == f"job {case.job.id} is RESTARTING: / by zero"


def test_a_job_that_has_ended_says_why_unless_it_was_ended_on_purpose(case: Case) -> None:
    case.job.exceptions = [(NOW, "x.Error: no brokers")]
    case.job.state = "FAILED"
    assert (case.stand().state, case.stand().detail) == ("ended", "its job is FAILED: no brokers")
    case.job.state = "CANCELED"
    assert (case.stand().state, case.stand().detail) == ("ended", "its job is CANCELED")


def test_a_job_whose_state_is_not_saved_has_failed(case: Case) -> None:
    case.job.failed = 4
    case.clock.advance(80_000)
    assert case.stand().state == "running"
    case.clock.advance(5_000)
    found = case.stand()
    assert (found.state, "was not saved for 85 s, 4 attempts failed" in found.detail) == ("failed", True)


def test_a_job_that_runs_and_reads_nothing_has_failed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.market.send(trade("A", 0), trade("A", 1))
    case.log.groups[GROUP] = {0: 1}
    saves(case, monkeypatch)
    found = case.stand()
    assert (found.state, "reads nothing, though 1 ticks wait" in found.detail) == ("failed", True)


def test_a_job_that_reads_while_it_is_watched_runs(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.market.send(trade("A", 0), trade("A", 1))
    case.log.groups[GROUP] = {0: 1}
    saves(case, monkeypatch, read_after=8)
    found = case.stand()
    assert (found.state, dict(found.cuts)) == ("running", {0: 2})


def test_a_job_whose_state_is_not_saved_while_it_is_watched_may_still_read(case: Case) -> None:
    case.market.send(trade("A", 0), trade("A", 1))
    case.log.groups[GROUP] = {0: 1}
    assert case.stand().state == "running"


def test_versions_of_other_engines_and_stopped_ones_are_left_out(case: Case) -> None:
    others = [case.version(QUERY, engine="embedded"), case.version(QUERY, state="stopped")]
    case.server.down = True
    assert case.engine().inspect(others) == []


def saves(case: Case, monkeypatch: pytest.MonkeyPatch, read_after: int = 1_000) -> None:
    """Have state be saved every second of waiting, and something be read after so many looks."""
    looks = iter(range(10_000))
    sleep = case.clock.sleep

    def slept(seconds: float) -> None:
        sleep(seconds)
        look = next(looks)
        if look % 4 == 0:
            case.job.completed += 1
        if look == read_after:
            case.log.groups[GROUP] = {0: 2}

    monkeypatch.setattr(case.clock, "sleep", slept)
