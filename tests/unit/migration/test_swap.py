from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, bars, trade
from tests.support_migration import (
    FRAMES,
    LATER,
    at_ms,
    contents,
    ends_of,
    live,
    place_of,
    replayed,
    some_ticks,
    swapped,
    tick_file,
    ticks_of,
    undone,
)

from ashioto.errors import LogBusyError, UsageError
from ashioto.migration.swap import SwapOptions, SwapReport, swap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_engine import Row


def wrong_ticks(rows: list[Row]) -> list[Row]:
    """The same ticks with a bad price, some missing and some invented; the first and the last stay."""
    inside = [i for i, row in enumerate(rows) if 9.5 * HOUR <= at_ms(row) % DAY < 17 * HOUR]
    spoiled = {i: dict(rows[i], price=Decimal(77)) for i in inside[100:140]}
    kept = [spoiled.get(i, row) for i, row in enumerate(rows) if i not in inside[200:320]]
    return kept + [trade("A", 3 * DAY + 10 * HOUR + n * MINUTE, 1) for n in range(5)]


def test_bars_become_what_the_ticks_give_and_go_back(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES, grace=1000), some_ticks(1500)
    market = live(query, wrong_ticks(rows))
    before = contents(market, without=set())
    report = swapped(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows)), LATER, tmp_path)
    assert report.applied
    assert contents(market) == contents(live(query, rows))
    assert report.undo_file is not None
    assert undone(market, report.undo_file, LATER).differs == report.differs
    assert contents(market, without=set()) == before


def test_equal_bars_are_left_alone_and_no_undo_file_is_left(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(800)
    market = live(query, rows)
    ends = ends_of(market)
    report = swapped(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows)), LATER, tmp_path)
    assert (report.differs, report.applied, report.undo_file) == (0, False, None)
    assert report.equal > 0
    assert ends_of(market) == ends
    assert not list(tmp_path.glob("undo*"))


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(800)
    market = live(query, wrong_ticks(rows))
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    first = swapped(market, source, LATER, tmp_path)
    ends = ends_of(market)
    assert swapped(market, source, LATER, tmp_path).differs == 0
    assert ends_of(market) == ends
    assert list(tmp_path.glob("undo*")) == [first.undo_file]


def test_only_a_range_is_swapped_and_longer_bars_hold_both_sides(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1500)
    wrong = [dict(row, price=Decimal(77)) for row in rows]
    low, high = 2 * DAY + 10 * HOUR, 4 * DAY + 12 * HOUR
    market = live(query, wrong)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows), start=low, end=high)
    swapped(market, source, LATER, tmp_path)
    mixed = [row if low <= at_ms(row) < high else bad for row, bad in zip(rows, wrong, strict=True)]
    assert contents(market) == contents(live(query, mixed))


def test_bars_that_no_tick_makes_go(tmp_path: Path) -> None:
    query = bars("1m", "1h", continuous=False)
    rows = [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in range(120)]
    market = live(query, rows)
    kept = [row for row in rows if not 9 * HOUR + 30 * MINUTE <= at_ms(row) < 9 * HOUR + 40 * MINUTE]
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, kept))
    report = swapped(market, source, LATER, tmp_path)
    assert (report.removed.total(), report.changed.total(), report.added.total()) == (10, 1, 0)
    assert contents(market) == contents(live(query, kept))
    gone = next(bar for bar in report.first if bar.change == "removed")
    assert gone.columns["open"] == (Decimal(130), None)
    assert report.undo_file is not None
    undone(market, report.undo_file, LATER)
    assert contents(market) == contents(live(query, rows))


def test_the_first_bars_of_a_key_may_go(tmp_path: Path) -> None:
    query = bars("1m")
    rows = [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in (0, 5, 9)]
    market = live(query, rows)
    source = ticks_of(
        tick_file(tmp_path / "t.parquet", query.plan.entity, rows[1:]), start=9 * HOUR, end=10 * HOUR
    )  # fmt: skip
    report = swapped(market, source, LATER, tmp_path)
    assert report.removed.total() == 5
    assert contents(market) == contents(live(query, rows[1:]))


def test_live_bars_and_other_keys_are_left_alone(tmp_path: Path) -> None:
    query = bars("1m", "1d")
    rows = [trade(s, 9 * HOUR + m * MINUTE, 100 + m) for m in range(30, 60) for s in "AB"]
    market = live(query, rows, now=9 * HOUR + 50 * MINUTE)
    other = [dict(row, price=Decimal(1)) for row in rows if row["symbol"] == "A"]
    before = contents(market)
    report = swapped(
        market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, other)), 9 * HOUR + 50 * MINUTE, tmp_path
    )
    after = contents(market)
    assert after["1d"] == before["1d"]
    changed = [new for new, old in zip(after["1m"], before["1m"], strict=True) if new != old]
    assert {row["symbol"] for row in changed} == {"A"}
    assert all(row["final"] for row in changed)
    assert len(changed) == report.differs == 20
    assert report.live > 0


def test_what_is_not_agreed_to_is_not_done(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(600)
    market = live(query, wrong_ticks(rows))
    ends = ends_of(market)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    report = swapped(market, source, LATER, tmp_path, agreed=False)
    assert report.differs > 0
    assert not report.applied
    assert ends_of(market) == ends
    assert not list(tmp_path.glob("*undo*"))


def test_the_difference_is_counted_by_key_and_day(tmp_path: Path) -> None:
    query = bars("1m", "1h")
    rows = [trade(s, d * DAY + 10 * HOUR + m * MINUTE, 5) for d in range(2) for s in "AB" for m in range(3)]
    wrong = [dict(row, price=Decimal(6)) if row["symbol"] == "B" and at_ms(row) > DAY else row for row in rows]
    market = live(query, wrong)
    report = swapped(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows)), LATER, tmp_path)
    day = "2024-03-12"
    assert report.changed["1m", ("V", "B"), day] > 3
    assert {place[1:] for place in report.changed if place[0] == "1m"} >= {(("V", "B"), day)}
    first = report.first[0]
    assert (first.key, first.change) == (("V", "B"), "changed")
    assert first.columns["close"] == (Decimal(6), Decimal(5))


def test_an_end_inside_a_bucket_is_refused(tmp_path: Path) -> None:
    query, rows = bars("5m", "1h"), some_ticks(300)
    market = live(query, rows)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows), start=10 * HOUR + 7 * MINUTE)
    with pytest.raises(UsageError, match="lies inside a bucket of 5m, from 2024-03-11T10:05:00Z") as error:
        swapped(market, source, LATER, tmp_path)
    assert "give 2024-03-11T10:05:00Z or 2024-03-11T10:10:00Z" in error.value.hint


def test_a_bar_that_was_written_meanwhile_stops_the_swap_before_it_changes_anything(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES, retention=60 * DAY), some_ticks(600)
    market = live(query, wrong_ticks(rows))
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))

    def agreed(_: SwapReport) -> bool:
        market.send(trade("A", 3 * DAY + 10 * HOUR + 30, 3))
        market.run()
        return True

    with pytest.raises(LogBusyError, match="was written by another meanwhile"):
        swap(place_of(market.log, market.clock, LATER), query.plan, source, SwapOptions(folder=tmp_path, agreed=agreed))
    assert swapped(market, source, LATER, tmp_path).applied
    assert contents(market) == contents(live(query, rows))


def test_a_replayed_market_can_be_swapped(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1200)
    market = live(query, rows[700:])
    replayed(market, ticks_of(tick_file(tmp_path / "w.parquet", query.plan.entity, wrong_ticks(rows[:700]))), LATER)
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, rows)
    assert swapped(market, ticks_of(file), LATER, tmp_path).applied
    assert contents(market) == contents(live(query, rows))


def test_the_engine_goes_on_from_swapped_bars(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1000)
    wrong = wrong_ticks(rows)
    market: Market = live(query, wrong, now=6 * DAY)
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, rows)
    swapped(market, ticks_of(file), 6 * DAY, tmp_path)
    market.at(LATER)
    again = swapped(market, ticks_of(file), LATER, tmp_path)
    assert contents(market) == contents(live(query, rows))
    assert {place[0] for place in again.changed} <= {"1w"}
    assert START > 0
