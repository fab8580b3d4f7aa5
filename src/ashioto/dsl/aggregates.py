"""Aggregates that merge, so that ticks may be folded in any order, and functions over them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from ashioto.dsl.columns import Column, apply
from ashioto.errors import DefinitionError, UsageError
from ashioto.logical.nodes import INT64, Agg, Previous, walk
from ashioto.logical.types import type_of_agg

if TYPE_CHECKING:
    from ashioto.logical.nodes import AggName

T = TypeVar("T")
N = TypeVar("N", int, float, Decimal)


def first(column: Column[N]) -> Column[N]:
    """Return the value of the bucket's first tick, by event time and then sequence.

    >>> from ashioto.logical.nodes import Col
    >>> first(Column[int](Col(name="n"), type=INT64))
    Column(first(n))
    """
    return _aggregate("first", column)


def last(column: Column[N]) -> Column[N]:
    """Return the value of the bucket's last tick, by event time and then sequence.

    >>> from ashioto.logical.nodes import Col
    >>> last(Column[int](Col(name="n"), type=INT64))
    Column(last(n))
    """
    return _aggregate("last", column)


def min(column: Column[N]) -> Column[N]:  # noqa: A001  # users write ao.min
    """Return the smallest value of the bucket.

    >>> from ashioto.logical.nodes import Col
    >>> min(Column[int](Col(name="n"), type=INT64))
    Column(min(n))
    """
    return _aggregate("min", column)


def max(column: Column[N]) -> Column[N]:  # noqa: A001  # users write ao.max
    """Return the largest value of the bucket.

    >>> from ashioto.logical.nodes import Col
    >>> max(Column[int](Col(name="n"), type=INT64))
    Column(max(n))
    """
    return _aggregate("max", column)


def sum(column: Column[N]) -> Column[N]:  # noqa: A001  # users write ao.sum
    """Return the sum over the bucket; decimals stay exact.

    >>> from ashioto.logical.nodes import Col
    >>> sum(Column[int](Col(name="n"), type=INT64))
    Column(sum(n))
    """
    return _aggregate("sum", column)


def avg(column: Column[N]) -> Column[float]:
    """Return the mean over the bucket, kept as sum and count so that it merges.

    >>> from ashioto.logical.nodes import Col
    >>> avg(Column[int](Col(name="n"), type=INT64))
    Column(avg(n))
    """
    return _aggregate("avg", column)


def count() -> Column[int]:
    """Return the number of ticks in the bucket.

    >>> count()
    Column(count())
    """
    return Column(Agg(func="count", arg=None), type=INT64)


def ohlcv(price: Column[N], size: Column[Any] | None = None) -> dict[str, Column[Any]]:
    """Return open, high, low, close, volume and ticks, to be spread into `select`.

    Args:
        price: What the bar is of.
        size: What is added up to the volume; without it there is none.

    >>> from ashioto.logical.nodes import Col
    >>> list(ohlcv(Column[int](Col(name="n"), type=INT64)))
    ['open', 'high', 'low', 'close', 'ticks']
    """
    bar: dict[str, Column[Any]] = {"open": first(price), "high": max(price), "low": min(price), "close": last(price)}
    if size is not None:
        bar["volume"] = sum(size)
    bar["ticks"] = count()
    return bar


def previous(name: str) -> Column[Any]:
    """Return a selected column of the previous bar that had ticks.

    >>> previous("close")
    Column(previous(close))
    """
    return Column(Previous(output=name), type=None)


def greatest(*values: Column[N] | N | int) -> Column[N]:
    """Return the greatest of several values.

    >>> greatest(count(), 1)
    Column(greatest(count(), 1))
    """
    return _choice("greatest", values)


def least(*values: Column[N] | N | int) -> Column[N]:
    """Return the least of several values.

    >>> least(count(), 9)
    Column(least(count(), 9))
    """
    return _choice("least", values)


def coalesce(*values: Column[T] | T) -> Column[T]:
    """Return the first of several values that is there.

    >>> coalesce(previous("close"), count())
    Column(coalesce(previous(close), count()))
    """
    return _choice("coalesce", values)


def _choice(op: str, values: tuple[object, ...]) -> Column[Any]:
    if not any(isinstance(v, Column) for v in values):
        raise UsageError(f"{op}() needs a column among its values", hint=f"e.g. ao.{op}(ao.first(Rate.price), ...)")
    return apply(op, *values)


def _aggregate(func: AggName, column: Column[Any]) -> Column[Any]:
    if not isinstance(column, Column):
        raise UsageError(f"{func}() takes a column, not {column!r}", hint=f"e.g. ao.{func}(Rate.price)")
    if any(isinstance(e, Agg | Previous) for e in walk(column.node)):
        raise DefinitionError(
            f"{func}() takes values of single ticks, not an aggregate", hint="combine aggregates by + - * / instead"
        )
    kind = None if column.type is None else type_of_agg(func, column.type)
    return Column(Agg(func=func, arg=column.node), type=kind, entities=column.entities, parts=(column,))
