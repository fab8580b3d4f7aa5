from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.support_shared import shared

from ashioto.errors import InputError, ScheduleError, UsageError
from ashioto.files.schedules import FileSchedule, is_file, read_schedule

if TYPE_CHECKING:
    from pathlib import Path

DAY = date(2025, 1, 6)
HEAD = "open,close,market_date\n"
NINE = "2025-01-06T09:00Z,2025-01-06T12:00Z,2025-01-06\n"


def at(hour: int) -> datetime:
    return datetime(2025, 1, 6, hour, tzinfo=UTC)


def file(folder: Path, text: str) -> str:
    (folder / "hours.csv").write_text(text, encoding="utf-8")
    return str(folder / "hours.csv")


@pytest.mark.parametrize(("name", "wanted"), [("a.csv", True), ("a.PARQUET", True), ("./a", True), ("XNYS", False)])
def test_files_are_told_from_calendars(name: str, wanted: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert is_file(name) is wanted


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = pa.table({"symbol": ["A"], "open": [at(9)], "close": [at(12)], "market_date": [DAY]})
    pyarrow.parquet.write_table(rows, tmp_path / "hours.parquet")
    text = read_schedule(file(tmp_path, f"symbol,{HEAD}A,{NINE}"))
    assert text.to_pylist() == rows.to_pylist()
    assert read_schedule(str(tmp_path / "hours.parquet")).equals(text)


def test_a_break_cuts_a_session_in_two(tmp_path: Path) -> None:
    found = read_schedule(
        file(
            tmp_path,
            "session,open,break_start,break_end,close\n"
            "2025-01-06,2025-01-06T09:00,2025-01-06T11:00,2025-01-06T12:00,2025-01-06T15:00\n"
            "2025-01-07,2025-01-07T09:00,,,2025-01-07T15:00\n",
        )
    ).sort_by("open")
    assert [(row["open"].hour, row["close"].hour) for row in found.to_pylist()] == [(9, 11), (12, 15), (9, 15)]
    assert found["market_date"].to_pylist() == [DAY, DAY, date(2025, 1, 7)]


def test_breaks_nobody_has_may_be_of_any_type(tmp_path: Path) -> None:
    nothing = pa.nulls(1)
    rows = {"session": [DAY], "open": [at(9)], "close": [at(12)], "break_start": nothing, "break_end": nothing}
    pyarrow.parquet.write_table(pa.table(rows), tmp_path / "hours.parquet")
    assert read_schedule(str(tmp_path / "hours.parquet")).num_rows == 1


@pytest.mark.parametrize(("name", "sessions"), [("XNYS", 4_276), ("XTKS", 8_296)])
def test_calendars_of_exchanges_are_read(name: str, sessions: int) -> None:
    found = read_schedule(str(shared(f"data/calendars/{name}_2010_2026.parquet")))
    assert abs(found.num_rows - sessions) < 60
    assert found.column_names == ["open", "close", "market_date"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no open, close, market_date; it has a, b"),
        (HEAD, "has no rows"),
        (f"{HEAD}x,{NINE.split(',', 1)[1]}", "row 1 of .*: open is no time: 'x'"),
        (f"{HEAD}{NINE},{NINE.split(',', 1)[1]}", "row 2 of .*: open is null: ''"),
        (f"{HEAD}{NINE}1,2\n", "row 2 of .* has 2 cells, not 3: 1,2"),
        (f"open,{HEAD}1,2,3,4\n", "has two columns 'open'"),
        (f"{HEAD[:-1]},symbol\n{NINE[:-1]},\n", "symbol is null"),
    ],
)
def test_files_that_are_no_schedule_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_schedule(file(tmp_path, text))


def test_columns_of_wrong_types_are_named(tmp_path: Path) -> None:
    rows = {"open": [True], "close": [at(12)], "market_date": [DAY]}
    pyarrow.parquet.write_table(pa.table(rows), tmp_path / "hours.parquet")
    with pytest.raises(InputError, match=r"column 'open' of .* is bool, it should be times"):
        read_schedule(str(tmp_path / "hours.parquet"))


def test_sessions_hold_for_the_keys_a_file_names(tmp_path: Path) -> None:
    afternoon = NINE.replace("T09", "T13").replace("T12", "T15")
    found = FileSchedule(file(tmp_path, f"symbol,{HEAD}A,{NINE}B,{NINE}A,{afternoon}"), ["broker", "symbol"])
    sessions = found.sessions(("X", "A"))
    assert found.names == ("symbol",)
    assert sessions is not None
    assert len(sessions) == 2
    assert found.sessions(("X", "B")) is found.sessions(("Y", "B"))
    assert found.sessions(("X", "C")) is None


def test_a_file_without_keys_holds_for_all(tmp_path: Path) -> None:
    found = FileSchedule(file(tmp_path, HEAD + NINE), ["symbol"])
    assert found.sessions(("A",)) is found.sessions(("B",)) is not None


def test_a_column_that_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="column 'symbol', which is no key of the bars; it has no keys"):
        FileSchedule(file(tmp_path, f"symbol,{HEAD}A,{NINE}"), [])


def test_overlapping_sessions_are_named(tmp_path: Path) -> None:
    overlapping = NINE.replace("T09", "T11").replace("T12", "T13")
    with pytest.raises(ScheduleError, match="A: the sessions of 2025-01-06 and 2025-01-06 overlap"):
        FileSchedule(file(tmp_path, f"symbol,{HEAD}A,{NINE}A,{overlapping}"), ["symbol"])
