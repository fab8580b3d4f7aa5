"""Schedules may change while the engine runs: later ticks follow the new one. Some queries have none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Hours, Market, Trade, bars, columns, moment, trade

import ashioto as ao
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.errors import UnknownTopicError
from ashioto.log.base import Batch
from ashioto.schema.arrow import storage_schema
from ashioto.tables.convert import batch_of_records

BAR = ("bucket_start", "close", "ticks", "final")


def counts(market: Market) -> tuple[int, int, int]:
    """Ticks read, out of session, of unknown keys."""
    progress = market.progress()[0]
    return progress["ticks"], progress["out_of_session"], progress["unknown_key"]


def test_out_of_session_and_unknown_keys_are_counted_apart_and_stay_so_over_restarts() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR), ("A", 2 * HOUR, 3 * HOUR)])
    market.send(trade("A", 0), trade("A", -1), trade("A", HOUR), trade("X", 0), trade("A", 2 * HOUR), trade("X", 1))
    market.run()
    assert counts(market) == (6, 2, 2)
    market.restart()
    market.send(trade("Y", 0), trade("A", 3 * HOUR), trade("A", 3 * HOUR - 1))
    market.run()
    assert counts(market) == (9, 3, 3)
    assert [r["ticks"] for r in market.bars("1m") if r["ticks"]] == [1, 1, 1]
    assert market.dead() == market.late() == []


def test_what_where_leaves_out_is_no_trouble() -> None:
    market = Market.of(bars("1m", where=[Trade.lots > 1]), hours=[("A", 0, HOUR)])
    market.send(trade("A", 0), trade("A", 1, lots=2), trade("A", -1))
    market.run()
    assert counts(market)[1:] == (0, 0)
    assert columns(market.bars("1m"), "ticks") == [(1,)]


def test_a_new_key_counts_from_when_it_has_sessions() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR)])
    market.send(trade("A", 0), trade("B", 0))
    market.at(MINUTE)
    market.open(("B", 0, HOUR))
    market.send(trade("B", 70_000, 5))
    market.at(3 * MINUTE)
    assert counts(market) == (3, 0, 1)
    mine = [r for r in market.bars("1m") if r["symbol"] == "B"]
    assert columns(mine, *BAR) == [(MINUTE, 5, 1, True), (2 * MINUTE, 5, 0, True), (3 * MINUTE, 5, 0, False)]


def test_a_session_that_is_added_takes_later_ticks_and_is_filled() -> None:
    market = Market.of(bars("1m", "1d"), hours=[("A", 0, 2 * MINUTE)])
    market.send(trade("A", 0, 1), trade("A", 10 * MINUTE, 2))
    market.at(5 * MINUTE)
    market.open(("A", 10 * MINUTE, 13 * MINUTE))
    market.send(trade("A", 11 * MINUTE, 3))
    market.at(20 * MINUTE)
    assert counts(market) == (3, 1, 0)
    assert columns(market.bars("1m"), *BAR) == [
        (0, 1, 1, True),
        (MINUTE, 1, 0, True),
        (10 * MINUTE, 1, 0, True),
        (11 * MINUTE, 3, 1, True),
        (12 * MINUTE, 3, 0, True),
    ]
    market.at(DAY)
    assert columns(market.bars("1d"), *BAR) == [(0, 3, 2, True)]


@pytest.mark.parametrize("close", [5 * MINUTE, 30 * MINUTE])
def test_a_session_whose_close_moves(close: int) -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, 10 * MINUTE)])
    market.send(trade("A", 3 * MINUTE, 1))
    market.at(4 * MINUTE)
    market.open(("A", 0, close))
    market.send(trade("A", 5 * MINUTE, 2), trade("A", 20 * MINUTE, 3))
    market.at(HOUR)
    found = market.bars("1m")
    assert counts(market) == (3, 2 if close == 5 * MINUTE else 0, 0)
    assert [r["bucket_start"] for r in found] == list(range(3 * MINUTE, close, MINUTE))
    assert all(r["final"] for r in found)


def test_a_session_that_is_deleted_takes_no_ticks_and_leaves_its_bars() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR), ("A", 2 * HOUR, 3 * HOUR), ("B", 0, HOUR)])
    market.send(trade("A", 0, 1), trade("B", 0, 1))
    market.at(2 * MINUTE)
    before = market.bars("1m")
    market.close("A", 0)
    market.close("B", 0)
    market.send(trade("A", MINUTE, 2), trade("B", MINUTE, 2), trade("A", 2 * HOUR, 3))
    market.at(2 * HOUR + 30_000)
    assert counts(market) == (5, 1, 1)
    found = market.bars("1m")
    assert all(row in found for row in before)
    assert columns([r for r in found if r not in before], "symbol", *BAR) == [("A", 2 * HOUR, 3, 1, False)]


def test_a_key_without_any_session_left_stays_in_the_log_over_a_restart() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR)])
    market.send(trade("A", 0, 1))
    market.at(30_000)
    before = market.bars("1m")
    market.close("A", 0)
    market.restart()
    market.at(HOUR)
    assert market.bars("1m") == before


def test_sessions_that_overlap_are_told_and_those_before_stay_in_use(caplog: pytest.LogCaptureFixture) -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR)])
    overlapping = Hours(
        symbol="A", open=moment(START + 1), close=moment(START + HOUR), market_date=moment(START).date()
    )
    data = batch_of_records(Hours.__entity__, [overlapping])
    made, times = pa.array([b"by hand"], pa.binary()), np.zeros(1, dtype=np.int64)
    market.log.append([Batch(topic="t.hours", partition=0, keys=made, timestamps=times, data=data)])
    market.send(trade("A", 0, 1))
    market.run()
    market.run()
    assert columns(market.bars("1m"), *BAR) == [(0, 1, 1, False)]
    (said,) = caplog.messages
    assert "t.trade_bars keeps the sessions it has: A: the sessions of" in said
    market.restart()
    market.send(trade("A", MINUTE, 1))
    market.run()
    assert columns(market.bars("1m"), *BAR) == [(0, 1, 1, False), (MINUTE, 1, 1, False)]
    caplog.clear()
    gone = np.ones(1, dtype=np.bool_)
    market.log.append([Batch(topic="t.hours", partition=0, keys=made, timestamps=times, data=data, tombstones=gone)])
    market.open(("A", 2 * HOUR, 3 * HOUR))
    market.send(trade("A", 2 * HOUR, 2))
    market.run()
    assert columns(market.bars("1m"), *BAR) == [(0, 1, 1, False), (MINUTE, 1, 1, False), (2 * HOUR, 2, 1, False)]
    assert caplog.messages == []


def test_without_time_frame_every_tick_counts_and_no_bar_is_made_up() -> None:
    market = Market.of(bars("1m", "1d", "1w", schedule=False, continuous=False))
    saturday = 5 * DAY + 3 * HOUR
    market.send(trade("A", saturday, 1), trade("A", saturday + 10 * MINUTE, 2), trade("Z", saturday - 9 * DAY, 3))
    market.run()
    assert counts(market) == (3, 0, 0)
    assert columns(market.bars("1m"), "symbol", *BAR) == [
        ("A", saturday, 1, 1, False),
        ("A", saturday + 10 * MINUTE, 2, 1, False),
        ("Z", saturday - 9 * DAY, 3, 1, False),
    ]
    assert columns(market.bars("1w"), "symbol", "bucket_start", "ticks") == [("A", 0, 2), ("Z", -7 * DAY, 1)]
    assert columns(market.bars("1d"), "market_date")[0] == (moment(START + 5 * DAY).date(),)
    with pytest.raises(UnknownTopicError):
        market.log.end_offsets("t.trade_hb")


def test_markets_that_never_close_are_filled_over_weekends() -> None:
    market = Market.of(bars("1h", "1d", schedule=False))
    market.send(trade("A", 5 * DAY, 1))
    market.at(7 * DAY + HOUR)
    found = market.bars("1h")
    assert len(found) == 50
    assert [r["final"] for r in found] == [True] * 49 + [False]
    assert columns(market.bars("1d"), "bucket_start", "final") == [(5 * DAY, True), (6 * DAY, True), (7 * DAY, False)]


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("kind", ["1w", "2w", "7mo"])
def test_times_before_the_first_bucket_that_has_a_name_do_not_count(kind: str, continuous: bool) -> None:  # noqa: FBT001
    market = Market.of(bars("1h", kind, schedule=False, continuous=continuous, retention=99_999 * DAY))
    market.send(trade("A", -START, 1), trade("A", -START - 5, 1), trade("A", 5, 2))
    market.run()
    assert counts(market) == (3, 2, 0)
    market.restart()
    market.send(trade("A", 6, 3))
    market.run()
    assert columns(market.bars(kind), "ticks", "close") == [(2, 3)]


def test_one_time_far_ahead_does_not_eat_the_machine() -> None:
    market = Market.of(bars("1s", "1m", schedule=False), since=-1)
    market.send(trade("A", 0, 1), trade("A", 70 * 365 * DAY, 9))
    market.at(5_000)
    market.send(trade("A", 2_000, 3), trade("B", 3_000, 1))
    market.at(6_000)
    found = [r for r in market.bars("1s") if r["symbol"] == "A"]
    assert columns(found, "bucket_start", "close", "final")[:7] == [
        *((0, 1, True), (1_000, 1, True)),
        *((at * 1_000, 3, True) for at in (2, 3, 4, 5)),
        (6_000, 3, False),
    ]
    assert columns(found, "bucket_start", "close", "final")[7:] == [(70 * 365 * DAY, 9, False)]


def test_a_query_of_a_log_without_topics_says_so() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, HOUR)])
    other = bars("1m", context=ao.Context("elsewhere"))
    with pytest.raises(UnknownTopicError, match=r"elsewhere\."):
        QueryRunner(market.log, other.plan, clock=market.clock)


def test_the_storage_of_a_schedule_is_what_the_engine_reads() -> None:
    assert storage_schema(Hours.__entity__).names == ["symbol", "open", "close", "market_date"]
