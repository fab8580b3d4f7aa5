from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ashioto.engines.sql.index import index_batches, index_of, rows_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project
    from ashioto.engines.sql.index import Index

KEY = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")
FILE = """broker,symbol,open,close,market_date
EX,A,2025-01-06T09:00:00Z,2025-01-06T11:30:00Z,2025-01-06
EX,A,2025-01-06T12:30:00Z,2025-01-06T15:00:00Z,2025-01-06
EX,A,2025-01-07T09:00:00Z,2025-01-07T15:00:00Z,2025-01-07
EX,B,2025-01-06T09:00:00Z,2025-01-06T11:30:00Z,2025-01-06
"""


def rows_of(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.fixture
def file(folder: Path) -> Path:
    made = folder / "sessions.csv"
    made.write_text(FILE, encoding="utf-8")
    return made


def test_a_calendar_is_imported_before_anything_ran(run: Callable[..., Result], folder: Path) -> None:
    found = rows_of(run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2025-01-12", *KEY, "--json"))
    assert found == [
        {
            "broker": "SIM",
            "symbol": "BTCUSD",
            "sessions": 7,
            "first_open": "2025-01-06T00:00:00Z",
            "last_close": "2025-01-13T00:00:00Z",
        }
    ]
    assert (folder / ".ashioto" / "log.db").exists()
    again = run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2025-01-12", *KEY, "--json")
    assert rows_of(again) == found


def test_a_file_brings_its_own_keys(run: Callable[..., Result], file: Path) -> None:
    found = rows_of(run("schedule", "import", file, "--json"))
    assert [(row["symbol"], row["sessions"]) for row in found] == [("A", 3), ("B", 1)]
    found = rows_of(run("schedule", "import", file, "--to", "2025-01-06", "--json"))
    assert [(row["symbol"], row["sessions"]) for row in found] == [("A", 2), ("B", 1)]


def test_given_keys_stand_in_for_columns(run: Callable[..., Result], folder: Path) -> None:
    plain = folder / "plain.csv"
    plain.write_text("open,close,session\n2025-01-06 09:00:00,2025-01-06 15:00:00,2025-01-06\n", encoding="utf-8")
    assert "nothing says the symbol" in run("schedule", "import", plain, "--key", "broker=EX", code=2).stderr
    assert rows_of(run("schedule", "import", plain, *KEY, "--json"))[0]["first_open"] == "2025-01-06T09:00:00Z"


def test_breaks_split_a_session(run: Callable[..., Result], folder: Path) -> None:
    made = folder / "breaks.csv"
    made.write_text(
        "session,open,break_start,break_end,close\n"
        "2025-01-06,2025-01-06T00:00:00Z,2025-01-06T02:30:00Z,2025-01-06T03:30:00Z,2025-01-06T06:00:00Z\n"
        "2025-01-07,2025-01-07T00:00:00Z,,,2025-01-07T06:00:00Z\n",
        encoding="utf-8",
    )
    found = rows_of(run("schedule", "show", made, "--json"))
    assert [(row["market_date"], row["length"]) for row in found] == [
        ("2025-01-06", "2h30"),
        ("2025-01-06", "2h30"),
        ("2025-01-07", "6h00"),
    ]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("24x7", *KEY), 2, "24x7 goes on for ever"),
        (("24x7", "--from", "2025-01-06", "--to", "2025-01-05", *KEY), 2, "lies before"),
        (("24x7", "--from", "2025-01-06", "--to", "2025-01-07"), 2, "nothing says the broker"),
        (("24x7", "--from", "2025-01-06", "--to", "2025-01-07", *KEY, "--key", "x=1"), 2, "no key column 'x'"),
        (("24x7", "--from", "soon", "--to", "2025-01-07", *KEY), 2, "--from soon: no time"),
        (("NOWHERE", "--from", "2025-01-06", "--to", "2025-01-07", *KEY), 1, "NOWHERE"),
        (("none.csv",), 1, "no such file"),
        (("sessions.csv", "--from", "2026-01-01"), 1, "no sessions in this range"),
    ],
)
def test_what_cannot_be_imported_is_named(
    run: Callable[..., Result], file: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    assert file.exists()
    assert message in run("schedule", "import", *args, code=code).stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no open, close, market_date; it has a, b"),
        ("open,close,market_date\nx,y,2025-01-06\n", "row 1 of bad.csv: open is no time: 'x'"),
        ("open,close,market_date\n2025-01-06,2025-01-07,\n", "row 1 of bad.csv: market_date is null: ''"),
        ("open,close,market_date\n2025-01-06,2025-01-07\n", "row 1 of bad.csv has 2 cells, not 3"),
        ("open,close,market_date\n", "has no"),
    ],
)
def test_files_that_are_no_schedule_are_named(
    run: Callable[..., Result], folder: Path, text: str, message: str
) -> None:
    (folder / "bad.csv").write_text(text, encoding="utf-8")
    assert message in run("schedule", "import", "bad.csv", *KEY, code=1).stderr


def test_overlaps_with_what_is_there_are_refused(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    file.write_text(
        "broker,symbol,open,close,market_date\nEX,A,2025-01-06T11:00:00Z,2025-01-06T12:00:00Z,2025-01-06\n",
        encoding="utf-8",
    )
    assert "EX A: the sessions of 2025-01-06 and 2025-01-06 overlap" in run("schedule", "import", file, code=1).stderr


def test_a_week_of_the_project_is_shown(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    said = run("schedule", "show", "--week", "2025-01-08").output
    assert "week of 2025-01-06" in said
    assert "Mon" in said
    assert "2025-01-06 12:30:00Z" in said
    rows = rows_of(run("schedule", "show", "--key", "symbol=B", "--json"))
    assert [(row["keys"], row["open"]) for row in rows] == [("EX B", "2025-01-06T09:00:00Z")]
    assert "no sessions in the week of 2025-02-03" in run("schedule", "show", "--week", "2025-02-05").output
    assert "no key column 'x'" in run("schedule", "show", "--key", "x=1", code=2).stderr


def test_equal_weeks_stand_together(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    for symbol in "ABCDE":
        args = ("--from", "2025-01-06", "--to", "2025-01-07", "--key", "broker=SIM", "--key", f"symbol={symbol}")
        run("schedule", "import", "24x7", *args)
    rows = rows_of(run("schedule", "show", "--json"))
    assert [row["keys"] for row in rows] == ["SIM A, SIM B, SIM C and 2 more"] * 2


def test_a_calendar_is_shown_without_a_project(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = rows_of(run("schedule", "show", "XNYS", "--week", "2024-07-01", "--json"))
    assert [(row["day"], row["close"][11:16]) for row in rows] == [
        ("Mon", "20:00"),
        ("Tue", "20:00"),
        ("Wed", "17:00"),
        ("Fri", "20:00"),
    ]


def test_a_sound_schedule_passes_and_says_how_far_it_reaches(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    run("schedule", "import", "24x7", "--from", "2090-01-01", "--to", "2090-01-02", *KEY)
    rows = {row["symbol"]: row for row in rows_of(run("schedule", "check", "--json"))}
    assert rows["A"]["reaches"] == "2025-01-07T15:00:00Z"
    assert (rows["A"]["days_ahead"], rows["A"]["note"]) == (0, "has ended")
    assert rows["BTCUSD"]["note"] == "ok"
    assert rows["BTCUSD"]["days_ahead"] > 10_000


def test_a_range_of_a_schedule_is_checked(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    rows = rows_of(run("schedule", "check", "--from", "2025-01-07", "--json"))
    assert [(row["symbol"], row["sessions"]) for row in rows] == [("A", 1)]
    rows = rows_of(run("schedule", "check", file, "--to", "2025-01-06", "--json"))
    assert [(row["symbol"], row["sessions"]) for row in rows] == [("A", 2), ("B", 1)]
    (row,) = rows_of(run("schedule", "check", "XTKS", "--from", "2025-01-06", "--to", "2025-01-10", "--json"))
    assert (row["sessions"], row["overlapping"], row["reaches"]) == (10, 0, "2025-01-10T06:30:00Z")
    assert "goes on for ever" in run("schedule", "check", "XTKS", code=2).stderr


def test_a_key_without_sessions_is_named(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    assert "has no sessions of symbol=Z" in run("schedule", "show", "--key", "symbol=Z", code=1).stderr
    assert "no sessions" in run("schedule", "check", "--key", "symbol=Z", code=1).output


def test_overlaps_and_empty_sessions_of_a_file_are_found(
    run: Callable[..., Result], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (
        "EX,B,2025-01-06T10:00:00Z,2025-01-06T12:00:00Z,2025-01-06\n"
        "EX,B,2025-01-06T09:00:00Z,2025-01-06T11:30:00Z,2025-01-06\n"
        "EX,C,2025-01-06T10:00:00Z,2025-01-06T10:00:00Z,2025-01-06\n"
    )
    file.write_text(FILE + more, encoding="utf-8")
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    rows = {row["symbol"]: row for row in rows_of(run("schedule", "check", file, "--json", code=1))}
    assert [(rows[s]["sessions"], rows[s]["overlapping"], rows[s]["empty"]) for s in "ABC"] == [
        (3, 0, 0),
        (2, 1, 0),
        (1, 0, 1),
    ]
    assert rows["B"]["note"].startswith("overlap at 2025-01-06T10:00:00Z")
    assert rows["C"]["note"].startswith("empty at 2025-01-06T10:00:00Z")


def test_a_schedule_without_sessions_is_wrong(run: Callable[..., Result], project: object) -> None:
    assert project is not None
    assert "no sessions" in run("schedule", "check", code=1).output


def test_an_import_that_is_repeated_writes_nothing(run: Callable[..., Result], project: Project) -> None:
    days = ["--from", "2025-01-06", "--to", "2025-01-08", "--key", "broker=SIM", "--key", "symbol=X"]
    assert run("schedule", "import", "24x7", *days).exit_code == 0
    before = project.log.end_offsets("trading.market_schedule")
    again = run("schedule", "import", "24x7", *days)
    assert again.exit_code == 0
    assert "3 of 3 sessions were there already" in again.output
    assert project.log.end_offsets("trading.market_schedule") == before
    longer = run("schedule", "import", "24x7", *[d.replace("2025-01-08", "2025-01-09") for d in days])
    assert "3 of 4 sessions were there already" in longer.output
    assert project.log.end_offsets("trading.market_schedule") == {0: before[0] + 1}


@pytest.fixture
def index(project: Project) -> Index:
    """The index of the project's schedule, as an engine that speaks SQL has it."""
    found = index_of("trading", project.schedule(project.contexts[0]))
    assert found is not None
    project.log.create([found.spec(3)])
    return found


def test_an_import_writes_the_index_too(run: Callable[..., Result], project: Project, index: Index, file: Path) -> None:
    run("schedule", "import", file)
    assert len(rows_in(project.log, index)) == 3
    assert "differs" not in run("schedule", "check", code=0).output


def test_an_index_that_differs_is_told_and_mended(
    run: Callable[..., Result], project: Project, index: Index, file: Path
) -> None:
    run("schedule", "import", file)
    first, second, third = rows_in(project.log, index)
    harmed = [replace(first, sessions=()), replace(second, sessions=third.sessions)]
    strange = replace(third, key=third.key.replace(b"EX", b"AB"))
    project.log.append(index_batches(index, [*harmed, strange], 3))
    told = run("schedule", "check", "--json", code=1)
    assert (
        "trading.market_schedule_by_day differs from its schedule: 1 missing (EX A 2025-01-06), "
        "1 different (EX A 2025-01-07), 1 extra (AB B 2025-01-06)"
    ) in told.stderr
    assert "Hint: rc schedule check --fix" in told.stderr
    assert len(rows_of(told)) == 2
    assert "3 rows written" in run("schedule", "check", "--fix").stderr
    assert rows_in(project.log, index) == [first, second, third]
    assert run("schedule", "check").stderr == ""


def test_only_the_index_of_the_project_is_mended(run: Callable[..., Result], file: Path) -> None:
    assert "--fix is for the schedule of the project" in run("schedule", "check", file, "--fix", code=2).output


def test_without_an_index_there_is_nothing_to_mend(run: Callable[..., Result], file: Path) -> None:
    run("schedule", "import", file)
    assert "this schedule has no index" in run("schedule", "check", "--fix").stderr
