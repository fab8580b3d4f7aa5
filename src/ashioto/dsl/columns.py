"""Typed expressions over the columns of an entity: what `Rate.price` is when it is read from the class."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from ashioto.dsl.literals import literal
from ashioto.errors import UsageError
from ashioto.logical.nodes import BOOL, Lit, Op
from ashioto.logical.render import render_expr
from ashioto.logical.types import type_of_op

if TYPE_CHECKING:
    from ashioto.logical.nodes import DataType, Entity, Expr

T = TypeVar("T")
M = TypeVar("M", float, Decimal)


class Column(Generic[T]):
    """Stands for a value of type `T` in a query: a column, an aggregate, or an expression over them.

    Operators `== != < <= > >= & | ~ + - * /` build bigger expressions; constants take the type of the other side.

    Args:
        node: What it means.
        type: Its type; None while it depends on what will be selected.
        entities: Where the columns inside it are declared.
        parts: The operands it was built from.

    >>> from ashioto.logical.nodes import Col, INT64
    >>> size = Column[int](Col(name="size"), type=INT64)
    >>> (size * 2 > 10)
    Column(((size * 2) > 10))
    """

    __slots__ = ("entities", "node", "parts", "type")
    __hash__ = None  # type: ignore[assignment]  # == builds a condition, so columns cannot be looked up

    def __init__(
        self,
        node: Expr,
        *,
        type: DataType | None,  # noqa: A002  # the word of the plan
        entities: tuple[Entity, ...] = (),
        parts: tuple[Column[Any], ...] = (),
    ) -> None:
        self.node = node
        self.type = type
        self.entities = entities
        self.parts = parts

    def __repr__(self) -> str:
        return f"Column({render_expr(self.node)})"

    def __bool__(self) -> NoReturn:
        raise UsageError(
            f"{render_expr(self.node)} is a part of a query, it is neither true nor false here",
            hint="join conditions by & | ~ with each in parentheses, not by and/or/not or a < b < c",
        )

    @overload  # type: ignore[override]  # == builds a condition
    def __eq__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __eq__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __eq__(self, other: object) -> Column[bool]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return apply("==", self, other)

    @overload  # type: ignore[override]  # != builds a condition
    def __ne__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __ne__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __ne__(self, other: object) -> Column[bool]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return apply("!=", self, other)

    @overload
    def __lt__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __lt__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __lt__(self, other: Any) -> Column[bool]:
        return apply("<", self, other)

    @overload
    def __le__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __le__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __le__(self, other: Any) -> Column[bool]:
        return apply("<=", self, other)

    @overload
    def __gt__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __gt__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __gt__(self, other: Any) -> Column[bool]:
        return apply(">", self, other)

    @overload
    def __ge__(self, other: Column[T] | T) -> Column[bool]: ...
    @overload
    def __ge__(self: AnyNumber, other: AnyNumber | int) -> Column[bool]: ...
    def __ge__(self, other: Any) -> Column[bool]:
        return apply(">=", self, other)

    def __and__(self: Column[bool], other: Column[bool]) -> Column[bool]:
        return apply("and", self, other)

    def __or__(self: Column[bool], other: Column[bool]) -> Column[bool]:
        return apply("or", self, other)

    def __invert__(self: Column[bool]) -> Column[bool]:
        return apply("not", self)

    @overload
    def __add__(self: Column[int], other: Column[int] | int) -> Column[int]: ...
    @overload
    def __add__(self: Column[int], other: Column[M] | M) -> Column[M]: ...
    @overload
    def __add__(self: Column[Decimal], other: Exact | Decimal | int) -> Column[Decimal]: ...
    @overload
    def __add__(self: Column[Decimal], other: Column[float]) -> Column[float]: ...
    @overload
    def __add__(self: Column[float], other: AnyNumber | float) -> Column[float]: ...
    def __add__(self, other: Any) -> Any:
        return apply("+", self, other)

    @overload
    def __sub__(self: Column[int], other: Column[int] | int) -> Column[int]: ...
    @overload
    def __sub__(self: Column[int], other: Column[M] | M) -> Column[M]: ...
    @overload
    def __sub__(self: Column[Decimal], other: Exact | Decimal | int) -> Column[Decimal]: ...
    @overload
    def __sub__(self: Column[Decimal], other: Column[float]) -> Column[float]: ...
    @overload
    def __sub__(self: Column[float], other: AnyNumber | float) -> Column[float]: ...
    def __sub__(self, other: Any) -> Any:
        return apply("-", self, other)

    @overload
    def __mul__(self: Column[int], other: Column[int] | int) -> Column[int]: ...
    @overload
    def __mul__(self: Column[int], other: Column[M] | M) -> Column[M]: ...
    @overload
    def __mul__(self: Column[Decimal], other: Exact | Decimal | int) -> Column[Decimal]: ...
    @overload
    def __mul__(self: Column[Decimal], other: Column[float]) -> Column[float]: ...
    @overload
    def __mul__(self: Column[float], other: AnyNumber | float) -> Column[float]: ...
    def __mul__(self, other: Any) -> Any:
        return apply("*", self, other)

    @overload
    def __radd__(self: Column[int], other: int) -> Column[int]: ...
    @overload
    def __radd__(self: Column[int], other: M) -> Column[M]: ...
    @overload
    def __radd__(self: Column[Decimal], other: Decimal | int) -> Column[Decimal]: ...
    @overload
    def __radd__(self: Column[float], other: float) -> Column[float]: ...
    def __radd__(self, other: Any) -> Any:
        return apply("+", other, self)

    @overload
    def __rsub__(self: Column[int], other: int) -> Column[int]: ...
    @overload
    def __rsub__(self: Column[int], other: M) -> Column[M]: ...
    @overload
    def __rsub__(self: Column[Decimal], other: Decimal | int) -> Column[Decimal]: ...
    @overload
    def __rsub__(self: Column[float], other: float) -> Column[float]: ...
    def __rsub__(self, other: Any) -> Any:
        return apply("-", other, self)

    @overload
    def __rmul__(self: Column[int], other: int) -> Column[int]: ...
    @overload
    def __rmul__(self: Column[int], other: M) -> Column[M]: ...
    @overload
    def __rmul__(self: Column[Decimal], other: Decimal | int) -> Column[Decimal]: ...
    @overload
    def __rmul__(self: Column[float], other: float) -> Column[float]: ...
    def __rmul__(self, other: Any) -> Any:
        return apply("*", other, self)

    def __truediv__(self: AnyNumber, other: AnyNumber | Decimal | float) -> Column[float]:
        return apply("/", self, other)

    def __rtruediv__(self: AnyNumber, other: Decimal | float) -> Column[float]:
        return apply("/", other, self)

    @overload
    def __neg__(self: Column[int]) -> Column[int]: ...
    @overload
    def __neg__(self: Column[float]) -> Column[float]: ...
    @overload
    def __neg__(self: Column[Decimal]) -> Column[Decimal]: ...
    def __neg__(self) -> Any:
        return apply("neg", self)


Exact = Column[int] | Column[Decimal]
AnyNumber = Column[int] | Column[float] | Column[Decimal]


def apply(op: str, *operands: object) -> Column[Any]:
    """Return the expression of an operator over columns and constants.

    Args:
        op: One of the plan's operators.
        operands: Columns, or constants that take the type of the first column beside them.

    Raises:
        DefinitionError: The operator does not take such operands.

    >>> from ashioto.logical.nodes import Col, INT64
    >>> apply("least", Column[int](Col(name="size"), type=INT64), 5)
    Column(least(size, 5))
    """
    like = next((o.type for o in operands if isinstance(o, Column) and o.type is not None), None)
    parts = tuple(o if isinstance(o, Column) else _constant(o, like, op) for o in operands)
    entities = tuple(dict.fromkeys(e for part in parts for e in part.entities))
    known = [part.type for part in parts if part.type is not None]
    kind = type_of_op(op, tuple(known)) if len(known) == len(parts) else (BOOL if op in _TRUTHS else None)
    return Column(Op(op=op, args=tuple(p.node for p in parts)), type=kind, entities=entities, parts=parts)


_TRUTHS = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "not"})


def _constant(value: object, like: DataType | None, op: str) -> Column[Any]:
    lit: Lit = literal(value, like, op=op)
    return Column(lit, type=lit.type)
