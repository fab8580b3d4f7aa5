from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ashioto.cli.project import open_project
from ashioto.clock import SystemClock
from ashioto.control.election import LeaseElection
from ashioto.control.processes import this_process
from ashioto.control.roles import infra_role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

ENV = ("dev", "local")


def declare(folder: Path, before: str, after: str) -> None:
    """Change the declaration of the project."""
    file = folder / "bars.py"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    sys.modules.pop("bars", None)
    for cached in folder.rglob("*.pyc"):
        cached.unlink()


def plan_of(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def actions(result: Result) -> dict[str, str]:
    return {c["object"]: c["action"] for c in plan_of(result)["changes"] if c["class"] != "no-op"}


@pytest.fixture
def applied(run: Callable[..., Result], folder: Path) -> Path:
    run("infra", "apply")
    return folder


def test_a_plan_says_what_apply_does_and_does_nothing(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    planned = run("infra", "plan", "--json", code=3)
    assert actions(planned)["trading.rate_bars"] == "register"
    assert open_project().log.topics() == []  # type: ignore[attr-defined]  # the embedded log lists its topics
    done = run("infra", "apply", "--json")
    assert plan_of(done)["steps"] == plan_of(planned)["steps"]
    assert plan_of(done)["notes"] == ["no engine runs now, so no bars are made: rc engine run, or rc dev"]


def test_a_plan_for_people_has_changes_and_steps(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    said = run("infra", "plan", code=3).stdout
    assert "changes" in said
    assert "trading.rate_bars" in said
    assert "wait for" in said


def test_apply_says_what_it_does_and_a_second_one_has_nothing_to_do(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    said = run("infra", "apply").stdout
    assert said.startswith("topics: create 14 topics (rc.infra.applied … ")
    assert "record: applied trading_rate_bars_v1" in said
    assert said.splitlines()[-1] == "no engine runs now, so no bars are made: rc engine run, or rc dev"
    assert run("infra", "apply").stdout == "nothing to do\n"
    assert run("infra", "plan").stdout == "nothing to do\n"
    assert plan_of(run("infra", "apply", "--json"))["steps"] == []


def test_a_changed_declaration_is_a_new_version(run: Callable[..., Result], applied: Path) -> None:
    declare(applied, "volume=", "amount=")
    planned = run("infra", "plan", "--json", code=3)
    assert actions(planned)["trading.rate_bars"] == "replace"
    said = run("infra", "apply").stdout
    assert "record: stopped trading_rate_bars_v1" in said
    assert "record: applied trading_rate_bars_v2" in said
    assert "adds amount; drops volume" in said


def test_what_is_blocked_is_told_with_its_hints(run: Callable[..., Result], applied: Path) -> None:
    (applied / "ashioto.toml").write_text(
        (applied / "ashioto.toml").read_text("utf-8").replace("[log]", "[log]\npartitions = 2"), encoding="utf-8"
    )
    said = run("infra", "plan", code=4).stdout
    assert "blocked, so nothing would be done" in said
    assert "trading.rate: --allow-delete trading.rate deletes it and makes it anew" in said
    refused = run("infra", "apply", code=4).stderr
    assert "changes are blocked, so nothing was changed:" in refused
    assert "trading.rate: has partitions = 1, not 2" in refused
    assert "Hint: " in refused
    blocked = [
        c["object"] for c in plan_of(run("infra", "plan", "--json", code=4))["changes"] if c["class"] == "blocked"
    ]
    options = [option for name in blocked for option in ("--allow-delete", name)]
    run("infra", "apply", *options)
    assert run("infra", "plan").stdout == "nothing to do\n"


def test_topics_nobody_declares_are_kept_until_they_may_go(run: Callable[..., Result], applied: Path) -> None:
    declare(applied, "class Rate(ao.Stream)", "class Extra(ao.Stream):\n    symbol: Field[str] = ao.key()\n"
            "    at: Field[datetime] = ao.timestamp()\n\n\nclass Rate(ao.Stream)")  # fmt: skip
    with (applied / "bars.py").open("a", encoding="utf-8") as file:
        file.write("\ntrading.declare(Extra)\n")
    run("infra", "apply")
    declare(applied, "\ntrading.declare(Extra)\n", "\n")
    said = run("infra", "plan").stdout
    assert "no longer declared; kept" in said
    assert "trading.extra: --allow-delete trading.extra deletes it" in said
    run("infra", "apply", "--allow-delete", "trading.extra")
    assert "trading.extra" not in open_project().log.topics()  # type: ignore[attr-defined]  # as above
    assert "does not exist, so it is not deleted" in run("infra", "plan", "--allow-delete", "trading.extra").stdout


def test_a_saved_plan_is_applied_once(run: Callable[..., Result], folder: Path) -> None:
    saved = run("infra", "plan", "--plan-file", "plan.json", code=3)
    assert "saved: rc infra apply --plan-file plan.json" in saved.stderr
    assert (folder / "plan.json").exists()
    assert "record: applied" in run("infra", "apply", "--plan-file", "plan.json").stdout
    stale = run("infra", "apply", "--plan-file", "plan.json", code=1)
    assert "the saved plan is not what would be done now" in stale.stderr
    assert "what is there has changed" in stale.stderr


def test_a_plan_of_another_declaration_is_stale(run: Callable[..., Result], applied: Path) -> None:
    declare(applied, "volume=", "amount=")
    run("infra", "plan", "--plan-file", "plan.json", code=3)
    declare(applied, "amount=", "total=")
    stale = run("infra", "apply", "--plan-file", "plan.json", code=1).stderr
    assert "trading.rate_bars: its definition is another one" in stale


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("plan", "--context", "nope"), 2, "no context 'nope'"),
        (("apply", "--context", "nope"), 2, "no context 'nope'"),
        (("status", "--context", "nope"), 2, "no context 'nope'"),
        (("plan", "--allow-delete", "nope"), 2, "--allow-delete nope: no such topic"),
        (("apply", "--allow-delete", "other.rate"), 2, "Hint: topics are trading.*"),
        (("apply", "--allow-delete", "rc.dlq"), 2, "this topic is ashioto's own"),
        (("apply", "--plan-file", "none.json"), 1, "none.json cannot be read"),
        (("apply", "--plan-file", "bars.py"), 1, "bars.py is no plan"),
        (("apply", "--plan-file", "bars.py", "--context", "trading"), 2, "--plan-file goes without --context"),
        (("plan", "--plan-file", "none/plan.json"), 1, "cannot be written"),
    ],
)
def test_bad_input_is_named(
    run: Callable[..., Result], folder: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    assert folder.exists()
    assert said in run("infra", *args, code=code).stderr


def test_another_engine_needs_a_log_on_kafka(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.exists()
    monkeypatch.setenv("ASHIOTO_ENGINE__KIND", "flink")
    assert 'engine.kind = "flink" reads from Kafka' in run("infra", "plan", code=1).stderr


def test_what_would_run_is_printed_and_nothing_is_written(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    said = run("infra", "sql").stdout
    assert said.startswith("-- trading.rate_bars: trading_rate_bars_v1\n")
    assert "query trading.rate_bars" in said
    assert open_project().log.topics() == []  # type: ignore[attr-defined]  # the embedded log lists its topics


def test_statements_are_those_of_the_version_that_runs_or_comes_next(run: Callable[..., Result], applied: Path) -> None:
    (row,) = json.loads(run("infra", "sql", "--json").stdout)
    assert (row["query"], row["name"], row["engine"]) == ("trading.rate_bars", "trading_rate_bars_v1", "embedded")
    declare(applied, "volume=", "amount=")
    (row,) = json.loads(run("infra", "sql", "--json", "--context", "trading").stdout)
    assert row["name"] == "trading_rate_bars_v2"
    assert "amount" in row["statements"][0]


def test_while_somebody_applies_another_is_turned_away(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    log = open_project().log
    holder = this_process("other")
    held = LeaseElection(log, infra_role(ENV), holder=holder, clock=SystemClock())  # type: ignore[arg-type]  # it keeps leases
    assert held.campaign() is not None
    said = run("infra", "apply", code=5).stderr
    assert f"{holder.name} applies to dev/local right now" in said
    held.resign()
    run("infra", "apply")


def test_status_says_what_is_not_as_applied(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    before = json.loads(run("infra", "status", "--json", code=3).stdout)
    assert before == [
        {"object": "trading", "state": "drift", "detail": "nothing of it is applied", "hint": "rc infra apply"}
    ]
    run("infra", "apply")
    found = {row["object"]: row for row in json.loads(run("infra", "status", "--json", code=3).stdout)}
    assert found["trading.rate"]["state"] == "ok"
    assert found["trading_rate_bars_v1"]["hint"] == "rc engine run"
    assert found["trading.Rate.1m heartbeat"]["hint"] == "rc hb run"
    assert found["trading.market_schedule"]["hint"] == "rc schedule import"
    open_project().log.delete(["trading.rate_late"])  # type: ignore[attr-defined]  # the embedded log deletes topics
    assert "trading.rate_late" in run("infra", "status", code=3).stdout
