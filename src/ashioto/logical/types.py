"""The type of every expression, decided from the types of its parts.

Decimals stay exact: sums keep the larger scale, products add the scales. Division and `avg` give float64, because their
exact result has no finite number of digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.errors import DefinitionError
from ashioto.logical.nodes import (
    BOOL,
    FLOAT64,
    INT64,
    OPS,
    Agg,
    Col,
    DataType,
    Lit,
    Op,
    Previous,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.logical.nodes import Entity, Expr

MAX_PRECISION: Final = 18
"""Digits that a decimal may have: what 64 bits hold."""

_COMPARE: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_LOGIC: Final = frozenset({"and", "or", "not"})
_CHOICE: Final = frozenset({"greatest", "least", "coalesce"})


def type_of(expr: Expr, entity: Entity, outputs: Mapping[str, DataType] | None = None) -> DataType:
    """Return the type of an expression.

    Args:
        expr: What to type.
        entity: Where its columns are declared.
        outputs: Types of the selected columns that `Previous` may name.

    Raises:
        DefinitionError: A column is unknown or an operator does not fit its arguments.

    >>> from ashioto.logical.nodes import Column, Entity
    >>> rate = Entity(name="Rate", kind="stream", columns=(Column(name="n", type=INT64),))
    >>> str(type_of(Op(op="/", args=(Col(name="n"), Col(name="n"))), rate))
    'float64'
    """
    match expr:
        case Lit():
            return expr.type
        case Col():
            column = entity.find(expr.name)
            if column is None:
                names = ", ".join(c.name for c in entity.columns)
                raise DefinitionError(
                    f"{entity.name} has no column {expr.name!r}", hint=f"its columns are {names}", column=expr.name
                )
            return column.type
        case Previous():
            known = outputs or {}
            if expr.output not in known:
                raise DefinitionError(
                    f"previous({expr.output!r}) names no column selected before it",
                    hint=f"selected so far: {', '.join(known) or 'none'}",
                    column=expr.output,
                )
            return known[expr.output]
        case Agg():
            return _agg_type(expr, entity)
        case Op():
            return type_of_op(expr.op, tuple(type_of(arg, entity, outputs) for arg in expr.args))


def _agg_type(agg: Agg, entity: Entity) -> DataType:
    if agg.func == "count":
        return INT64
    if agg.arg is None:
        raise DefinitionError(f"{agg.func}() needs a column", hint=f"e.g. ao.{agg.func}(Rate.price)")
    return type_of_agg(agg.func, type_of(agg.arg, entity))


def type_of_agg(func: str, inner: DataType) -> DataType:
    """Return the type of an aggregate over values of a type.

    Raises:
        DefinitionError: The values are no numbers.

    >>> str(type_of_agg("avg", INT64))
    'float64'
    """
    if not inner.is_numeric:
        raise DefinitionError(
            f"{func}() takes numbers, not {inner}", hint="aggregate an int, float or decimal column", func=func
        )
    return FLOAT64 if func == "avg" else inner


def type_of_op(op: str, types: tuple[DataType, ...]) -> DataType:
    """Return the type of an operator over operands of these types.

    Raises:
        DefinitionError: The operator does not take them.

    >>> str(type_of_op("<", (INT64, FLOAT64)))
    'bool'
    """
    arity = OPS.get(op)
    if arity is None or (len(types) != arity if arity >= 0 else not types):
        raise DefinitionError(f"operator {op!r} does not take {len(types)} arguments", hint=f"one of {', '.join(OPS)}")
    if op in _LOGIC:
        if any(t != BOOL for t in types):
            raise DefinitionError(
                f"{op!r} takes conditions, not {_names(types)}", hint="compare first, e.g. Rate.size > 0"
            )
        return BOOL
    if op in _COMPARE:
        if not (types[0].name == types[1].name or all(t.is_numeric for t in types)):
            raise DefinitionError(f"{types[0]} and {types[1]} do not compare", hint="both sides must be of one kind")
        return BOOL
    if not all(t.is_numeric for t in types):
        raise DefinitionError(f"{op!r} takes numbers, not {_names(types)}", hint="use int, float or decimal columns")
    return _number_type(op, types)


def _number_type(op: str, types: tuple[DataType, ...]) -> DataType:
    if op == "/" or any(t.name == "float64" for t in types):
        return FLOAT64
    if all(t.name == "int64" for t in types):
        return INT64
    scales = [t.scale for t in types]
    scale = sum(scales) if op == "*" else max(scales)
    if scale > MAX_PRECISION:
        raise DefinitionError(
            f"{_names(types)} under {op!r} would need {scale} digits after the point",
            hint="declare one side with a smaller scale, or as float",
        )
    return DataType(name="decimal", precision=MAX_PRECISION, scale=scale)


def _names(types: tuple[DataType, ...]) -> str:
    return " and ".join(map(str, types))
