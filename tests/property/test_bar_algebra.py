"""Partial bars merge into the same bar in any order and any tree, and a roll-up equals the direct aggregation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto.bars import algebra
from ashioto.bars.algebra import (
    COUNT,
    CUT,
    DAY,
    FIRST_AT,
    FIRST_SEQ,
    FIXED,
    KEY,
    LAST_AT,
    LAST_SEQ,
    OPCODE,
    START,
    Slot,
    program,
)
from ashioto.engines.embedded.frames import FrameTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.bars.algebra import Floats, Func, Ints

MINUTE, FIVE = 60_000, 300_000
BOTH = pytest.mark.parametrize("combine", [algebra.combine, algebra.combine.py_func], ids=["compiled", "python"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One tick: its place in time, and the two inputs that are aggregated."""

    at: int
    seq: int
    whole: int
    real: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """One row of the two matrices."""

    ints: Ints
    floats: Floats


EXACT = st.integers(-(2**40), 2**40).map(lambda n: n / 8)
"""Floats whose sums are exact, so that order cannot show."""
ANY_FLOAT = st.floats(-1e12, 1e12)


@st.composite
def programs(draw: st.DrawFn) -> tuple[Slot, ...]:
    """Any list of aggregates, each in the matrix of its type."""
    wanted = draw(st.lists(st.tuples(st.sampled_from(sorted(OPCODE)), st.booleans()), max_size=7))
    width = {False: FIXED, True: 0}
    slots = []
    for name, is_float in wanted:
        func: Func = name  # type: ignore[assignment]  # every name in OPCODE is one
        slots.append(Slot(func=func, arg=int(is_float), is_float=is_float, column=width[is_float]))
        width[is_float] += 1
    return tuple(slots)


def ticks(real: st.SearchStrategy[float] = EXACT, *, span: int = 40, least: int = 1) -> st.SearchStrategy[list[Tick]]:
    """Ticks of which no two share time and sequence, though many share one of them."""
    places = st.tuples(st.integers(0, span), st.integers(-5, 5))
    numbers = st.integers(-(10**9), 10**9)
    made = st.builds(lambda p, n, x: Tick(at=p[0], seq=p[1], whole=n, real=x), places, numbers, real)
    return st.lists(made, min_size=least, max_size=25, unique_by=lambda t: (t.at, t.seq))


def partial_of(slots: Sequence[Slot], tick: Tick, *, size: int = MINUTE, cut: int = -1) -> Partial:
    """The partial bar of one tick."""
    ints = np.zeros((1, FIXED + sum(not s.is_float for s in slots)), dtype=np.int64)
    floats = np.zeros((1, sum(s.is_float for s in slots)), dtype=np.float64)
    ints[0, [KEY, DAY, START, COUNT, CUT]] = 3, tick.at // 7, tick.at // size * size, 1, cut
    ints[0, [FIRST_AT, LAST_AT]] = tick.at
    ints[0, [FIRST_SEQ, LAST_SEQ]] = tick.seq
    for slot in slots:
        (floats if slot.is_float else ints)[0, slot.column] = tick.real if slot.is_float else tick.whole
    return Partial(ints=ints, floats=floats)


def merged(combine: Callable[..., bool], ops: Ints, left: Partial, right: Partial) -> Partial:
    """Both as one, leaving them as they were."""
    into, into_f = left.ints.copy(), left.floats.copy()
    later = combine(ops, into, into_f, 0, right.ints, right.floats, 0)
    ends = [(int(p.ints[0, LAST_AT]), int(p.ints[0, LAST_SEQ])) for p in (left, right)]
    assert bool(later) == (ends[1] > ends[0])
    return Partial(ints=into, floats=into_f)


def in_some_order(combine: Callable[..., bool], ops: Ints, parts: list[Partial], seed: int) -> Partial:
    """All as one, merged two and two at random."""
    rng, parts = np.random.default_rng(seed), list(parts)
    while len(parts) > 1:
        right = parts.pop(int(rng.integers(len(parts))))
        at = int(rng.integers(len(parts)))
        parts[at] = merged(combine, ops, parts[at], right)
    return parts[0]


def expected(slots: Sequence[Slot], found: list[Tick]) -> dict[str, Any]:
    """What a bar of these ticks holds, said in words of the ticks."""
    ordered = sorted(found, key=lambda t: (t.at, t.seq))

    def value(slot: Slot) -> float:
        values = [t.real if slot.is_float else t.whole for t in ordered]
        every: dict[str, float] = {"first": values[0], "last": values[-1], "min": min(values), "max": max(values)}
        return every[slot.func] if slot.func in every else sum(values)

    return {
        "count": len(ordered),
        "day": min(t.at // 7 for t in ordered),
        "first": (ordered[0].at, ordered[0].seq),
        "last": (ordered[-1].at, ordered[-1].seq),
        "values": [value(slot) for slot in slots],
    }


def held(slots: Sequence[Slot], part: Partial) -> dict[str, Any]:
    """What a partial holds, in the same words."""
    ints = part.ints[0].tolist()
    return {
        "count": ints[COUNT],
        "day": ints[DAY],
        "first": (ints[FIRST_AT], ints[FIRST_SEQ]),
        "last": (ints[LAST_AT], ints[LAST_SEQ]),
        "values": [part.floats[0].tolist()[s.column] if s.is_float else ints[s.column] for s in slots],
    }


@BOTH
@settings(max_examples=100, deadline=None)
@given(slots=programs(), found=ticks(), seed=st.integers(0, 2**32 - 1))
def test_any_order_and_tree_of_merges_gives_the_bar_of_all_ticks(
    combine: Callable[..., bool], slots: tuple[Slot, ...], found: list[Tick], seed: int
) -> None:
    parts = [partial_of(slots, tick) for tick in found]
    assert held(slots, in_some_order(combine, program(slots), parts, seed)) == expected(slots, found)


@BOTH
@settings(max_examples=100, deadline=None)
@given(slots=programs(), found=ticks(least=2))
def test_key_start_and_cut_of_the_left_side_stay(
    combine: Callable[..., bool], slots: tuple[Slot, ...], found: list[Tick]
) -> None:
    left, right = (partial_of(slots, tick, size=1, cut=tick.seq) for tick in found[:2])
    both = merged(combine, program(slots), left, right)
    assert both.ints[0, [KEY, START, CUT]].tolist() == left.ints[0, [KEY, START, CUT]].tolist()


@settings(max_examples=100, deadline=None)
@given(slots=programs(), found=ticks(ANY_FLOAT), seed=st.integers(0, 2**32 - 1))
def test_sums_of_any_floats_differ_in_the_last_bits_only(slots: tuple[Slot, ...], found: list[Tick], seed: int) -> None:
    parts = [partial_of(slots, tick) for tick in found]
    got, wanted = held(slots, in_some_order(algebra.combine, program(slots), parts, seed)), expected(slots, found)
    total = sum(abs(t.real) for t in found)
    for slot, mine, theirs in zip(slots, got.pop("values"), wanted.pop("values"), strict=True):
        slack = 1e-14 * total if slot.func == "sum" and slot.is_float else 0.0
        assert math.isclose(mine, theirs, rel_tol=0.0, abs_tol=slack)
    assert got == wanted


def by_start(parts: list[Partial], size: int) -> dict[int, list[Partial]]:
    """Partials by the bucket of a frame that they fall into."""
    found: dict[int, list[Partial]] = {}
    for part in parts:
        found.setdefault(int(part.ints[0, START]) // size * size, []).append(part)
    return found


@settings(max_examples=100, deadline=None)
@given(slots=programs(), found=ticks(span=4 * FIVE), seed=st.integers(0, 2**32 - 1))
def test_the_roll_up_of_base_bars_is_the_direct_aggregation(
    slots: tuple[Slot, ...], found: list[Tick], seed: int
) -> None:
    ops, ticks_of = program(slots), [partial_of(slots, tick) for tick in found]
    minutes = [in_some_order(algebra.combine, ops, parts, seed) for parts in by_start(ticks_of, MINUTE).values()]
    fives = {s: in_some_order(algebra.combine, ops, parts, seed) for s, parts in by_start(minutes, FIVE).items()}
    direct = {s: [t for t in found if t.at // FIVE * FIVE == s] for s in fives}
    assert sum(map(len, direct.values())) == len(found)
    assert {s: held(slots, p) for s, p in fives.items()} == {s: expected(slots, f) for s, f in direct.items()}


@st.composite
def base_bars(draw: st.DrawFn) -> tuple[tuple[Slot, ...], list[Partial]]:
    """Partials of several keys and sessions, in order of key and start; CUT says the session."""
    slots, found = draw(programs()), draw(ticks(span=4 * FIVE, least=0))
    parts = []
    for tick in found:
        part = partial_of(slots, tick)
        part.ints[0, [KEY, CUT]] = draw(st.integers(0, 1)), tick.at // (2 * MINUTE + 30_000)
        parts.append(part)
    return slots, sorted(parts, key=lambda p: (int(p.ints[0, KEY]), int(p.ints[0, START])))


ROLL_UPS = pytest.mark.parametrize(
    ("count_runs", "roll_up"),
    [(algebra.count_runs, algebra.roll_up), (algebra.count_runs.py_func, algebra.roll_up.py_func)],
    ids=["compiled", "python"],
)


@ROLL_UPS
@settings(max_examples=100, deadline=None)
@given(made=base_bars())
def test_longer_bars_are_made_of_neighbours_of_one_key_and_session(
    count_runs: Callable[..., int], roll_up: Callable[..., int], made: tuple[tuple[Slot, ...], list[Partial]]
) -> None:
    slots, parts = made
    runs: list[tuple[tuple[int, int, int], Partial]] = []
    for part in parts:
        key, session, start = (int(part.ints[0, c]) for c in (KEY, CUT, START))
        run = (key, start // FIVE * FIVE, session)
        if runs and runs[-1][0] == run:
            runs[-1] = run, merged(algebra.combine, program(slots), runs[-1][1], part)
        else:
            runs.append((run, part))
    empty = partial_of(slots, Tick(at=0, seq=0, whole=0, real=0.0))
    ints = np.concatenate([empty.ints[:0], *(p.ints for p in parts)])
    floats = np.concatenate([empty.floats[:0], *(p.floats for p in parts)])
    starts = ints[:, START] // FIVE * FIVE
    size = count_runs(ints, starts)
    out, out_f = np.empty((size, ints.shape[1]), dtype=np.int64), np.empty((size, floats.shape[1]))
    assert roll_up(program(slots), ints, floats, starts, out, out_f) == -1
    got = [Partial(ints=out[i : i + 1], floats=out_f[i : i + 1]) for i in range(size)]
    assert [tuple(p.ints[0, [KEY, START, CUT]].tolist()) for p in got] == [run for run, _ in runs]
    assert [held(slots, p) for p in got] == [held(slots, p) for _, p in runs]


@ROLL_UPS
def test_a_sum_that_leaves_64_bits_is_named(count_runs: Callable[..., int], roll_up: Callable[..., int]) -> None:
    slots = (
        Slot(func="max", arg=0, is_float=False, column=FIXED),
        Slot(func="sum", arg=0, is_float=False, column=FIXED + 1),
    )
    ints = np.concatenate([partial_of(slots, Tick(at=at, seq=0, whole=2**62, real=0.0)).ints for at in (0, 1, FIVE)])
    none = np.zeros((3, 0))
    starts = np.array([0, 0, FIVE])
    assert count_runs(ints, starts) == 2
    assert roll_up(program(slots), ints, none, starts, np.empty((2, FIXED + 2), dtype=np.int64), none[:2]) == 1
    assert roll_up(program(slots), ints[1:], none[1:], starts[1:], ints[1:].copy(), none[1:]) == -1


def merge_into(table: FrameTable, slots: tuple[Slot, ...], found: list[Tick], cut: int) -> None:
    """Merge ticks into the bars of a frame, in one go."""
    parts = [partial_of(slots, tick, size=FIVE) for tick in sorted(found, key=lambda t: t.at)]
    ints, floats = np.concatenate([p.ints for p in parts]), np.concatenate([p.floats for p in parts])
    table.merge(program(slots), ints, floats, cut=cut)


@settings(max_examples=100, deadline=None)
@given(slots=programs(), found=ticks(span=2 * FIVE), data=st.data())
def test_what_is_read_again_is_in_once_and_the_cut_is_the_last_offset(
    slots: tuple[Slot, ...], found: list[Tick], data: st.DataObject
) -> None:
    edges = sorted({0, len(found), *data.draw(st.lists(st.integers(0, len(found)), max_size=4), label="edges")})
    pieces = list(pairwise(edges))
    table = FrameTable(FIXED + sum(not s.is_float for s in slots), sum(s.is_float for s in slots), capacity=1)
    for number, (low, high) in enumerate(pieces):
        merge_into(table, slots, found[low:high], high - 1)
        again = data.draw(st.integers(0, number), label="read again from")
        for low_again, high_again in pieces[again : number + 1]:
            merge_into(table, slots, found[low_again:high_again], high_again - 1)
    rows = table.live_rows()
    bars = {
        int(table.ints[r, START]): Partial(ints=table.ints[r : r + 1], floats=table.floats[r : r + 1]) for r in rows
    }
    whole = {s: [t for t in found if t.at // FIVE * FIVE == s] for s in bars}
    assert {s: held(slots, p) for s, p in bars.items()} == {s: expected(slots, f) for s, f in whole.items()}
    ends = {t: next(high - 1 for low, high in pieces if low <= n < high) for n, t in enumerate(found)}
    assert {s: int(p.ints[0, CUT]) for s, p in bars.items()} == {s: max(ends[t] for t in f) for s, f in whole.items()}
