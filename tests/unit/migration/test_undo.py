from __future__ import annotations

import shutil
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support_engine import HOUR, MINUTE, bars, trade
from tests.support_migration import LATER, contents, ends_of, live, swapped, tick_file, ticks_of, undone

from ashioto.errors import BlockedError, InputError
from ashioto.migration.undo_file import UndoFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_engine import Market, Row

    from ashioto.dsl import BarQuery


@pytest.fixture
def query() -> BarQuery:
    """Minutes and hours."""
    return bars("1m", "1h", retention=60 * 24 * HOUR)


@pytest.fixture
def rows() -> list[Row]:
    """A tick a minute."""
    return [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in range(90)]


@pytest.fixture
def market(query: BarQuery, rows: list[Row]) -> Market:
    """Bars of ticks, ten of which are wrong."""
    return live(query, [dict(row, price=Decimal(7)) if 20 <= i < 30 else row for i, row in enumerate(rows)])


@pytest.fixture
def undo_file(market: Market, query: BarQuery, rows: list[Row], tmp_path: Path) -> Path:
    """What a swap has written."""
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    found = swapped(market, source, LATER, tmp_path).undo_file
    assert found is not None
    return found


def test_a_second_undo_changes_nothing(market: Market, undo_file: Path) -> None:
    assert undone(market, undo_file, LATER).applied
    ends, before = ends_of(market), contents(market)
    report = undone(market, undo_file, LATER)
    assert (report.differs, report.others, report.applied) == (0, 0, False)
    assert report.already > 0
    assert (ends_of(market), contents(market)) == (ends, before)


def test_what_is_not_agreed_to_is_only_told(market: Market, undo_file: Path) -> None:
    ends = ends_of(market)
    report = undone(market, undo_file, LATER, agreed=False)
    assert dict(report.back) == {"1m": 10, "1h": 1}
    assert ends_of(market) == ends


def test_bars_that_were_changed_since_are_not_put_back_unless_forced(market: Market, undo_file: Path) -> None:
    market.restart()
    market.send(trade("A", 9 * HOUR + 25 * MINUTE + 7, 55))
    market.run()
    ends = ends_of(market)
    with pytest.raises(BlockedError, match="2 bars were changed by another since") as error:
        undone(market, undo_file, LATER)
    assert "--force" in error.value.hint
    assert ends_of(market) == ends
    report = undone(market, undo_file, LATER, force=True)
    assert (report.applied, report.others) == (True, 2)
    minute = next(row for row in contents(market)["1m"] if row["open"] == Decimal(7))
    assert minute["final"]


def test_after_an_undo_the_swap_can_run_again_with_the_same_file(
    market: Market, undo_file: Path, query: BarQuery, rows: list[Row], tmp_path: Path
) -> None:
    after = contents(market)
    kept = undo_file.read_bytes()
    undone(market, undo_file, LATER)
    before = contents(market)
    again = swapped(market, ticks_of(tmp_path / "t.parquet"), LATER, tmp_path)
    assert contents(market) == after == contents(live(query, rows))
    assert again.undo_file is not None
    assert again.undo_file.resolve() == undo_file.resolve()
    assert undo_file.read_bytes() == kept
    undone(market, undo_file, LATER)
    assert contents(market) == before


def test_files_that_are_none_or_not_whole_are_refused(market: Market, undo_file: Path, tmp_path: Path) -> None:
    ends = ends_of(market)
    cut_off = tmp_path / "cut.parquet"
    cut_off.write_bytes(undo_file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut.parquet cannot be used"):
        undone(market, cut_off, LATER)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), other)
    with pytest.raises(InputError, match="it is another kind of Parquet file"):
        undone(market, other, LATER)
    with pytest.raises(InputError, match="no such file"):
        undone(market, tmp_path / "none.parquet", LATER)
    assert ends_of(market) == ends


def test_damage_inside_is_found_before_anything_is_changed(market: Market, undo_file: Path, tmp_path: Path) -> None:
    ends = ends_of(market)
    data = bytearray(undo_file.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(bytes(data))
    with pytest.raises(InputError, match="cannot be used"):
        undone(market, broken, LATER)
    assert ends_of(market) == ends


def test_a_file_of_another_log_or_query_is_refused(
    market: Market, undo_file: Path, query: BarQuery, rows: list[Row], tmp_path: Path
) -> None:
    elsewhere = live(query, rows)
    with pytest.raises(InputError, match="belongs to another log"):
        undone(elsewhere, undo_file, LATER)
    changed = live(bars("1m", "1h", grace=5), rows)
    with pytest.raises(InputError, match="was written for another definition of trade_bars"):
        undone(changed, undo_file, LATER)
    named = live(bars("1m", "1h", name="others"), rows)
    with pytest.raises(InputError, match=r"is of t.trade_bars in dev/local, not of t.others"):
        undone(named, undo_file, LATER)
    copy = tmp_path / "copy.parquet"
    shutil.copy(undo_file, copy)
    assert undone(market, copy, LATER).applied


def test_the_label_says_what_it_belongs_to(undo_file: Path) -> None:
    label = UndoFile(undo_file).label
    assert (label.context, label.query, label.env) == ("t", "trade_bars", ("dev", "local"))
    assert label.job in undo_file.name
