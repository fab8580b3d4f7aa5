from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.support_bars import Passing, closes, market, read, row, table, table_of
from tests.support_engine import START, moment

from ashioto import BarAddOptions, BarAddReport
from ashioto.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support_bars import Row

    from ashioto.bars.timebucket import BarTable

ROWS = [row(symbol, minute, 1 + minute % 8) for minute in range(30) for symbol in ("B", "A")]
EXPECTED = {(r["symbol"], int((r["bucket_start"] - moment(START)).total_seconds()) // 60): r["close"] for r in ROWS}
SMALL = BarAddOptions(batch_bytes=1_000)


def objects(found: BarTable, rows: list[Row] = ROWS) -> list[Any]:
    bar: Any = found.binding.context.queries[found.binding.query.name].bar(found.binding.period)
    return [bar(**one) for one in rows]


def relation(rows: list[Row]) -> Any:
    given = table(rows)
    return duckdb.connect().from_arrow(given)


WHOLE: dict[str, Any] = {
    "pyarrow": table,
    "record batch": lambda rows: table(rows).combine_chunks().to_batches()[0],
    "chunks": lambda rows: pa.concat_tables([table(rows).slice(0, 7), table(rows).slice(7)]),
    "polars": lambda rows: pl.from_arrow(table(rows)),
    "polars of categories": lambda rows: pl.DataFrame(table(rows)).with_columns(pl.col("symbol").cast(pl.Categorical)),
    "pandas": lambda rows: table(rows).to_pandas(),
    "pandas of arrow": lambda rows: table(rows).to_pandas(types_mapper=pd.ArrowDtype),
    "duckdb": relation,
    "dictionary": lambda rows: dictionary(table(rows)),
}


def dictionary(given: pa.Table) -> pa.Table:
    return given.set_column(1, "symbol", given["symbol"].dictionary_encode())


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("options", [BarAddOptions(), SMALL])
def test_tables_of_every_library_are_taken(kind: str, options: BarAddOptions) -> None:
    bars_1m = table_of(market())
    assert bars_1m.add_range(WHOLE[kind](ROWS), options) == BarAddReport(written=60)
    assert closes(bars_1m) == EXPECTED
    assert bars_1m.add_range(WHOLE[kind](ROWS), options) == BarAddReport(skipped=60)


@pytest.mark.parametrize("kind", WHOLE)
def test_of_a_table_all_rows_are_checked_before_any_is_written(kind: str) -> None:
    bars_1m = table_of(market())
    with pytest.raises(InputError, match="row 60"):
        bars_1m.add_range(WHOLE[kind]([*ROWS, row("A", 40, low=Decimal(99))]), SMALL)
    assert read(bars_1m) == []


def batches(rows: list[Row]) -> Iterator[pa.RecordBatch]:
    yield from table(rows).combine_chunks().to_batches(max_chunksize=7)


PIECES: dict[str, Any] = {
    "batches": batches,
    "tables": lambda rows: (table(rows[at : at + 25]) for at in range(0, 60, 25)),
    "list of tables": lambda rows: [table(rows[:10]), pl.from_arrow(table(rows[10:20])), table(rows[20:])],
    "reader": lambda rows: pa.RecordBatchReader.from_batches(table(rows).schema, batches(rows)),
}


@pytest.mark.parametrize("kind", PIECES)
@pytest.mark.parametrize("options", [BarAddOptions(), SMALL, BarAddOptions(batch_bytes=1_000, concurrency=3)])
def test_what_comes_piece_by_piece_is_gathered_into_batches(kind: str, options: BarAddOptions) -> None:
    made = market()
    passing = Passing(made.log)
    assert table_of(made, log=passing).add_range(PIECES[kind](ROWS), options) == BarAddReport(written=60)
    assert closes(table_of(made)) == EXPECTED
    assert (len(passing.sizes) > 5) == (options.batch_bytes == 1_000)


def test_bars_may_be_a_list_or_an_iterator() -> None:
    for options in (BarAddOptions(), SMALL):
        bars_1m = table_of(market())
        given = objects(bars_1m)
        assert bars_1m.add_range(given, options) == BarAddReport(written=60)
        assert bars_1m.add_range(iter(given), options) == BarAddReport(skipped=60)
        assert closes(bars_1m) == EXPECTED


def test_bars_and_tables_may_take_turns() -> None:
    bars_1m = table_of(market())
    given = objects(bars_1m)
    mixed = iter([*given[:5], table(ROWS[5:9]), *given[9:20], *batches(ROWS[20:])])
    assert bars_1m.add_range(mixed, SMALL) == BarAddReport(written=60)
    assert closes(bars_1m) == EXPECTED


def test_of_an_iterator_each_batch_stands_for_itself_and_rows_are_counted_through() -> None:
    made = market()
    passing = Passing(made.log)
    rows = [*ROWS[:50], row("A", 40, low=Decimal(99)), *ROWS[50:]]
    with pytest.raises(InputError, match=r"row 50 .*low 99(?s:.*)of those before it, \d+ bars were") as caught:
        table_of(made, log=passing).add_range(batches(rows), SMALL)
    assert caught.value.ids["row"] == 50
    written = sum(passing.sizes)
    assert caught.value.ids["report"] == BarAddReport(written=written)
    assert 0 < written <= 50
    assert closes(table_of(made)) == dict(list(EXPECTED.items())[:written])


def test_a_bar_that_comes_again_in_a_later_batch_is_there_already() -> None:
    for concurrency in (1, 4):
        bars_1m = table_of(market())
        options = BarAddOptions(batch_bytes=1, concurrency=concurrency)
        pieces = (table([row("A", minute, close)]) for close in (5, 6, 6, 7) for minute in range(6))
        report = bars_1m.add_range(pieces, options)
        assert report == BarAddReport(written=18, skipped=6, conflicting=12)
        assert set(closes(bars_1m).values()) == {7}


def test_an_iterator_is_not_read_ahead() -> None:
    made = market()
    passing, seen = Passing(made.log), list[int]()

    def slowly() -> Iterator[pa.Table]:
        for minute in range(30):
            seen.append(len(passing.sizes))
            yield table([row("A", minute)])

    table_of(made, log=passing).add_range(slowly(), BarAddOptions(batch_bytes=1))
    assert seen == list(range(30))


def test_the_index_of_a_frame_is_no_column() -> None:
    frame = table(ROWS).to_pandas().set_index("volume", drop=False).rename_axis(None)
    with pytest.raises(InputError, match="no column '__index_level_0__'") as caught:
        table_of(market()).add_range(frame)
    assert "reset_index" in caught.value.hint


async def trickle(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def test_everything_works_from_asyncio() -> None:
    bars_1m = table_of(market())
    given = objects(bars_1m)

    async def run() -> list[BarAddReport]:
        return [
            await bars_1m.add_async(given[0]),
            await bars_1m.add_range_async(given[:10]),
            await bars_1m.add_range_async(trickle(given[:20]), SMALL),
            await bars_1m.add_range_async(trickle([table(ROWS[:30]), *batches(ROWS[30:])]), SMALL),
            await bars_1m.add_range_async(table(ROWS), SMALL),
        ]

    reports = asyncio.run(run())
    assert [(r.written, r.skipped) for r in reports] == [(1, 0), (9, 1), (10, 10), (40, 20), (0, 60)]
    assert closes(bars_1m) == EXPECTED


def test_errors_reach_asyncio_and_the_loop_goes_on_meanwhile() -> None:
    made = market()
    threads = set()

    class Watched(Passing):
        def append(self, *given: Any, **named: Any) -> Any:
            threads.add(threading.current_thread())
            return super().append(*given, **named)

    bars_1m = table_of(made, log=Watched(made.log))

    async def run() -> None:
        await bars_1m.add_range_async(trickle([table(ROWS[:30]), table([row("A", 40, low=Decimal(99))])]), SMALL)

    with pytest.raises(InputError, match="row 30"):
        asyncio.run(run())
    assert threads
    assert threading.main_thread() not in threads
    written = closes(bars_1m)
    assert 20 < len(written) <= 30
    assert written.items() <= EXPECTED.items()
