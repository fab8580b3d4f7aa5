from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ashioto.bars import algebra
from ashioto.bars.algebra import COUNT, FIRST_AT, FIRST_SEQ, FIXED, LAST_AT, LAST_SEQ, OPCODE, Slot, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.bars.algebra import Floats, Func, Ints

INT64 = st.integers(-(2**63), 2**63 - 1)
FUNCS: tuple[Func, ...] = ("first", "last", "min", "max", "sum")
BOTH = pytest.mark.parametrize("combine", [algebra.combine, algebra.combine.py_func], ids=["compiled", "python"])


def partial(at: int, seq: int, value: int) -> tuple[Ints, Floats]:
    """One tick under every aggregate, of whole numbers and of floats."""
    ints, floats = np.zeros((1, FIXED + 5), dtype=np.int64), np.full((1, 5), value / 2)
    ints[0, FIXED:] = value
    ints[0, [COUNT, FIRST_AT, FIRST_SEQ, LAST_AT, LAST_SEQ]] = 1, at, seq, at, seq
    return ints, floats


OPS = program(
    tuple(Slot(func=f, arg=0, is_float=False, column=FIXED + i) for i, f in enumerate(FUNCS))
    + tuple(Slot(func=f, arg=1, is_float=True, column=i) for i, f in enumerate(FUNCS))
)


def merge(
    combine: Callable[..., bool], left: tuple[int, int, int], right: tuple[int, int, int]
) -> tuple[list[int], bool]:
    """The five aggregates of two ticks, and whether the last tick changed."""
    (into, into_f), (other, other_f) = partial(*left), partial(*right)
    later = combine(OPS, into, into_f, 0, other, other_f, 0)
    assert (into_f[0] * 2).tolist() == into[0, FIXED:].tolist()
    assert into[0, COUNT] == 2
    return into[0, FIXED:].tolist(), bool(later)


@BOTH
@pytest.mark.parametrize(
    ("left", "right", "first", "last", "later"),
    [
        ((10, 0, 5), (20, 0, 3), 5, 3, True),
        ((20, 0, 5), (10, 9, 3), 3, 5, False),
        ((10, 0, 5), (10, 1, 3), 5, 3, True),
        ((10, 1, 5), (10, 0, 3), 3, 5, False),
    ],
    ids=["later", "earlier", "same time, later sequence", "same time, earlier sequence"],
)
def test_first_and_last_go_by_time_then_sequence(
    combine: Callable[..., bool],
    left: tuple[int, int, int],
    right: tuple[int, int, int],
    first: int,
    last: int,
    later: bool,  # noqa: FBT001  # a table of cases
) -> None:
    assert merge(combine, left, right) == ([first, last, 3, 5, 8], later)


@BOTH
def test_of_equal_time_and_sequence_what_is_there_stays(combine: Callable[..., bool]) -> None:
    assert merge(combine, (10, 0, 5), (10, 0, 7)) == ([5, 5, 5, 7, 12], False)


@BOTH
def test_without_aggregates_ticks_are_still_counted(combine: Callable[..., bool]) -> None:
    (into, into_f), (other, other_f) = partial(10, 0, 5), partial(20, 0, 3)
    assert combine(program(()), into, into_f, 0, other, other_f, 0)
    assert into[0, [COUNT, FIRST_AT, LAST_AT]].tolist() == [2, 10, 20]
    assert into[0, FIXED:].tolist() == [5] * 5


def test_only_the_two_rows_named_take_part() -> None:
    rows = [partial(at, at, at) for at in (1, 2, 3)]
    into, into_f = (np.concatenate([row[i] for row in rows]) for i in (0, 1))
    before = into.copy(), into_f.copy()
    algebra.combine(OPS, into, into_f, 2, before[0], before[1], 0)
    assert (into[:2] == before[0][:2]).all()
    assert (into_f[:2] == before[1][:2]).all()
    assert into[2, FIXED:].tolist() == [1, 3, 1, 3, 4]


def test_a_program_has_a_row_an_aggregate() -> None:
    assert OPS.tolist() == [
        *([OPCODE[f], 0, FIXED + i] for i, f in enumerate(FUNCS)),
        *([OPCODE[f], 1, i] for i, f in enumerate(FUNCS)),
    ]
    assert program(()).shape == (0, 3)


@pytest.mark.parametrize(
    "overflows", [algebra.add_overflows, algebra.add_overflows.py_func], ids=["compiled", "python"]
)
@given(a=INT64, b=INT64)
@example(a=2**63 - 1, b=1)
@example(a=2**63 - 1, b=0)
@example(a=-(2**63), b=-1)
@example(a=-(2**63), b=2**63 - 1)
def test_an_overflow_is_a_sum_outside_64_bits(overflows: Callable[..., bool], a: int, b: int) -> None:
    with np.errstate(over="ignore"):
        found = overflows(np.int64(a), np.int64(b))
    assert bool(found) == (not -(2**63) <= a + b < 2**63)
