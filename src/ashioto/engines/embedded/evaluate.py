"""Evaluates expressions on columns: conditions and inputs on ticks, selected columns on partial bars.

Decimals are scaled int64 all the way. Where a result leaves 64 bits the value is marked as overflown and not wrapped;
the caller decides whether that rejects a tick or is an error.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.logical.nodes import BOOL, FLOAT64, INT64, DataType, Expr, Lit, Op

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64] | Mask
N = TypeVar("N", npt.NDArray[np.int64], npt.NDArray[np.float64])
_LIMIT: Final = 2.0**63
_DOUBT: Final = 2.0**13
"""How near to the limit rounded results say nothing; twice what sums and products of three roundings can be off."""
_WHOLE: Final[dict[str, Callable[..., int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "neg": operator.neg,
}
_COMPARE: Final = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


_TEXT: Final = {
    "==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
"""By code point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Holds a column of values.

    Args:
        type: Their type; decimals are scaled integers.
        data: The numbers, one a row.
        text: Stands in for `data` in text columns.
        null: Where there is no value; None means nowhere.
        overflow: Where 64 bits were left; None means nowhere.
    """

    type: DataType
    data: Numbers
    text: pa.Array | None = None
    null: Mask | None = None
    overflow: Mask | None = None


def either(a: Mask | None, b: Mask | None) -> Mask | None:
    """Return where either mask is set.

    >>> either(None, np.array([True, False])).tolist()
    [True, False]
    """
    if a is None or b is None:
        return b if a is None else a
    return a | b


def known(mask: Mask | None, null: Mask | None) -> Mask | None:
    """Return where a mask is set and there is a value.

    >>> known(np.array([True, True]), np.array([True, False])).tolist()
    [False, True]
    """
    return mask if mask is None or null is None else mask & ~null


def evaluate(expr: Expr, leaf: Callable[[Expr], Value], rows: int) -> Value:
    """Return the value of an expression in every row.

    Args:
        expr: The expression; it has been typed already.
        leaf: Gives the values of what is neither operator nor constant.
        rows: How many rows there are.

    >>> from ashioto.logical.nodes import Col
    >>> column = Value(type=INT64, data=np.array([1, 2]))
    >>> doubled = Op(op="*", args=(Col(name="n"), Lit(type=INT64, value=2)))
    >>> evaluate(doubled, lambda _: column, 2).data.tolist()
    [2, 4]
    """
    if isinstance(expr, Lit):
        return constant(expr, rows)
    if not isinstance(expr, Op):
        return leaf(expr)
    args = [evaluate(arg, leaf, rows) for arg in expr.args]
    null, overflow = None, None
    for arg in args:
        null, overflow = either(null, arg.null), either(overflow, arg.overflow)
    if expr.op in _COMPARE:
        return _compare(expr.op, args[0], args[1], null, overflow)
    if expr.op in {"and", "or", "not"}:
        return _logic(expr.op, args, null, overflow)
    if expr.op in {"greatest", "least", "coalesce"}:
        return _choose(expr.op, args)
    return _arithmetic(expr.op, args, null, overflow)


def constant(literal: Lit, rows: int) -> Value:
    """Return a constant in every row; a null constant is null everywhere.

    >>> constant(Lit(type=INT64, value=3), 2).data.tolist()
    [3, 3]
    """
    if literal.value is None:
        return Value(type=literal.type, data=np.zeros(rows, dtype=np.int64), null=np.ones(rows, dtype=np.bool_))
    if isinstance(literal.value, str):
        return Value(type=literal.type, data=np.zeros(0, dtype=np.int64), text=pa.scalar(literal.value))
    dtype = {"float64": np.float64, "bool": np.bool_}.get(literal.type.name, np.int64)
    return Value(type=literal.type, data=np.full(rows, literal.value, dtype=dtype))


def floats(value: Value) -> npt.NDArray[np.float64]:
    """Return numbers as floats, decimals divided by their scale.

    >>> floats(Value(type=DataType(name="decimal", precision=18, scale=2), data=np.array([150]))).tolist()
    [1.5]
    """
    return value.data.astype(np.float64) / 10.0**value.type.scale


def rescale(value: Value, scale: int) -> Value:
    """Return an integer or decimal with this larger scale, marking what overflows.

    >>> rescale(Value(type=INT64, data=np.array([3])), 2).data.tolist()
    [300]
    """
    factor = 10 ** (scale - value.type.scale)
    if factor == 1:
        return value
    data = value.data.astype(np.int64)
    over = _too_large("*", [data, np.full_like(data, factor)], data.astype(np.float64) * factor)
    kind = DataType(name="decimal", precision=18, scale=scale)
    overflow = either(value.overflow, known(over, value.null))
    return Value(type=kind, data=data * np.int64(factor), null=value.null, overflow=overflow)


def _too_large(op: str, args: Sequence[npt.NDArray[np.int64]], estimate: npt.NDArray[np.float64]) -> Mask | None:
    """Return where a result leaves 64 bits, or None; by exact numbers where the rounded estimate does not say."""
    size = np.abs(estimate)
    over: Mask = size >= _LIMIT
    for row in np.flatnonzero(np.abs(size - _LIMIT) <= _DOUBT).tolist():
        over[row] = not -(2**63) <= _WHOLE[op](*(int(arg[row]) for arg in args)) < 2**63
    return over if over.any() else None


def _aligned(args: list[Value]) -> list[Value]:
    if any(a.type.name == "float64" for a in args):
        return [Value(type=FLOAT64, data=floats(a), null=a.null, overflow=a.overflow) for a in args]
    scale = max(a.type.scale for a in args)
    return [rescale(a, scale) for a in args]


def _compare(op: str, left: Value, right: Value, null: Mask | None, overflow: Mask | None) -> Value:
    if left.text is not None or right.text is not None:
        found: Mask = _TEXT[op](_plain(left.text), _plain(right.text)).fill_null(False).to_numpy(zero_copy_only=False)
        return Value(type=BOOL, data=found, null=null, overflow=overflow)
    if left.type.is_numeric:
        left, right = _aligned([left, right])
        overflow = either(overflow, either(left.overflow, right.overflow))
    return Value(type=BOOL, data=_COMPARE[op](left.data, right.data), null=null, overflow=overflow)


def _plain(text: pa.Array | pa.Scalar | None) -> pa.Array | pa.Scalar:
    return text.cast(pa.string()) if isinstance(text, pa.DictionaryArray) else text


def _logic(op: str, args: list[Value], null: Mask | None, overflow: Mask | None) -> Value:
    """Apply the logic of SQL: what is not known stays so, unless the other side decides."""
    truths = [arg.data.astype(np.bool_) for arg in args]
    if op == "not":
        return Value(type=BOOL, data=~truths[0], null=null, overflow=overflow)
    decides = op == "or"
    decided = np.zeros(truths[0].shape[0], dtype=np.bool_)
    for arg, truth in zip(args, truths, strict=True):
        mine = truth == decides
        decided |= mine if arg.null is None else mine & ~arg.null
    unknown = None if null is None else null & ~decided
    return Value(type=BOOL, data=decided if decides else ~decided, null=unknown, overflow=overflow)


def _choose(op: str, args: list[Value]) -> Value:
    """Take the greatest, least or first value that is not null."""
    args = _aligned(args)
    result = args[0]
    for arg in args[1:]:
        mine = np.zeros(len(result.data), dtype=np.bool_) if result.null is None else result.null
        theirs = np.zeros(len(arg.data), dtype=np.bool_) if arg.null is None else arg.null
        if op == "coalesce":
            take = mine
        else:
            better = arg.data > result.data if op == "greatest" else arg.data < result.data
            take = ~theirs & (mine | better)
        overflow = either(result.overflow, arg.overflow)
        result = Value(
            type=result.type, data=np.where(take, arg.data, result.data), null=mine & theirs, overflow=overflow
        )
    return result


def _divide(left: Value, right: Value, null: Mask | None, overflow: Mask | None) -> Value:
    divisor = floats(right)
    zero: Mask = divisor == 0.0
    with np.errstate(all="ignore"):  # infinities are for the caller to judge
        quotient = floats(left) / np.where(zero, 1.0, divisor)
    return Value(type=FLOAT64, data=quotient, null=either(null, zero if zero.any() else None), overflow=overflow)


def _arithmetic(op: str, args: list[Value], null: Mask | None, overflow: Mask | None) -> Value:
    if op == "/":
        return _divide(args[0], args[1], null, overflow)
    if op != "*":
        args = _aligned(args)
        for arg in args:
            overflow = either(overflow, arg.overflow)
    if any(a.type.name == "float64" for a in args):
        numbers = [floats(a) for a in args]
        return Value(type=FLOAT64, data=_apply(op, numbers), null=null, overflow=overflow)
    ints = [a.data.astype(np.int64) for a in args]
    result = _apply(op, ints)
    estimate = _apply(op, [i.astype(np.float64) for i in ints])
    scale = sum(a.type.scale for a in args) if op == "*" else args[0].type.scale
    is_int = all(a.type.name == "int64" for a in args)
    kind = INT64 if is_int else DataType(name="decimal", precision=18, scale=scale)
    over = known(_too_large(op, ints, estimate), null)
    return Value(type=kind, data=result, null=null, overflow=either(overflow, over))


def _apply(op: str, args: Sequence[N]) -> N:
    if op == "neg":
        return -args[0]
    left, right = args
    with np.errstate(all="ignore"):
        if op == "+":
            return left + right
        return left - right if op == "-" else left * right
