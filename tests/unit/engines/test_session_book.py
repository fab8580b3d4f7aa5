"""Keys get numbers as they appear, in whatever way a batch encodes them, and follow their sessions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_engine import Trade, bars

from ashioto.engines.embedded.sessions import SessionBook
from ashioto.schedule.sessions import Schedule, Sessions

TEXT = pa.dictionary(pa.int32(), pa.string())


def sessions(first: int) -> Sessions:
    return Sessions.build(np.array([first]), np.array([first + 10]), np.array([0]))


def book(schedule: Schedule | None = None) -> SessionBook:
    query = bars("1m", schedule=False, continuous=False)
    return SessionBook(query.plan, schedule or Schedule.of({}, default=sessions(0)))


def batch(rows: list[tuple[str, str]], way: str, unused: int = 0) -> pa.RecordBatch:
    """Keys as dictionaries, as plain text, or as dictionaries with entries nobody uses, and some twice."""
    columns = [pa.array(column, pa.string()) for column in (zip(*rows, strict=True) if rows else ([], []))]
    if way == "dictionary":
        columns = [column.dictionary_encode().cast(TEXT) for column in columns]
    if way == "wide":
        wide = []
        for column in columns:
            found = [f"unused {n}" for n in range(unused)] + column.to_pylist()
            places = pa.array(range(unused, len(found)), pa.int32())
            wide.append(pa.DictionaryArray.from_arrays(places, pa.array(found, pa.string())))
        columns = wide
    return pa.RecordBatch.from_arrays(columns, names=["venue", "symbol"])


KEYS = st.lists(st.tuples(st.sampled_from(["", "X", "Y\x1f"]), st.sampled_from(["a", "b", "c", "é"])), max_size=20)


@settings(max_examples=60)
@given(batches=st.lists(st.tuples(KEYS, st.sampled_from(["dictionary", "text", "wide"])), max_size=4))
def test_each_row_gets_the_number_of_its_key(batches: list[tuple[list[tuple[str, str]], str]]) -> None:
    here = book()
    for rows, way in batches:
        codes = here.codes(batch(rows, way, unused=3))
        assert codes.dtype == np.int32
        assert [here.names[code] for code in codes.tolist()] == rows
    seen = {row for rows, _ in batches for row in rows}
    assert here.keys == len(seen)
    assert set(here.names) == seen
    assert Trade.__entity__.keys == ("venue", "symbol")


def test_dictionaries_too_large_to_tabulate() -> None:
    rows = [("X", "a"), ("Y", "b"), ("X", "a")]
    here = book()
    assert [here.names[c] for c in here.codes(batch(rows, "wide", unused=400))] == rows
    assert here.keys == 2


def test_keys_with_equal_sessions_share_a_group_and_unknown_ones_have_none() -> None:
    given: dict[tuple[str, ...], Sessions] = {("X", s): sessions(0 if s in "ab" else 50) for s in "abc"}
    given["Y", "a"] = Sessions.from_sessions([])
    schedule = Schedule.of(given)
    here = book(schedule)
    codes = [here.code(key) for key in [("X", "c"), ("X", "a"), ("X", "b"), ("Y", "a"), ("Z", "?")]]
    assert here.groups[codes].tolist() == [0, 1, 1, -1, -1]
    assert here.sessions[0].tolist() == [50, 0]
    assert here.group_sessions() == [sessions(50), sessions(0)]


@pytest.mark.parametrize("count", [3, 40])
def test_a_new_schedule_is_taken_for_every_key_that_is_known(count: int) -> None:
    here = book()
    for n in range(count):
        here.code(("X", str(n)))
    here.reload(Schedule.of({("X", str(n)): sessions(n % 2) for n in range(count - 1)}))
    assert here.groups[:count].tolist() == [n % 2 for n in range(count - 1)] + [-1]
    assert here.offsets.tolist() == [0, 1, 2]
    assert here.code(("X", "1")) == 1
