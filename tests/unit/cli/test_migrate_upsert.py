from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ashioto.bars.timebucket import BarTable
from ashioto.cli.migrate_files import market_clock
from ashioto.cli.replay import announce
from ashioto.clock import SystemClock
from ashioto.dsl.bar import bind_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    from ashioto.cli.project import Project

HEADER = "broker,symbol,bucket_start,open,high,low,close,volume,ticks\n"
BAR = ("upsert", "BARS", "--bar", "RateBar1m")


def line(minute: int, *, symbol: str = "EURUSD", high: str = "1.3", hour: int = 9) -> str:
    return f"FX,{symbol},2025-01-06T{hour:02d}:{minute:02d}Z,1.1,{high},1.0,1.2,5,3\n"


@pytest.fixture
def log(project: Project, run: Callable[..., Result]) -> Project:
    """A project whose schedule has two keys and one morning."""
    sessions = "broker,symbol,open,close,market_date\n" + "".join(
        f"FX,{symbol},2025-01-06T09:00Z,2025-01-06T12:00Z,2025-01-06\n" for symbol in ("EURUSD", "USDJPY")
    )
    file = project.config.root / "sessions.csv"
    file.write_text(sessions)
    run("schedule", "import", file)
    return project


@pytest.fixture
def upsert(log: Project, run: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Add bars of CSV text, and return what was said."""

    def adding(text: str, *args: object, code: int = 0) -> dict[str, Any]:
        file = log.config.root / "mine.csv"
        file.write_text(text)
        result = run("migrate", "upsert", file, "--bar", "RateBar1m", "--json", *args, code=code)
        said: dict[str, Any] = json.loads(result.stdout) if not code else {"error": result.stderr}
        return said

    return adding


def table(project: Project) -> BarTable:
    (owner, kind), *_ = project.bars(["RateBar1m"])
    return BarTable(bind_bar(kind, context=owner), project.log)


def ends(project: Project) -> dict[int, int]:
    return project.log.end_offsets("trading.rate_bars_1m")


def test_bars_are_written_once_and_a_second_run_changes_nothing(
    upsert: Callable[..., dict[str, Any]], log: Project, run: Callable[..., Result]
) -> None:
    text = HEADER + line(0) + line(1) + line(0, symbol="USDJPY")
    assert upsert(text)["written"] == 3
    before = ends(log)
    again = upsert(text)
    assert (again["written"], again["skipped"], again["conflicting"]) == (0, 3, 0)
    assert ends(log) == before
    said = run("migrate", "upsert", log.config.root / "mine.csv", "--bar", "RateBar1m").output
    assert said.splitlines()[-1] == "nothing changed: all 3 RateBar1m are there already"
    first = table(log).read("FX", "EURUSD").to_pylist()[0]
    assert (first["origin"], first["final"], first["synthetic"], first["source_cut"]) == ("history", True, False, None)


def test_a_dry_run_says_the_same_and_writes_nothing(
    upsert: Callable[..., dict[str, Any]], log: Project, run: Callable[..., Result]
) -> None:
    text = HEADER + line(0) + line(1)
    before = ends(log)
    assert upsert(text, "--dry-run") == {
        "bar": "RateBar1m", "dry_run": True, "written": 2, "skipped": 0, "conflicting": 0, "left_out": {},
        "other_periods": 0, "rounded": {},
    }  # fmt: skip
    assert ends(log) == before
    said = run("migrate", "upsert", log.config.root / "mine.csv", "--bar", "RateBar1m", "--dry-run").output
    assert "would write 2 RateBar1m, 0 were left as they are" in said
    assert upsert(text)["written"] == 2
    assert upsert(text, "--dry-run")["skipped"] == 2
    refused = upsert(HEADER + line(0, high="1.0"), "--dry-run", code=1)["error"]
    assert "high 1.0" in refused


def test_conflicts_are_upserted_skipped_or_refused(upsert: Callable[..., dict[str, Any]], log: Project) -> None:
    upsert(HEADER + line(0))
    other = HEADER + line(0, high="1.4")
    skipped = upsert(other, "--conflict", "skip")
    assert (skipped["written"], skipped["skipped"], skipped["conflicting"]) == (0, 1, 1)
    assert "row 1 of" in upsert(other, "--conflict", "error", code=1)["error"]
    assert str(table(log).read("FX", "EURUSD")["high"][0]) == "1.30000"
    assert upsert(other)["conflicting"] == 1
    assert str(table(log).read("FX", "EURUSD")["high"][0]) == "1.40000"


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        (HEADER.replace("open", "opne") + line(0), (), ("no column 'open'", "did you mean columns: {open: opne}")),
        (HEADER + line(0) + line(1, high="1.05"), (), ("row 2 of", "is less than", "mixed up")),
        (HEADER + line(0) + line(1) + line(0), (), ("row 3 of", "stands in the files before", "leave one of them out")),
        (HEADER + line(0, hour=15), (), ("row 1 of", "no session of its key", "rc schedule show")),
        (HEADER + line(0, symbol="EURUSE"), (), ("row 1 of", "no sessions of FX EURUSE", "did you mean FX EURUSD")),
        (
            HEADER + line(0).replace("09:00Z", "09:00:30Z"),
            (),
            ("row 1 of", "not on an edge of 1m", "start of the bucket"),
        ),
        (HEADER + line(0).replace("2025", "2225"), ("--no-validate-schedule",), ("row 1 of", "still live")),
        (HEADER + line(0).replace("1.1,", "x,"), (), ("row 1 of", "open is no number: 'x'")),
        (HEADER, (), ("no bars of 1m to add",)),
        ("", (), ("is empty",)),
        (
            "period," + HEADER + "5m," + line(0),
            (),
            ("no bars of 1m to add, only 1 of other periods", "the right --bar"),
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_with_row_rule_and_way_out(
    upsert: Callable[..., dict[str, Any]], log: Project, text: str, args: tuple[str, ...], said: tuple[str, ...]
) -> None:
    before = ends(log)
    error = upsert(text, *args, code=1)["error"]
    for words in said:
        assert words in error
    assert ends(log) == before


def test_a_wrong_scale_and_a_wrong_zone_are_refused(upsert: Callable[..., dict[str, Any]], log: Project) -> None:
    folder = log.config.root / "dict" / "migration_maps"
    folder.mkdir(parents=True)
    (folder / "wrong.toml").write_text("[scale]\nopen = 5\n")
    error = upsert(HEADER + line(0), "--map", "wrong", code=1)["error"]
    assert "row 1 of" in error
    assert "open is no whole number" in error
    (folder / "zone.toml").write_text('time_zone = "Asia/Tokyo"\n')
    error = upsert(HEADER + line(0).replace("09:00Z", "09:00"), "--map", "zone", code=1)["error"]
    assert "no session of its key lies in this 1m" in error
    (folder / "none.toml").write_text('time_zone = "Asia/Tokio"\n')
    assert "did you mean Asia/Tokyo" in upsert(HEADER + line(0), "--map", "none", code=1)["error"]
    assert "there is no such mapping" in upsert(HEADER + line(0), "--map", "nonesuch", code=2)["error"]


def test_bars_outside_the_schedule_come_in_when_asked_for(upsert: Callable[..., dict[str, Any]]) -> None:
    assert upsert(HEADER + line(0, hour=15), "--no-validate-schedule")["written"] == 1


def test_keys_may_come_from_the_command_line(upsert: Callable[..., dict[str, Any]], log: Project) -> None:
    text = "\n".join(one.partition(",")[2].partition(",")[2] for one in (HEADER + line(0)).splitlines())
    key = ("--key", "broker=FX", "--key", "symbol=USDJPY")
    assert upsert(text, *key)["written"] == 1
    assert table(log).read("FX", "USDJPY").num_rows == 1
    assert "no key column 'symbl'" in upsert(text, "--key", "symbl=X", code=2)["error"]


def test_bars_that_only_the_engine_makes_are_left_out(upsert: Callable[..., dict[str, Any]]) -> None:
    rows = [line(0), line(1), line(2)]
    flags = ["true,false", "true,true", "false,false"]
    text = HEADER.replace("\n", ",final,synthetic\n") + "".join(
        row.replace("\n", f",{flag}\n") for row, flag in zip(rows, flags, strict=True)
    )
    found = upsert(text)
    assert found["written"] == 1
    assert found["left_out"] == {"without ticks, which the engine fills": 1, "not final": 1}


def test_rows_are_named_in_the_second_of_several_files(log: Project, run: Callable[..., Result]) -> None:
    root = log.config.root
    (root / "a1.csv").write_text(HEADER + line(0) + line(1))
    (root / "a2.csv").write_text(HEADER + line(2) + line(3, high="0.5"))
    said = run("migrate", "upsert", root / "a*.csv", "--bar", "RateBar1m", code=1).stderr
    assert "row 2 of" in said
    assert "a2.csv" in said
    (root / "a2.csv").write_text(HEADER + line(2) + line(1))
    said = run("migrate", "upsert", root / "a*.csv", "--bar", "RateBar1m", code=1).stderr
    assert "a2.csv (FX EURUSD 2025-01-06T09:01:00Z): the bar stands in the files before" in said


def test_parquet_of_many_row_groups_is_read_in_parts(log: Project, run: Callable[..., Result]) -> None:
    minutes = list(range(180))
    at = [1_736_154_000_000 + minute * 60_000 for minute in minutes]
    bars = pa.table({
        "broker": ["FX"] * 180, "symbol": ["EURUSD"] * 180, "bucket_start": pa.array(at, pa.timestamp("ms")),
        "open": [1.1] * 180, "high": [1.2] * 180, "low": [1.0] * 180, "close": [1.1] * 180,
        "volume": [1] * 180, "ticks": [1] * 180,
    })  # fmt: skip
    file = log.config.root / "bars.parquet"
    pq.write_table(bars, file, row_group_size=50)
    said = run("migrate", "upsert", file, "--bar", "RateBar1m", "--max-rate", "1000000").output
    assert "wrote 180 RateBar1m" in said
    assert run("migrate", "verify", file, "--bar", "RateBar1m").exit_code == 0


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nothing.csv", "--bar", "RateBar1m"), 1, "no such file: nothing.csv"),
        (("ashioto.toml", "--bar", "RateBar1m"), 1, "neither .parquet nor .csv"),
        (("broken.parquet", "--bar", "RateBar1m"), 1, "cannot be read"),
        (("mine.csv", "--bar", "RateBar2m"), 2, "no bars 'RateBar2m'"),
        (("mine.csv",), 2, "--bar"),
        (("mine.csv", "--bar", "RateBar1m", "--conflict", "maybe"), 2, "--conflict"),
    ],
)
def test_wrong_arguments_are_named(
    log: Project, run: Callable[..., Result], args: tuple[str, ...], code: int, said: str
) -> None:
    (log.config.root / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    (log.config.root / "mine.csv").write_text(HEADER + line(0))
    assert said in run("migrate", "upsert", *args, code=code).output


def test_a_replay_says_which_buckets_are_over(log: Project, upsert: Callable[..., dict[str, Any]]) -> None:
    assert isinstance(market_clock(log.log), SystemClock)
    announce(log.log, SystemClock(), event_ms=1_736_154_000_000, speed=1.0)
    line_of = log.log.view("rc.dev.clock").data
    assert "still live" in upsert(HEADER + line(5), code=1)["error"]
    assert log.log.view("rc.dev.clock").data.equals(line_of)


def test_the_group_names_its_commands(run: Callable[..., Result]) -> None:
    said = run("migrate", "--help").output
    assert all(name in said for name in ("upsert", "verify", "lag"))
