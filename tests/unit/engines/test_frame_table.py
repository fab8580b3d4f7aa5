"""The chains of a frame hold what a plain dict holds, after any merging, dropping and growing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ashioto.bars.algebra import COUNT, CUT, FIXED, KEY, START, Slot, program
from ashioto.engines.embedded.frames import CARRY, RESTORE, TOUCHED, FrameTable, dirty_ranges

if TYPE_CHECKING:
    from ashioto.bars.algebra import Ints

KEYS = 3
OPS = program(())
Step = tuple[str, list[tuple[int, int]]]


def partials(found: list[tuple[int, int]]) -> Ints:
    """Partials of (key, start), sorted, of one tick each."""
    made = np.zeros((len(found), FIXED), dtype=np.int64)
    for row, (key, start) in zip(made, sorted(found), strict=True):
        row[[KEY, START, COUNT]] = key, start, 1
    return made


def merge(table: FrameTable, found: list[tuple[int, int]], cut: int) -> None:
    table.reserve_keys(KEYS)
    table.merge(OPS, partials(found), np.zeros((len(found), 0)), cut=cut)


def chain(table: FrameTable, key: int) -> list[int]:
    """Bucket starts of a key from first to last; also walked back."""
    row, found, last = int(table.ends[key, 0]), [], -1
    while row >= 0:
        assert table.links[row, 0] == last
        found.append(int(table.ints[row, START]))
        last, row = row, int(table.links[row, 1])
    assert table.ends[key, 1] == last
    return found


PLACES = st.lists(st.tuples(st.integers(0, KEYS - 1), st.integers(0, 30)), min_size=1, max_size=12)
STEPS = st.lists(st.tuples(st.sampled_from(["merge", "restore", "drop"]), PLACES), max_size=12)


@settings(max_examples=100)
@given(steps=STEPS)
def test_any_steps_leave_each_bar_once_and_in_order(steps: list[Step]) -> None:
    table = FrameTable(FIXED, 0, capacity=2)
    counts: dict[tuple[int, int], int] = {}
    for cut, (name, found) in enumerate(steps):
        if name == "drop":
            gone = sorted({place for place in found if place in counts})
            table.reserve_keys(KEYS)
            table.drop(np.array([table.find(*place) for place in gone], dtype=np.int64))
            counts = {place: n for place, n in counts.items() if place not in gone}
        else:
            merge(table, found, RESTORE if name == "restore" else cut)
            for place in found:
                counts[place] = counts.get(place, 0) + 1 if name == "merge" else counts.get(place, 1)
        live = table.live_rows()
        held = {(int(k), int(s)): int(n) for k, s, n in table.ints[live][:, [KEY, START, COUNT]]}
        assert held == counts
        assert table.rows == len(counts) == len(live)
        for key in range(KEYS if steps else 0):
            assert chain(table, key) == sorted(start for k, start in counts if k == key)


@settings(max_examples=50)
@given(found=PLACES, key=st.integers(0, KEYS - 1), start=st.integers(-1, 31))
def test_find_is_the_last_bar_at_or_before(found: list[tuple[int, int]], key: int, start: int) -> None:
    table = FrameTable(FIXED, 0)
    merge(table, found, -1)
    row = table.find(key, start)
    wanted = max((s for k, s in found if k == key and s <= start), default=None)
    assert (None if row < 0 else int(table.ints[row, START])) == wanted


def test_marks_say_what_changed_and_are_cleared_by_asking() -> None:
    table = FrameTable(FIXED, 0)
    merge(table, [(0, 10), (0, 20), (1, 5)], 7)
    assert table.ints[table.live_rows(), CUT].tolist() == [7, 7, 7]
    assert set(table.marks[table.live_rows()].tolist()) == {TOUCHED | CARRY}
    forever = np.iinfo(np.int64).max
    ranges = dirty_ranges(table.ints, table.links, table.marks, 0, 1, 0)
    assert ranges.tolist() == [[0, 10, 19], [0, 20, forever], [1, 5, forever]]
    assert dirty_ranges(table.ints, table.links, table.marks, 0, 1, 0).shape == (0, 3)
    table.marks[table.find(0, 10)] = TOUCHED
    assert dirty_ranges(table.ints, table.links, table.marks.copy(), 1, 1, 0).tolist() == [[0, 10, 10]]
    assert dirty_ranges(table.ints, table.links, table.marks.copy(), 0, 1, 1).tolist() == [[0, 10, 19]]
    assert dirty_ranges(table.ints, table.links, table.marks.copy(), 1, 0, 1).tolist() == [[0, 10, 20]]
    assert dirty_ranges(table.ints, table.links, table.marks.copy(), 0, 0, 1).tolist() == [[0, 10, 10]]


def test_a_sum_over_64_bits_is_found_before_it_is_merged() -> None:
    slots = (
        Slot(func="max", arg=0, is_float=False, column=FIXED),
        Slot(func="sum", arg=0, is_float=False, column=FIXED + 1),
        Slot(func="sum", arg=1, is_float=True, column=0),
    )
    ops = program(slots)
    table = FrameTable(FIXED + 2, 1)
    table.reserve_keys(2)
    big = np.zeros((3, FIXED + 2), dtype=np.int64)
    big[:, COUNT], big[:, START], big[:, -1] = 1, [0, 0, 5], 2**62
    assert table.overflow(ops, big) == 1
    assert table.overflow(ops, big[1:]) == -1
    table.merge(ops, big[1:], np.zeros((2, 1)), cut=-1)
    assert table.overflow(ops, big[:1]) == 1
    big[:, -1] = -5
    assert table.overflow(ops, big) == -1
