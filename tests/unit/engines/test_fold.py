"""Folding and laying out many keys and buckets in any order gives what plain dicts give, compiled or not."""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.support_engine import DAY, MINUTE, START, Trade, bars, batch_of, trade
from tests.support_kernels import plain_kernels

import ashioto as ao
from ashioto.control.schedules import open_always
from ashioto.engines.embedded import fold
from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.engines.embedded.fold import FoldCounts, TickColumns, no_floats, no_ints
from ashioto.errors import DecimalOverflowError, UsageError
from ashioto.schedule.sessions import Schedule, Sessions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from ashioto.dsl import BarQuery

SELECT = {"n": ao.count(), "lots": ao.sum(Trade.lots), "last": ao.last(Trade.lots)}
KERNELS = pytest.mark.parametrize("kernels", [nullcontext, plain_kernels], ids=["compiled", "python"])
Place = tuple[str, int]


def builder_of(query: BarQuery, threads: int = 2) -> BatchBuilder:
    return BatchBuilder(query.plan, Schedule.of({}, default=open_always()), threads=threads)


def random_ticks(count: int, symbols: int, minutes: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(count)
    drawn = zip(*(rng.integers(0, n, count).tolist() for n in (symbols, minutes, MINUTE, 50)), strict=True)
    return [trade(f"S{s}", m * MINUTE + at, lots=lots) for s, m, at, lots in drawn]


def by_bucket(rows: list[dict[str, Any]], size: int) -> dict[Place, tuple[int, int, int]]:
    """Count, sum and last of each bucket, in order of key and time."""
    found = defaultdict(list)
    for order, row in enumerate(rows):
        at = round(row["at"].timestamp() * 1000)
        found[row["symbol"], at // size * size].append((at, order, row["lots"]))
    return {
        place: (len(ticks), sum(lots for *_, lots in ticks), max(ticks)[2]) for place, ticks in sorted(found.items())
    }


def got(table: pa.Table) -> dict[Place, tuple[int, int, int]]:
    rows = table.to_pylist()
    return {(r["symbol"], round(r["bucket_start"].timestamp() * 1000)): (r["n"], r["lots"], r["last"]) for r in rows}


@KERNELS
@pytest.mark.parametrize("start", [2, 2048])
@pytest.mark.parametrize("kind", ["1m", "1d"])
def test_many_keys_and_buckets_in_any_order(
    kernels: type[AbstractContextManager[None]], start: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "_START", start)
    small = kernels is not nullcontext and start == 2048
    rows = random_ticks(500 if small else 3000, symbols=40, minutes=400 if kind == "1m" else 9000)
    with kernels():
        builder = builder_of(bars(kind, "1w", select=SELECT, schedule=False, continuous=False))
        for first in range(0, len(rows), 700):
            builder.add(batch_of(Trade.__entity__, rows[first : first + 700]), first_seq=first)
        tables = {p.kind: t for p, t in builder.finish(now_ms=START, trim=False).items()}
    assert got(tables[kind]) == by_bucket(rows, MINUTE if kind == "1m" else DAY)
    assert list(got(tables["1w"])) == sorted({(s, at // (7 * DAY) * 7 * DAY + 4 * DAY) for s, at in got(tables["1w"])})
    assert sum(n for n, *_ in got(tables["1w"]).values()) == len(rows) == builder.counts.ticks


def test_columns_that_are_prepared_give_the_same() -> None:
    rows = random_ticks(300, symbols=20, minutes=9)
    query = bars("1m", "5m", select=SELECT, schedule=False)
    builders = builder_of(query), builder_of(query)
    builders[0].add(batch_of(Trade.__entity__, rows), first_seq=5)
    codes = [builders[1].key_code("V", row["symbol"]) for row in rows]
    columns = TickColumns(
        codes=np.array(codes, dtype=np.int32),
        at=np.array([round(row["at"].timestamp() * 1000) for row in rows]),
        first=5,
        order=no_ints(),
        sequence=no_ints(),
        ints=(np.array([row["lots"] for row in rows]),),
        floats=(no_floats(),),
    )
    builders[1].add_columns(columns)
    one, other = (builder.finish(now_ms=START + DAY, trim=True) for builder in builders)
    assert {p: t.to_pylist() for p, t in one.items()} == {p: t.to_pylist() for p, t in other.items()}


def test_what_a_batch_says_at_once_and_in_the_end() -> None:
    query = bars("1m", where=[Trade.lots > 0])
    hour = Sessions.build(np.array([START]), np.array([START + DAY]), np.array([START // DAY]))
    rejected: list[tuple[int, list[int], list[str]]] = []
    builder = BatchBuilder(
        query.plan,
        Schedule.of({("V", "A"): hour}),
        on_rejected=lambda batch, bad: rejected.append((batch.num_rows, bad.rows, bad.reasons)),
    )
    rows = [trade("A", 0), trade("A", -1), trade("X", 0), trade("A", 1, lots=0), trade("A", 2, None), trade("A", 3)]
    found = builder.add(batch_of(Trade.__entity__, rows), first_seq=0)
    assert found == FoldCounts(ticks=6, filtered=1, rejected=1)
    (table,) = builder.finish(now_ms=START, trim=False).values()
    assert builder.counts == FoldCounts(ticks=4, out_of_session=1, unknown_key=1)
    assert rejected == [(6, [4], ["column 'price' is null"])]
    assert table.column("ticks").to_pylist() == [2]


def test_nothing_makes_empty_tables() -> None:
    tables = builder_of(bars("1m", "1d", schedule=False)).finish(now_ms=START, trim=True)
    assert {p.kind: t.num_rows for p, t in tables.items()} == {"1m": 0, "1d": 0}
    assert all("close" in t.column_names for t in tables.values())


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("apart", [0, 1, MINUTE])
def test_a_sum_that_leaves_64_bits_ends_a_batch_and_names_the_column(threads: int, apart: int) -> None:
    builder = builder_of(bars("1m", "1h", select=SELECT, schedule=False), threads)
    rows = [trade("A", n * apart, lots=2**62) for n in range(2)]
    with pytest.raises(DecimalOverflowError, match="the sum in column 'lots' leaves 64 bits at the scale 0") as caught:
        add_all(builder, rows)
    assert caught.value.hint is not None


def add_all(builder: BatchBuilder, rows: list[dict[str, Any]]) -> None:
    for first, row in enumerate(rows):
        builder.add(batch_of(Trade.__entity__, [row]), first_seq=first)
    builder.finish(now_ms=START, trim=False)


def test_a_batch_needs_a_thread() -> None:
    with pytest.raises(UsageError, match="threads must be positive, not 0"):
        builder_of(bars("1m"), threads=0)
