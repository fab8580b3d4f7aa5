"""Numbers in SQL, exact to the last digit.

Integers and decimals are computed as SQL decimals, which do not wrap, with as many digits as a result can have. What
leaves the room of a column (64 bits, or 18 digits of a decimal) is null there. On the way to a double a decimal becomes
its scaled integer first, as in the embedded engine, so that both round the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Case, Cast, Const, IsNull, Sql, both, infix
from ashioto.engines.sql.types import BIGINT, DIGITS, DOUBLE, WIDE, column_type, decimal
from ashioto.logical.nodes import FLOAT64, INT64, DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.engines.sql.dialect import Dialect
    from ashioto.logical.nodes import Lit

LONG_DIGITS: Final = 19
"""Digits of an integer of 64 bits."""
LARGEST: Final = 2**63 - 1
SMALLEST: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Term:
    """Holds an expression and what is known about it.

    Args:
        sql: The expression.
        type: Its type in the plan.
        nullable: Whether it may be null.
        fails: Whether it may be too large, which makes all that is computed from it null.
        digits: Digits of the decimal that it is computed as; 0 while it has the type of a column.

    >>> Term(Const(1), INT64).digits
    0
    """

    sql: Sql
    type: DataType
    nullable: bool = False
    digits: int = 0
    fails: bool = False


def constant(lit: Lit) -> Term:
    """Return a constant as a column would hold it; decimals as text cast to their type.

    >>> from ashioto.logical.nodes import Lit
    >>> constant(Lit(type=DataType(name="decimal", precision=18, scale=2), value=-5)).sql.arg.value
    '-0.05'
    """
    if lit.value is None:
        return Term(Cast(Const(None), column_type(lit.type)), lit.type, nullable=True)
    if lit.type.name == "decimal":
        return Term(Cast(Const(scaled_text(int(lit.value), lit.type.scale)), decimal(lit.type.scale)), lit.type)
    if lit.type.name == "float64":
        return Term(Const(float(lit.value)), lit.type)
    return Term(Const(lit.value), lit.type)


def stored(lit: Lit) -> Sql:
    """Return a constant in the very type of a column of its type, as `CASE` and `COALESCE` want all their values."""
    value = constant(lit).sql
    return Cast(value, BIGINT) if lit.type == INT64 and isinstance(value, Const) else value


def scaled_text(value: int, scale: int) -> str:
    """Return a scaled integer in plain digits.

    >>> scaled_text(-150, 2)
    '-1.50'
    """
    return format(Decimal(value).scaleb(-scale), "f")


def exact(term: Term) -> Term:
    """Return an integer or decimal as an SQL decimal with all its digits.

    >>> exact(Term(Const(100), INT64)).digits
    3
    """
    if term.digits:
        return term
    if term.type == INT64:
        value = term.sql.value if isinstance(term.sql, Const) else None
        digits = LONG_DIGITS if not isinstance(value, int) else len(str(abs(value)))
        return replace(term, sql=Cast(term.sql, decimal(0, digits)), digits=digits)
    return replace(term, digits=DIGITS)


def settled(term: Term, dialect: Dialect) -> Term:
    """Return a number in the type of a column: null where it has no room there.

    >>> from ashioto.engines.sql.dialect import Dialect
    >>> settled(Term(Const(1), INT64), Dialect(name="any", types={}, functions={})).sql
    Const(value=1)
    """
    if not term.digits:
        return term
    if term.type == INT64:
        low, high, kind = SMALLEST, LARGEST, BIGINT
    else:
        high = 10**DIGITS - 1
        low, kind = -high, decimal(term.type.scale)
    if kind.word == "decimal" and (term.digits <= DIGITS or dialect.casts_fail):
        return replace(term, sql=Cast(term.sql, kind), digits=0, fails=term.fails or term.digits > DIGITS)
    inside = both(
        infix(">=", term.sql, _bound(low, term.type.scale)), infix("<=", term.sql, _bound(high, term.type.scale))
    )
    return replace(term, sql=Case(((inside, Cast(term.sql, kind)),)), nullable=True, digits=0)


def _bound(value: int, scale: int) -> Sql:
    return Cast(Const(scaled_text(value, scale)), decimal(scale, WIDE))


def as_double(term: Term, dialect: Dialect) -> Term:
    """Return a number as a double: a decimal by way of its scaled integer.

    >>> from ashioto.engines.sql.dialect import Dialect
    >>> as_double(Term(Const(1), INT64), Dialect(name="any", types={}, functions={})).sql
    Const(value=1.0)
    """
    number = settled(term, dialect)
    if number.type == FLOAT64:
        return number
    if isinstance(number.sql, Const) and isinstance(number.sql.value, int):
        return Term(Const(float(number.sql.value)), FLOAT64)
    scale = number.type.scale
    if scale == 0:
        whole = number.sql if number.type == INT64 else Cast(number.sql, BIGINT)
        return Term(Cast(whole, DOUBLE), FLOAT64, nullable=number.nullable, fails=number.fails)
    scaled = Cast(infix("*", number.sql, _power(scale)), BIGINT)
    made = infix("/", Cast(scaled, DOUBLE), Const(10.0**scale))
    there = IsNull(number.sql, negated=True)
    value = Case(((there, made),)) if number.nullable else made
    return Term(value, FLOAT64, nullable=number.nullable, fails=number.fails)


def _power(scale: int) -> Sql:
    """Return a power of ten as an SQL decimal."""
    return Cast(Const(str(10**scale)), decimal(0, LONG_DIGITS))


def aligned(terms: Sequence[Term], dialect: Dialect) -> list[Term]:
    """Return numbers in one type: doubles if one is, else the larger scale; what is of one type already stays.

    >>> from ashioto.engines.sql.dialect import Dialect
    >>> any_engine = Dialect(name="any", types={}, functions={})
    >>> [term.sql for term in aligned([Term(Const(1), INT64), Term(Const(1.5), FLOAT64)], any_engine)]
    [Const(value=1.0), Const(value=1.5)]
    """
    kinds = {term.type.name: term.type for term in terms}
    if "float64" in kinds:
        return [as_double(term, dialect) for term in terms]
    scale = max(term.type.scale for term in terms)
    if all(term.type == INT64 for term in terms) or all(_is(term, scale) for term in terms):
        return list(terms)
    kind = DataType(name="decimal", precision=DIGITS, scale=scale)
    wide = decimal(scale, WIDE)
    return [replace(term, sql=Cast(term.sql, wide), type=kind, digits=WIDE) for term in terms]


def _is(term: Term, scale: int) -> bool:
    return term.type.name == "decimal" and term.type.scale == scale
