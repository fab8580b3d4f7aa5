from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ashioto.bars.timebucket import BarTable
from ashioto.dsl.bar import bind_bar
from ashioto.migration import expected as module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project


@pytest.fixture
def stored(project: Project, write_bars: Callable[..., None]) -> pa.Table:
    """Twenty bars of two series in the log, as they are read."""
    write_bars("EURUSD")
    write_bars("USDJPY")
    (owner, kind), *_ = project.bars(["RateBar1m"])
    return BarTable(bind_bar(kind, context=owner), project.log).read_all()


@pytest.fixture
def verify(folder: Path, run: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Verify the log against a table, as JSON."""

    def verifying(expected: pa.Table, *args: object, code: int = 0) -> dict[str, Any]:
        pq.write_table(expected, folder / "expected.parquet")
        result = run("migrate", "verify", folder / "expected.parquet", "--bar", "RateBar1m", "--json", *args, code=code)
        said: dict[str, Any] = json.loads(result.stdout) if result.stdout.startswith("{") else {"error": result.stderr}
        return said

    return verifying


def of(table: pa.Table, symbol: str) -> pa.Table:
    return table.filter(pc.equal(table["symbol"], symbol))


def changed(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value
    field = table.schema.field(name)
    return table.set_column(table.column_names.index(name), field, pa.array(values, field.type))


def test_bars_that_are_those_of_the_file_are_equal(verify: Callable[..., dict[str, Any]], stored: pa.Table) -> None:
    found = verify(stored)
    assert (found["is_equal"], found["rate"], found["expected"], found["actual"]) == (True, 1.0, 20, 20)
    assert found["not_compared"] == {"source_cut": "was not asked for", "origin": "was not asked for"}
    assert [(row["symbol"], row["equal"]) for row in found["by_day"]] == [("EURUSD", 10), ("USDJPY", 10)]


def test_differences_are_told_with_both_values(verify: Callable[..., dict[str, Any]], stored: pa.Table) -> None:
    wrong = changed(stored.slice(1), "ticks", 3, 99)
    found = verify(wrong, "--from", "2025-01-06T09:00", code=3)
    assert (found["equal"], found["unequal"], found["extra"], found["missing"]) == (18, 1, 1, 0)
    assert found["differing"] == {"ticks": 1}
    assert found["differences"] == [
        {"kind": "extra", "broker": "FX", "symbol": "EURUSD", "bucket_start": "2025-01-06T09:00:00Z", "columns": {}},
        {
            "kind": "unequal", "broker": "FX", "symbol": "EURUSD", "bucket_start": "2025-01-06T09:04:00Z",
            "columns": {"ticks": {"expected": 99, "actual": 5}},
        },
    ]  # fmt: skip


def test_only_the_series_and_the_time_of_the_file_are_compared(
    verify: Callable[..., dict[str, Any]], stored: pa.Table
) -> None:
    found = verify(of(stored, "EURUSD").slice(2, 3))
    assert (found["equal"], found["extra"], found["expected"]) == (3, 0, 3)
    assert found["series_not_compared"] == [["FX", "USDJPY"]]
    found = verify(of(stored, "EURUSD"), "--from", "2025-01-06T09:02", "--to", "2025-01-06T09:05")
    assert (found["equal"], found["expected"]) == (3, 3)


def test_bars_are_fetched_page_by_page(
    verify: Callable[..., dict[str, Any]], stored: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 3)
    assert verify(stored)["equal"] == 20


def test_named_columns_alone_are_compared(verify: Callable[..., dict[str, Any]], stored: pa.Table) -> None:
    wrong = changed(stored, "ticks", 3, 99)
    found = verify(wrong, "--columns", "open,close")
    assert found["columns"] == ["open", "close"]
    assert found["not_compared"]["ticks"] == "was not asked for"
    found = verify(stored, "--columns", "origin")
    assert found["columns"] == ["origin"]
    assert "did you mean close?" in verify(stored, "--columns", "cloze", code=2)["error"]


def test_what_the_mapping_makes_up_is_compared_only_when_named(
    folder: Path, verify: Callable[..., dict[str, Any]], stored: pa.Table
) -> None:
    (folder / "feed.yaml").write_text("constants: {ticks: 0, volume: 0}\n")
    without = stored.drop_columns(["ticks", "volume"])
    found = verify(without, "--map", folder / "feed.yaml")
    assert (found["is_equal"], found["not_compared"]["ticks"]) == (True, "was not asked for")
    assert verify(without, "--map", folder / "feed.yaml", "--columns", "ticks", code=3)["differing"] == {"ticks": 20}


def test_people_see_a_summary_the_rows_and_the_days(
    folder: Path, run: Callable[..., Result], stored: pa.Table, verify: Callable[..., dict[str, Any]]
) -> None:
    verify(changed(stored.drop_columns(["volume"]), "ticks", 3, 99), code=3)
    said = run("migrate", "verify", folder / "expected.parquet", "--bar", "RateBar1m", code=3).output
    assert "RateBar1m: 95.00 % of 20 bars are equal" in said
    assert "ticks is 4, not 99" in said
    assert "2025-01-06 09:03:00Z" in said
    assert "volume (only in the actual bars)" in said
    assert "FX EURUSD  ▒" in said
    assert "FX USDJPY  █" in said
    verify(stored)
    said = run("migrate", "verify", folder / "expected.parquet", "--bar", "RateBar1m").output
    assert "RateBar1m: 100 % of 20 bars are equal" in said
    assert "first bars that differ" not in said


@pytest.mark.parametrize("name", ["days.png", "days.html"])
def test_a_picture_is_drawn(folder: Path, verify: Callable[..., dict[str, Any]], stored: pa.Table, name: str) -> None:
    verify(stored, "--out", folder / name)
    assert (folder / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--out", "days.pdf"), 2, "--out days.pdf: no .png or .html"),
        (("--from", "2025-02-01"), 1, "has no bars there"),
        (("--from", "2025-02-01", "--to", "2025-01-01"), 2, "nothing lies between"),
        (("--map", "nothing"), 2, "there is no such mapping"),
        (("--key", "symbl=X"), 2, "no key column 'symbl'"),
    ],
)
def test_wrong_options_are_named(
    verify: Callable[..., dict[str, Any]], stored: pa.Table, args: tuple[str, ...], code: int, said: str
) -> None:
    assert said in verify(stored, *args, code=code)["error"]


def test_files_of_different_columns_are_refused(folder: Path, run: Callable[..., Result], stored: pa.Table) -> None:
    pq.write_table(stored.slice(0, 5), folder / "b1.parquet")
    pq.write_table(stored.slice(5).drop_columns(["volume"]), folder / "b2.parquet")
    said = run("migrate", "verify", folder / "b*.parquet", "--bar", "RateBar1m", code=1).stderr
    assert "do not both have volume" in said
