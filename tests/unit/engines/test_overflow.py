"""What leaves 64 bits never stops the stream and never wraps: a tick or a column is left out, and it is told."""

from __future__ import annotations

from decimal import Decimal

from tests.support_engine import HOUR, MINUTE, Market, Trade, bars, columns, trade

import ashioto as ao

HUGE = Decimal(10) ** 15
OPEN = [("A", 0, HOUR), ("B", 0, HOUR)]


def test_a_selected_expression_too_large_is_null_and_told_once_the_bar_is_final() -> None:
    query = bars("1m", select={"worth": ao.sum(Trade.price) * ao.sum(Trade.size), "close": ao.last(Trade.price)})
    market = Market.of(query, hours=OPEN)
    market.send(trade("A", 5, HUGE, size=HUGE), trade("B", 6, Decimal(2), size=Decimal(3)))
    market.at(10)
    assert market.dead() == []
    market.send(trade("A", MINUTE, Decimal(1)))
    market.at(MINUTE + 1)
    assert columns(market.bars("1m"), "symbol", "bucket_start", "worth", "close", "final") == [
        ("A", 0, None, HUGE, True),
        ("A", MINUTE, Decimal("1.000"), Decimal(1), False),
        ("B", 0, Decimal("6.000"), Decimal(2), True),
        ("B", MINUTE, None, Decimal(2), False),
    ]
    (told,) = market.dead()
    assert (told["source_topic"], told["reason"]) == (
        f"{market.context.name}.trade_bars_1m",
        "column 'worth' leaves 64 bits",
    )
    market.restart()
    market.at(2 * MINUTE)
    assert [row["final"] for row in market.bars("1m")] == [True, True, False, True, True, False]
    assert len(market.dead()) == 1


def test_a_tick_that_would_take_a_sum_too_far_is_left_out_and_told() -> None:
    query = bars("1m", "5m", select={"total": ao.sum(Trade.price), "ticks": ao.count()})
    market = Market.of(query, hours=OPEN)
    limit = Decimal(9) * 10**15
    market.send(*[trade("A", at, limit) for at in range(12)], trade("B", 3, Decimal(7)))
    market.at(MINUTE)
    assert columns(market.bars("5m"), "symbol", "total", "ticks") == [("A", 10 * limit, 10), ("B", Decimal(7), 1)]
    assert [("total" in row["reason"], row["source_offset"]) for row in market.dead()] == [(True, 10), (True, 11)]
