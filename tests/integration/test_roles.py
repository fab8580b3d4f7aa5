"""The roles of a project as real processes: who takes over, what they notice without a restart, and what they say."""

from __future__ import annotations

import json
import re
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_health import Reply, ask
from tests.support_roles import CLOCK, Role, Roles, lease_of, rc, wait_until

from ashioto.control.roles import engine_role, heartbeat_role
from ashioto.control.specs import heartbeat_specs, spec_batch
from ashioto.control.state import heartbeat_state
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.control.specs import HeartbeatSpec

ENV = ("dev", "local")
KEY = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with bars of a second, applied; its schedule has just opened."""
    folder = tmp_path_factory.mktemp("made")
    rc(folder, "init", "p")
    declare(folder / "p", "Period.minutes(1),", "Period.seconds(1),\n        Period.minutes(1),")
    declare(folder / "p", "grace=timedelta(seconds=5)", "grace=timedelta(milliseconds=200)")
    rc(folder / "p", "infra", "apply")
    open_market(folder / "p", *KEY)
    return folder / "p"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "p")
    return tmp_path / "p"


@pytest.fixture
def roles(folder: Path) -> Iterator[Roles]:
    with Roles(folder) as started:
        yield started
    assert started.tracebacks() == []


@pytest.fixture
def log(folder: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog(folder / ".ashioto" / "log.db") as opened:
        yield opened


def declare(folder: Path, before: str, after: str) -> None:
    """Change the declaration of the project."""
    file = folder / "bars.py"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def open_market(folder: Path, *key: str) -> None:
    """Import a schedule that has been open for a minute, and is for a day."""
    opened = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    row = (opened.isoformat(), (opened + timedelta(days=1)).isoformat(), opened.date().isoformat())
    (folder / "hours.csv").write_text(f"open,close,market_date\n{','.join(row)}\n", encoding="utf-8")
    rc(folder, "schedule", "import", "hours.csv", *key)


def listed(folder: Path, *args: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rc(folder, "hb", "list", "--json", *args))
    return found


def finals(log: EmbeddedLog, **wanted: object) -> int:
    """Return how many bars of a second are final, and have certain values."""
    rows = log.view("trading.rate_bars_1s").data.to_pylist()
    return sum(row["final"] and all(row[n] == v for n, v in wanted.items()) for row in rows)


def epochs(log: EmbeddedLog) -> list[int]:
    """Return under which epochs heartbeats were sent last, by context."""
    states = [heartbeat_state(log, spec.key(ENV)) for spec in heartbeat_specs(log, ENV)]
    return [0 if state is None else state.epoch for state in states]


def more_finals(log: EmbeddedLog) -> None:
    """Wait for two more final bars."""
    before = finals(log)
    wait_until(lambda: finals(log) >= before + 2, what="a final bar")


def port_of(role: Role) -> int:
    role.wait_for("health on")
    found = re.search(r"127\.0\.0\.1:(\d+)", role.text)
    assert found is not None
    return int(found[1])


def health(port: int, path: str, status: int) -> Any:
    """Ask until the answer has this status."""
    replies: list[Reply] = []

    def answered() -> bool:
        replies[:] = [ask(port, path)]
        return replies[0].status == status

    wait_until(answered, what=f"{status} of {path}")
    return replies[0].json()


def test_a_heartbeat_that_is_asked_to_end_hands_over_at_once(
    roles: Roles, log: EmbeddedLog, record_property: Any
) -> None:
    first = roles.start("hb", "run")
    first.wait_for("trading: active (epoch 1)")
    second = roles.start("hb", "run")
    second.wait_for(f":{first.pid} is active")
    first.send(signal.SIGTERM)
    since = CLOCK.monotonic()
    wait_until(lambda: lease_of(log, heartbeat_role(ENV, "trading")).epoch == 2, every=0.002)
    record_property("handed_over_ms", round((CLOCK.monotonic() - since) * 1000))
    assert first.wait() == 0
    assert "trading: stopped (epoch 1)" in first.text
    second.wait_for("trading: active (epoch 2)")
    wait_until(lambda: epochs(log) == [2])
    [row] = listed(roles.folder)
    assert (row["mode"], row["kind"], row["schedule"]) == ("active", "1s", "trading.market_schedule")
    assert row["holder"].endswith(f":{second.pid}")
    assert second.end() == 0
    assert [(row["mode"], row["holder"]) for row in listed(roles.folder)] == [("none", None)]


def test_of_several_contexts_each_has_a_heartbeat_of_its_own(roles: Roles, log: EmbeddedLog) -> None:
    folder = roles.folder
    text = (folder / "bars.py").read_text("utf-8").replace("trading", "analytics")
    (folder / "others.py").write_text(text, encoding="utf-8")
    toml = folder / "ashioto.toml"
    toml.write_text(toml.read_text("utf-8").replace('["bars:trading"]', '["bars:trading", "others:analytics"]'))
    rc(folder, "infra", "apply")
    one = roles.start("hb", "run", "--context", "analytics")
    one.wait_for("analytics: active (epoch 1)")
    both = roles.start("hb", "run")
    both.wait_for("trading: active (epoch 1)")
    both.wait_for(f"analytics: stands by, {lead(folder, 'analytics')} is active")
    assert "trading" not in one.text
    assert [row["context"] for row in listed(folder, "--context", "analytics")] == ["analytics"]
    wait_until(lambda: epochs(log) == [1, 1])
    assert [row["mode"] for row in listed(folder)] == ["active", "active"]
    assert one.end(signal.SIGKILL) == -signal.SIGKILL
    both.wait_for("analytics: active (epoch 2)")
    assert "trading: stopped" not in both.text


def lead(folder: Path, context: str) -> str:
    return str(listed(folder, "--context", context)[0]["holder"])


def test_roles_that_start_before_anything_is_applied_wait_for_it(tmp_path: Path) -> None:
    rc(tmp_path, "init", "p")
    folder = tmp_path / "p"
    declare(folder, "Period.minutes(1),", "Period.seconds(1),\n        Period.minutes(1),")
    with Roles(folder) as roles:
        engine, beat = roles.start("engine", "run"), roles.start("hb", "run")
        engine.wait_for("active (epoch 1)")
        beat.wait_for("trading: active (epoch 1)")
        assert listed(folder) == []
        assert "record: applied trading_rate_bars_v1" in rc(folder, "infra", "apply")
        assert "trading_rate_bars_v1: runs" in engine.text
        open_market(folder, *KEY)
        with EmbeddedLog(folder / ".ashioto" / "log.db") as log:
            wait_until(lambda: epochs(log) == [1])
        assert (beat.end(), engine.end()) == (0, 0)
        assert roles.tracebacks() == []


def test_a_second_engine_takes_over_when_the_first_is_killed(roles: Roles, log: EmbeddedLog) -> None:
    first = roles.start("engine", "run")
    first.wait_for("active (epoch 1)")
    beat, second = roles.start("hb", "run"), roles.start("engine", "run")
    second.wait_for(f":{first.pid} is active")
    roles.start("ticks", "simulate", "--rate", 20)
    more_finals(log)
    first.end(signal.SIGKILL)
    second.wait_for("trading_rate_bars_v1: runs")
    assert lease_of(log, engine_role(ENV)).epoch == 2
    more_finals(log)
    assert [one.end() for one in (beat, second)] == [0, 0]


def test_a_changed_query_takes_the_place_of_the_one_before(roles: Roles, log: EmbeddedLog) -> None:
    engine, beat = roles.start("engine", "run"), roles.start("hb", "run")
    roles.start("ticks", "simulate", "--rate", 20)
    more_finals(log)
    declare(roles.folder, "ticks=ao.count(),", "ticks=ao.count(),\n        total=ao.sum(Rate.price),")
    said = rc(roles.folder, "infra", "apply")
    assert "record: applied trading_rate_bars_v2" in said
    assert "record: stopped trading_rate_bars_v1" in said
    assert "trading_rate_bars_v2: runs" in engine.text
    wait_until(lambda: any(r["total"] for r in log.view("trading.rate_bars_1s").data.to_pylist()))
    more_finals(log)
    assert [row["version"] for row in listed(roles.folder)] == [2]
    assert rc(roles.folder, "infra", "apply") == "nothing to do\n"
    assert [one.end() for one in (beat, engine)] == [0, 0]
    assert "epoch 2" not in beat.text + engine.text


def test_sessions_that_are_imported_for_today_take_effect_without_a_restart(roles: Roles, log: EmbeddedLog) -> None:
    engine, beat = roles.start("engine", "run"), roles.start("hb", "run")
    beat.wait_for("trading: active (epoch 1)")
    engine.wait_for("trading_rate_bars_v1: runs")
    open_market(roles.folder, "--key", "broker=SIM", "--key", "symbol=NEWUSD")
    rc(roles.folder, "ticks", "simulate", "--rate", 20, "--seconds", 1, "--symbols", "NEWUSD")
    wait_until(lambda: finals(log, symbol="NEWUSD", synthetic=False) > 0 and finals(log, synthetic=True) > 2)
    assert [one.end() for one in (beat, engine)] == [0, 0]


def test_a_specification_that_cannot_be_served_shows_in_readyz_until_it_can(roles: Roles, log: EmbeddedLog) -> None:
    [spec] = heartbeat_specs(log, ENV)
    beat = roles.start("hb", "run")
    port = port_of(beat)
    assert health(port, "/readyz", 200) == {"ready": True, "reasons": []}
    specify(log, replace(spec, schedule_topic="trading.no_schedule"))
    assert health(port, "/readyz", 503)["reasons"] == [
        "trading.Rate.1s: the topic trading.no_schedule of its schedule does not exist"
    ]
    specify(log, replace(spec, open_column="opens"))
    wait_until(lambda: "no column 'opens'" in str(health(port, "/readyz", 503)))
    assert ask(port, "/livez").status == 200
    assert 'ashioto_hb_problem{spec="trading.Rate.1s"} 1.0' in ask(port, "/metrics").body.decode()
    assert "did you mean 'open'?" in beat.text
    specify(log, spec)
    assert health(port, "/readyz", 200)["reasons"] == []
    assert beat.end() == 0


def specify(log: EmbeddedLog, spec: HeartbeatSpec) -> None:
    log.append([spec_batch(ENV, [replace(spec, updated_ms=CLOCK.now_ms())])])


def test_health_tells_who_leads(roles: Roles) -> None:
    first = roles.start("hb", "run")
    first.wait_for("trading: active (epoch 1)")
    second = roles.start("hb", "run", "--log-level", "debug")
    ports = port_of(first), port_of(second)
    second.wait_for("stands by")
    for port, mine in zip(ports, (True, False), strict=True):
        wait_until(lambda port=port: ask(port, "/leader").json()["trading"]["leader"] is not None)  # type: ignore[misc]  # bound now
        found = ask(port, "/leader").json()["trading"]
        assert found == {"leader": found["leader"], "epoch": 1, "this_process": mine}
        assert found["leader"].endswith(f":{first.pid}")
        assert health(port, "/livez", 200) == {"live": True, "reasons": []}
    shown = [ask(port, "/metrics").body.decode() for port in ports]
    assert ['ashioto_hb_leader{context="trading"} 1.0' in text for text in shown] == [True, False]
    assert f"port {ports[0]} of 127.0.0.1 is in use" in rc(roles.folder, "hb", "run", "--port", ports[0], code=2)
    assert [one.end() for one in (second, first)] == [0, 0]


def test_logs_for_programs_are_json_line_by_line(roles: Roles) -> None:
    beat = roles.start("hb", "run", "--log-format", "json")
    engine = roles.start("engine", "run", "--log-format", "json")
    beat.wait_for("trading: active (epoch 1)")
    engine.wait_for("trading_rate_bars_v1: runs")
    assert [one.end() for one in (beat, engine)] == [0, 0]
    lines = [json.loads(line) for one in (beat, engine) for line in one.text.splitlines()]
    assert {line["logger"] for line in lines} == {"ashioto.heartbeat", "ashioto.engine"}
    assert [(r["mode"], r["epoch"]) for r in lines if "mode" in r] == [("active", 1), ("stopped", 1)]
    assert all(line["time"].endswith("Z") and line["level"] for line in lines)


def test_of_two_that_apply_at_once_one_is_refused(roles: Roles) -> None:
    engine = roles.start("engine", "run")
    engine.wait_for("trading_rate_bars_v1: runs")
    engine.send(signal.SIGSTOP)  # so that the first waits for the new version, and holds the lock
    declare(roles.folder, "volume=", "amount=")
    first = roles.start("infra", "apply")
    first.wait_for("verify: wait for trading_rate_bars_v2")
    said = rc(roles.folder, "infra", "apply", code=5)
    assert f":{first.pid} applies to dev/local right now" in said
    assert "Hint: " in said
    engine.send(signal.SIGCONT)
    assert first.wait() == 0, first.text
    assert "applied" in first.text
    assert rc(roles.folder, "infra", "apply") == "nothing to do\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("hb run --context nowhere", "no context 'nowhere'"),
        ("hb list --context nowhere", "no context 'nowhere'"),
        ("hb run --log-format xml", "--log-format xml"),
        ("hb run --log-level loud", "no log level 'loud'"),
        ("hb run --port 70000", "--port"),
        ("engine run --log-format xml", "--log-format xml"),
        ("engine run now", "now"),
        ("infra apply --context nowhere", "no context 'nowhere'"),
        ("infra apply --plan-file plan.json --context trading", "--plan-file"),
    ],
)
def test_options_that_are_wrong_are_told(folder: Path, command: str, message: str) -> None:
    assert message in rc(folder, *command.split(), code=2)


@pytest.mark.parametrize("command", ["hb run", "hb list", "engine run", "infra apply", "infra status"])
def test_there_are_no_roles_without_a_project(tmp_path: Path, command: str) -> None:
    said = rc(tmp_path, *command.split(), code=1)
    assert "rc init" in said
    assert "Hint: " in said
