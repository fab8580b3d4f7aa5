"""What the benchmarks share: the stream, its schedule, the query of six frames, and a project to run roles in."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import ashioto as ao
from ashioto.log.base import Batch
from ashioto.period import Period
from ashioto.schema.arrow import from_numpy, key_column, storage_schema

if TYPE_CHECKING:
    from ashioto.logical.nodes import Query
    from ashioto.schedule.sessions import Sessions

ROOT = Path(__file__).resolve().parents[1]
RC = [sys.executable, "-m", "ashioto.cli.app"]

FRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")


class Rate(ao.Stream):
    symbol: ao.Field[str] = ao.key()
    at: ao.Field[datetime] = ao.timestamp()
    price: ao.Field[Decimal] = ao.decimal(18, 2)
    size: ao.Field[Decimal] = ao.decimal(18, 0)


class Hours(ao.Table):
    symbol: ao.Field[str] = ao.key()
    open: ao.Field[datetime] = ao.key()
    close: ao.Field[datetime] = ao.field()
    market_date: ao.Field[date] = ao.field()


def declared(*, frames: tuple[str, ...] = FRAMES, grace: timedelta = timedelta(0)) -> tuple[ao.Context, Query]:
    context = ao.Context("bench")
    query = (
        context.events(Rate)
        .time_frame(
            Hours,
            (Rate.symbol == Hours.symbol) & (Hours.open <= Rate.at) & (Rate.at < Hours.close),
            day_key=Hours.market_date,
        )
        .tumbling(Rate.at, *map(Period.parse, frames), ensure_continuous=True, grace=grace)
        .select(**ao.ohlcv(Rate.price, Rate.size))
        .to_query()
    )
    return context, query.plan


def symbol_names(symbols: int) -> list[str]:
    return [f"SYM{n:04}" for n in range(symbols)]


def tick_data(seed: int, at: np.ndarray, symbols: int) -> pa.RecordBatch:
    """Return ticks at some times, of symbols in random order."""
    schema = storage_schema(Rate.__entity__)
    rng = np.random.default_rng(seed)
    codes = pa.array(rng.integers(0, symbols, len(at), dtype=np.int32))
    return pa.RecordBatch.from_arrays(
        [
            pa.DictionaryArray.from_arrays(codes, pa.array(symbol_names(symbols))),
            from_numpy(at, schema.field("at").type),
            from_numpy(100_000 + rng.integers(-5, 6, len(at)).cumsum(), schema.field("price").type),
            from_numpy(rng.integers(1, 500, len(at)), schema.field("size").type),
        ],
        schema=schema,
    )


def schedule_batch(symbols: int, sessions: Sessions) -> Batch:
    """Return the schedule of so many symbols that all have the same sessions."""
    schema = storage_schema(Hours.__entity__)
    names = [name for name in symbol_names(symbols) for _ in range(len(sessions))]
    columns = [np.tile(c, symbols) for c in (sessions.opens, sessions.closes, sessions.days)]
    data = pa.RecordBatch.from_arrays(
        [
            pa.array(names).dictionary_encode(),
            *(from_numpy(c, schema.field(i + 1).type) for i, c in enumerate(columns)),
        ],
        schema=schema,
    )
    return Batch(
        topic="bench.hours",
        partition=0,
        keys=key_column(["symbol", "open"], data),
        timestamps=np.zeros(len(names), dtype=np.int64),
        data=data,
    )


def environment() -> dict[str, str]:
    """Return what processes need to find the code and these declarations."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "bench")])}


def make_project(folder: Path, frames: tuple[str, ...], grace: timedelta) -> Path:
    """Make a project with one query, apply it, and return the file of its log."""
    made = f"from datetime import timedelta\nfrom market import declared\ncontext, _ = declared(frames={frames!r}, "
    (folder / "declared_here.py").write_text(f"{made}grace=timedelta(seconds={grace.total_seconds()}))\n", "utf-8")
    toml = '[project]\ncontexts = ["declared_here:context"]\n[log]\npath = "log.db"\n'
    (folder / "ashioto.toml").write_text(toml, "utf-8")
    subprocess.run([*RC, "infra", "apply"], cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return folder / "log.db"


def start_role(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a command of a project; what it says goes to `roles.out` there."""
    with (folder / "roles.out").open("ab") as out:
        return subprocess.Popen([*RC, *command], cwd=folder, env=environment(), stdout=out, stderr=out)
