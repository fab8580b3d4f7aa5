"""First and last as the smallest and largest of a text: time and sequence in digits of fixed width, then the value.

SQL has no aggregate that takes one column by the order of another, but text of fixed width sorts like the numbers in
it: 15 digits of time, 20 of sequence, then the value as text. So `MIN` and `MAX` of such a text are the first and the
last tick, and its tail is the value with every digit it had. A sequence may be negative, so its first digit says its
sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.engines.sql.ast import Case, Cast, Const, call, infix
from ashioto.engines.sql.types import BIGINT, TEXT

if TYPE_CHECKING:
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.types import SqlType

TIME_WIDTH: Final = 15
RANK_WIDTH: Final = 20
_DIGITS: Final = 19
_RANK_AT: Final = TIME_WIDTH + 2
_VALUE_AT: Final = _RANK_AT + RANK_WIDTH + 1
_BAR: Final = Const("|")
_LARGEST: Final = 2**63 - 1


def place(at: Sql, rank: Sql) -> Sql:
    """Return where a tick stands among those of its key, as text that sorts so.

    Args:
        at: Event time, ms, not before 1970.
        rank: What `rank_of` returns.
    """
    return call("concat", _padded(at, TIME_WIDTH), _BAR, rank)


def rank_of(sequence: Sql, *, signed: bool) -> Sql:
    """Return a sequence as text that sorts like it.

    Args:
        sequence: An integer of 64 bits.
        signed: Whether it may be negative; offsets of a log are not.
    """
    above = call("concat", Const("1"), _padded(sequence, _DIGITS))
    if not signed:
        return above
    lifted = infix("-", Const(_LARGEST), infix("-", Const(-1), sequence))
    below = call("concat", Const("0"), _padded(lifted, _DIGITS))
    return Case(((infix("<", sequence, Const(0)), below),), above)


def reversed_rank(version: Sql) -> Sql:
    """Return a count as text that sorts the other way round: the largest first."""
    return call("concat", Const("0"), _padded(infix("-", Const(10**18), version), _DIGITS))


def pack(where: Sql, value: Sql) -> Sql:
    """Return a place and a value as one text.

    Args:
        where: What `place` returns.
        value: Text without nulls.
    """
    return call("concat", where, _BAR, value)


def as_text(value: Sql) -> Sql:
    """Return a number as text with all its digits, so that casting back gives the same number."""
    return Cast(value, TEXT)


def time_in(packed: Sql) -> Sql:
    """Return the event time in a pack or place, ms."""
    return Cast(call("substring", packed, Const(1), Const(TIME_WIDTH)), BIGINT)


def sequence_in(packed: Sql, *, signed: bool) -> Sql:
    """Return the sequence in a pack or place.

    Args:
        packed: What `pack` or `place` returned.
        signed: As it was put in by `rank_of`.
    """
    digits = Cast(call("substring", packed, Const(_RANK_AT + 1), Const(_DIGITS)), BIGINT)
    if not signed:
        return digits
    sign = call("substring", packed, Const(_RANK_AT), Const(1))
    return Case(((infix("=", sign, Const("1")), digits),), infix("-", Const(-1), infix("-", Const(_LARGEST), digits)))


def text_in(packed: Sql) -> Sql:
    """Return the value in a pack as text."""
    return call("substring", packed, Const(_VALUE_AT))


def value_in(packed: Sql, kind: SqlType) -> Sql:
    """Return the value in a pack.

    Args:
        packed: What `pack` returned.
        kind: The type it had before it was text.
    """
    return Cast(text_in(packed), kind)


def _padded(number: Sql, width: int) -> Sql:
    return call("lpad", Cast(number, TEXT), Const(width), Const("0"))
