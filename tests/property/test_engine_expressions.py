"""Expressions over columns are exact, and say where they left 64 bits or have no value: against whole numbers."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ashioto.engines.embedded.evaluate import Value, evaluate
from ashioto.errors import DefinitionError
from ashioto.logical.nodes import BOOL, FLOAT64, INT64, Col, Column, DataType, Entity, Expr, Lit, Op
from ashioto.logical.types import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

CENTS = DataType(name="decimal", precision=18, scale=2)
SMALL = DataType(name="decimal", precision=18, scale=7)
TYPES = {"n": INT64, "cents": CENTS, "small": SMALL, "real": FLOAT64, "yes": BOOL}
ENTITY = Entity(name="Rate", kind="stream", columns=tuple(Column(name=n, type=t) for n, t in TYPES.items()))
EDGE = [2**63 - 1, -(2**63), 2**62, -(2**62), 2**31, 3037000500, 3074457345618258603, 9_016_004_923_611_703]
WHOLE = st.one_of(st.integers(-3, 3), st.sampled_from(EDGE), st.integers(-(2**63), 2**63 - 1), st.integers(500, 1100))
REAL = st.one_of(st.sampled_from([0.0, -0.0, 1.5, 1e300, -1e-300]), st.floats(allow_nan=False, allow_infinity=False))
LEAVES: st.SearchStrategy[Expr] = st.one_of(
    st.sampled_from([Col(name=name) for name in TYPES]),
    st.builds(lambda v: Lit(type=INT64, value=v), WHOLE),
    st.builds(lambda v: Lit(type=CENTS, value=v), WHOLE),
    st.builds(lambda v: Lit(type=FLOAT64, value=v), REAL),
    st.sampled_from([Lit(type=INT64, value=None), Lit(type=BOOL, value=True)]),
)
TWO = ["+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "and", "or", "greatest", "least", "coalesce"]


def _bigger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    two = st.builds(lambda op, a, b: Op(op=op, args=(a, b)), st.sampled_from(TWO), inner, inner)
    one = st.builds(lambda op, a: Op(op=op, args=(a,)), st.sampled_from(["neg", "not"]), inner)
    return st.one_of(two, one)


def _types(expr: Expr) -> bool:
    try:
        type_of(expr, ENTITY)
    except DefinitionError:
        return False
    return True


EXPRESSIONS = st.recursive(LEAVES, _bigger, max_leaves=6).filter(_types)


@dataclass(frozen=True)
class Number:
    """A value by plain Python: units and scale, a float, or a truth; None is null."""

    value: Any
    scale: int = 0
    lost: bool = False


def within(number: Number) -> Number:
    lost = isinstance(number.value, int) and not -(2**63) <= number.value < 2**63
    return replace(number, lost=number.lost or lost)


def real(number: Number) -> Any:
    return number.value if number.value is None else float(number.value) / 10.0**number.scale


def aligned(args: list[Number], kinds: list[DataType]) -> list[Number]:
    if any(kind == FLOAT64 for kind in kinds):
        return [replace(arg, value=real(arg), scale=0) for arg in args]
    scale = max(kind.scale for kind in kinds)
    return [
        within(replace(a, value=None if a.value is None else a.value * 10 ** (scale - k.scale), scale=scale))
        for a, k in zip(args, kinds, strict=True)
    ]


def model(expr: Expr, row: dict[str, Any]) -> Number:
    """The value of an expression in one row."""
    if isinstance(expr, Col):
        return Number(row[expr.name], TYPES[expr.name].scale)
    if isinstance(expr, Lit):
        return Number(expr.value, expr.type.scale)
    assert isinstance(expr, Op)
    args = [model(arg, row) for arg in expr.args]
    kinds = [type_of(arg, ENTITY) for arg in expr.args]
    lost = any(arg.lost for arg in args)
    if expr.op in {"and", "or", "not"}:
        return Number(logic(expr.op, [arg.value for arg in args]), lost=lost)
    if expr.op not in {"*", "/"} and kinds[0] != BOOL:
        args = aligned(args, kinds)
        lost = any(arg.lost for arg in args)
    return replace(apply(expr.op, args, kinds), lost=lost or apply(expr.op, args, kinds).lost)


def apply(op: str, args: list[Number], kinds: list[DataType]) -> Number:
    values = [arg.value for arg in args]
    held = [value for value in values if value is not None]
    if op in {"greatest", "least", "coalesce"}:
        choices: dict[str, Callable[[list[Any]], Any]] = {"greatest": max, "least": min, "coalesce": lambda v: v[0]}
        return Number(choices[op](held) if held else None, args[0].scale)
    if len(held) < len(values):
        return Number(None)
    if op == "/":
        left, right = (real(arg) for arg in args)
        with np.errstate(all="ignore"):
            return Number(None if right == 0 else float(np.float64(left) / np.float64(right)))
    if op in {"+", "-", "*", "neg"}:
        scale = sum(arg.scale for arg in args) if op == "*" else args[0].scale
        if FLOAT64 in kinds:
            values, scale = [real(arg) for arg in args], 0
        made = getattr(operator, {"+": "add", "-": "sub", "*": "mul", "neg": "neg"}[op])
        return within(Number(made(*values), scale))
    left, right = values
    truths = {"==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right}
    return Number(truths.get(op, left >= right))


def logic(op: str, values: list[Any]) -> Any:
    if op == "not":
        return None if values[0] is None else not values[0]
    decides = op == "or"
    return decides if decides in values else (None if None in values else not decides)


ROWS = st.lists(st.tuples(WHOLE, WHOLE, WHOLE, REAL, st.booleans()), min_size=1, max_size=4)
OVER = Op(op="/", args=(Col(name="real"), Lit(type=FLOAT64, value=1e-300)))
PRODUCT = Op(op="*", args=(Col(name="n"), Col(name="n")))


def by_engine(expr: Expr, rows: list[tuple[Any, ...]]) -> Value:
    columns: dict[str, Any] = {
        name: np.array(values, dtype={"float64": np.float64, "bool": np.bool_}.get(TYPES[name].name, np.int64))
        for name, values in zip(TYPES, zip(*rows, strict=True), strict=True)
    }

    def leaf(node: Expr) -> Value:
        assert isinstance(node, Col)
        return Value(type=TYPES[node.name], data=columns[node.name])

    return evaluate(expr, leaf, len(rows))


@settings(max_examples=500)
@given(expr=EXPRESSIONS, rows=ROWS)
@example(expr=Op(op="*", args=(Col(name="n"), Col(name="cents"))), rows=[(9_016_004_923_611_703, 1023, 0, 0.0, True)])
@example(expr=PRODUCT, rows=[(3037000499, 0, 0, 0.0, True), (3037000500, 0, 0, 0.0, True)])
@example(expr=Op(op="+", args=(Col(name="n"), Col(name="cents"))), rows=[(92233720368547758, 0, 0, 0.0, True)])
@example(expr=Op(op="neg", args=(Col(name="n"),)), rows=[(-(2**63), 0, 0, 0.0, True)])
@example(expr=OVER, rows=[(0, 0, 0, 1e300, True)])
@example(expr=Op(op="-", args=(OVER, OVER)), rows=[(0, 0, 0, 1e300, True)])
@example(expr=Op(op="*", args=(Col(name="real"), Col(name="real"))), rows=[(0, 0, 0, 1e300, True)])
@example(expr=Op(op="-", args=(Lit(type=INT64, value=None), Col(name="cents"))), rows=[(0, -(2**63), 0, 0.0, False)])
def test_expressions_are_exact_and_overflow_is_told(expr: Expr, rows: list[tuple[Any, ...]]) -> None:
    got = by_engine(expr, rows)
    kind = type_of(expr, ENTITY)
    for number, row in enumerate(rows):
        wanted = model(expr, dict(zip(TYPES, row, strict=True)))
        lost = got.overflow is not None and bool(got.overflow[number])
        assert lost == wanted.lost
        null = got.null is not None and bool(got.null[number])
        if wanted.lost:
            continue
        assert null == (wanted.value is None)
        if null:
            continue
        value = got.data[number].item()
        if kind == FLOAT64:
            assert same(value, real(wanted))
        else:
            assert (value, got.type.scale) == (wanted.value, kind.scale)


def same(mine: float, theirs: float) -> bool:
    return mine == theirs or (math.isnan(mine) and math.isnan(theirs))


def near_limit() -> list[tuple[int, int]]:
    """Factors whose product is just above and just below 64 bits, where rounded products say nothing."""
    return [(a + step, b) for b in range(501, 1100, 2) for a in [-(-(2**63) // b)] for step in (-1, 0, 1)]


def test_products_around_64_bits_are_told_to_the_unit() -> None:
    pairs = near_limit()
    got = by_engine(Op(op="*", args=(Col(name="n"), Col(name="cents"))), [(a, b, 0, 0.0, True) for a, b in pairs])
    assert got.overflow is not None
    assert got.overflow.tolist() == [a * b >= 2**63 for a, b in pairs]
