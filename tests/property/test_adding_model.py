from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_bars import Passing, closes, market, row, table, table_of

from ashioto import BarAddOptions, BarAddReport
from ashioto.bars.present import look_up
from ashioto.errors import InputError

if TYPE_CHECKING:
    from ashioto.bars.options import Conflict

Bars = dict[tuple[str, int], int]
SLOTS = st.tuples(st.sampled_from("AB"), st.integers(0, 60))
BARS = st.dictionaries(SLOTS, st.integers(1, 3), max_size=40)
OPTIONS = st.builds(
    BarAddOptions,
    conflict=st.sampled_from(["upsert", "skip", "error"]),
    batch_bytes=st.sampled_from([1, 500, 2_000, 1 << 20]),
    concurrency=st.sampled_from([1, 1, 3]),
)


def expected(there: Bars, given_bars: Bars, conflict: Conflict) -> tuple[Bars, BarAddReport]:
    """What a dictionary of bars becomes; raises KeyError where the bars are refused."""
    other = {slot for slot, close in given_bars.items() if there.get(slot, close) != close}
    same = {slot for slot, close in given_bars.items() if there.get(slot) == close}
    if conflict == "error" and other:
        raise KeyError(*list(other)[:1])
    left = same | (other if conflict == "skip" else set())
    wanted = {slot: close for slot, close in given_bars.items() if slot not in left}
    report = BarAddReport(written=len(wanted), skipped=len(left), conflicting=len(other))
    return {**there, **wanted}, report


@settings(deadline=None)
@given(st.lists(st.tuples(BARS, OPTIONS, st.booleans()), min_size=1, max_size=4))
def test_a_bar_table_is_a_dictionary_of_bars(steps: list[tuple[Bars, BarAddOptions, bool]]) -> None:
    made = market()
    passing = Passing(made.log)
    bars_1m = table_of(made, log=passing)
    model: Bars = {}
    for given_bars, options, piecewise in steps:
        rows = [row(symbol, minute, close) for (symbol, minute), close in given_bars.items()]
        whole = table(rows) if rows else []
        pieces = (table([one]) for one in rows)
        try:
            after, report = expected(model, given_bars, options.conflict)
        except KeyError:
            with pytest.raises(InputError, match="another bar is there"):
                bars_1m.add_range(whole, options)
        else:
            assert bars_1m.add_range(pieces if piecewise else whole, options) == report
            model = after
            before = list(passing.sizes)
            again = bars_1m.add_range(whole, options)
            if options.conflict == "upsert":
                assert (again.written, again.conflicting) == (0, 0)
            assert again.written == 0
            assert passing.sizes == before
        assert closes(bars_1m) == {slot: Decimal(close) for slot, close in model.items()}


@given(st.sets(SLOTS), st.sets(SLOTS, min_size=1))
def test_a_look_up_finds_exactly_what_is_there(there: set[tuple[str, int]], wanted: set[tuple[str, int]]) -> None:
    made = market()
    bars_1m = table_of(made)
    if there:
        bars_1m.add_range(table([row(*slot) for slot in there]))
    elsewhere = market()
    table_of(elsewhere).add_range(table([row(*slot) for slot in wanted]))
    part = elsewhere.log.read("t.trade_bars_1m", 0, 0)
    assert part is not None
    found = look_up(made.log, "t.trade_bars_1m", part.keys)
    slots = sorted(wanted)
    assert [slots[at] for at in found.rows.tolist()] == sorted(there & wanted)
    assert found.data["symbol"].to_pylist() == [symbol for symbol, _ in sorted(there & wanted)]


@pytest.mark.parametrize(("step", "most"), [(1, 8), (59, 30)])
def test_a_look_up_reads_few_pages_where_much_is_there_and_skips_where_little_is(step: int, most: int) -> None:
    made = market()
    passing = Passing(made.log)
    bars_1m = table_of(made, log=passing)
    every = [row(symbol, minute) for symbol in "AB" for minute in range(480)]
    bars_1m.add_range(table(every))
    passing.views = 0
    bars_1m.add_range(table(every[::step]))
    assert passing.views <= most
