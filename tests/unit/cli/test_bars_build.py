from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

AT = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
COLUMNS = [
    "period", "bucket_start", "bucket_end", "market_date", "open", "high", "low", "close", "volume", "ticks", "final",
    "synthetic", "first_at", "last_at",
]  # fmt: skip


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ticks as Parquet and CSV in the working directory: 09:00:00, 09:00:30, 09:02:30 of two symbols."""
    monkeypatch.chdir(tmp_path)
    times = [AT, AT + timedelta(seconds=30), AT + timedelta(seconds=150)] * 2
    ticks = pa.table(
        {
            "ts": pa.array(times, pa.timestamp("us", tz="UTC")),
            "symbol": ["B"] * 3 + ["A"] * 3,
            "bid": [1.5, 1.25, 1.75, 100.0, 101.0, 99.5],
            "qty": [1, 2, 3, 4, 5, 6],
        }
    )
    pyarrow.parquet.write_table(ticks, "ticks.parquet")
    pyarrow.csv.write_csv(ticks, "ticks.csv")
    return tmp_path


BASE = ("--time", "ts", "--price", "bid")
KEYED = (*BASE, "--size", "qty", "--key-column", "symbol", "--now", "2025-01-06T09:02:40Z")


@pytest.fixture
def build(run: Callable[..., Result]) -> Callable[..., Result]:
    def invoke(*args: object, code: int = 0) -> Result:
        return run("bars", "build", *args, code=code)

    return invoke


def rows(name: str = "bars.parquet") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(name).to_pylist()
    return found


def test_a_parquet_file_becomes_bars(build: Callable[..., Result]) -> None:
    said = build("ticks.parquet", "--period", "1m,1h", *KEYED, "--out", "bars.parquet").output
    schema = pyarrow.parquet.read_schema("bars.parquet")
    assert schema.names == ["symbol", *COLUMNS]
    assert schema.field("open").type == pa.decimal128(18, 2)
    assert schema.field("bucket_start").type == schema.field("last_at").type == pa.timestamp("ms", tz="UTC")
    found = [
        (r["symbol"], r["period"], r["bucket_start"].minute, r["ticks"], r["final"], r["synthetic"]) for r in rows()
    ]
    assert found == [
        *(
            (symbol, "1m", *bar)
            for symbol in "AB"
            for bar in [(0, 2, True, False), (1, 0, True, True), (2, 1, False, False)]
        ),
        *((symbol, "1h", 0, 3, False, False) for symbol in "AB"),
    ]
    first = rows()[0]
    assert [first[name] for name in ("open", "high", "low", "close")] == [100, 101, 100, 101]
    assert (first["volume"], first["first_at"], first["last_at"]) == (9, AT, AT + timedelta(seconds=30))
    assert (first["market_date"], first["bucket_end"]) == (date(2025, 1, 6), AT + timedelta(minutes=1))
    assert "6 ticks" in said
    assert "1m 6, 1h 2" in said


def test_csv_in_and_out_say_the_same_as_parquet(build: Callable[..., Result]) -> None:
    for name in ("ticks.parquet", "ticks.csv"):
        for out in ("bars.parquet", "bars.csv"):
            build(name, "--period", "1m", *KEYED, "--out", out)
        table = pyarrow.parquet.read_table("bars.parquet")
        with open("bars.csv", encoding="utf-8", newline="") as file:  # noqa: PTH123  # a relative name in the test's folder
            read = list(csv.DictReader(file))
        assert [row["bucket_start"] for row in read][:2] == ["2025-01-06T09:00:00.000Z", "2025-01-06T09:01:00.000Z"]
        assert [Decimal(row["close"]) for row in read] == table["close"].to_pylist()
        assert [row["synthetic"] == "true" for row in read] == table["synthetic"].to_pylist()
        assert [row["first_at"] for row in read][:2] == ["2025-01-06T09:00:00.000Z", ""]


def test_bars_go_to_stdout_and_the_summary_to_stderr(build: Callable[..., Result]) -> None:
    result = build("ticks.csv", "--period", "1m", *BASE, "--no-fill", "--out", "-", "--json")
    assert [row["ticks"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["4", "2"]
    assert json.loads(result.stderr)["out"] == "-"


def test_the_summary_for_programs_has_every_count(build: Callable[..., Result], files: Path) -> None:
    (files / "more.csv").write_text("ts,bid\n2025-01-06T09:00Z,x\n2025-01-05T09:00Z,1\n", encoding="utf-8")
    said = json.loads(
        build(
            "*.csv",
            "ticks.csv",
            "--period",
            "1m",
            *BASE,
            "--sessions",
            "XNYS",
            "--out",
            "b.parquet",
            "--json",
            "--scale",
            2,
        ).stdout
    )
    assert said.pop("seconds") > 0
    assert said.pop("ticks_per_second") > 0
    assert said == {
        "out": "b.parquet",
        "rows": 8,
        "ticks": 0,
        "out_of_session": 7,
        "unknown_key": 0,
        "rejected": 1,
        "rejected_by_reason": {"bid is no number": 1},
        "rounded": {},
        "scale": 2,
        "size_scale": None,
        "first_at": "2025-01-05T09:00:00Z",
        "last_at": "2025-01-06T09:02:30Z",
        "bars": {"1m": 0},
    }


def test_no_tick_in_a_session_is_warned_of(build: Callable[..., Result]) -> None:
    result = build("ticks.csv", "--period", "1m", *BASE, "--sessions", "XNYS", "--out", "bars.csv")
    assert "warning: no tick lies in a session\nHint: look at --sessions" in result.stderr
    assert "out of session  6" in result.stdout


def test_a_schedule_file_decides_the_sessions(build: Callable[..., Result], files: Path) -> None:
    (files / "hours.csv").write_text(
        "symbol,open,close,market_date\nA,2025-01-06T08:59:30Z,2025-01-06T09:03:30Z,2025-01-07\n", encoding="utf-8"
    )
    arguments = ("ticks.csv", "--period", "1m,1d", *KEYED, "--sessions", "hours.csv", "--align", "session")
    result = build(*arguments, "--out", "bars.parquet")
    found = [(r["period"], r["bucket_start"].strftime("%d %H:%M:%S"), r["market_date"].day, r["ticks"]) for r in rows()]
    assert found == [
        ("1m", "06 08:59:30", 7, 1),
        ("1m", "06 09:00:30", 7, 1),
        ("1m", "06 09:01:30", 7, 0),
        ("1m", "06 09:02:30", 7, 1),
        ("1d", "07 00:00:00", 7, 3),
    ]
    assert "unknown key     3" in result.stdout


def test_without_fill_there_are_only_bars_with_ticks_and_they_end(build: Callable[..., Result]) -> None:
    build("ticks.csv", "--period", "1m", *KEYED, "--no-fill", "--out", "bars.parquet")
    assert [(row["bucket_start"].minute, row["final"]) for row in rows()] == [(0, True), (2, False)] * 2
    build("ticks.csv", "--period", "1m", *KEYED, "--no-fill", "--grace", "101", "--out", "bars.parquet")
    assert {row["final"] for row in rows()} == {False}
    build("ticks.csv", "--period", "1m", *KEYED[:-2], "--no-fill", "--out", "bars.parquet")
    assert {row["final"] for row in rows()} == {True}


def test_bad_rows_are_listed(build: Callable[..., Result], files: Path) -> None:
    (files / "bad.csv").write_text(
        "ts,bid\n2025-01-06T09:00Z,1\nx,1\n2025-01-06T09:00Z,1.23,9\n2025-01-06T09:00Z,nan\n", encoding="utf-8"
    )
    for rejects in ("rejects.csv", "rejects.parquet"):
        result = build("bad.csv", "--period", "1m", *BASE, "--out", "bars.csv", "--rejects", rejects)
        assert "1 × bid is NaN or infinite, first 'nan' in row 4 of bad.csv" in result.output
    assert rows("rejects.parquet") == [
        {"file": "bad.csv", "row": 2, "reason": "ts is no time", "value": "x"},
        {"file": "bad.csv", "row": 3, "reason": "the line has too many cells", "value": "2025-01-06T09:00Z,1.23,9"},
        {"file": "bad.csv", "row": 4, "reason": "bid is NaN or infinite", "value": "nan"},
    ]
    assert pyarrow.csv.read_csv("rejects.csv")["row"].to_pylist() == [2, 3, 4]


def test_rounding_is_warned_of(build: Callable[..., Result]) -> None:
    result = build("ticks.csv", "--period", "1m", *KEYED, "--scale", 1, "--out", "bars.csv")
    assert "warning: 2 values of bid have more digits than are kept" in result.stderr
    assert "prices have 1 digits after the point (--scale), of sizes 0 (--size-scale)" in result.stderr


def test_keys_can_be_given_and_renamed(build: Callable[..., Result]) -> None:
    keys = ("--key", "broker=FX", "--key-column", "ticker=symbol")
    build("ticks.csv", "--period", "1h", *BASE, *keys, "--no-fill", "--out", "bars.parquet")
    assert [(row["broker"], row["ticker"]) for row in rows()] == [("FX", "A"), ("FX", "B")]


def test_the_order_of_rows_matters_only_within_a_millisecond(build: Callable[..., Result], files: Path) -> None:
    (files / "t.csv").write_text(
        "ts,bid\n2025-01-06T09:00:00.0009Z,1\n2025-01-06T09:00:00.0001Z,2\n2025-01-06T08:00Z,9\n2025-01-06T09:00:00Z,3\n",
        encoding="utf-8",
    )
    build("t.csv", "--period", "1m", *BASE, "--no-fill", "--out", "bars.parquet")
    assert [(row["open"], row["close"]) for row in rows()] == [(9, 9), (1, 3)]


def test_progress_needs_no_terminal_and_help_names_every_option(build: Callable[..., Result]) -> None:
    said = build("--help").output
    for option in (
        "--sessions",
        "--align",
        "--scale",
        "--no-fill",
        "--now",
        "--grace",
        "--tz",
        "--rejects",
        "--time-unit",
    ):
        assert option in said
