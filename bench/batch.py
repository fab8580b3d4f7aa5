"""Measures six frames of bars with sessions, fill and roll-up against Polars and DuckDB doing the same, in one run.

Run as `python bench/batch.py [--ticks N] [--symbols N] [--rounds N] [--late SHARE]`. Every side gets the same ticks and
makes the same 1m 5m 15m 1h 4h 1d bars: ticks outside sessions dropped, base bars made once and rolled up, gaps filled
with the previous close. The bars are compared before a figure is printed; the best of the rounds counts on every side.

With `--late 0`, the default, ticks stand in the order of time and nobody sorts; with `--late 0.01` one in a hundred
stands up to two seconds further back, as feeds deliver them, and Polars must sort to find the sessions.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from market import FRAMES, declared, symbol_names

from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.engines.embedded.fold import TickColumns, no_floats, no_ints
from ashioto.period import Period
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schedule.sessions import Schedule
from ashioto.schema.arrow import from_numpy, storage_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.logical.nodes import Query
    from ashioto.schedule.sessions import Sessions

CHUNK = 1_000_000
DAY = 86_400_000


class Ticks:
    """Ticks of many symbols as arrays, in the order of time but for a share of them."""

    def __init__(self, count: int, symbols: int, sessions: Sessions, late: float = 0.0) -> None:
        rng = np.random.default_rng(7)
        lo, hi = int(sessions.opens[0]) - 1_800_000, int(sessions.closes[-1]) + 1_800_000
        inside = rng.integers(0, len(sessions), count)
        opens, lengths = sessions.opens[inside] - 60_000, (sessions.closes - sessions.opens)[inside] + 120_000
        at = np.clip(opens + (rng.random(count) * lengths).astype(np.int64), lo, hi)
        at.sort()
        self.late = late
        if late:
            arrival = at + np.where(rng.random(count) < late, rng.integers(0, 2_000, count), 0)
            at = at[np.argsort(arrival, kind="stable")]
        self.at = at
        self.codes = rng.integers(0, symbols, count, dtype=np.int32)
        self.price = 100_000 + (rng.standard_normal(count).cumsum() * 2).astype(np.int64)
        self.size = rng.integers(1, 500, count)
        self.names = symbol_names(symbols)

    def table(self) -> pa.Table:
        return pa.table({"key": self.codes, "at": self.at, "price": self.price, "size": self.size})

    def stored(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        names = pa.array(self.names)
        for low in range(0, self.at.shape[0], CHUNK):
            part = slice(low, low + CHUNK)
            columns = [
                pa.DictionaryArray.from_arrays(pa.array(self.codes[part]), names),
                *(from_numpy(getattr(self, n)[part], schema.field(n).type) for n in ("at", "price", "size")),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def ours_arrays(query: Query, source: Schedule, ticks: Ticks, now: int) -> dict[Period, pa.Table]:
    builder = BatchBuilder(query, source)
    for name in ticks.names:
        builder.key_code(name)
    for low in range(0, ticks.at.shape[0], CHUNK):
        part = slice(low, low + CHUNK)
        builder.add_columns(
            TickColumns(
                codes=ticks.codes[part],
                at=ticks.at[part],
                first=low,
                order=no_ints(),
                sequence=no_ints(),
                ints=(ticks.price[part], ticks.size[part]),
                floats=(no_floats(), no_floats()),
            )
        )
    return builder.finish(now_ms=now, trim=False)


def ours_parquet(query: Query, source: Schedule, file: Path, now: int) -> dict[Period, pa.Table]:
    builder = BatchBuilder(query, source)
    schema, first = storage_schema(query.entity), 0
    with pq.ParquetFile(file, read_dictionary=["symbol"]) as parquet:
        for batch in parquet.iter_batches(CHUNK, columns=schema.names):
            columns = [batch.column("symbol"), *(from_view(batch, schema, n) for n in ("at", "price", "size"))]
            builder.add(pa.RecordBatch.from_arrays(columns, schema=schema), first_seq=first)
            first += batch.num_rows
    return builder.finish(now_ms=now, trim=False)


def from_view(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.Array:
    return from_numpy(batch.column(name).to_numpy(), schema.field(name).type)


def polars_bars(
    ticks: pl.LazyFrame, sessions: pl.DataFrame, keys: pl.DataFrame, *, sort: bool
) -> dict[str, pl.DataFrame]:
    key = keys.columns[0]
    if sort:
        ticks = ticks.sort("at", maintain_order=True)
    base = (
        ticks.join_asof(sessions.lazy(), left_on="at", right_on="open", strategy="backward")
        .filter(pl.col("at") < pl.col("close"))
        .group_by(key, "day", start=pl.col("at") // 60_000 * 60_000)
        .agg(
            o=pl.col("price").first(), h=pl.col("price").max(), low=pl.col("price").min(), c=pl.col("price").last(),
            v=pl.col("size").sum(), n=pl.len(),
        )
        .sort(key, "start")
        .collect()
    )  # fmt: skip
    minutes = sessions.select(
        "day", start=pl.int_ranges(pl.col("open") // 60_000 * 60_000, pl.col("close"), 60_000)
    ).explode("start")
    found = {}
    for frame in FRAMES:
        period = Period.parse(frame)
        label = pl.col("start") // period.millis * period.millis if period.is_intraday else pl.col("day") * DAY
        rolled = base.group_by(key, start=label).agg(
            pl.col("o").first(),
            pl.col("h").max(),
            pl.col("low").min(),
            pl.col("c").last(),
            pl.col("v").sum(),
            pl.col("n").sum(),
        )
        grid = keys.join(minutes.select(start=label).unique(), how="cross").sort(key, "start")
        found[frame] = (
            grid.join(rolled, on=[key, "start"], how="left", maintain_order="left")
            .with_columns(
                c=pl.col("c").forward_fill().over(key), v=pl.col("v").fill_null(0), n=pl.col("n").fill_null(0)
            )
            .with_columns(pl.col(x).fill_null(pl.col("c")) for x in ("o", "h", "low"))
            .filter(pl.col("c").is_not_null())
        )
    return found


DUCKDB_BASE = """
create or replace table base as
select t.{key} as key, day, t.moment // 60000 * 60000 as start,
  arg_min(price, (t.moment, seq)) o, max(price) h, min(price) low, arg_max(price, (t.moment, seq)) c,
  sum(size)::bigint v, count(*) n
from (select * rename ("at" as moment) from {source}) t asof join sessions s on t.moment >= s.open
where t.moment < s.close group by all
"""
DUCKDB_MINUTES = """
create or replace table minutes as select day, unnest(range(open // 60000 * 60000, close, 60000)) as start from sessions
"""
DUCKDB_FRAME = """
with rolled as (
  select key, {label} as bucket, arg_min(o, start) o, max(h) h, min(low) low, arg_max(c, start) c,
    sum(v)::bigint v, sum(n)::bigint n
  from base group by all),
grid as (select key, bucket from keys, (select distinct {label} as bucket from minutes)),
filled as (
  select key, bucket, o, h, low, last_value(c ignore nulls) over (partition by key order by bucket) c,
    coalesce(v, 0) v, coalesce(n, 0) n
  from grid left join rolled using (key, bucket))
select key, bucket as start, coalesce(o, c) o, coalesce(h, c) h, coalesce(low, c) low, c, v, n
from filled where c is not null order by key, bucket
"""


def duckdb_bars(db: duckdb.DuckDBPyConnection, source: str, key: str) -> dict[str, Any]:
    db.execute(DUCKDB_BASE.format(key=key, source=source))
    db.execute(DUCKDB_MINUTES)
    found = {}
    for frame in FRAMES:
        period = Period.parse(frame)
        label = f"start // {period.millis} * {period.millis}" if period.is_intraday else f"day * {DAY}"
        found[frame] = db.sql(DUCKDB_FRAME.format(label=label)).to_arrow_table()
    return found


def timed(name: str, rounds: int, count: int, make: Callable[[], Any]) -> tuple[float, Any]:
    best, made = float("inf"), None
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        made = make()
        best = min(best, time.perf_counter() - start)
    print(f"  {name:<8} {best:7.2f} s  {count / best / 1e6:7.1f} M ticks/s", flush=True)
    return best, made


def same(ours: dict[Period, pa.Table], theirs: dict[str, Any]) -> None:
    """Stop unless both sides made the same bars."""
    for period, mine in ours.items():
        other = theirs[period.kind]
        other = other.to_arrow() if isinstance(other, pl.DataFrame) else other
        pairs = {"open": "o", "high": "h", "low": "low", "close": "c", "volume": "v"}
        if mine.num_rows != other.num_rows:
            raise SystemExit(f"{period}: {mine.num_rows} bars and {other.num_rows}")
        for here, there in pairs.items():
            scale = mine.schema.field(here).type.scale
            left = np.array(mine[here].cast(pa.decimal128(38, scale)).to_numpy(zero_copy_only=False), dtype=object)
            right = other[there].to_numpy()
            if not all(int(a.scaleb(scale)) == b for a, b in zip(left[::97], right[::97].tolist(), strict=True)):
                raise SystemExit(f"{period} {here}: the bars differ")


def peers(db: duckdb.DuckDBPyConnection, sessions: Sessions) -> pl.DataFrame:
    """Give both peers the sessions."""
    frame = pl.DataFrame({"open": sessions.opens, "close": sessions.closes, "day": sessions.days})
    db.register("sessions_view", frame.to_arrow())
    db.execute("create table sessions as select * from sessions_view")
    return frame


def write_parquet(ticks: Ticks, schema: pa.Schema, file: Path) -> None:
    numbers = ("at", "price", "size")
    fields = [("symbol", pa.dictionary(pa.int32(), pa.string())), *((n, pa.int64()) for n in (*numbers, "seq"))]
    with pq.ParquetWriter(file, pa.schema(fields), compression="lz4", use_dictionary=["symbol"]) as writer:
        for number, batch in enumerate(ticks.stored(schema)):
            low = number * CHUNK
            part = slice(low, low + batch.num_rows)
            columns = [pa.array(getattr(ticks, n)[part]) for n in numbers]
            seq = pa.array(np.arange(low, low + batch.num_rows))
            writer.write_batch(pa.RecordBatch.from_arrays([batch.column(0), *columns, seq], schema=pa.schema(fields)))


def compare(count: int, rounds: int, sides: dict[str, Callable[[], Any]]) -> None:
    """Time every side, check that the bars are the same, and print how ashioto stands to the faster peer."""
    seconds, made = {}, {}
    for name, make in sides.items():
        seconds[name], made[name] = timed(name, rounds, count, make)
        if name != "ashioto":
            same(made["ashioto"], made.pop(name))
    fastest = min(took for name, took in seconds.items() if name != "ashioto")
    print(f"  ashioto is {fastest / seconds['ashioto']:.1f} times as fast as the faster one", flush=True)


def from_arrays(ticks: Ticks, source: Schedule, sessions: Sessions, rounds: int) -> None:
    count, symbols = ticks.at.shape[0], len(ticks.names)
    query, now = declared()[1], int(sessions.closes[-1]) + DAY
    db = duckdb.connect(config={"threads": 2})
    polars_sessions = peers(db, sessions)
    table = ticks.table().append_column("seq", pa.array(np.arange(count)))
    db.register("arrow_ticks", table)
    db.execute(f"create table keys as select range::integer as key from range({symbols})")
    frame = pl.DataFrame(table.drop_columns("seq")).lazy()
    codes = pl.DataFrame({"key": np.arange(symbols, dtype=np.int32)})
    print("from arrays in memory:")
    sides = {
        "ashioto": lambda: ours_arrays(query, source, ticks, now),
        "polars": lambda: polars_bars(frame, polars_sessions, codes, sort=ticks.late > 0),
        "duckdb": lambda: duckdb_bars(db, "arrow_ticks", "key"),
    }
    compare(count, rounds, sides)


def from_parquet(
    file: Path, names: list[str], late: float, count: int, source: Schedule, sessions: Sessions, rounds: int
) -> None:
    query, now = declared()[1], int(sessions.closes[-1]) + DAY
    db = duckdb.connect(config={"threads": 2})
    polars_sessions = peers(db, sessions)
    lazy = pl.scan_parquet(file).drop("seq")
    known = pl.DataFrame({"symbol": names})
    db.register("names", known.to_arrow())
    db.execute("create table keys as select symbol as key from names")
    typed = known.cast(lazy.collect_schema()["symbol"])
    print(f"from Parquet ({file.stat().st_size / 1e6:,.0f} MB):")
    sides = {
        "ashioto": lambda: ours_parquet(query, source, file, now),
        "polars": lambda: polars_bars(lazy, polars_sessions, typed, sort=late > 0),
        "duckdb": lambda: duckdb_bars(db, f"read_parquet('{file}')", "symbol"),
    }
    compare(count, rounds, sides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=50_000_000)
    parser.add_argument("--symbols", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--late", type=float, default=0.0)
    options = parser.parse_args()
    sessions = calendar_sessions("XTKS", date(2024, 3, 1), date(2024, 3, 29))
    ticks = Ticks(options.ticks, options.symbols, sessions, options.late)
    source = Schedule.of({(name,): sessions for name in ticks.names})
    print(
        f"{options.ticks:,} ticks, {options.symbols} symbols, {options.late:.0%} late, {len(sessions)} sessions, "
        f"frames {' '.join(FRAMES)}"
    )
    from_arrays(ticks, source, sessions, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ticks.parquet")
        write_parquet(ticks, storage_schema(declared()[1].entity), file)
        names = ticks.names
        del ticks
        from_parquet(file, names, options.late, options.ticks, source, sessions, options.rounds)


if __name__ == "__main__":
    main()
