"""Packed texts sort like the times and sequences in them, and give values back with every digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_sql import DUCKDB

from ashioto.engines.sql.ast import column
from ashioto.engines.sql.packs import (
    as_text,
    pack,
    place,
    rank_of,
    reversed_rank,
    sequence_in,
    text_in,
    time_in,
    value_in,
)
from ashioto.engines.sql.printer import Printer
from ashioto.engines.sql.types import BIGINT, DOUBLE, SqlType, decimal

if TYPE_CHECKING:
    from decimal import Decimal

    from ashioto.engines.sql.ast import Sql

TIMES = st.integers(0, 10**13 - 1)
SEQUENCES = st.integers(-(2**63), 2**63 - 1)
DB = duckdb.connect()


def ask(table: pa.Table, *values: Sql) -> list[tuple[Any, ...]]:
    said = ", ".join(map(Printer(DUCKDB).expression, values))
    DB.register("given", table)
    return DB.sql(f"SELECT {said} FROM given").fetchall()  # noqa: S608  # it is what is tested


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TIMES, SEQUENCES), min_size=1, max_size=6))
def test_places_sort_like_time_and_then_sequence(ticks: list[tuple[int, int]]) -> None:
    table = pa.table({"at": [t for t, _ in ticks], "n": pa.array([n for _, n in ticks], pa.int64())})
    where = place(column("at"), rank_of(column("n"), signed=True))
    rows = ask(table, where, time_in(where), sequence_in(where, signed=True))
    assert [(at, n) for _, at, n in rows] == ticks
    assert [(at, n) for _, at, n in sorted(rows)] == sorted(ticks)


@settings(deadline=None, max_examples=60)
@given(TIMES, st.integers(0, 2**63 - 1))
def test_offsets_come_back(at: int, offset: int) -> None:
    where = place(column("at"), rank_of(column("n"), signed=False))
    table = pa.table({"at": [at], "n": pa.array([offset], pa.int64())})
    assert ask(table, time_in(where), sequence_in(where, signed=False)) == [(at, offset)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2 * 10**17), min_size=1, max_size=5))
def test_the_newest_version_sorts_first(versions: list[int]) -> None:
    table = pa.table({"v": pa.array(versions, pa.int64())})
    rows = ask(table, reversed_rank(column("v")), column("v"))
    assert min(rows)[1] == max(versions)


def back(values: pa.Array, kind: SqlType) -> list[Any]:
    table = pa.table({"v": values})
    packed = pack(place(column("v0"), rank_of(column("v0"), signed=False)), as_text(column("v")))
    table = table.append_column("v0", pa.array([7] * len(values), pa.int64()))
    return [row[0] for row in ask(table, value_in(packed, kind))]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.decimals(-(10**13) + 1, 10**13 - 1, places=5), min_size=1, max_size=5))
def test_decimals_keep_every_digit(values: list[Decimal]) -> None:
    assert back(pa.array(values, pa.decimal128(18, 5)), decimal(5)) == values


@settings(deadline=None, max_examples=60)
@given(st.lists(SEQUENCES, min_size=1, max_size=5))
def test_integers_keep_every_digit(values: list[int]) -> None:
    assert back(pa.array(values, pa.int64()), BIGINT) == values


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_floats_keep_every_bit(values: list[float]) -> None:
    assert back(pa.array(values, pa.float64()), DOUBLE) == values


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_may_hold_anything(value: str) -> None:
    packed = pack(place(column("n"), rank_of(column("n"), signed=True)), column("v"))
    assert ask(pa.table({"n": pa.array([-1], pa.int64()), "v": [value]}), text_in(packed)) == [(value,)]
