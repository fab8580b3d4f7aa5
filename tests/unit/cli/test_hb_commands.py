"""`rc hb list` joins specifications and states; `rc hb run` and `rc engine run` refuse what is wrong."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ashioto.cli.engine_run import Watched, engine_host
from ashioto.cli.hb_list import heartbeat_row, overdue_ms
from ashioto.cli.hb_run import Turned, clock_of, heartbeat_service
from ashioto.cli.infra_target import deploy_log
from ashioto.cli.replay import SharedClock
from ashioto.cli.stopping import Stopping
from ashioto.clock import ManualClock
from ashioto.control.election import LeaseElection
from ashioto.control.specs import heartbeat_specs
from ashioto.errors import LogBusyError
from ashioto.log.passing import PassingLog
from ashioto.observe.metrics import HeartbeatMetrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.heartbeat.service import HeartbeatService
    from ashioto.log.base import Log, ViewPage

ENV = ("dev", "local")
KEY = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")
OPEN = 1_736_121_600_000
"""2025-01-06"""
MINUTE = 60_000


@pytest.fixture
def spec(run: Callable[..., Result], project: Project) -> HeartbeatSpec:
    """What apply specifies for the starter project, with one day of sessions."""
    assert run("infra", "apply").exit_code == 0
    days = ("--from", "2025-01-06", "--to", "2025-01-06")
    assert run("schedule", "import", "24x7", *days, *KEY).exit_code == 0
    (found,) = heartbeat_specs(project.log, ENV)
    return found


def service(project: Project, clock: ManualClock, holder: str = "a") -> HeartbeatService:
    return heartbeat_service(
        deploy_log(project.log), ["trading"], env=ENV, clock=SharedClock(project.log, clock), base=clock,
        metrics=HeartbeatMetrics(), holder=holder,
    )  # fmt: skip


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def listed(run: Callable[..., Result]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("hb", "list", "--json").stdout)
    return found


def test_before_anything_is_applied_there_is_nothing_to_list(run: Callable[..., Result], project: Project) -> None:
    assert listed(run) == []
    assert "rc infra apply" in run("hb", "list").output
    assert project.log.path.name == "log.db"  # type: ignore[attr-defined]  # the log of a project is a file


def test_a_heartbeat_that_nobody_sends_shows_its_schedule_and_no_holder(
    run: Callable[..., Result], spec: HeartbeatSpec
) -> None:
    (row,) = listed(run)
    assert (row["context"], row["entity"], row["kind"], row["version"]) == ("trading", "Rate", "1m", spec.version)
    assert (row["schedule"], row["open"], row["close"]) == ("trading.market_schedule", "open", "close")
    assert (row["mode"], row["last_hb"], row["holder"], row["epoch"], row["delay_s"]) == ("none", *[None] * 4)


def test_an_active_heartbeat_shows_how_far_it_is_and_under_which_epoch(project: Project, spec: HeartbeatSpec) -> None:
    clock = ManualClock(OPEN + 30_000)
    beats = service(project, clock)
    beats.step()
    row = heartbeat_row(project.log, ENV, spec, leader="host:1", now=clock.now_ms())
    assert (row["mode"], row["holder"], row["epoch"], row["delay_s"]) == ("active", "host:1", 1, 0.0)
    assert row["last_hb"] == "2025-01-06T00:00:30Z"
    late = heartbeat_row(project.log, ENV, spec, leader=None, now=OPEN + 2 * MINUTE)
    assert (late["mode"], late["delay_s"]) == ("none", 60.0)
    beats.stop()
    stopped = heartbeat_row(project.log, ENV, spec, leader=None, now=OPEN + MINUTE)
    assert stopped["holder"] is None


def test_a_heartbeat_is_late_from_when_its_next_marker_is_due(project: Project, spec: HeartbeatSpec) -> None:
    at = [overdue_ms(project.log, spec, OPEN, OPEN + later) for later in (0, MINUTE - 1, MINUTE, MINUTE + 7)]
    assert at == [0, 0, 0, 7]
    day = 24 * 60 * MINUTE
    assert overdue_ms(project.log, spec, OPEN + 3 * day, OPEN + 9 * day) == 0


def test_health_says_who_leads_as_it_was_at_the_last_turn(project: Project, spec: HeartbeatSpec) -> None:
    clock = ManualClock(OPEN)
    first, second = service(project, clock), service(project, clock, "b")
    watched = [Turned(clock), Turned(clock)]
    for one, turned in zip((first, second), watched, strict=True):
        one.step()
        clock.advance(600)
        turned.turned(one)
    found = [turned.health() for turned in watched]
    assert [h.ready for h in found] == [True, True]
    assert [[(leader.context, leader.is_this, leader.epoch) for leader in h.leaders] for h in found] == [
        [(spec.context, True, 1)],
        [(spec.context, False, 1)],
    ]
    assert found[0].leaders[0].holder == found[1].leaders[0].holder
    assert found[0].turned_at < found[1].turned_at


def test_health_stays_as_it_was_while_the_log_does_not_answer(
    project: Project, spec: HeartbeatSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(OPEN)
    one = service(project, clock)
    one.step()
    turned = Turned(clock)
    turned.turned(one)
    before = turned.health()

    def silent(*_: object) -> None:
        raise LogBusyError("no answer", hint="wait")

    monkeypatch.setattr(LeaseElection, "leader", silent)
    clock.advance(600)
    turned.turned(one)
    assert turned.health().leaders == before.leaders
    assert before.leaders[0].context == spec.context


class Silent(PassingLog):
    """A log that does not answer the first times that it is asked."""

    def __init__(self, inner: Log, times: int) -> None:
        super().__init__(inner)
        self.left = times

    def view(self, topic: str, **wanted: Any) -> ViewPage:
        if self.left:
            self.left -= 1
            raise LogBusyError("Kafka does not answer", hint="wait")
        return super().view(topic, **wanted)


class Waits(Stopping):
    """Does not really wait, and is asked to end after some times."""

    def __init__(self, times: float = math.inf) -> None:
        super().__init__()
        self.left = times

    def __bool__(self) -> bool:
        return self.left <= 0

    def wait(self, seconds: float) -> bool:
        assert seconds > 0
        self.left -= 1
        return bool(self)


def test_a_heartbeat_that_is_started_while_the_log_does_not_answer_waits_for_it(project: Project) -> None:
    base, said = ManualClock(OPEN), Turned(ManualClock(OPEN))
    health = []

    def waits(reason: str) -> None:
        said.waits(reason)
        health.append(said.health())

    with Waits() as stopping:
        found = clock_of(Silent(project.log, 2), base, stopping, waits)
    assert found is not None
    assert found.now_ms() == OPEN
    assert [(h.ready, h.reasons) for h in health] == [(False, ("Kafka does not answer",))] * 2


def test_a_heartbeat_that_waits_for_its_log_is_alive_and_can_be_ended(project: Project) -> None:
    clock = ManualClock(OPEN)
    turned = Turned(clock)
    first = turned.health()
    clock.advance(60_000)
    assert turned.health().turned_at - first.turned_at == 60.0
    log = Silent(project.log, 10)
    with Waits(3) as stopping:
        assert clock_of(log, clock, stopping, turned.waits) is None
    assert log.left == 7


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("hb", "run", "--log-format", "xml"), 2, "text or json"),
        (("hb", "run", "--log-level", "LOUD"), 2, "LOUD"),
        (("hb", "run", "--context", "nowhere"), 2, "no context 'nowhere'"),
        (("hb", "list", "--context", "nowhere"), 2, "no context 'nowhere'"),
        (("hb", "run", "--port", "70000"), 2, "65535"),
        (("engine", "run", "--log-format", "xml"), 2, "text or json"),
    ],
)
def test_wrong_options_are_refused(
    run: Callable[..., Result], project: Project, args: tuple[str, ...], code: int, said: str
) -> None:
    result = run(*args, code=code)
    assert (result.exit_code, project.config.project.env) == (code, "dev")
    assert said in result.output


def test_another_engine_runs_its_queries_itself(run: Callable[..., Result], flink_project: Path) -> None:
    result = run("engine", "run", code=2)
    assert "the queries run in the cluster at http://localhost:9" in result.output
    assert flink_project.exists()


def test_with_json_what_ends_a_role_is_a_line_too(run: Callable[..., Result], flink_project: Path) -> None:
    result = run("engine", "run", "--log-format", "json", code=2)
    said = json.loads(result.output.splitlines()[-1])
    assert (said["level"], said["exit_code"]) == ("ERROR", 2)
    assert "the queries run in the cluster" in said["message"]
    assert "rc infra apply" in said["hint"]
    assert flink_project.exists()


def test_an_engine_counts_what_it_has_done(run: Callable[..., Result], spec: HeartbeatSpec, project: Project) -> None:
    clock = ManualClock(OPEN + MINUTE)
    trading = project.contexts[0]
    rate: Any = trading.entities["Rate"]
    trading.set(rate, log=project.log).add(rate(broker="SIM", symbol="BTCUSD", at=at(OPEN), price=Decimal(1)))
    host = engine_host(deploy_log(project.log), env=ENV, clock=clock)
    watcher = Watched(host, project.log, clock)
    name = f"trading_rate_bars_v{spec.version}"

    def counted(metric: str) -> float | None:
        return watcher.metrics.registry.get_sample_value(f"ashioto_engine_{metric}", {"query": name})

    assert counted("ticks_total") is None
    host.drain()
    clock.advance(600)
    watcher.turned()
    assert (counted("ticks_total"), counted("lag_records"), counted("running")) == (1, 0, 1)
    assert watcher.health().ready
    host.finish()
    clock.advance(600)
    watcher.turned()
    assert counted("running") is None
    assert run("infra", "status", code=3).exit_code == 3
