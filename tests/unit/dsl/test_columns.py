from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import ashioto.dsl as ao
from ashioto.dsl import Field  # noqa: TC001  # read from annotations
from ashioto.errors import DefinitionError, UsageError
from ashioto.logical.nodes import BOOL, INT64, Col, DataType, Lit, Op
from ashioto.logical.types import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2025, 1, 1, tzinfo=UTC)


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)
    size: Field[Decimal] = ao.decimal(18, 2)
    lots: Field[int] = ao.field()
    weight: Field[float] = ao.field()
    day: Field[date] = ao.field()
    firm: Field[bool] = ao.field()


def money(scale: int) -> DataType:
    return DataType(name="decimal", precision=18, scale=scale)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Rate.price == Decimal("1.5"), "(price == 1.50000)"),
        (Rate.price != 2, "(price != 2.00000)"),
        (Rate.price < Rate.size, "(price < size)"),
        (Rate.price <= 1, "(price <= 1.00000)"),
        (1 < Rate.price, "(price > 1.00000)"),  # noqa: SIM300  # both ways round
        (Rate.lots >= 3, "(lots >= 3)"),
        (Rate.size > Decimal("0.12345"), "(size > 0.12345)"),
        (Rate.firm & ~(Rate.lots == 1) | (Rate.symbol == "X"), "((firm and (not (lots == 1))) or (symbol == 'X'))"),
        (Rate.at < NOW, "(at < 2025-01-01T00:00:00+00:00)"),
        (Rate.day == date(2025, 1, 2), "(day == 2025-01-02)"),
        (Rate.price + 1, "(price + 1.00000)"),
        (1 - Rate.price, "(1.00000 - price)"),
        (2 + Rate.lots, "(2 + lots)"),
        (Rate.price * 2, "(price * 2)"),
        (2 * Rate.price, "(2 * price)"),
        (Rate.price * Decimal("0.5"), "(price * 0.5)"),
        (1 / Rate.price, "(1 / price)"),
        (Rate.lots * 1.5, "(lots * 1.5)"),
        (-Rate.price, "(-price)"),
        (ao.sum(Rate.price * Rate.size) / ao.sum(Rate.size), "(sum((price * size)) / sum(size))"),
        (ao.coalesce(ao.previous("close"), ao.first(Rate.price)), "coalesce(previous(close), first(price))"),
        (ao.greatest(ao.first(Rate.price), 3, ao.last(Rate.price)), "greatest(first(price), 3.00000, last(price))"),
        (ao.least(ao.count(), 3), "least(count(), 3)"),
        (ao.max(Rate.price) - ao.min(Rate.price), "(max(price) - min(price))"),
        (ao.avg(Rate.lots), "avg(lots)"),
    ],
)
def test_expressions_read_as_written(column: ao.Column[Any], text: str) -> None:
    assert repr(column) == f"Column({text})"


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Rate.price < 3, BOOL),
        (Rate.price + Rate.size, money(5)),
        (Rate.price * Rate.size, money(7)),
        (Rate.price * Decimal("0.5"), money(6)),
        (Rate.price * 2, money(5)),
        (Rate.lots + 1, INT64),
        (Rate.lots * Decimal("0.25"), money(2)),
        (Rate.price / Rate.size, DataType(name="float64")),
        (Rate.price + Rate.weight, DataType(name="float64")),
        (ao.sum(Rate.size), money(2)),
        (ao.avg(Rate.size), DataType(name="float64")),
        (ao.count(), INT64),
    ],
)
def test_types_are_known_at_once_and_equal_those_of_the_plan(column: ao.Column[Any], kind: DataType) -> None:
    assert column.type == kind
    assert type_of(column.node, Rate.__entity__) == kind


def test_what_depends_on_the_selection_has_no_type_yet() -> None:
    assert (ao.previous("close") + 1).type is None
    assert (ao.previous("close") > 1).type == BOOL


def test_constants_take_the_type_of_the_column() -> None:
    assert (Rate.price > 1).node == Op(op=">", args=(Col(name="price"), Lit(type=money(5), value=100_000)))
    assert (Rate.weight > 1).node == Op(
        op=">", args=(Col(name="weight"), Lit(type=DataType(name="float64"), value=1.0))
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda r: r.at < 3,
        lambda r: r.at < NOW.replace(tzinfo=None),
        lambda r: r.day == NOW,
        lambda r: r.symbol == 3,
        lambda r: r.symbol == None,  # noqa: E711  # that is the point
        lambda r: r.price > 1.5,
        lambda r: r.price > -math.inf,
        lambda r: r.weight > float("inf"),
        lambda r: r.lots == 1.5,
        lambda r: r.lots == True,  # noqa: E712  # that is the point
        lambda r: r.lots > 2**70,
        lambda r: r.price == Decimal("NaN"),
        lambda r: r.price == Decimal("1e-30"),
        lambda r: r.price == Decimal("1e17"),
        lambda r: r.price == [1],
        lambda r: r.price < r.at,
        lambda r: r.price & r.firm,
        lambda r: ~r.price,
        lambda r: -r.symbol,
        lambda r: r.at - r.at,
        lambda r: r.symbol + "x",
        lambda r: r.price * r.price * r.price * r.price,
        lambda r: ao.sum(r.symbol),
        lambda r: ao.first(r.at),
        lambda r: ao.sum(ao.first(r.price)),
        lambda _: ao.max(ao.previous("close")),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_a_hint(write: Callable[[Any], Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        write(Rate)
    assert caught.value.hint


@pytest.mark.parametrize("write", [lambda: ao.sum(3), lambda: ao.greatest(1, 2), lambda: ao.ohlcv("price")])  # type: ignore[arg-type]  # that is the point
def test_functions_need_columns(write: Callable[[], Any]) -> None:
    with pytest.raises(UsageError):
        write()


@pytest.mark.parametrize(
    "write",
    [
        lambda: (Rate.price > 0) and (Rate.size > 0),
        lambda: not (Rate.price > 0),
        lambda: 0 < Rate.price < 1,
        lambda: Rate.price in (Rate.size, Rate.price),
    ],
)
def test_truth_of_a_column_is_refused_with_the_operators_to_use(write: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as caught:
        write()
    assert "&" in caught.value.hint


def test_columns_cannot_be_looked_up() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Rate.price)


def test_ohlcv_selects_six_columns() -> None:
    assert {n: repr(c) for n, c in ao.ohlcv(Rate.price, Rate.size).items()} == {
        "open": "Column(first(price))",
        "high": "Column(max(price))",
        "low": "Column(min(price))",
        "close": "Column(last(price))",
        "volume": "Column(sum(size))",
        "ticks": "Column(count())",
    }
