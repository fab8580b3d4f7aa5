from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ashioto.dsl as ao
from ashioto.dsl import Context, Field
from ashioto.errors import DefinitionError, UsageError
from ashioto.logical.nodes import ALWAYS_OPEN, TimeFrame
from ashioto.logical.schedules import is_always_open
from ashioto.period import Period

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime
    from decimal import Decimal


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    sent: Field[datetime] = ao.field()
    price: Field[Decimal] = ao.decimal(18, 5)


class MarketSchedule(ao.Table):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    open: Field[datetime] = ao.key()
    close: Field[datetime] = ao.field()
    pause: Field[datetime] = ao.field()
    market_date: Field[date] = ao.field()


M = MarketSchedule
PARTS: list[tuple[Any, Any]] = [
    (Rate.broker == M.broker, M.broker == Rate.broker),
    (Rate.symbol == M.symbol, M.symbol == Rate.symbol),
    (M.open <= Rate.at, Rate.at >= M.open),
    (Rate.at < M.close, M.close > Rate.at),
]
WANTED = TimeFrame(
    schedule=M.__entity__,
    join=(("broker", "broker"), ("symbol", "symbol")),
    open_column="open",
    close_column="close",
    day_column="market_date",
)


def frame(condition: Any, day_key: Any = M.market_date) -> TimeFrame | None:
    framed = Context("trading").events(Rate).time_frame(M, condition, day_key=day_key)
    query = framed.tumbling(Rate.at, Period.minutes(1)).select(n=ao.count()).to_query()
    return query.plan.time_frame


def both(*conditions: Any) -> Any:
    return reduce(lambda a, b: a & b, conditions)


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4), st.booleans())
def test_any_order_and_orientation_says_the_same(order: list[int], turned: list[bool], left: bool) -> None:  # noqa: FBT001  # drawn
    parts = [PARTS[i][turned[i]] for i in order]
    nested = both(*parts) if left else reduce(lambda a, b: b & a, reversed(parts))
    assert frame(nested) == WANTED


GOOD = [pair[0] for pair in PARTS]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (both(*GOOD[:3], Rate.at <= M.close), "a session ends before its close: write Rate.at < MarketSchedule.close"),
        (both(*GOOD[:2], M.open < Rate.at, GOOD[3]), "a session begins at its open: write MarketSchedule.open <="),
        (both(*GOOD[:3]), "it needs one (Rate.at < MarketSchedule.close)"),
        (both(*GOOD[:2], GOOD[3]), "it needs one (MarketSchedule.open <= Rate.at)"),
        (both(*GOOD, Rate.at < M.pause), "names 2 close columns: close, pause"),
        (both(*GOOD, Rate.sent < M.pause), "only Rate.at is compared by < and <="),
        (both(*GOOD, Rate.price > 0), "other conditions go into .where(...)"),
        (both(*GOOD, Rate.broker == "FX"), "time_frame cannot use (broker == 'FX')"),
        (both(*GOOD, Rate.broker != M.broker), "time_frame cannot use (broker != broker)"),
        (GOOD[0] | GOOD[1], "time_frame cannot use ((broker == broker) or"),
        (both(*GOOD[:2], ~(M.open > Rate.at), GOOD[3]), "time_frame cannot use (not (open > at))"),
        (both(GOOD[0], *GOOD[2:]), "MarketSchedule.symbol is a key of the schedule but the condition does not join it"),
        (both(*GOOD[:2], M.close <= Rate.at, Rate.at < M.open), "MarketSchedule.close is no key"),
    ],
)
def test_anything_else_is_refused_and_says_what_to_write(condition: Any, text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        frame(condition)
    assert text in str(caught.value)


@pytest.mark.parametrize("day", [Rate.at, None, "market_date", M.market_date == M.market_date])
def test_the_day_key_is_a_column_of_the_schedule(day: Any) -> None:
    with pytest.raises((DefinitionError, UsageError), match="day_key"):
        frame(both(*GOOD), day)


def test_the_day_key_is_a_date() -> None:
    with pytest.raises(DefinitionError, match="is timestamp, the schedule needs date"):
        frame(both(*GOOD), M.pause)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda e: e.time_frame(M), "only ao.AlwaysOpen stands alone"),
        (lambda e: e.time_frame(M, True, day_key=M.market_date), "takes a condition over columns"),
        (lambda e: e.time_frame(Rate), "takes a Table class"),
        (lambda e: e.time_frame("MarketSchedule"), "takes a Table class"),
    ],
)
def test_a_wrong_call_is_refused(call: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(Context("trading").events(Rate))
    assert text in str(caught.value)


def test_a_schedule_may_be_shared_by_keys() -> None:
    class Hours(ao.Table):
        broker: Field[str] = ao.key()
        open: Field[datetime] = ao.key()
        close: Field[datetime] = ao.field()
        day: Field[date] = ao.field()

    condition = (Rate.broker == Hours.broker) & (Hours.open <= Rate.at) & (Rate.at < Hours.close)
    window = Context("t").events(Rate).time_frame(Hours, condition, day_key=Hours.day)
    query = window.tumbling(Rate.at, Period.minutes(1)).group_by(Rate.broker).select(n=ao.count()).to_query()
    assert query.plan.time_frame is not None
    assert query.plan.time_frame.join == (("broker", "broker"),)
    with pytest.raises(DefinitionError, match="group_by lacks broker"):
        window.tumbling(Rate.at, Period.minutes(1)).group_by(Rate.symbol)


def test_always_open_joins_every_key_to_the_ready_made_schedule() -> None:
    trading = Context("trading")
    framed = trading.events(Rate).time_frame(ao.AlwaysOpen)
    query = framed.tumbling(Rate.at, Period.minutes(1), ensure_continuous=True).select(n=ao.count()).to_query()
    assert query.plan.time_frame is not None
    assert is_always_open(query.plan.time_frame)
    assert ao.AlwaysOpen.__entity__ == ALWAYS_OPEN
    assert list(trading.entities) == ["Rate"]
