"""Replay beside bars that others made: without the times of their ticks nothing can be merged with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from tests.support_engine import DAY, HOUR, MINUTE, Market, bars, trade
from tests.support_migration import LATER, contents, live, replayed, swapped, tick_file, ticks_of, until

from ashioto import Period
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import bars_batch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_engine import Row

    from ashioto.dsl import BarQuery

FRAMES = ("1m", "1h", "1d", "1w")
GIVEN = [trade("A", 9 * HOUR + m * MINUTE, 100 + m) for m in range(0, 120, 2)]
MINE = [trade("A", DAY + 9 * HOUR + m * MINUTE, 300 + m) for m in range(0, 120, 3)]


def imported(query: BarQuery, rows: list[Row], frames: tuple[str, ...]) -> Market:
    """A market without a stream, with bars of these ticks that do not say when those were."""
    market, other = live(query, []), live(query, rows)
    plan = compile_query(query.plan)
    for kind in frames:
        period = Period.parse(kind)
        schema = bar_schema(plan, period).remove_metadata()
        found = pa.Table.from_pylist([row for row in other.table(kind) if not row["synthetic"]], schema=schema)
        for name in ("first_at", "first_seq", "last_at", "last_seq", "source_cut"):
            found = found.set_column(
                schema.get_field_index(name), name, pa.nulls(found.num_rows, schema.field(name).type)
            )
        found = found.set_column(schema.get_field_index("origin"), "origin", pa.array(["history"] * found.num_rows))
        market.log.append([bars_batch(plan, period, 0, found)])
    return market


def test_a_longer_bar_that_cannot_be_taken_apart_stays_and_is_counted(tmp_path: Path) -> None:
    query = bars(*FRAMES)
    market = imported(query, GIVEN, FRAMES)
    before = contents(market)
    report = replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, MINE)), LATER)
    after = contents(market)
    assert after["1w"] == before["1w"]
    assert report.kept == 1
    for kind in ("1m", "1h", "1d"):
        wanted = {row["bucket_start"]: row for row in contents(live(query, MINE))[kind] if not row["synthetic"]}
        mine = {row["bucket_start"]: row for row in after[kind] if row["bucket_start"] in wanted}
        assert mine == wanted
        assert [row for row in after[kind] if row in before[kind]] == before[kind]
    ends = market.records("t.trade_bars_1m")
    assert replayed(market, ticks_of(tmp_path / "t.parquet"), LATER).written.total() == 0
    assert market.records("t.trade_bars_1m") == ends


def test_empty_bars_between_carry_the_close_of_the_imported_bar(tmp_path: Path) -> None:
    query = bars(*FRAMES)
    market = imported(query, GIVEN, ("1m",))
    replayed(market, ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, MINE)), LATER)
    first = MINE[0]["at"]
    gap = [row for row in market.table("1m") if row["synthetic"] and row["bucket_start"] < first]
    assert gap
    assert {row["close"] for row in gap if row["bucket_start"] > GIVEN[-1]["at"]} == {GIVEN[-1]["price"]}


def test_ticks_replace_imported_bars_where_they_cover_them(tmp_path: Path) -> None:
    query = bars(*FRAMES)
    market = imported(query, [dict(row, price=1) for row in GIVEN], FRAMES)
    file = tick_file(tmp_path / "t.parquet", query.plan.entity, GIVEN)
    report = replayed(market, ticks_of(file), LATER)
    minutes, hours = len(GIVEN) - 1, 1
    assert (report.replaced, report.kept) == (minutes + hours, 4)
    assert contents(market)["1m"][-1]["close"] == 1
    replayed(market, ticks_of(file, start=0, end=7 * DAY), LATER)
    wanted, mine = contents(live(query, GIVEN)), contents(market)
    assert mine == until(wanted, mine)


def test_a_swap_takes_the_place_of_imported_bars(tmp_path: Path) -> None:
    query = bars("1m", "1h", "1d")
    market = imported(query, [dict(row, price=1) for row in GIVEN], ("1m", "1h", "1d"))
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, GIVEN), start=0, end=DAY)
    report = swapped(market, source, LATER, tmp_path)
    assert report.applied
    wanted = contents(live(query, GIVEN))
    mine = contents(market)
    for kind in ("1m", "1h", "1d"):
        real = [row for row in wanted[kind] if not row["synthetic"]]
        assert [row for row in mine[kind] if not row["synthetic"]] == real
