from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import ashioto.dsl as ao
from ashioto.dsl import Context, Field
from ashioto.errors import DefinitionError, PeriodError, UsageError
from ashioto.logical.nodes import FLOAT64, INT64, DataType, EmptyRule, Lit, Previous
from ashioto.period import Period


class Rate(ao.Stream):
    broker: Field[str] = ao.key()
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 2, default=Decimal(0))
    lots: Field[int] = ao.field(default=1)


class Other(ao.Stream):
    at: Field[datetime] = ao.timestamp()
    price: Field[float] = ao.field()


PRICE = DataType(name="decimal", precision=18, scale=5)
SIZE = DataType(name="decimal", precision=18, scale=2)


def window(trading: Context, *periods: Period, **options: Any) -> Any:
    events = trading.events(Rate).time_frame(ao.AlwaysOpen)
    return events.tumbling(Rate.at, *(periods or (Period.minutes(1),)), **options)


def test_a_query_says_everything_it_was_told(trading: Context) -> None:
    made = (
        window(trading, Period.hours(1), Period.minutes(5), ensure_continuous=True, grace=timedelta(seconds=5))
        .select(**ao.ohlcv(Rate.price, Rate.size), vwap=ao.sum(Rate.price * Rate.size) / ao.sum(Rate.size))
        .when_empty(volume=0, open=ao.previous("close"), vwap=None)
        .to_query()
    )
    plan = made.plan
    assert (plan.context, plan.name, plan.align, plan.continuous) == ("trading", "rate_bars", "clock", True)
    assert (plan.frames, plan.base) == ((Period.minutes(5), Period.hours(1)), Period.minutes(5))
    assert (plan.grace_ms, plan.retention_ms) == (5_000, 7 * 86_400_000)
    assert plan.group_by == ("broker", "symbol")
    previous = Previous(output="close")
    assert plan.when_empty == (
        EmptyRule(name="open", expr=previous),
        EmptyRule(name="high", expr=previous),
        EmptyRule(name="low", expr=previous),
        EmptyRule(name="close", expr=previous),
        EmptyRule(name="volume", expr=Lit(type=SIZE, value=0)),
        EmptyRule(name="ticks", expr=Lit(type=INT64, value=0)),
        EmptyRule(name="vwap", expr=Lit(type=FLOAT64, value=None)),
    )


def test_periods_may_come_as_a_set(trading: Context) -> None:
    standard = [Period.hours(1), Period.days(1)]
    plan = window(trading, Period.minutes(1), frames=standard).select(n=ao.count()).to_query().plan
    assert [p.kind for p in plan.frames] == ["1m", "1h", "1d"]


def test_queries_are_kept_by_name_in_order(trading: Context) -> None:
    second = window(trading, Period.seconds(1)).select(n=ao.count()).to_query(name="zebra")
    first = window(trading).select(n=ao.count()).to_query(name="apple")
    assert dict(trading.queries) == {"zebra": second, "apple": first}
    assert list(trading.queries) == ["zebra", "apple"]
    assert list(trading.entities) == ["Rate"]


def test_the_same_query_again_is_the_one_already_there(trading: Context) -> None:
    made = window(trading).select(n=ao.count()).to_query()
    assert window(trading).select(n=ao.count()).to_query() is made


def test_two_queries_cannot_write_one_bar_topic(trading: Context) -> None:
    window(trading, Period.minutes(1), Period.hours(1)).select(n=ao.count()).to_query()
    with pytest.raises(DefinitionError, match="rate_bars already makes RateBar1h"):
        window(trading, Period.hours(1)).select(n=ao.count()).to_query(name="more")


def test_two_queries_cannot_share_a_name(trading: Context) -> None:
    window(trading, Period.minutes(1)).select(n=ao.count()).to_query()
    with pytest.raises(DefinitionError, match="already has another query rate_bars"):
        window(trading, Period.hours(1)).select(n=ao.count()).to_query()


def test_contexts_never_collide() -> None:
    for name in ("trading", "analytics"):
        made = window(Context(name)).select(n=ao.count()).to_query()
        assert made.binding(Period.minutes(1)).topic == f"{name}.rate_bars_1m"


def test_two_entities_cannot_want_one_topic(trading: Context) -> None:
    def declare(scale: int) -> type[ao.Table]:
        class Symbol(ao.Table):
            name: Field[str] = ao.key()
            tick: Field[Decimal] = ao.decimal(18, scale)

        return Symbol

    trading.declare(declare(2))
    trading.declare(declare(2))
    with pytest.raises(DefinitionError, match=r"want the topic trading\.symbol"):
        trading.declare(declare(3))


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda c: c.events(ao.AlwaysOpen), UsageError, "takes a Stream class"),
        (lambda c: c.events(ao.Stream), UsageError, "takes a Stream class"),
        (lambda c: c.events(Rate).where(True), UsageError, "takes columns of Rate"),
        (lambda c: c.events(Rate).where(Rate.size), DefinitionError, "needs a condition, not decimal"),
        (lambda c: c.events(Rate).where(Other.price > 0), DefinitionError, "a column of Other"),
        (lambda c: c.events(Rate).where(ao.count() > 0), DefinitionError, "count() stands outside select"),
        (lambda c: c.events(Rate).where(ao.previous("x") > 0), DefinitionError, "previous() stands outside"),
        (lambda c: c.events(Rate).tumbling(Rate.at), PeriodError, "there is no period"),
        (lambda c: c.events(Rate).tumbling(Rate.price, Period.days(1)), DefinitionError, "use Rate.at"),
        (lambda c: c.events(Rate).tumbling(Rate.lots + 1, Period.days(1)), DefinitionError, "takes a plain column"),
        (lambda c: c.events(Rate).tumbling(Rate.at, Period.days(1), grace=5), UsageError, "is no duration"),
        (lambda c: window(c, grace=timedelta(-1)), DefinitionError, "grace is negative"),
        (lambda c: window(c, align="day"), DefinitionError, "no such alignment"),
        (lambda c: window(c, Period.minutes(2), Period.minutes(5)), PeriodError, "4m or 6m would fit 2m"),
        (lambda c: window(c, Period.minutes(1), Period.seconds(60)), PeriodError, "1m is named twice"),
        (lambda c: window(c, Period.weeks(1), Period.months(1)), PeriodError, "1mo is not a whole number of 1w"),
        (
            lambda c: c.events(Rate).tumbling(Rate.at, Period.days(1), ensure_continuous=True),
            DefinitionError,
            "ao.AlwaysOpen",
        ),
        (
            lambda c: c.events(Rate).tumbling(Rate.at, Period.hours(1), align="session"),
            DefinitionError,
            "needs a time_frame",
        ),
        (lambda c: window(c).group_by(Rate.lots), DefinitionError, "bars are grouped by text"),
        (lambda c: window(c).group_by(Rate.symbol, Rate.symbol), DefinitionError, "a column twice"),
        (lambda c: window(c).select(x=3), UsageError, "no aggregate"),
        (lambda c: window(c).select(x=Rate.price), DefinitionError, "ao.last(Rate.price)"),
        (lambda c: window(c).select(x=ao.sum(Other.price)), DefinitionError, "a column of Other"),
        (lambda c: window(c).select(x=ao.count() > 3), DefinitionError, "must be a number"),
        (lambda c: window(c).select(x=ao.previous("y")), DefinitionError, "names no column"),
        (lambda c: window(c).select(), DefinitionError, "nothing is selected"),
        (lambda c: window(c).select(final=ao.count()), DefinitionError, "already has a column final"),
        (lambda c: window(c).select(symbol=ao.count()), DefinitionError, "already has a column symbol"),
        (lambda c: window(c).select(_n=ao.count()), DefinitionError, "'_n' is no name"),
        (lambda c: window(c).select(n=ao.count()).to_query(name="a-b"), DefinitionError, "'a-b' is no name"),
        (lambda c: window(c).select(n=ao.count()).when_empty(n=0), DefinitionError, "needs continuous"),
    ],
)
def test_what_does_not_hold_together_is_refused_where_it_is_written(
    trading: Context, build: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        build(trading)
    assert text in str(caught.value)
    assert "Hint: " in str(caught.value)
    assert not trading.queries


def test_rules_for_empty_bars_fit_their_columns(trading: Context) -> None:
    chosen = window(trading, ensure_continuous=True).select(
        open=ao.coalesce(ao.previous("close"), ao.first(Rate.price)), close=ao.last(Rate.price), n=ao.count()
    )
    cases: list[tuple[dict[str, Any], str]] = [
        ({"m": 0}, "not selected"),
        ({"n": ao.previous("close")}, "its when_empty is decimal"),
        ({"close": ao.previous("open")}, "no column of a bar's own ticks"),
        ({"close": ao.count()}, "a constant, None, or"),
        ({"n": 1.5}, "does not go with int64"),
        ({"close": Decimal("0.000001")}, "its when_empty is decimal(18, 6)"),
    ]
    for rules, text in cases:
        with pytest.raises(DefinitionError) as caught:
            chosen.when_empty(**rules)
        assert text in str(caught.value)


def test_without_a_last_column_the_user_must_say_what_an_empty_bar_holds(trading: Context) -> None:
    chosen = window(trading, ensure_continuous=True).select(high=ao.max(Rate.price))
    with pytest.raises(DefinitionError) as caught:
        chosen.to_query()
    assert ".when_empty(high=...)" in caught.value.hint
    plan = chosen.when_empty(high=None).to_query().plan
    assert plan.when_empty == (EmptyRule(name="high", expr=Lit(type=PRICE, value=None)),)


def test_previous_reaches_only_columns_made_of_ticks(trading: Context) -> None:
    with pytest.raises(DefinitionError, match="which itself uses previous"):
        window(trading).select(
            close=ao.last(Rate.price), open=ao.previous("close"), early=ao.coalesce(ao.previous("open"), ao.count())
        )


def test_a_stream_without_keys_makes_one_series(trading: Context) -> None:
    made = trading.events(Other).tumbling(Other.at, Period.minutes(1)).select(n=ao.count()).to_query()
    assert (made.plan.group_by, made.plan.when_empty) == ((), ())


def test_a_key_cannot_take_a_name_that_bars_need(trading: Context) -> None:
    class Odd(ao.Stream):
        origin: Field[str] = ao.key()
        at: Field[datetime] = ao.timestamp()
        day: Field[date] = ao.field()

    with pytest.raises(DefinitionError, match="a name that every bar needs"):
        trading.events(Odd).tumbling(Odd.at, Period.minutes(1)).select(n=ao.count())
