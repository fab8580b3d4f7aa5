from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

import ashioto as ao
from ashioto import Field
from ashioto.errors import ScheduleError
from ashioto.logical.nodes import TimeFrame
from ashioto.schema.arrow import storage_schema
from ashioto.schema.sessions import sessions_by_key
from ashioto.tables.convert import batch_of_records
from ashioto.tables.overlap import check_sessions, schedule_frames


class Market(ao.Table):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


MARKET = Market.__entity__
FRAME = TimeFrame(
    schedule=MARKET,
    join=(("broker", "broker"), ("symbol", "symbol")),
    open_column="open",
    close_column="close",
    day_column="market_date",
)
DAY = datetime(2025, 1, 6, tzinfo=UTC)
NOTHING = storage_schema(MARKET).empty_table()


def row(opens: float, closes: float, *, symbol: str = "A", day: int = 6) -> Market:
    return Market(
        broker="FX",
        symbol=symbol,
        open=DAY + timedelta(hours=opens),
        close=DAY + timedelta(hours=closes),
        market_date=date(2025, 1, day),
    )


def rows(*made: Market) -> pa.RecordBatch:
    return batch_of_records(MARKET, made)


def table(*made: Market) -> pa.Table:
    return pa.Table.from_batches([rows(*made)])


def test_sessions_that_meet_are_fine() -> None:
    check_sessions(FRAME, rows(row(12, 15), row(9, 12)), table(row(15, 16), row(8, 9)))


def test_sessions_that_overlap_what_is_there_are_refused() -> None:
    with pytest.raises(ScheduleError, match="FX A: the sessions of 2025-01-06 and 2025-01-07 overlap"):
        check_sessions(FRAME, rows(row(11, 15, day=7)), table(row(9, 12)))


def test_sessions_that_overlap_each_other_are_refused() -> None:
    with pytest.raises(ScheduleError, match="overlap"):
        check_sessions(FRAME, rows(row(9, 12), row(11, 15)), NOTHING)


def test_an_empty_session_is_refused() -> None:
    with pytest.raises(ScheduleError, match="opens at or after its close"):
        check_sessions(FRAME, rows(row(9, 9)), NOTHING)


def test_other_keys_do_not_matter() -> None:
    check_sessions(FRAME, rows(row(9, 12)), table(row(9, 12, symbol="B"), row(10, 11, symbol="B")))


def test_a_row_replaces_the_one_of_its_key() -> None:
    check_sessions(FRAME, rows(row(9, 10), row(11, 15)), table(row(9, 12)))


def test_the_last_row_of_a_key_counts() -> None:
    check_sessions(FRAME, rows(row(9, 12), row(9, 10), row(10, 11)), NOTHING)


def test_sessions_are_found_by_key() -> None:
    found = sessions_by_key(FRAME, table(row(12, 15), row(9, 12), row(1, 2, symbol="B")))
    assert {key: len(sessions) for key, sessions in found.items()} == {("FX", "A"): 2, ("FX", "B"): 1}
    assert sessions_by_key(FRAME, NOTHING) == {}


def test_a_table_is_a_schedule_when_a_query_says_so() -> None:
    assert schedule_frames([None, FRAME], "Market") is FRAME
    assert schedule_frames([None, FRAME], "Other") is None
