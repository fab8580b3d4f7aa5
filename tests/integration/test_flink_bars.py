"""Bars that a real Flink makes are those of the embedded engine, whatever comes late, falls out, or is killed."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, moment, trade
from tests.support_flink_bars import FlinkMarket, World, version_of
from tests.unit.engines.ksqldb.test_statements import QUERIES
from tests.unit.engines.sql.test_same_bars import HOURS, ticks

import ashioto as ao
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.dsl import Column

UNTIL = 4 * DAY + 10 * HOUR


def test_six_frames_over_breaks_and_nights_and_their_revisions(started: Any) -> None:
    market: FlinkMarket = started(bars("1m", "5m", "1h", "1d", "1w", "1mo"), hours=HOURS, partitions=2)
    market.twin.send(*ticks(1)[:80])
    market.twin.at(DAY + 10 * HOUR)
    market.copy()
    market.await_same()
    market.twin.send(*ticks(1)[80:], *ticks(2)[:40])
    market.twin.at(UNTIL)
    market.copy()
    market.await_same()
    assert {row["final"] for row in market.actual("1d").values()} == {True, False}
    assert any(row["synthetic"] for row in market.actual("1m").values())
    assert [market.records(period)[1] for period in ("1m", "5m", "1h", "1d", "1w", "1mo")] == [0] * 6
    first, *others = market.world.schemas("t.trade_bars_1m")
    assert "ashioto" in first
    assert all(one == first for one in others)


def test_selected_expressions_and_conditions(started: Any) -> None:
    select: Mapping[str, Column[Any]] = {
        "vwap": ao.sum(Trade.price * Trade.size) / ao.sum(Trade.size),
        "mean": ao.avg(Trade.price),
        "spread": ao.max(Trade.price) - ao.min(Trade.price),
        "net": ao.sum(Trade.lots) * 2 - ao.count(),
        "turnover": ao.sum(Trade.price * Trade.lots),
        "top": ao.greatest(ao.last(Trade.price), ao.first(Trade.size)),
        "open": ao.coalesce(ao.previous("close"), ao.first(Trade.price)),
        "close": ao.last(Trade.price),
        "heaviest": ao.max(Trade.weight * 2) - 1,
        "ticks": ao.count(),
    }
    empty = {"heaviest": 0.0, "spread": Decimal(0), "net": 0, "turnover": Decimal(0), "top": ao.previous("top")}
    where = [
        (Trade.lots > 0) | ~(Trade.price * 2 >= Trade.size + 100),
        ~((Trade.price / Trade.size > 30) & (Trade.symbol == "A")),
    ]
    query = bars("5m", select=select, when_empty=empty | {"open": ao.previous("close")}, where=where)
    market: FlinkMarket = started(query, hours=HOURS)
    names = ("a\\b", "\x1f", "\\u001f", "足 'x' ${y}")
    market.twin.send(*({**row, "venue": names[number % 4]} for number, row in enumerate(ticks(8))))
    market.twin.at(UNTIL)
    market.copy()
    market.await_same()


def test_buckets_from_the_open_of_the_session(started: Any) -> None:
    market: FlinkMarket = started(bars("3m", "1d", align="session"), hours=HOURS)
    market.twin.send(*ticks(3))
    market.twin.at(UNTIL)
    market.copy()
    market.await_same()


def test_a_market_that_never_closes_and_ticks_that_come_too_late(started: Any) -> None:
    market: FlinkMarket = started(bars("1h", "1d", schedule=False, retention=2 * DAY), hours=())
    market.twin.send(trade("A", 5 * DAY, 3), trade("A", 5 * DAY + 1, 4), trade("B", 5 * DAY, 1))
    market.twin.at(5 * DAY + 90 * MINUTE)
    market.copy()
    market.await_same()
    market.twin.send(trade("A", 2 * DAY, 9), trade("A", 4 * DAY, 8))
    market.twin.at(5 * DAY + 2 * HOUR)
    market.copy()
    market.await_same()
    late = market.late()
    assert [(row["at"], row["price"]) for row in late] == [(moment(START + 2 * DAY), Decimal(9))]
    assert late == market.twin.late()


def test_a_session_that_is_made_shorter_leaves_what_is_counted_and_holds_for_what_comes(started: Any) -> None:
    market: FlinkMarket = started(bars("1m", "1d", continuous=False), hours=[("A", 9 * HOUR, 10 * HOUR)])
    market.twin.send(*(trade("A", 9 * HOUR + n * MINUTE, 10 + (7 * n) % 5) for n in range(50)))
    market.twin.at(9 * HOUR + 50 * MINUTE)
    market.copy()
    market.await_same()
    market.open(("A", 9 * HOUR, 9 * HOUR + 10 * MINUTE), ("B", 9 * HOUR, 10 * HOUR))
    market.twin.send(trade("B", 9 * HOUR, 1))
    market.twin.at(9 * HOUR + 51 * MINUTE)
    market.copy()
    market.await_same()  # a bar of B says that the sessions have been read
    market.twin.send(*(trade("A", 9 * HOUR + n * MINUTE + 1, 20 + n) for n in range(50)))
    market.twin.at(DAY)
    market.copy()
    market.await_same()
    assert [row["ticks"] for row in market.actual("1m").values()] == [2] * 10 + [1] * 41
    assert market.records("1m")[1] == 0


def test_ticks_wait_for_the_sessions_of_their_day(started: Any) -> None:
    market: FlinkMarket = started(bars("1m", "1h"), hours=[("A", 9 * HOUR, 10 * HOUR)])
    rows = [trade("B", 9 * HOUR + n * MINUTE // 2, 10 + (7 * n) % 5) for n in range(50)]
    market.twin.send(*rows, trade("A", 9 * HOUR, 3))
    market.twin.run()
    market.copy()
    market.await_same()  # the bar of A says that the ticks of B have been read
    assert len(market.actual("1h")) == 1
    both = Market.of(market.query, hours=[("A", 9 * HOUR, 10 * HOUR), ("B", 9 * HOUR, 10 * HOUR)])
    both.send(*rows, trade("A", 9 * HOUR, 3))
    both.run()
    market.open(("B", 9 * HOUR, 10 * HOUR), twin=False)
    market.twin = both
    market.await_same()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_the_planner_takes_every_reviewed_script(world: World, name: str) -> None:
    with world.log() as log, closing(world.engine(log)) as engine:
        (said,) = engine.compile(version_of(QUERIES[name]))
    assert said.count("EXECUTE STATEMENT SET") == 1


def test_what_the_planner_refuses_is_told_with_its_reason(world: World) -> None:
    options = {"no-such-option": "1"}
    with (
        world.log() as log,
        closing(world.engine(log, registry_options=options)) as engine,
        pytest.raises(UnsupportedError, match=r"Flink refuses it: .*no-such-option") as caught,
    ):
        engine.compile(version_of(bars("1m")))
    assert caught.value.hint == "rc infra sql shows the statements"
