"""Plan expressions as SQL: conditions and inputs over ticks, selected columns over folded rows.

The rules are those of the embedded engine's `evaluate`. Where engines disagree, nothing is left to them: conditions are
written without `NOT` over anything that may be null, so engines with two truth values and with three say the same; what
leaves 64 bits becomes null; division by zero is null; quotients divide the same two doubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Case, Cast, Const, InfixOp, IsNull, Negate, Sql, both, call, infix
from ashioto.engines.sql.numbers import LONG_DIGITS, Term, aligned, as_double, constant, exact, settled
from ashioto.engines.sql.types import BIGINT, WIDE
from ashioto.logical.nodes import BOOL, FLOAT64, INT64, Lit, Op
from ashioto.logical.types import type_of_op

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.engines.sql.dialect import Dialect
    from ashioto.logical.nodes import Expr

COMPARE: Final[dict[str, InfixOp]] = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_INVERSE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_ARITHMETIC: Final[dict[str, InfixOp]] = {"+": "+", "-": "-", "*": "*"}
_SWAPPED: Final = {">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Translator:
    """Puts expressions of a plan into SQL.

    Args:
        dialect: What the engine does differently.
        leaf: Gives the SQL of what is neither operator nor constant.
        where: Whose expressions they are, for messages.

    >>> from ashioto.engines.sql.ast import column
    >>> from ashioto.engines.sql.dialect import Dialect
    >>> from ashioto.logical.nodes import INT64, Col
    >>> any_engine = Dialect(name="any", types={}, functions={})
    >>> found = Translator(dialect=any_engine, leaf=lambda e: Term(column(e.name), INT64), where="q")
    >>> found.value(Col(name="lots")).sql
    Name(parts=('lots',))
    """

    dialect: Dialect
    leaf: Callable[[Expr], Term]
    where: str

    def value(self, expr: Expr) -> Term:
        """Return a number or text that fits a column of its type; null where it would leave 64 bits.

        Raises:
            UnsupportedError: The engine cannot do it.
        """
        return settled(self._term(expr), self.dialect)

    def holds(self, condition: Expr) -> Sql:
        """Return the condition that something is true: neither false nor unknown.

        Raises:
            UnsupportedError: The engine cannot do it.
        """
        return self._truth(condition, wanted=True)

    def _truth(self, expr: Expr, *, wanted: bool) -> Sql:
        """Return the condition that something is true, or that it is false; a condition that is never null itself."""
        if isinstance(expr, Lit):
            return Const(expr.value is not None and bool(expr.value) == wanted)
        if not isinstance(expr, Op):
            found = self.leaf(expr).sql
            return infix("=", found, Const(wanted))
        if expr.op == "not":
            return self._truth(expr.args[0], wanted=not wanted)
        if expr.op in {"and", "or"}:
            sides = [self._truth(arg, wanted=wanted) for arg in expr.args]
            return both(*sides) if (expr.op == "and") == wanted else infix("OR", *sides)
        return self._comparison(expr.op if wanted else _INVERSE[expr.op], expr.args[0], expr.args[1])

    def _comparison(self, op: str, left: Expr, right: Expr) -> Sql:
        if self._is_truth(left):
            return self._truths(op, left, right)
        terms = [self._term(left), self._term(right)]
        if terms[0].type.name == "text" and op not in {"==", "!="}:
            self.dialect.need("text_order", f"{self.where}, which compares text by {op},")
        if terms[0].type.is_numeric:
            terms = aligned([settled(term, self.dialect) for term in terms], self.dialect)
        return infix(COMPARE[op], terms[0].sql, terms[1].sql)

    def _is_truth(self, expr: Expr) -> bool:
        if isinstance(expr, Op):
            return expr.op in COMPARE or expr.op in {"and", "or", "not"}
        return (expr.type if isinstance(expr, Lit) else self.leaf(expr).type) == BOOL

    def _truths(self, op: str, left: Expr, right: Expr) -> Sql:
        """Compare truths, of which false is the smaller."""
        if op in _SWAPPED:
            op, left, right = _SWAPPED[op], right, left
        pairs = {
            "==": ((True, True), (False, False)),
            "!=": ((True, False), (False, True)),
            "<": ((False, True),),
            "<=": ((False, False), (False, True), (True, True)),
        }[op]
        return infix(
            "OR", *(both(self._truth(left, wanted=mine), self._truth(right, wanted=other)) for mine, other in pairs)
        )

    def _term(self, expr: Expr) -> Term:
        if isinstance(expr, Lit):
            return constant(expr)
        if not isinstance(expr, Op):
            return self.leaf(expr)
        args = [self._term(arg) for arg in expr.args]
        if expr.op == "/":
            return quotient(self.dialect, *args)
        if expr.op in {"greatest", "least", "coalesce"}:
            return self._choice(expr.op, args)
        return self._arithmetic(expr.op, args)

    def _arithmetic(self, op: str, args: list[Term]) -> Term:
        kind = type_of_op(op, tuple(arg.type for arg in args))
        if kind == FLOAT64:
            sides = [as_double(arg, self.dialect) for arg in args]
            digits = 0
        else:
            sides, digits = _room(self.dialect, op, [exact(arg) for arg in args])
        made: Sql = Negate(sides[0].sql) if op == "neg" else infix(_ARITHMETIC[op], *(side.sql for side in sides))
        nullable = any(side.nullable for side in sides)
        return Term(_guarded(self.dialect, made, sides), kind, nullable=nullable, digits=digits, fails=_fails(sides))

    def _choice(self, op: str, args: list[Term]) -> Term:
        """Take the greatest, least or first value that is not null."""
        terms = aligned([settled(arg, self.dialect) for arg in args], self.dialect)
        nullable = all(term.nullable for term in terms)
        values = [_column_like(term) for term in terms]
        if len(values) == 1:
            return terms[0]
        if op != "coalesce" and any(t.nullable for t in terms) and not self.dialect.greatest_skips_null:
            values = [call("coalesce", *values[at:], *values[:at]) for at in range(len(values))]
        return Term(call(op, *values), terms[0].type, nullable=nullable, digits=terms[0].digits, fails=_fails(terms))


def _column_like(term: Term) -> Sql:
    """Return a number in the very type of a column; a plain constant may be of a shorter one."""
    plain = isinstance(term.sql, Const) and term.type == INT64
    return Cast(term.sql, BIGINT) if plain else term.sql


def quotient(dialect: Dialect, left: Term, right: Term) -> Term:
    """Return one number divided by another, as doubles; null where the divisor is 0 or nothing.

    Args:
        dialect: What the engine does differently.
        left: What is divided.
        right: By what.
    """
    above, below = as_double(left, dialect), as_double(right, dialect)
    made = infix("/", above.sql, below.sql)
    if isinstance(below.sql, Const) and below.sql.value:
        return Term(_guarded(dialect, made, [above]), FLOAT64, nullable=above.nullable, fails=_fails([above, below]))
    there = [IsNull(above.sql, negated=True)] if above.nullable and not dialect.null_arithmetic else []
    whole = both(*there, infix("<>", below.sql, Const(0.0)))
    return Term(Case(((whole, made),)), FLOAT64, nullable=True, fails=_fails([above, below]))


def _fails(terms: list[Term]) -> bool:
    return any(term.fails for term in terms)


def _guarded(dialect: Dialect, made: Sql, sides: list[Term]) -> Sql:
    unsure = [IsNull(side.sql, negated=True) for side in sides if side.nullable]
    return made if dialect.null_arithmetic or not unsure else Case(((both(*unsure), made),))


def _room(dialect: Dialect, op: str, sides: list[Term]) -> tuple[list[Term], int]:
    """Return operands the result of which has room, and its digits: too wide ones are brought back to 64 bits first."""
    if _digits(op, sides) > WIDE:
        sides = [exact(settled(side, dialect)) if side.digits > LONG_DIGITS else side for side in sides]
    return sides, _digits(op, sides)


def _digits(op: str, sides: list[Term]) -> int:
    if op == "neg":
        return sides[0].digits
    if op == "*":
        return sum(side.digits for side in sides)
    whole = max(side.digits - side.type.scale for side in sides)
    return whole + max(side.type.scale for side in sides) + 1
