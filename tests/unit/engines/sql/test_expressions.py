"""Expressions in SQL have the values of the embedded engine: exact, null where it is, whatever the dialect's ways."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_sql import DUCKDB

from ashioto.engines.embedded.evaluate import Value, evaluate
from ashioto.engines.ksqldb.dialect import KSQLDB
from ashioto.engines.sql.ast import Case, IsNull, column
from ashioto.engines.sql.expressions import Translator
from ashioto.engines.sql.numbers import Term
from ashioto.engines.sql.printer import Printer
from ashioto.errors import DefinitionError, UnsupportedError
from ashioto.logical.nodes import BOOL, FLOAT64, INT64, TEXT, Col, Column, DataType, Entity, Lit, Op
from ashioto.logical.types import type_of

if TYPE_CHECKING:
    from ashioto.engines.sql.dialect import Dialect
    from ashioto.logical.nodes import Expr

PRICE, SIZE = DataType(name="decimal", precision=18, scale=4), DataType(name="decimal", precision=18, scale=1)
KINDS = {"p": PRICE, "q": SIZE, "n": INT64, "x": FLOAT64, "flag": BOOL, "name": TEXT}
ENTITY = Entity(name="Rate", kind="stream", columns=tuple(Column(name=n, type=k) for n, k in KINDS.items()))
NUMBERS = [Col(name=name) for name in ("p", "q", "n", "x")]
DIALECTS = [DUCKDB, replace(DUCKDB, null_arithmetic=False), replace(DUCKDB, greatest_skips_null=False)]


def leaf(expr: Expr) -> Term:
    """Read a column by its name."""
    assert isinstance(expr, Col)
    return Term(column(expr.name), KINDS[expr.name])


def translator(dialect: Dialect) -> Translator:
    return Translator(dialect=dialect, leaf=leaf, where="q")


def literals() -> st.SearchStrategy[Expr]:
    whole = st.integers(-1000, 1000)
    return st.one_of(
        whole.map(lambda v: Lit(type=INT64, value=v)),
        whole.map(lambda v: Lit(type=SIZE, value=v)),
        st.floats(-1e6, 1e6).map(lambda v: Lit(type=FLOAT64, value=v)),
    )


def numbers() -> st.SearchStrategy[Expr]:
    def grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        pairs = st.builds(
            lambda op, a, b: Op(op=op, args=(a, b)),
            st.sampled_from(["+", "-", "*", "/", "greatest", "least", "coalesce"]),
            inner,
            inner,
        )
        return pairs | inner.map(lambda a: Op(op="neg", args=(a,)))

    return st.recursive(st.sampled_from(NUMBERS) | literals(), grow, max_leaves=4)


def conditions() -> st.SearchStrategy[Expr]:
    compared: st.SearchStrategy[Expr] = st.builds(
        lambda op, a, b: Op(op=op, args=(a, b)),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        numbers(),
        numbers(),
    )

    def grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        pairs = st.builds(
            lambda op, a, b: Op(op=op, args=(a, b)), st.sampled_from(["and", "or", "==", "!=", "<", ">="]), inner, inner
        )
        return pairs | inner.map(lambda a: Op(op="not", args=(a,)))

    return st.recursive(compared | st.just(Col(name="flag")), grow, max_leaves=4)


ROWS = [  # DuckDB keeps products of two decimals in 18 digits, so none are large here
    {"p": 0, "q": 0, "n": 0, "x": 0.0, "flag": True},
    {"p": 12_345, "q": -7, "n": 3, "x": 0.1, "flag": False},
    {"p": -1, "q": 10**4, "n": -(2**40), "x": -1e300, "flag": True},
    {"p": 10**7 - 1, "q": 5, "n": 2**63 - 1, "x": 1.0, "flag": False},
]


def stored(kind: DataType, value: Any) -> Any:
    return Decimal(value).scaleb(-kind.scale) if kind.name == "decimal" else value


def database() -> Any:
    db = duckdb.connect()
    types = {n: pa.decimal128(18, k.scale) if k.name == "decimal" else None for n, k in KINDS.items()}
    table = pa.table({n: pa.array([stored(KINDS[n], r[n]) for r in ROWS], types[n]) for n in ROWS[0]})
    db.register("rows_arrow", table)
    db.execute("CREATE TABLE rows AS SELECT * FROM rows_arrow")
    return db


DB = database()


def run(dialect: Dialect, sql: Any) -> list[Any]:
    said = Printer(dialect).expression(sql)
    return [row[0] for row in DB.sql(f"SELECT {said} FROM rows").fetchall()]  # noqa: S608  # it is what is tested


def embedded(expr: Expr) -> Value:
    def read(node: Expr) -> Value:
        assert isinstance(node, Col)
        dtype = {"x": np.float64, "flag": np.bool_}.get(node.name, np.int64)
        return Value(type=KINDS[node.name], data=np.array([r[node.name] for r in ROWS], dtype=dtype))

    return evaluate(expr, read, len(ROWS))


def expected(expr: Expr) -> list[Any]:
    """What the embedded engine has, None for null; a decimal of more than 18 digits has no room in a column."""
    value = embedded(expr)
    found = []
    for row, number in enumerate(value.data.tolist()):
        null = value.null is not None and value.null[row]
        over = value.overflow is not None and value.overflow[row]
        wide = value.type.name == "decimal" and abs(number) >= 10**18
        found.append(None if null or over or wide else stored(value.type, number))
    return found


def typed(expr: Expr) -> bool:
    try:
        type_of(expr, ENTITY)
    except DefinitionError:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(numbers().filter(typed), st.sampled_from(DIALECTS))
def test_numbers_are_those_of_the_embedded_engine(expr: Expr, dialect: Dialect) -> None:
    value = embedded(expr)
    if value.overflow is not None or not np.isfinite(value.data.astype(np.float64)).all():
        return
    actual = run(dialect, translator(dialect).value(expr).sql)
    for mine, theirs in zip(actual, expected(expr), strict=True):
        if theirs is None or mine is None:
            assert mine is theirs or type_of(expr, ENTITY).name == "float64"
        assert mine is None or theirs is None or mine == theirs


@settings(max_examples=150, deadline=None)
@given(conditions().filter(typed), st.sampled_from(DIALECTS))
def test_conditions_hold_where_they_do_in_the_embedded_engine(expr: Expr, dialect: Dialect) -> None:
    value = embedded(expr)
    if value.overflow is not None:
        return
    truth = value.data.astype(np.bool_)
    met = truth if value.null is None else truth & ~value.null
    actual = run(dialect, translator(dialect).holds(expr))
    assert [bool(found) for found in actual] == met.tolist()


def test_a_sum_that_leaves_64_bits_is_null() -> None:
    twice = Op(op="+", args=(Col(name="n"), Col(name="n")))
    assert run(DUCKDB, translator(DUCKDB).value(twice).sql)[3] is None


def test_products_of_many_decimals_are_brought_back_to_size_between() -> None:
    cube = Op(op="*", args=(Op(op="*", args=(Col(name="p"), Col(name="p"))), Col(name="q")))
    assert run(DUCKDB, translator(DUCKDB).value(cube).sql)[1] == Decimal("1.2345") ** 2 * Decimal("-0.7")


def test_division_by_zero_is_null_and_not_an_error() -> None:
    ratio = Op(op="/", args=(Col(name="p"), Col(name="q")))
    assert run(DUCKDB, translator(DUCKDB).value(ratio).sql)[0] is None


def test_a_decimal_becomes_a_double_by_way_of_its_scaled_integer() -> None:
    half = Op(op="/", args=(Col(name="p"), Lit(type=INT64, value=1)))
    assert run(DUCKDB, translator(DUCKDB).value(half).sql)[3] == float(10**7 - 1) / 10.0**4


def test_nothing_is_negated_that_may_be_unknown() -> None:
    unsure = Op(op=">", args=(Op(op="/", args=(Col(name="p"), Col(name="q"))), Lit(type=FLOAT64, value=1.0)))
    nested = Op(op="not", args=(Op(op="and", args=(unsure, Op(op="not", args=(Col(name="flag"),)))),))
    said = Printer(KSQLDB).expression(translator(KSQLDB).holds(nested))
    assert "NOT" not in said.replace("IS NOT NULL", "")
    assert "<= 1.0E0" in said


def test_arithmetic_with_what_may_be_null_is_guarded_where_the_engine_fails_on_it() -> None:
    ratio = Op(op="/", args=(Col(name="p"), Col(name="q")))
    more = Op(op="+", args=(ratio, Lit(type=FLOAT64, value=1.0)))
    guarded = translator(KSQLDB).value(more).sql
    assert isinstance(guarded, Case)
    assert isinstance(guarded.whens[0][0], IsNull)
    assert not isinstance(translator(DUCKDB).value(more).sql, Case)


def test_text_is_compared_for_equality_but_not_put_in_order() -> None:
    name, other = Col(name="name"), Lit(type=TEXT, value="o'clock ${x}")
    said = Printer(KSQLDB).expression(translator(KSQLDB).holds(Op(op="!=", args=(name, other))))
    assert said == "`name` <> CONCAT('o''clock $', '{x}')"
    with pytest.raises(UnsupportedError, match="text") as caught:
        translator(KSQLDB).holds(Op(op="<", args=(name, other)))
    assert caught.value.ids["capability"] == "text_order"


def test_constants_are_of_the_type_of_their_columns() -> None:
    price = translator(KSQLDB).value(Lit(type=PRICE, value=-5))
    assert Printer(KSQLDB).expression(price.sql) == "CAST('-0.0005' AS DECIMAL(18, 4))"
