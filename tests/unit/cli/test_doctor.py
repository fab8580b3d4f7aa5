from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest

from ashioto import keys
from ashioto.cli import doctor
from ashioto.cli.dev_lock import dev_lock
from ashioto.cli.replay import announce
from ashioto.clock import ManualClock
from ashioto.engines.embedded.progress import Progress, progress_batch, progress_key
from ashioto.engines.embedded.topics import OFFSETS, OFFSETS_SCHEMA
from ashioto.errors import LogError
from ashioto.log.base import Batch, TopicSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project
    from ashioto.log.base import Log, TopicInfo, ViewPage

KEY = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")


def findings(result: Result) -> list[tuple[str, str, str]]:
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return [(row["state"], row["check"], f"{row['detail']} ({row['hint']})") for row in rows]


def details(result: Result, state: str) -> str:
    return "\n".join(f"{check}: {detail}" for found, check, detail in findings(result) if found == state)


def test_without_a_project_versions_are_told(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("doctor", "--json")
    assert {"python", *doctor.LIBRARIES} <= {check for _, check, _ in findings(result)}
    (project,) = [row for row in json.loads(result.stdout) if row["check"] == "project"]
    assert project["state"] == "warning"
    assert "rc init" in project["hint"]


def test_a_fresh_project_is_told_what_is_missing(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    result = run("doctor", "--json")
    assert "topics: not made yet: " in details(result, "warning")
    assert "schedule of trading: no sessions" in details(result, "warning")
    assert "project" in run("doctor").output


def test_the_reach_of_the_schedule_is_told(run: Callable[..., Result], project: Project) -> None:
    assert project.log is not None
    run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2025-01-07", *KEY)
    said = details(run("doctor", "--json"), "warning")
    assert "1 keys; the first to end is SIM BTCUSD at 2025-01-08T00:00:00Z (rc schedule import ...)" in said
    run("schedule", "import", "24x7", "--from", "2090-01-01", "--to", "2090-01-01", *KEY)
    assert "SIM BTCUSD at 2090-01-02T00:00:00Z" in details(run("doctor", "--json"), "ok")


def test_whether_dev_runs_and_by_which_clock_is_told(run: Callable[..., Result], project: Project) -> None:
    assert "rc dev: does not run" in details(run("doctor", "--json"), "ok")
    with dev_lock(project.config.log.path):
        said = details(run("doctor", "--json"), "ok")
    assert f"rc dev: runs as process {os.getpid()}" in said
    assert "clock" not in said
    announce(project.log, ManualClock(1_000), event_ms=1_736_150_400_000, speed=1.0)
    said = details(run("doctor", "--json"), "ok")
    assert "clock: that of a replay, at 2025-01-06T08:00:00Z" in said


def test_after_a_replay_the_schedule_is_judged_by_its_time(run: Callable[..., Result], project: Project) -> None:
    run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2025-01-31", *KEY)
    assert "schedule of trading" in details(run("doctor", "--json"), "warning")
    announce(project.log, ManualClock(1_000), event_ms=1_736_150_400_000, speed=1.0)
    assert "schedule of trading" in details(run("doctor", "--json"), "ok")


def test_the_engines_counters_are_told(run: Callable[..., Result], project: Project) -> None:
    row = {f.name: [0 if f.type == pa.int64() else None] for f in OFFSETS_SCHEMA} | {
        "ticks": [1200],
        "unknown_key": [7],
        "late": [3],
    }
    batch = Batch(
        topic=OFFSETS,
        partition=0,
        keys=pa.array([keys.encode(["dev", "local", "trading", "rate_bars", 0])], pa.binary()),
        timestamps=np.zeros(1, dtype=np.int64),
        data=pa.RecordBatch.from_pydict(row, schema=OFFSETS_SCHEMA),
    )
    project.log.append([batch])
    result = run("doctor", "--json")
    assert "trading.rate_bars: 1,200 ticks counted" in details(result, "ok")
    assert "trading.rate_bars: 7 ticks are of keys without a schedule" in details(result, "warning")
    assert "trading.rate_bars: 3 ticks came later" in details(result, "warning")
    assert "rejected" not in result.output


def test_a_query_that_does_not_run_is_an_error(run: Callable[..., Result], project: Project) -> None:
    key = progress_key(("dev", "local"), "trading", "rate_bars_v2", 0)
    project.log.append([progress_batch([(key, Progress(source_offset=-1, problem="the plan is damaged"))], 0)])
    result = run("doctor", "--json", code=1)
    assert "trading.rate_bars_v2: does not run: the plan is damaged" in details(result, "error")
    assert "ticks counted" not in result.output


def test_broken_settings_and_columns_leave_with_one(run: Callable[..., Result], folder: Path, project: Project) -> None:
    text = (folder / "bars.py").read_text(encoding="utf-8").replace("ao.decimal(18, 5)", "ao.decimal(18, 4)")
    assert project.log.create([TopicSpec(name="other", schema=pa.schema([("a", pa.int64())]))]) == ["other"]
    (folder / "others.py").write_text(text, encoding="utf-8")
    settings = folder / "ashioto.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("bars:", "others:"), encoding="utf-8")
    said = details(run("doctor", "--json", code=1), "error")
    assert "trading.rate: the log holds other columns than are declared (rc infra plan says" in said
    settings.write_text("[log]\nkind = 'redis'", encoding="utf-8")
    assert "log.kind" in details(run("doctor", "--json", code=1), "error")


def test_another_number_of_partitions_is_told(
    run: Callable[..., Result], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "partitions" not in run("doctor", "--json").stdout
    assert project.config.log.partitions == 1
    monkeypatch.setenv("ASHIOTO_LOG__PARTITIONS", "4")
    said = details(run("doctor", "--json"), "warning")
    assert "trading.rate: has 1 partitions, not 4 as log.partitions says (rc infra plan" in said
    assert "trading.market_schedule: has" not in said


def test_roles_are_of_a_log_on_kafka(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    assert "no role 'nonsense'" in run("doctor", "--role", "nonsense", code=2).stderr
    assert "the log is one file" in run("doctor", "--role", "engine", code=2).stderr


class Denied:
    """A log of which a user may see nothing but one topic."""

    def __init__(self, log: Log, seen: str) -> None:
        self._log, self._seen = log, seen

    def describe(self, topic: str) -> TopicInfo:
        """Return how that one topic is."""
        if topic != self._seen:
            raise LogError("this is not allowed", denied=True)
        return self._log.describe(topic)

    def view(self, topic: str, **_: object) -> ViewPage:
        """Refuse it."""
        raise LogError(f"this is not allowed on {topic}", denied=True)


@pytest.mark.parametrize(("named", "state"), [(True, "ok"), (False, "warning")])
def test_what_a_user_may_not_see_is_no_error(project: Project, *, named: bool, state: str) -> None:
    less = replace(project, log=cast("Log", Denied(project.log, "trading.rate")))
    found = [*doctor._log_findings(less, named=named)]
    unseen = [finding for finding in found if finding.detail.startswith("not seen by this user: ")]
    assert [finding.state for finding in unseen] == [state]
    assert "rc.hb.specs" in unseen[0].detail
    assert "trading.rate," not in unseen[0].detail
    assert unseen[0].detail.endswith("clock, schedule of trading, counters")
    assert [finding.state for finding in found if finding not in unseen] == ["ok", "ok"]


def test_a_log_that_fails_is_an_error_all_the_same(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: str) -> None:
        raise LogError("it is on fire")

    monkeypatch.setattr(project.log, "describe", fails)
    with pytest.raises(LogError, match="on fire"):
        list(doctor._log_findings(project, named=True))


def test_a_broken_log_leaves_with_one(run: Callable[..., Result], folder: Path) -> None:
    (folder / ".ashioto").mkdir()
    (folder / ".ashioto" / "log.db").write_bytes(b"no log at all" * 1000)
    assert "log.db" in details(run("doctor", "--json", code=1), "error")


def test_a_missing_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-library",))
    assert [f.state for f in doctor.versions()] == ["ok", "error"]
