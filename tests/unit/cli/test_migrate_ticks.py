"""`rc migrate replay`, `swap` and `undo`, as people call them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from ashioto.cli.migrate_source import place_of, query_of
from ashioto.control.processes import this_process
from ashioto.migration.running import Running
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project

HEADER = "ts,broker,symbol,price,size\n"
START = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)


def lines(*prices: object, symbol: str = "EURUSD", every: int = 30) -> str:
    """Ticks, one half minute after another."""
    times = [START + timedelta(seconds=every * n) for n in range(len(prices))]
    return "".join(f"{at:%Y-%m-%dT%H:%M:%SZ},FX,{symbol},{p},1\n" for at, p in zip(times, prices, strict=True))


@pytest.fixture
def ready(project: Project, run: Callable[..., Result]) -> Project:
    """A project whose schedule has one morning of one key, long ago."""
    file = project.config.root / "sessions.csv"
    file.write_text(
        "broker,symbol,open,close,market_date\nFX,EURUSD,2025-01-06T09:00Z,2025-01-06T12:00Z,2025-01-06\n"
        "FX,EURUSD,2025-01-07T09:00Z,2025-01-07T12:00Z,2025-01-07\n"
    )
    run("schedule", "import", file)
    return project


@pytest.fixture
def ticks(ready: Project) -> Path:
    """A file of six ticks."""
    file = ready.config.root / "ticks.csv"
    file.write_text(HEADER + lines(1.1, 1.2, 1.3, 1.25, 1.15, 1.4))
    return file


@pytest.fixture
def replay(run: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Run `rc migrate replay` and return what it says for programs."""

    def invoke(*args: object) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(run("migrate", "replay", *args, "--map", "at=ts", "--json").stdout)
        return said

    return invoke


def bars(project: Project, kind: str = "1m") -> pa.Table:
    return pa.Table.from_batches([project.log.view(f"trading.rate_bars_{kind}").data])


def closes(project: Project) -> list[int]:
    return [int(value) for value in int64_view(bars(project)["close"])]


def test_replay_writes_the_bars_of_every_frame_once(
    ready: Project, ticks: Path, replay: Callable[..., dict[str, Any]]
) -> None:
    said = replay(ticks, "--query", "rate_bars")
    assert (said["ticks"], said["written"]) == (6, {"1m": 3, "5m": 1, "1h": 1, "1d": 1})
    assert closes(ready) == [120_000, 125_000, 140_000]
    again = replay(ticks)
    assert (again["written"], again["equal"], again["state"]) == ({}, {"1m": 3, "5m": 1, "1h": 1, "1d": 1}, "done")


def test_replay_tells_people_what_was_done(ticks: Path, run: Callable[..., Result]) -> None:
    ticks.write_text(
        HEADER + lines(1.1, "x", 1.2) + lines(5, symbol="GBPUSD") + "2025-01-06T08:00:00Z,FX,EURUSD,1.0,1\n"
    )
    told = run("migrate", "replay", ticks, "--map", "at=ts").stdout
    assert "read            5 rows, 2 ticks taken" in told
    assert "out of session  1" in told
    assert "unknown key     1 of keys without a schedule" in told
    assert "rejected        1 × price is no number, first 'x' in row 2 of" in told
    assert "wrote           1m 2, 5m 1, 1h 1, 1d 1" in told
    told = run("migrate", "replay", ticks, "--map", "at=ts").stdout
    assert "wrote           nothing: every bar is there already as it should be" in told


def test_bad_rows_are_listed_and_an_input_is_never_overwritten(ticks: Path, run: Callable[..., Result]) -> None:
    ticks.write_text(HEADER + lines(1.1, "x", 1.2))
    rejects = ticks.with_name("bad.csv")
    run("migrate", "replay", ticks, "--map", "at=ts", "--rejects", rejects)
    assert rejects.read_text().splitlines()[1].endswith(",2,price is no number,x")
    said = run("migrate", "replay", ticks, "--map", "at=ts", "--rejects", ticks, code=2)
    assert "is one of the files to read" in said.stderr


def test_from_and_to_and_a_dry_run(ready: Project, ticks: Path, replay: Callable[..., dict[str, Any]]) -> None:
    said = replay(ticks, "--from", "2025-01-06T09:01Z", "--to", "2025-01-06T09:02Z", "--dry-run")
    assert (said["ticks"], said["outside"], said["written"]["1m"], said["dry_run"]) == (2, 4, 1, True)
    assert not bars(ready).num_rows


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--query", "other"], 2, "no query 'other'\nHint: --query rate_bars"),
        (["--map", "price=prize"], 1, "no column 'prize'"),
        (["--from", "2025-01-07", "--to", "2025-01-06"], 2, "nothing lies between"),
        (["--context", "nowhere"], 2, "no context 'nowhere'"),
        (["--map", "nothing"], 2, "no name=value"),
        (["--key", "symbol=GBPUSD"], 1, "no key of these ticks has a schedule, e.g. FX/GBPUSD"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    ready: Project, ticks: Path, run: Callable[..., Result], args: list[str], code: int, said: str
) -> None:
    found = run("migrate", "replay", ticks, "--map", "at=ts", *args, code=code)
    assert said in found.stderr
    assert "Hint:" in found.stderr
    assert not bars(ready).num_rows


def test_another_migration_that_runs_is_named(ready: Project, ticks: Path, run: Callable[..., Result]) -> None:
    place = place_of(ready)
    other = type(place)(log=place.log, env=place.env, clock=place.clock, now_ms=place.now_ms, holder="other")
    with Running(other, query_of(ready, None, None)):
        said = run("migrate", "replay", ticks, "--map", "at=ts", code=5)
    assert "another migration of trading.rate_bars runs" in said.stderr
    assert this_process("other").name in said.stderr


def test_ticks_go_into_the_source_and_the_retention_is_told(
    ready: Project, ticks: Path, run: Callable[..., Result]
) -> None:
    said = run("migrate", "replay", ticks, "--map", "at=ts", "--into-source")
    assert "sent            6 ticks to trading.rate" in said.stdout
    assert "6 ticks are older than the retention, the engine sends them to trading.rate_late" in said.stderr
    assert ready.log.end_offsets("trading.rate") == {0: 6}
    again = run("migrate", "replay", ticks, "--map", "at=ts", "--into-source").stdout
    assert "nothing to do   these ticks are in trading.rate already; --no-resume sends them again" in again
    assert ready.log.end_offsets("trading.rate") == {0: 6}
    run("migrate", "replay", ticks, "--map", "at=ts", "--into-source", "--no-resume")
    assert ready.log.end_offsets("trading.rate") == {0: 12}


def test_swap_shows_the_difference_and_applies_it_when_told_to(
    ready: Project, ticks: Path, run: Callable[..., Result], replay: Callable[..., dict[str, Any]]
) -> None:
    replay(ticks)
    before = closes(ready)
    better = ticks.with_name("better.csv")
    better.write_text(HEADER + lines(1.1, 1.2, 1.3, 1.35, 1.15, 1.4))
    call = ("migrate", "swap", "--from-ticks", better, "--map", "at=ts")
    told = run(*call, code=3).stdout
    assert "not applied     1 bars differ, nothing was changed" in told
    assert "close 1.25000 → 1.35000" in told
    assert closes(ready) == before
    assert run(*call, "--dry-run", "--yes", code=3).stdout == told
    said = json.loads(run(*call, "--yes", "--json").stdout)
    assert (said["changed"], said["applied"], said["days"][0]["key"]) == (1, True, "FX/EURUSD")
    assert closes(ready) == [120_000, 135_000, 140_000]
    assert "nothing to do   6 bars are as these ticks make them" in run(*call).stdout
    undo = ("migrate", "undo", said["undo_file"])
    assert "would put back  1m 1, 0 of them had not been there and go" in run(*undo, "--dry-run").stdout
    assert closes(ready) == [120_000, 135_000, 140_000]
    assert "put back        1m 1, 0 of them had not been there and go" in run(*undo).stdout
    assert closes(ready) == before
    assert "nothing to do   1 bars are as they were" in run(*undo).stdout


def test_an_undo_file_goes_where_it_is_told_to(ready: Project, ticks: Path, run: Callable[..., Result]) -> None:
    call = ("migrate", "swap", "--from-ticks", ticks, "--map", "at=ts", "--yes", "--undo-dir")
    assert "no such folder" in run(*call, ready.config.root / "none", code=1).stderr
    assert not bars(ready).num_rows
    folder = ready.config.root / "kept"
    folder.mkdir()
    assert f"undo            rc migrate undo {folder}" in run(*call, folder).stdout
    said = json.loads(run("migrate", "undo", next(folder.iterdir()), "--json").stdout)
    assert said["deleted"] == {"1m": 3, "5m": 1, "1h": 1, "1d": 1}
    assert not bars(ready).num_rows


def test_a_file_that_is_no_undo_file_is_refused(ready: Project, ticks: Path, run: Callable[..., Result]) -> None:
    assert "cannot be used" in run("migrate", "undo", ticks, code=1).stderr
    assert "no such file" in run("migrate", "undo", ready.config.root / "none.parquet", code=1).stderr
