"""Bars are placed as their topic says; what is read of them does not depend on it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_bars import closes, market, row, table, table_of
from tests.support_engine import Market, bars
from tests.support_migration import LATER, contents, hours, replayed, some_ticks, swapped, tick_file, ticks_of, undone

from ashioto import naming
from ashioto.bars.placement import placement_of
from ashioto.cli.bars_tail import BarTail
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support_engine import Row

SLOTS = st.tuples(st.sampled_from("AB"), st.integers(0, 60))
BARS = st.dictionaries(SLOTS, st.integers(1, 3), min_size=1, max_size=40)


def check_places(made: Market) -> int:
    """Look where each bar lies; returns in how many partitions there are any."""
    query, used = made.queries[0].plan, set()
    for period in query.frames:
        topic = naming.bars_topic(query.context, query.entity.name, period)
        spec = made.log.describe(topic).spec
        assert placement_of(spec.schema) == ("record" if made.in_sql else "series")
        for partition in range(spec.partitions):
            part = made.log.read(topic, partition, 0)
            for key in [] if part is None else part.keys.to_pylist():
                whole = key if made.in_sql else key.rpartition(b"\x1f")[0]
                assert partition_of(whole, spec.partitions) == partition
                used.add(partition)
    return len(used)


@settings(deadline=None)
@given(st.lists(BARS, min_size=1, max_size=3), st.sampled_from([1, 2, 5]))
def test_bars_that_are_added_are_read_alike(given_bars: list[dict[tuple[str, int], int]], partitions: int) -> None:
    worlds = [market(partitions=partitions, in_sql=in_sql) for in_sql in (False, True)]
    tables = [table_of(made) for made in worlds]
    tails = [BarTail([found], {}) for found in tables]
    model: dict[tuple[str, int], Decimal] = {}
    for some in given_bars:
        rows = table([row(symbol, minute, close) for (symbol, minute), close in some.items()])
        reports = [found.add_range(rows) for found in tables]
        assert reports[0] == reports[1]
        model |= {slot: Decimal(close) for slot, close in some.items()}
        for made, found, tail in zip(worlds, tables, tails, strict=True):
            check_places(made)
            assert closes(found) == model
            assert len(tail.poll()) == reports[0].written
    for symbol in "AB":
        one, other = (found.read("V", symbol) for found in tables)
        assert one.equals(other)
        assert one["bucket_start"].to_pylist() == sorted(one["bucket_start"].to_pylist())
        assert tables[0].latest("V", symbol, count=3).equals(tables[1].latest("V", symbol, count=3))
    assert tables[0].newest().equals(tables[1].newest())


@pytest.mark.parametrize("partitions", [1, 3])
def test_migrations_end_alike_and_can_be_undone(tmp_path: Path, partitions: int) -> None:
    query, rows = bars("1m", "1h", "1d", grace=1000), some_ticks(600, days=3)
    spoiled = [dict(one, price=Decimal(77)) if n % 5 == 0 else one for n, one in enumerate(rows)]
    right, wrong = (
        tick_file(tmp_path / f"{n}.parquet", query.plan.entity, some) for n, some in enumerate((rows, spoiled))
    )
    ends: list[tuple[dict[str, list[Row]], dict[str, list[Row]]]] = []
    for in_sql in (False, True):
        folder = tmp_path / str(in_sql)
        folder.mkdir()
        made = Market.of(query, hours=hours(), partitions=partitions, in_sql=in_sql)
        replayed(made, ticks_of(wrong), LATER)
        before = contents(made, without=set())
        done = swapped(made, ticks_of(right), LATER, folder)
        assert done.undo_file is not None
        assert done.differs > 0
        after = contents(made, without=set())
        assert swapped(made, ticks_of(right), LATER, folder).differs == 0
        assert undone(made, done.undo_file, LATER).differs == done.differs
        assert contents(made, without=set()) == before
        assert check_places(made) == partitions if in_sql else check_places(made) >= 1
        ends.append((before, after))
    assert ends[0] == ends[1]
