from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import ashioto.dsl as ao
from ashioto.dsl import BarQuery, Context, Field, bind_bar
from ashioto.errors import ChainError, DefinitionError, InputError, PeriodError, UsageError
from ashioto.period import Period

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    day: Field[date] = ao.field()


@pytest.fixture
def query(trading: Context) -> BarQuery:
    window = trading.events(Rate).tumbling(Rate.at, Period.minutes(5), Period.hours(1))
    return window.select(close=ao.last(Rate.price), ticks=ao.count()).to_query()


def test_a_class_of_bars_is_named_and_made_once(query: BarQuery) -> None:
    made = query.bar(Period.minutes(5))
    assert made.__name__ == "RateBar5m"
    assert query.bar(Period.minutes(5)) is made
    assert bind_bar(made) == query.binding(Period.minutes(5))


def test_a_bar_has_its_columns_in_the_order_of_storage(query: BarQuery) -> None:
    binding = query.binding(Period.minutes(5))
    assert list(binding.columns) == [
        "symbol", "bucket_start", "bucket_end", "market_date", "close", "ticks", "final", "synthetic",
        "first_at", "first_seq", "last_at", "last_seq", "source_cut", "origin",
    ]  # fmt: skip
    assert binding.outputs == ("close", "ticks")
    assert binding.topic == "trading.rate_bars_5m"


def test_a_bar_is_a_frozen_record(query: BarQuery) -> None:
    build = query.bar(Period.minutes(5))
    bar: Any = build(symbol="USDJPY", bucket_start=NOON, close=Decimal("1.5"), ticks=3)
    assert (bar.symbol, bar.close, bar.ticks, bar.final, bar.synthetic, bar.origin) == (
        "USDJPY", Decimal("1.5"), 3, True, False, "history",
    )  # fmt: skip
    assert bar == build(symbol="USDJPY", bucket_start=NOON, close=Decimal("1.50"), ticks=3)
    assert hash(bar) == hash(build(symbol="USDJPY", bucket_start=NOON, close=Decimal("1.50"), ticks=3))
    assert bar != build(symbol="USDJPY", bucket_start=NOON, close=None, ticks=3)
    assert bar != query.bar(Period.hours(1))(symbol="USDJPY", bucket_start=NOON, close=Decimal("1.5"), ticks=3)
    assert repr(bar).startswith("RateBar5m(symbol='USDJPY', bucket_start=")
    with pytest.raises(UsageError, match="does not change"):
        bar.close = Decimal(2)
    with pytest.raises(AttributeError, match="no column 'open'"):
        _ = bar.open


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"close": 1.5}, "RateBar5m.close is decimal"),
        ({"symbol": None}, "RateBar5m.symbol was not given"),
        ({"bucket_start": None}, "bucket_start was not given"),
        ({"bucket_start": NOON.replace(tzinfo=None)}, "no time zone"),
        ({"final": 1}, "True or False"),
        ({"volume": 3}, "no column 'volume'"),
    ],
)
def test_a_bar_checks_its_values(query: BarQuery, changes: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"symbol": "USDJPY", "bucket_start": NOON, "close": Decimal("1.5"), "ticks": 3}
    with pytest.raises(InputError) as caught:
        query.bar(Period.minutes(5))(**(values | changes))
    assert text in str(caught.value)


def test_selected_columns_must_be_given(query: BarQuery) -> None:
    with pytest.raises(InputError, match=r"RateBar5m\.ticks was not given"):
        query.bar(Period.minutes(5))(symbol="USDJPY", bucket_start=NOON, close=None)


def test_a_declared_class_is_found_by_its_name(trading: Context, query: BarQuery) -> None:
    class RateBar1h(ao.Bar): ...

    with pytest.raises(UsageError, match="not tied to a query yet"):
        RateBar1h(symbol="USDJPY")
    with pytest.raises(UsageError, match="nothing says the context"):
        bind_bar(RateBar1h)
    assert bind_bar(RateBar1h, Period.hours(1), context=trading) == query.binding(Period.hours(1))
    assert RateBar1h(symbol="USDJPY", bucket_start=NOON, close=None, ticks=0).ticks == 0
    assert bind_bar(RateBar1h).context is trading


def test_a_class_used_in_two_contexts_stays_with_its_first(trading: Context, query: BarQuery) -> None:
    other = Context("analytics")
    window = other.events(Rate).tumbling(Rate.at, Period.hours(1))
    elsewhere = window.select(ticks=ao.count()).to_query()

    class RateBar1h(ao.Bar): ...

    assert bind_bar(RateBar1h, context=trading) == query.binding(Period.hours(1))
    assert bind_bar(RateBar1h, context=other) == elsewhere.binding(Period.hours(1))
    assert bind_bar(RateBar1h).context is trading


def test_a_period_that_disagrees_shows_both(trading: Context, query: BarQuery) -> None:
    with pytest.raises(PeriodError, match="RateBar5m holds bars of 5m, not of 1h"):
        bind_bar(query.bar(Period.minutes(5)), Period.hours(1), context=trading)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ratebar1h", "does not name a bar"),
        ("RateBar2h", "no query of trading makes RateBar2h"),
        ("TickBar1h", "RateBar5m"),
    ],
)
def test_a_name_without_a_query_is_refused(trading: Context, query: BarQuery, name: str, text: str) -> None:
    declared = type(name, (ao.Bar,), {})
    with pytest.raises(DefinitionError) as caught:
        bind_bar(declared, context=trading)
    assert text in str(caught.value)
    assert query.frames


def test_a_period_that_is_not_made_is_refused(query: BarQuery) -> None:
    with pytest.raises(PeriodError, match="makes no bars of 1d"):
        query.bar(Period.days(1))


def test_only_classes_of_bars_are_tied() -> None:
    wrong: Any = Rate
    with pytest.raises(UsageError, match="is no class of bars"):
        bind_bar(wrong)


def test_a_finished_query_takes_no_more_steps(query: BarQuery) -> None:
    chain: Any = query
    with pytest.raises(ChainError, match="select cannot follow to_query"):
        chain.select(n=ao.count())


def test_a_query_prints_as_text(query: BarQuery) -> None:
    assert repr(query) == "<query trading.rate_bars>"
    assert "select    close = last(price)" in str(query)
