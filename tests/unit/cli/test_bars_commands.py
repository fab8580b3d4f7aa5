from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

from ashioto import Period
from ashioto.bars.timebucket import BarTable
from ashioto.cli.bars_tail import BarTail, Screen, watch
from ashioto.clock import ManualClock, SystemClock
from ashioto.dsl.bar import bind_bar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project

EURUSD = ("--key", "broker=FX", "--key", "symbol=EURUSD")


def rows_of(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def minutes(rows: list[dict[str, Any]]) -> list[str]:
    return [row["bucket_start"][14:16] for row in rows]


@pytest.fixture
def table(project: Project) -> BarTable:
    (owner, kind), *_ = project.bars(["RateBar1m"])
    return BarTable(bind_bar(kind, context=owner), project.log)


def test_bars_are_read_as_json_with_every_column(run: Callable[..., Result], write_bars: Callable[..., None]) -> None:
    write_bars()
    rows = rows_of(run("bars", "read", "RateBar1m", *EURUSD, "--json"))
    assert minutes(rows) == [f"{i:02d}" for i in range(10)]
    assert rows[0]["open"] == "1.10000"
    assert rows[0]["origin"] == "stream"
    assert (rows[8]["final"], rows[9]["final"]) == (True, False)


def test_bars_are_read_as_a_table_without_the_envelope(
    run: Callable[..., Result], write_bars: Callable[..., None]
) -> None:
    write_bars()
    said = run("bars", "read", "RateBar1m", *EURUSD).output
    assert "2025-01-06 09:09:00Z" in said
    assert "source_cut" not in said


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("--limit", "2"), ["08", "09"]),
        (("--from", "2025-01-06T09:07"), ["07", "08", "09"]),
        (("--from", "2025-01-06T18:07+09:00", "--to", "2025-01-06T09:08:00Z"), ["07"]),
        (("--to", "2025-01-06T09:05", "--limit", "1"), ["04"]),
        (("--from", "2025-01-07"), []),
    ],
)
def test_ranges_and_limits_narrow(
    run: Callable[..., Result], write_bars: Callable[..., None], args: tuple[str, ...], expected: list[str]
) -> None:
    write_bars()
    assert minutes(rows_of(run("bars", "read", "RateBar1m", *EURUSD, "--json", *args))) == expected


def test_without_a_whole_key_every_matching_series_is_read(
    run: Callable[..., Result], write_bars: Callable[..., None]
) -> None:
    write_bars("EURUSD")
    write_bars("USDJPY")
    rows = rows_of(run("bars", "read", "RateBar1m", "--json", "--limit", 2))
    assert [row["symbol"] for row in rows] == ["EURUSD", "EURUSD", "USDJPY", "USDJPY"]
    rows = rows_of(run("bars", "read", "RateBar1m", "--json", "--key", "symbol=USDJPY"))
    assert {row["symbol"] for row in rows} == {"USDJPY"}


def test_no_bars_are_said_so(run: Callable[..., Result], project: Project) -> None:
    assert project.log is not None
    assert "no RateBar1m there" in run("bars", "read", "RateBar1m").output
    assert rows_of(run("bars", "read", "RateBar1m", "--json")) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--key", "symbool=EURUSD"), "no key column 'symbool'"),
        (("--key", "EURUSD"), "no name=value"),
        (("--from", "soon"), "--from soon: no time"),
        (("--context", "other"), "no context 'other'"),
        (("--from", "2025-01-07", "--to", "2025-01-06"), "nothing lies between --from 2025-01-07 and --to 2025-01-06"),
        (("--from", "2025-01-07", "--to", "2025-01-07"), "nothing lies between"),
    ],
)
def test_wrong_options_are_named(
    run: Callable[..., Result], project: Project, args: tuple[str, ...], message: str
) -> None:
    assert project.log is not None
    assert message in run("bars", "read", "RateBar1m", *args, code=2).stderr


@pytest.mark.parametrize("key", [("symbol=USDJPY",), ("broker=FX", "symbol=USDJPY")])
def test_a_key_without_bars_is_named(
    run: Callable[..., Result], write_bars: Callable[..., None], key: tuple[str, ...]
) -> None:
    options = [text for one in key for text in ("--key", one)]
    assert rows_of(run("bars", "read", "RateBar1m", "--json", *options)) == []
    write_bars("EURUSD")
    said = run("bars", "read", "RateBar1m", *options, code=1).stderr
    assert f"there are no bars of {' '.join(key)}" in said
    assert "there are bars of FX EURUSD" in said


def test_an_empty_range_is_named(run: Callable[..., Result], write_bars: Callable[..., None]) -> None:
    write_bars("EURUSD")
    args = ("RateBar1m", "--from", "2031-01-06", "--to", "2031-01-07")
    assert "no RateBar1m from 2031-01-06 to 2031-01-07" in run("bars", "read", *args).output
    assert "no RateBar1m from 2031-01-06 to 2031-01-07" in run("bars", "chart", *args, code=1).stderr


def test_following_says_that_it_waits(run: Callable[..., Result], project: Project) -> None:
    assert project.log is not None
    assert "waiting for bars" in run("bars", "tail", "--seconds", "0").stderr
    assert "no such bars yet" in run("bars", "tail", "--once").stderr
    assert "no key column 'symbool'" in run("bars", "tail", "--key", "symbool=EURUSD", code=2).stderr


def test_an_interrupt_ends_following(
    run: Callable[..., Result], write_bars: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    write_bars(count=2)
    monkeypatch.setattr(SystemClock, "sleep", interrupt)
    assert len(run("bars", "tail", "--bar", "RateBar1m").output.splitlines()) == 1


def test_the_newest_of_each_series_is_printed_once(run: Callable[..., Result], write_bars: Callable[..., None]) -> None:
    write_bars("EURUSD")
    write_bars("USDJPY", count=9)
    write_bars("USDJPY", count=4, period=Period.minutes(5))
    lines = run("bars", "tail", "--bar", "RateBar1m", "--once").output.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("RateBar1m  broker=FX  symbol=EURUSD  2025-01-06 09:09:00Z  open=1.10900")
    assert lines[0].endswith("ticks=10  live")
    assert lines[1].endswith("ticks=9  live, no ticks")
    rows = [json.loads(line) for line in run("bars", "tail", "--once", "--json").output.splitlines()]
    assert [row["bar"] for row in rows] == ["RateBar1m", "RateBar1m", "RateBar5m"]


def test_a_key_narrows_what_is_followed(run: Callable[..., Result], write_bars: Callable[..., None]) -> None:
    write_bars("EURUSD")
    write_bars("USDJPY")
    lines = run("bars", "tail", "--key", "symbol=USDJPY", "--seconds", "0", "--json").output.splitlines()
    assert [json.loads(line)["symbol"] for line in lines] == ["USDJPY"]


def test_what_is_written_is_followed(table: BarTable, write_bars: Callable[..., None]) -> None:
    write_bars(count=3)
    tail = BarTail([table], {})
    assert tail.poll() == []
    write_bars(first=2, count=2)
    found = tail.poll()
    assert [(row["bar"], row["ticks"], row["final"]) for row in found] == [
        ("RateBar1m", 3, True),
        ("RateBar1m", 4, False),
    ]
    assert tail.poll() == []


def test_following_ends_when_the_time_is_up(table: BarTable, write_bars: Callable[..., None]) -> None:
    class Market(ManualClock):
        def sleep(self, seconds: float) -> None:
            write_bars(count=1 + self.now_ms() // 400)
            super().sleep(seconds)

    write_bars(count=2)
    found = [(row["ticks"], row["final"]) for row in BarTail([table], {}).follow(Market(), 1.0)]
    assert found[:4] == [(1, False)] * 4
    assert found[-3:] == [(1, True), (2, True), (3, False)]


def test_the_screen_keeps_the_newest_version_of_the_last_bars(table: BarTable, write_bars: Callable[..., None]) -> None:
    tail = BarTail([table], {})
    write_bars(count=4)
    screen = Screen(3)
    screen.update(tail.poll())
    write_bars(count=4)
    screen.update(tail.poll())
    made = screen.table()
    assert made is not None
    assert made.row_count == 3


def test_a_terminal_shows_the_bars_as_a_table(
    table: BarTable, write_bars: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    write_bars(count=2)
    watch(BarTail([table], {}), ManualClock(), 0.5)
    assert "bars (^C stops)" in capsys.readouterr().out


def test_a_chart_of_the_project_is_drawn(
    run: Callable[..., Result], write_bars: Callable[..., None], folder: Path
) -> None:
    write_bars("EURUSD")
    said = run("bars", "chart", "RateBar1m", "--out", "a.png", "--last", 5, "--size", "400x300").output
    assert "drew 5 bars of FX EURUSD RateBar1m" in said
    assert (folder / "a.png").read_bytes()[:4] == b"\x89PNG"
    args = (*EURUSD, "--out", "a.html", "--from", "2025-01-06T09:03", "--no-gaps", "--json")
    told = json.loads(run("bars", "chart", "RateBar1m", *args).stdout)
    assert told == {"bars": 7, "series": "FX EURUSD RateBar1m", "out": "a.html"}
    page = (folder / "a.html").read_text(encoding="utf-8")
    assert "2025-01-06T09:03:00" in page
    assert "2025-01-06T09:02:00" not in page


def test_several_series_must_be_told_apart(run: Callable[..., Result], write_bars: Callable[..., None]) -> None:
    write_bars("EURUSD")
    write_bars("USDJPY")
    assert "2 series of bars" in run("bars", "chart", "RateBar1m", code=1).stderr
    assert "no size" in run("bars", "chart", "RateBar1m", *EURUSD, "--size", "big", code=2).stderr
    assert "no .png or .html" in run("bars", "chart", "RateBar1m", *EURUSD, "--out", "a.gif", code=2).stderr


def test_a_chart_of_a_file_needs_no_project(
    run: Callable[..., Result], write_bars: Callable[..., None], table: BarTable, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_bars()
    bars = table.read_all()
    at = bars.column_names.index("bucket_start")
    bars = bars.add_column(at, "period", [["1m"] * bars.num_rows])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    pyarrow.parquet.write_table(bars, "BARS.parquet")
    said = run("bars", "chart", "BARS.parquet", "--period", "1m", "--to", "2025-01-06T09:04", "--out", "x.png").output
    assert "drew 4 bars of FX EURUSD 1m" in said
    assert "no such file" in run("bars", "chart", "NONE.parquet", code=1).stderr
