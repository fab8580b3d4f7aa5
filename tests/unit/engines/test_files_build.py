"""Bars of files are those of the reference, whatever the layout of the files, their parts, and the threads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_shared import oracle

from ashioto.engines.embedded.build.options import BuildOptions, BuildReport
from ashioto.engines.embedded.build.run import FileBuild
from ashioto.errors import DecimalOverflowError, InputError, UsageError
from ashioto.files import reading
from ashioto.period import Period

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.files.rejected import Rejected

START = 1_709_942_400_000 + 86_400_000
"""2024-03-10, the day New York clocks go forward."""
NOW = 2_000_000_000_000


class Notes:
    """Remembers what a build says."""

    def __init__(self) -> None:
        self.done: list[tuple[int, int, int]] = []
        self.bad: list[tuple[int, str]] = []

    def read(self, done: int, total: int, rows: int) -> None:
        self.done.append((done, total, rows))

    def rejected(self, rows: Rejected) -> None:
        self.bad += [(row.row, row.reason) for row in rows]


def options(*files: Path, periods: str = "1m", **more: Any) -> BuildOptions:
    given: dict[str, Any] = {"time": "ts", "price": "price", "now_ms": NOW, **more}
    return BuildOptions(files=tuple(map(str, files)), periods=tuple(map(Period.parse, periods.split(","))), **given)


def built(how: BuildOptions, notes: Notes | None = None) -> tuple[list[dict[str, Any]], BuildReport]:
    bars = FileBuild(how, notes or Notes()).run()
    tables = list(bars.tables())
    assert all(table.schema == bars.schema for table in tables)
    return [row for table in tables for row in table.to_pylist()], bars.report


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def ticks_table(ticks: list[tuple[str, int, int, int]]) -> pa.Table:
    columns = list(zip(*ticks, strict=True)) or [()] * 4
    return pa.table(
        {
            "symbol": pa.array(columns[0], pa.string()),
            "ts": pa.array(columns[1], pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
            "price": pa.array([Decimal(p) / 100 for p in columns[2]], pa.decimal128(10, 2)).cast(pa.float64()),
            "size": pa.array([Decimal(s) / 100 for s in columns[3]], pa.decimal128(10, 2)).cast(pa.float64()),
        }
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    at = START + draw(st.integers(-7_200_000, 7_200_000))
    day = START // 86_400_000
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 30)) * draw(st.sampled_from([1_000, 30_000, 60_000, 300_000]))
        rows.append((at, at + length, day))
        at += length + draw(st.sampled_from([0, 1, 59_999, 3_600_000, 86_400_000]))
        day += draw(st.sampled_from([0, 1, 3, 30]))
    return rows


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    hours = {"A": draw(schedules()), "B": draw(schedules())}
    if draw(st.booleans()):
        hours["B"] = hours["A"]
    ticks = []
    for _ in range(draw(st.integers(1, 30))):
        symbol = draw(st.sampled_from("ABX"))
        opened, closed, _ = draw(st.sampled_from(hours.get(symbol, hours["A"])))
        at = draw(st.one_of(st.integers(opened - 1, closed), st.just(closed - 1)))
        ticks.append((symbol, at, draw(st.integers(-500, 500)), draw(st.integers(0, 300))))
    last = max(r[1] for rows in hours.values() for r in rows)
    edges = [edge + step for rows in hours.values() for o, c, _ in rows for edge in (o, c) for step in (-1, 0, 5_000)]
    return {
        "hours": hours,
        "ticks": ticks,
        "frames": draw(st.sampled_from([("1m", "5m", "1h", "1d", "1w", "1mo"), ("1s", "1m"), ("5m", "15m", "2d")])),
        "align": draw(st.sampled_from(["clock", "session"])),
        "fill": draw(st.booleans()),
        "grace": draw(st.sampled_from([0, 5_000])),
        "now": draw(st.one_of(st.integers(START, last + 40 * 86_400_000), st.sampled_from(edges))),
    }


def expected(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The reference's bars: ended by the whole schedule, filled on the market dates from the first tick to the last."""
    ref, epoch = oracle(), date(1970, 1, 1)
    counted = [
        (symbol, rows, next(day for o, c, day in rows if o <= at < c))
        for symbol, at, _, _ in case["ticks"]
        if (rows := case["hours"].get(symbol)) and any(o <= at < c for o, c, _ in rows)
    ]

    def sessions(*, cut: bool) -> list[Any]:
        found = []
        for symbol, rows in case["hours"].items():
            days = [day for _, theirs, day in counted if theirs == rows]
            found += [
                ref.Session(key=(symbol,), open=o, close=c, market_date=epoch + timedelta(days=day))
                for o, c, day in rows
                if not cut or not days or min(days) <= day <= max(days)
            ]
        return found

    def bars(period: str, *, cut: bool) -> list[Any]:
        ticks = [
            ref.Tick(key=(symbol,), at=at, seq=seq, price=Decimal(price) / 100, size=Decimal(size) / 100)
            for seq, (symbol, at, price, size) in enumerate(case["ticks"])
        ]
        base, how = case["frames"][0], {"now": case["now"], "grace": case["grace"], "align": case["align"]}
        found: list[Any] = ref.bars(ticks, sessions(cut=cut), base=base, period=period, **how)
        return found

    rows = []
    for period in case["frames"]:
        stand = {(b.key, b.bucket_start) for b in bars(period, cut=True) if case["fill"] or not b.synthetic}
        rows += [
            {
                "symbol": b.key[0],
                "period": period,
                **{name: getattr(b, name) for name in ("open", "high", "low", "close", "volume", "ticks")},
                **{name: getattr(b, name) for name in ("final", "synthetic")},
                **{
                    name: None if (ms := getattr(b, name)) is None else moment(ms)
                    for name in ("bucket_start", "bucket_end", "first_at", "last_at")
                },
            }
            for b in bars(period, cut=False)
            if (b.key, b.bucket_start) in stand
        ]
    return rows


def hours_file(folder: Path, case: dict[str, Any]) -> Path:
    rows = [(symbol, *row) for symbol, theirs in case["hours"].items() for row in theirs]
    symbols, opens, closes, days = zip(*rows, strict=True)
    time = pa.timestamp("ms", tz="UTC")
    table = pa.table(
        {
            "symbol": symbols,
            "open": pa.array(opens).cast(time),
            "close": pa.array(closes).cast(time),
            "market_date": pa.array(np.array(days, dtype=np.int32)).cast(pa.date32()),
        }
    )
    pyarrow.parquet.write_table(table, folder / "hours.parquet")
    return folder / "hours.parquet"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), threads=st.integers(1, 2))
def test_bars_are_those_of_the_reference(tmp_path: Path, case: dict[str, Any], threads: int) -> None:
    pyarrow.parquet.write_table(ticks_table(case["ticks"]), tmp_path / "t.parquet")
    how = options(
        tmp_path / "t.parquet",
        periods=",".join(case["frames"]),
        size="size",
        key_columns={"symbol": "symbol"},
        sessions=str(hours_file(tmp_path, case)),
        align=case["align"],
        fill=case["fill"],
        now_ms=case["now"],
        grace_ms=case["grace"],
        threads=threads,
    )
    rows, report = built(how)
    wanted = expected(case)
    assert [{name: row[name] for name in (wanted or [row])[0]} for row in rows] == wanted
    assert report.ticks == sum(row["ticks"] for row in rows if row["period"] == case["frames"][0])
    assert report.unknown_key == sum(symbol == "X" for symbol, *_ in case["ticks"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), parts=st.integers(1, 7), files=st.integers(1, 3))
def test_layout_and_parts_do_not_matter(tmp_path: Path, case: dict[str, Any], parts: int, files: int) -> None:
    table = ticks_table(case["ticks"])
    pyarrow.parquet.write_table(table, tmp_path / "whole.parquet")
    pieces = []
    for number in range(files):
        piece = table.slice(
            number * table.num_rows // files, (number + 1) * table.num_rows // files - number * table.num_rows // files
        )
        path = tmp_path / f"piece{number}.{'csv' if number % 2 else 'parquet'}"
        (pyarrow.csv.write_csv if number % 2 else pyarrow.parquet.write_table)(piece, path)
        pieces.append(path)
    how = options(
        tmp_path / "whole.parquet",
        periods="1m,1h,1d",
        size="size",
        key_columns={"symbol": "symbol"},
        now_ms=case["now"],
    )
    wanted, _ = built(how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PART_ROWS", parts)
        patch.setattr(reading, "BLOCK_BYTES", 100)
        rows, report = built(replace(how, files=tuple(map(str, pieces))))
    assert rows == wanted
    assert report.rows == table.num_rows


def test_without_keys_all_ticks_are_one_series(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(ticks_table([("A", START, 150, 1), ("B", START + 1, 250, 1)]), tmp_path / "t.parquet")
    rows, report = built(options(tmp_path / "t.parquet", fill=False))
    assert [(row["open"], row["close"], row["volume"], row["ticks"]) for row in rows] == [
        (Decimal("1.5"), Decimal("2.5"), Decimal(0), 2)
    ]
    assert list(rows[0])[:2] == ["period", "bucket_start"]
    assert report.size_scale is None
    assert report.span_ms == (START, START + 1)


def test_constant_keys_come_first(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(ticks_table([("A", START, 150, 1)]), tmp_path / "t.parquet")
    rows, _ = built(options(tmp_path / "t.parquet", keys={"broker": "X"}, key_columns={"ticker": "symbol"}, fill=False))
    assert list(rows[0])[:3] == ["broker", "ticker", "period"]
    assert (rows[0]["broker"], rows[0]["ticker"]) == ("X", "A")


def test_bad_rows_are_counted_and_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"ts,price\n{START},1.5\n{START},x\n{START},nan\n{START}\n{START},2.5\n,1\n", encoding="utf-8")
    notes = Notes()
    rows, report = built(options(path, fill=False), notes)
    assert rows[0]["ticks"] == report.ticks == 2
    assert (rows[0]["open"], rows[0]["close"]) == (Decimal("1.5"), Decimal("2.5"))
    assert (report.rows, report.bad) == (6, 4)
    assert sorted(notes.bad) == [
        (2, "price is no number"),
        (3, "price is NaN or infinite"),
        (4, "the line has too few cells"),
        (6, "ts is null"),
    ]
    assert set(report.rejected) == {reason for _, reason in notes.bad}
    assert report.examples["price is no number"].row == 2
    assert notes.done[-1] == (path.stat().st_size, path.stat().st_size, 6)


def test_digits_are_found_and_what_comes_later_is_rounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ashioto.engines.embedded.build.run.LOOK_AHEAD", 1)
    monkeypatch.setattr(reading, "PART_ROWS", 1)
    table = pa.table({"ts": [START, START + 1], "price": [1.25, 1.126]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    rows, report = built(options(tmp_path / "t.parquet", fill=False))
    assert (report.scale, dict(report.rounded)) == (2, {"price": 1})
    assert (rows[0]["open"], rows[0]["close"]) == (Decimal("1.25"), Decimal("1.13"))
    rows, report = built(options(tmp_path / "t.parquet", fill=False, scale=5))
    assert rows[0]["close"] == Decimal("1.12600")
    assert dict(report.rounded) == {}


def test_times_are_read_as_the_options_say(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("ts,price\n2025-01-06 09:30,1\n2025-03-30 02:30,1\n", encoding="utf-8")
    rows, report = built(options(path, fill=False, zone="Europe/Berlin"))
    assert [row["bucket_start"] for row in rows] == [datetime(2025, 1, 6, 8, 30, tzinfo=UTC)]
    assert list(report.rejected) == ["ts does not exist in Europe/Berlin"]
    path.write_text("ts,price\n1000,1\n", encoding="utf-8")
    assert built(options(path, fill=False, time_unit="us"))[1].span_ms == (1, 1)


def test_a_calendar_gives_sessions_to_every_key(tmp_path: Path) -> None:
    friday, monday = datetime(2025, 1, 3, 15, tzinfo=UTC), datetime(2025, 1, 6, 15, tzinfo=UTC)
    ticks = [(symbol, int(at.timestamp() * 1000), 100, 0) for symbol in "AB" for at in (friday, monday)]
    night = ("A", int(datetime(2025, 1, 4, 15, tzinfo=UTC).timestamp() * 1000), 100, 0)
    pyarrow.parquet.write_table(ticks_table([*ticks, night]), tmp_path / "t.parquet")
    rows, report = built(
        options(
            tmp_path / "t.parquet", periods="1h,1d", key_columns={"symbol": "symbol"}, sessions="XNYS", align="session"
        )
    )
    assert report.out_of_session == 1
    days = [(row["symbol"], row["market_date"].day, row["final"]) for row in rows if row["period"] == "1d"]
    assert days == [("A", 3, True), ("A", 6, True), ("B", 3, True), ("B", 6, True)]
    hours = [(row["bucket_start"].hour, row["synthetic"]) for row in rows if row["period"] == "1h"][:7]
    assert hours == [(14, False), (15, True), (16, True), (17, True), (18, True), (19, True), (20, True)]


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"keys": {"open": "1"}}, UsageError, "no key can be called 'open'"),
        ({"keys": {"size": "1"}}, UsageError, "no key can be called 'size'"),
        ({"keys": {"a b": "1"}}, UsageError, "'a b' is no name"),
        ({"keys": {"s": "1"}, "key_columns": {"s": "price"}}, UsageError, "the key 's' is named twice"),
        ({"key_columns": {"s": "price"}}, InputError, "'price' .* is double, it should be text"),
        ({"zone": "Mars"}, UsageError, "no time zone 'Mars'"),
        ({"price": "prise"}, InputError, "no column 'prise'; it has ts, price"),
    ],
)
def test_wrong_options_are_found_before_reading(
    tmp_path: Path, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    pyarrow.parquet.write_table(pa.table({"ts": [START], "price": [1.5]}), tmp_path / "t.parquet")
    with pytest.raises(error, match=message):
        FileBuild(options(tmp_path / "t.parquet", **more), Notes())


@pytest.mark.parametrize(
    ("prices", "message"),
    [([], "has no rows"), ([None, None], r"none of the 2 rows .* price is null, e\.g\. '' in row 1")],
)
def test_files_without_a_usable_row_are_an_error(tmp_path: Path, prices: list[float | None], message: str) -> None:
    table = pa.table({"ts": pa.array([START] * len(prices), pa.int64()), "price": pa.array(prices, pa.float64())})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=message):
        FileBuild(options(tmp_path / "t.parquet"), Notes()).run()


@pytest.mark.parametrize(("size", "scale", "hint"), [(9e17, 0, "larger units"), (9e13, 4, "--size-scale 1")])
def test_a_volume_that_is_too_large_names_the_way_out(tmp_path: Path, size: float, scale: int, hint: str) -> None:
    table = pa.table({"ts": [START] * 20, "price": [1.5] * 20, "size": [size] * 20})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DecimalOverflowError, match="'volume' leaves 64 bits") as caught:
        FileBuild(options(tmp_path / "t.parquet", size="size", size_scale=scale), Notes()).run()
    assert hint in caught.value.hint
