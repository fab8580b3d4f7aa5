from __future__ import annotations

import copy
import math
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ashioto.dsl as ao
from ashioto.dsl import Field  # noqa: TC001  # read from annotations
from ashioto.dsl.values import from_stored, to_stored
from ashioto.errors import DefinitionError, InputError, UsageError
from ashioto.logical.nodes import BOOL, DATE, FLOAT64, INT64, TEXT, TIMESTAMP, Column, DataType, Entity, Lit

if TYPE_CHECKING:
    from fractions import Fraction

NOW = datetime(2025, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
MONEY = DataType(name="decimal", precision=18, scale=5)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(4, 2, default=Decimal("0.50"))
    number: Field[int] = ao.sequence()
    weight: Field[float] = ao.field(default=1.0)
    day: Field[date] = ao.field(default=date(2025, 1, 1))
    firm: Field[bool] = ao.field(default=True)


def rate(**changes: Any) -> Rate:
    values: dict[str, Any] = {"symbol": "USDJPY", "at": NOW, "price": Decimal("150.1"), "number": 1}
    return Rate(**(values | changes))


def test_a_class_builds_its_entity() -> None:
    assert Rate.__entity__ == Entity(
        name="Rate",
        kind="stream",
        columns=(
            Column(name="symbol", type=TEXT, role="key"),
            Column(name="at", type=TIMESTAMP, role="timestamp"),
            Column(name="price", type=MONEY),
            Column(
                name="size",
                type=DataType(name="decimal", precision=4, scale=2),
                default=Lit(type=DataType(name="decimal", precision=4, scale=2), value=50),
            ),
            Column(name="number", type=INT64, role="sequence"),
            Column(name="weight", type=FLOAT64, default=Lit(type=FLOAT64, value=1.0)),
            Column(name="day", type=DATE, default=Lit(type=DATE, value=20089)),
            Column(name="firm", type=BOOL, default=Lit(type=BOOL, value=True)),
        ),
    )


def test_an_instance_gives_values_and_the_class_gives_columns() -> None:
    made = rate()
    assert (made.symbol, made.price, made.size, made.firm) == ("USDJPY", Decimal("150.1"), Decimal("0.5"), True)
    assert repr(Rate.price) == "Column(price)"
    assert Rate.price.type == MONEY


def test_records_compare_print_and_copy_by_value() -> None:
    made = rate()
    assert made == rate()
    assert hash(made) == hash(rate())
    assert made != rate(number=2)
    assert made != "USDJPY"
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301  # our own bytes
    assert repr(made).startswith("Rate(symbol='USDJPY', at=datetime.datetime(2025")


def test_times_become_utc_to_the_millisecond() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=999)
    assert rate(at=tokyo) == rate()
    assert rate(at=tokyo).at.utcoffset() == timedelta(0)


def test_records_do_not_change() -> None:
    made: Any = rate()
    with pytest.raises(UsageError, match=r"Rate\.price cannot be set"):
        made.price = Decimal(1)


@pytest.mark.parametrize(
    ("column", "value", "hint"),
    [
        ("symbol", 1, "give it a str"),
        ("symbol", "\ud800", "surrogate"),
        ("at", NOW.replace(tzinfo=None), "no time zone"),
        ("at", "2025-01-01", "a datetime"),
        ("at", date(2025, 1, 1), "a datetime"),
        ("at", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), "outside the years"),
        ("price", 1.5, "from text"),
        ("price", True, "from text"),
        ("price", Decimal("1.123456"), "at most 5 digits after"),
        ("price", Decimal("1e13"), "at most 13 digits before"),
        ("price", Decimal("1e400"), "room for 18 digits"),
        ("price", Decimal("1e-400"), "room for 18 digits"),
        ("price", Decimal("NaN"), "finite"),
        ("price", Decimal("-Infinity"), "finite"),
        ("size", Decimal("100.00"), "at most 2 digits before"),
        ("number", 1.0, "an int"),
        ("number", True, "an int"),
        ("number", 2**63, "64 bits"),
        ("weight", math.nan, "finite"),
        ("weight", math.inf, "finite"),
        ("weight", "1", "a float"),
        ("weight", 10**400, "fit a float"),
        ("day", NOW, "a date"),
        ("firm", 1, "True or False"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(column: str, value: object, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        rate(**{column: value})
    assert f"Rate.{column}" in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.ids == {"column": column, "value": value}


def test_a_missing_and_an_unknown_column_are_named() -> None:
    build: Any = Rate
    with pytest.raises(InputError, match=r"Rate\.price was not given"):
        build(symbol="USDJPY", at=NOW, number=1)
    with pytest.raises(InputError, match="no column 'prise'"):
        rate(prise=Decimal(1))
    with pytest.raises(TypeError, match="positional"):
        build("USDJPY")


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 18))
def test_every_decimal_that_fits_is_stored_exactly(scaled: int, scale: int) -> None:
    kind = DataType(name="decimal", precision=18, scale=scale)
    value = Decimal(scaled).scaleb(-scale)
    assert to_stored(value, kind, column="x") == scaled
    assert from_stored(Lit(type=kind, value=scaled)) == value


def test_the_decimal_context_of_the_program_rounds_nothing() -> None:
    value = Decimal("1234567890.12345")
    with localcontext() as context:
        context.prec = 3
        made = rate(price=value)
        assert to_stored(value, MONEY, column="x") == 123456789012345
        assert from_stored(Lit(type=MONEY, value=123456789012345)) == value
        assert repr(Rate.price > Decimal("1.2345000")) == "Column((price > 1.23450))"
        assert repr(Rate.price * Decimal("1.2345000")) == "Column((price * 1.2345))"
        assert repr(Rate.price * Decimal("0.000")) == "Column((price * 0))"
    assert made.price == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_stored_as_whole_milliseconds(at: datetime) -> None:
    stored = to_stored(at, TIMESTAMP, column="x")
    assert isinstance(stored, int)
    back = from_stored(Lit(type=TIMESTAMP, value=stored))
    assert isinstance(back, datetime)
    assert timedelta(0) <= at - back < timedelta(milliseconds=1)


@given(st.dates())
def test_dates_round_trip(day: date) -> None:
    stored = to_stored(day, DATE, column="x")
    assert isinstance(stored, int)
    assert from_stored(Lit(type=DATE, value=stored)) == day


def test_a_subclass_keeps_the_columns_of_its_base() -> None:
    class Quote(Rate):
        ask: Field[Decimal] = ao.decimal(18, 5, default=Decimal(0))

    assert [c.name for c in Quote.__entity__.columns][-2:] == ["firm", "ask"]
    assert Quote.__entity__.name == "Quote"
    price: Any = Quote.price
    assert price.entities == (Quote.__entity__,)
    assert len(Rate.__entity__.columns) == 8


def test_a_column_may_be_called_like_its_type() -> None:
    class Holiday(ao.Table):
        name: Field[str] = ao.key()
        date: Field[date] = ao.field()

    assert Holiday.__entity__.columns[1] == Column(name="date", type=DATE)


@pytest.mark.parametrize("kind", [date, float, bool])
def test_a_key_is_text_a_whole_number_or_a_time(kind: type) -> None:
    namespace = {"__annotations__": {"held": f"Field[{kind.__name__}]"}, "held": ao.key(), "__module__": __name__}
    with pytest.raises(DefinitionError, match="cannot be a key"):
        type("Odd", (ao.Table,), namespace)


def test_a_column_may_have_any_ordinary_name() -> None:
    class Odd(ao.Table):
        self: Field[str] = ao.key()
        values: Field[int] = ao.field()

    given: dict[str, Any] = {"self": "x", "values": 1}
    made = Odd(**given)
    assert (made.self, made.values) == ("x", 1)


def test_a_table_needs_no_event_time() -> None:
    class Symbol(ao.Table):
        name: Field[str] = ao.key()

    assert (Symbol.__entity__.kind, Symbol.__entity__.timestamp) == ("table", None)


def test_declarations_that_do_not_hold_together_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"price is a Decimal without digits"):

        class NoDigits(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[Decimal] = ao.field()

    with pytest.raises(DefinitionError, match=r"price is declared by ao\.decimal"):

        class NoDecimal(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[float] = ao.decimal(18, 5)  # type: ignore[assignment]  # that is the point

    with pytest.raises(DefinitionError, match="is of type bytes"):

        class Bytes(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            raw: Field[bytes] = ao.field()

    with pytest.raises(DefinitionError, match="is annotated"):

        class Plain(ao.Stream):
            at: datetime = ao.timestamp()  # type: ignore[assignment]  # that is the point

    with pytest.raises(DefinitionError, match="annotated but not declared"):

        class Undeclared(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[float]

    with pytest.raises(DefinitionError, match="cannot be read"):

        class Hidden(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[Fraction] = ao.field()

    with pytest.raises(DefinitionError, match="the default of"):

        class Default(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[Decimal] = ao.decimal(18, 2, default=Decimal("0.001"))


def test_streams_and_tables_miss_nothing() -> None:
    with pytest.raises(DefinitionError, match="no event time"):

        class Timeless(ao.Stream):
            price: Field[float] = ao.field()

    with pytest.raises(DefinitionError, match="2 event times"):

        class TwoTimes(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            then: Field[datetime] = ao.timestamp()

    with pytest.raises(DefinitionError, match="2 sequences"):

        class TwoSequences(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            one: Field[int] = ao.sequence()
            two: Field[int] = ao.sequence()

    with pytest.raises(DefinitionError, match="no key"):

        class Keyless(ao.Table):
            name: Field[str] = ao.field()

    with pytest.raises(DefinitionError, match=r"decimal\(19, 5\)"):

        class TooWide(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            price: Field[Decimal] = ao.decimal(19, 5)

    with pytest.raises(DefinitionError, match="no name for an entity"):

        class rate(ao.Stream):  # noqa: N801  # that is the point
            at: Field[datetime] = ao.timestamp()

    with pytest.raises(DefinitionError, match="a timestamp is timestamp"):

        class WrongTime(ao.Stream):
            at: Field[int] = ao.timestamp()  # type: ignore[assignment]  # that is the point

    with pytest.raises(DefinitionError, match="'_hidden' is no name"):

        class Underscore(ao.Stream):
            at: Field[datetime] = ao.timestamp()
            _hidden: Field[int] = ao.field()
