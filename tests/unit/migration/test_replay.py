from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, trade
from tests.support_migration import (
    FRAMES,
    LATER,
    contents,
    ends_of,
    hours,
    live,
    place_of,
    replayed,
    some_ticks,
    tick_file,
    ticks_of,
    until,
)

import ashioto as ao
from ashioto.errors import BlockedError, InputError, LockHeldError, UnknownTopicError
from ashioto.files.rows import ColumnSource
from ashioto.migration.running import Running
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("cut", [300, 1000, 1700])
@pytest.mark.parametrize("partitions", [1, 3])
def test_history_and_live_ticks_give_the_bars_of_all_of_them(tmp_path: Path, cut: int, partitions: int) -> None:
    query, rows = bars(*FRAMES, grace=1000), some_ticks(2000)
    market = live(query, rows[cut:], partitions=partitions)
    report = replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:cut])), LATER)
    assert contents(market) == contents(live(query, rows, partitions=partitions))
    assert report.merged > 0
    assert report.ticks.in_stream == 0


def test_without_a_stream_every_column_is_that_of_the_live_path(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(2000)
    market = live(query, [])
    replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows)), LATER)
    apart = {"origin", "source_cut"}
    mine = contents(market, without=apart)
    assert mine == until(contents(live(query, rows), without=apart), mine)
    assert {row["origin"] for row in market.table("1m") if not row["synthetic"]} == {"history"}
    assert {row["source_cut"] for row in market.table("1m")} == {None}


def test_the_engine_goes_on_behind_replayed_bars(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1000)
    market = Market.of(query, hours=hours())
    replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:600])), 5 * DAY)
    market.restart()
    market.send(*rows[600:])
    market.at(LATER)
    again = replayed(market, ticks_of(tmp_path / "t.parquet"), LATER)
    assert contents(market) == contents(live(query, rows)), again


def test_a_second_run_writes_nothing_at_all(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1500)
    market = live(query, rows[700:])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:700]))
    first = replayed(market, source, LATER)
    ends = ends_of(market)
    second = replayed(market, source, LATER)
    assert ends_of(market) == ends
    assert first.written.total() > 0
    assert (second.written.total(), second.merged) == (0, 0)


def test_ticks_that_the_stream_has_are_not_taken(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1500)
    market = live(query, rows[700:])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    assert replayed(market, source, LATER).ticks.in_stream > 600
    assert contents(market) == contents(live(query, rows))
    ends = ends_of(market)
    assert replayed(market, source, LATER).written.total() == 0
    assert ends_of(market) == ends


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_history_comes_in_pieces_and_in_any_order(tmp_path: Path, order: tuple[int, ...]) -> None:
    query, rows = bars(*FRAMES), some_ticks(1600)
    market = live(query, rows[1200:])
    for piece in order:
        part = rows[400 * piece : 400 * (piece + 1)]
        replayed(market, ticks_of(tick_file(tmp_path / f"{piece}.parquet", query.plan.entity, part)), LATER)
    assert contents(market) == contents(live(query, rows))


def test_live_bars_are_left_out_and_get_their_ticks_later(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1500)
    market = live(query, rows[700:], now=6 * DAY)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:700]))
    first = replayed(market, source, 6 * DAY)
    assert first.live == {"1w": 2}
    assert first.job.state == "partial"
    market.at(LATER)
    second = replayed(market, source, LATER)
    assert (second.job.state, dict(second.written)) == ("done", {"1w": 2})
    assert contents(market) == contents(live(query, rows))


def test_a_range_of_time_is_taken(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(1000)
    market = live(query, [])
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, rows)
    report = replayed(market, ticks_of(file, start=2 * DAY, end=4 * DAY), LATER)
    inside = [row for row in rows if 2 * DAY <= round(row["at"].timestamp() * 1000) - START < 4 * DAY]
    mine = contents(market)
    assert mine == until(contents(live(query, inside)), mine)
    assert report.ticks.outside == len(rows) - len(inside)


def test_a_sparse_query_is_replayed_without_empty_bars(tmp_path: Path) -> None:
    query, rows = bars("1m", "1h", "1d", continuous=False), some_ticks(900)
    market = live(query, rows[500:])
    replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:500])), LATER)
    assert contents(market) == contents(live(query, rows))
    assert not any(row["synthetic"] for row in market.table("1m"))


def test_columns_that_look_back_follow_over_the_seam(tmp_path: Path) -> None:
    close = ao.last(Trade.price)
    query = bars(*FRAMES, select={"close": close, "before": ao.previous("close"), "mean": ao.avg(Trade.price)})
    rows = some_ticks(1200)
    market = live(query, rows[800:])
    for number, part in enumerate((rows[400:800], rows[:400])):
        replayed(market, ticks_of(tick_file(tmp_path / f"{number}.parquet", query.plan.entity, part)), LATER)
    assert contents(market) == contents(live(query, rows))
    for number in range(2):
        assert replayed(market, ticks_of(tmp_path / f"{number}.parquet"), LATER).written.total() == 0


def test_columns_that_look_back_over_a_day_without_ticks_stay(tmp_path: Path) -> None:
    close = ao.last(Trade.price)
    query = bars("1m", "1d", select={"close": close, "gap": ao.first(Trade.price) - ao.previous("close")})
    market = live(query, [trade("A", DAY + 9 * HOUR + 1, 3)])
    for number, at in enumerate((9 * HOUR, DAY + 9 * HOUR)):
        source = ticks_of(tick_file(tmp_path / f"{number}.parquet", query.plan.entity, [trade("A", at, number + 1)]))
        replayed(market, source, LATER)
    before = contents(market, without=set())
    assert replayed(market, ticks_of(tmp_path / "0.parquet"), LATER).written.total() == 0
    assert contents(market, without=set()) == before


def test_bars_of_other_history_are_replaced_by_the_ticks_of_their_buckets(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(800)
    wrong = [dict(row, price=Decimal(5)) for row in rows]
    market = live(query, [])
    replayed(market, ticks_of(tick_file(tmp_path / "wrong.parquet", query.plan.entity, wrong)), LATER)
    report = replayed(market, ticks_of(tick_file(tmp_path / "right.parquet", query.plan.entity, rows)), LATER)
    mine = contents(market)
    assert mine == until(contents(live(query, rows)), mine)
    assert report.replaced > 0


def test_a_late_tick_of_the_stream_is_not_lost_when_history_is_replayed_again(tmp_path: Path) -> None:
    query = bars("1m", "1h")
    rows = [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in range(60)]
    market = live(query, [], now=10 * HOUR)
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    replayed(market, source, LATER)
    market.restart()
    market.send(trade("A", 9 * HOUR + 30 * MINUTE + 5, 7))
    market.at(18 * HOUR)
    before = contents(market)
    assert replayed(market, source, LATER).kept > 0
    assert contents(market) == before
    low = [row["low"] for row in market.table("1h") if not row["synthetic"]]
    assert low[0] == 7


def test_keys_without_a_schedule_and_bad_rows_are_counted(tmp_path: Path) -> None:
    query = bars("1m")
    rows = [trade("A", 9 * HOUR, 1), trade("C", 9 * HOUR, 2), trade("A", 5, 3), trade("A", 10 * HOUR, None)]
    rows.append(trade("A", 10 * HOUR, 1, weight=float("nan")))
    market = live(query, [])
    counts = replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows)), LATER).ticks
    assert (counts.rows, counts.taken, counts.unknown_key, counts.out_of_session) == (5, 1, 1, 1)
    assert dict(counts.rejected) == {"price is null": 1, "weight is NaN or infinite": 1}
    assert counts.examples["price is null"].row == 4


def test_a_dry_run_writes_nothing_and_predicts_the_run(tmp_path: Path) -> None:
    query, rows = bars(*FRAMES), some_ticks(900)
    market = live(query, rows[500:])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:500]))
    ends = ends_of(market)
    dry = replayed(market, source, LATER, dry_run=True)
    assert ends_of(market) == ends
    real = replayed(market, source, LATER)
    assert (dry.written, dry.merged) == (real.written, real.merged)


def test_more_threads_and_other_parts_give_the_same_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ashioto.migration import rebuild

    monkeypatch.setattr(rebuild, "PIECE", 7)
    monkeypatch.setattr(rebuild, "GROUP", 1)
    query, rows = bars("1m", "5m", "1d"), some_ticks(300, days=2)
    market = live(query, rows[150:], now=4 * DAY)
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:150])
    replayed(market, ticks_of(file, threads=3), 4 * DAY)
    assert contents(market) == contents(live(query, rows, now=4 * DAY))


def test_ticks_whose_bar_holds_only_some_of_them_are_refused(tmp_path: Path) -> None:
    query = bars("1h")
    rows = [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in range(60)]
    market = live(query, [])
    replayed(market, ticks_of(tick_file(tmp_path / "a.parquet", query.plan.entity, rows[:30])), LATER)
    ends = ends_of(market)
    with pytest.raises(InputError, match="may be in it already"):
        replayed(market, ticks_of(tick_file(tmp_path / "b.parquet", query.plan.entity, rows[20:])), LATER)
    assert ends_of(market) == ends
    replayed(market, ticks_of(tick_file(tmp_path / "c.parquet", query.plan.entity, rows[30:])), LATER)
    assert [row["ticks"] if "ticks" in row else row["__count"] for row in market.table("1h")] == [60]


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path: Path) -> None:
    query = bars("1m")
    market = live(query, [])
    ends = ends_of(market)
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, [trade("C", 9 * HOUR, 1)])
    with pytest.raises(InputError, match=r"no key of these ticks has a schedule, e.g. V/C"):
        replayed(market, ticks_of(file), LATER)
    with pytest.raises(InputError, match="no column 'prize'"):
        replayed(market, ticks_of(file, source=ColumnSource(columns={"price": "prize"})), LATER)
    bad = tick_file(tmp_path / "bad.parquet", query.plan.entity, [trade("A", 9 * HOUR, None)])
    with pytest.raises(InputError, match="no row can be used; price is null in 1"):
        replayed(market, ticks_of(bad), LATER)
    assert ends_of(market) == ends


def test_one_migration_of_a_query_at_a_time(tmp_path: Path) -> None:
    query = bars("1m")
    market = live(query, [])
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, [trade("A", 9 * HOUR, 1)])
    other = Running(place_of(market.log, market.clock, LATER, holder="another"), query.plan)
    with other, pytest.raises(LockHeldError, match=r"another migration of t.trade_bars runs"):
        replayed(market, ticks_of(file), LATER)
    assert replayed(market, ticks_of(file), LATER).written == {"1m": 1}


def test_topics_that_are_not_there_or_have_other_columns_are_named(tmp_path: Path) -> None:
    query = bars("1m")
    market = live(query, [])
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, [trade("A", 9 * HOUR, 1)])
    other = bars("1m", select={"price": ao.last(Trade.price)})
    with pytest.raises(BlockedError, match="has other columns than the bars of"):
        Running(place_of(market.log, market.clock, LATER), other.plan)
    with pytest.raises(UnknownTopicError, match=r"t.trade_bars_1m does not exist yet"):
        Running(place_of(MemoryLog(), market.clock, LATER), query.plan)
    assert file.exists()
