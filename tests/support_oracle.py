"""Cases for the reference: schedules, ticks around their bounds, the query of the tests, and the reference's bars."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from ashioto.logical.nodes import (
    DATE,
    INT64,
    TEXT,
    TIMESTAMP,
    Agg,
    Col,
    Column,
    DataType,
    EmptyRule,
    Entity,
    Lit,
    Output,
    Previous,
    Query,
    TimeFrame,
)
from ashioto.period import Period
from ashioto.schedule.sessions import Schedule, Sessions
from ashioto.schema.arrow import from_numpy, storage_schema

if TYPE_CHECKING:
    from types import ModuleType

PRICE = DataType(name="decimal", precision=18, scale=2)
RATE = Entity(
    name="Rate",
    kind="stream",
    columns=(
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="at", type=TIMESTAMP, role="timestamp"),
        Column(name="price", type=PRICE),
        Column(name="size", type=PRICE),
    ),
)
HOURS = Entity(
    name="Hours",
    kind="table",
    columns=(
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="open", type=TIMESTAMP, role="key"),
        Column(name="close", type=TIMESTAMP),
        Column(name="market_date", type=DATE),
    ),
)
START = 1_709_942_400_000 + 86_400_000
"""2024-03-10, the day New York clocks go forward."""


def query(frames: tuple[str, ...], *, align: str, continuous: bool, grace: int = 0) -> Query:
    """Build the OHLCV query of the tests."""
    price, size = Col(name="price"), Col(name="size")
    close = Previous(output="close")
    zero = Lit(type=INT64, value=0)
    rules: dict[str, Lit | Previous] = {
        "open": close,
        "high": close,
        "low": close,
        "close": close,
        "volume": zero,
        "ticks": zero,
    }
    return Query(
        context="t",
        name="q",
        entity=RATE,
        where=(),
        time_frame=TimeFrame(
            schedule=HOURS, join=(("symbol", "symbol"),), open_column="open", close_column="close",
            day_column="market_date",
        ),
        frames=tuple(sorted(map(Period.parse, frames))),
        align="session" if align == "session" else "clock",
        continuous=continuous,
        grace_ms=grace,
        retention_ms=7 * 86_400_000,
        group_by=("symbol",),
        outputs=(
            Output(name="open", expr=Agg(func="first", arg=price)),
            Output(name="high", expr=Agg(func="max", arg=price)),
            Output(name="low", expr=Agg(func="min", arg=price)),
            Output(name="close", expr=Agg(func="last", arg=price)),
            Output(name="volume", expr=Agg(func="sum", arg=size)),
            Output(name="ticks", expr=Agg(func="count", arg=None)),
        ),
        when_empty=tuple(EmptyRule(name=n, expr=e) for n, e in rules.items()) if continuous else (),
    )  # fmt: skip


FRAMES = [("1m", "5m", "1h", "1d", "1w", "1mo"), ("1s", "1m"), ("5m", "15m", "2d"), ("1d", "1mo")]
Raw = tuple[str, int, int, int, int]
"""symbol, at, sequence, price in cents, size in cents"""


def batch_of(ticks: list[Raw]) -> pa.RecordBatch:
    """Lay ticks out as a record batch."""
    schema = storage_schema(RATE)
    columns = list(zip(*ticks, strict=True)) if ticks else [()] * 5
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns[0], pa.string()).dictionary_encode(),
            from_numpy(np.array(columns[1], dtype=np.int64), schema.field("at").type),
            from_numpy(np.array(columns[3], dtype=np.int64), schema.field("price").type),
            from_numpy(np.array(columns[4], dtype=np.int64), schema.field("size").type),
        ],
        schema=schema,
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Sessions of one key: breaks, overnight, odd bounds; (open, close, market date)."""
    at = START + draw(st.integers(-7_200_000, 7_200_000))
    day = START // 86_400_000
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 40)) * draw(st.sampled_from([1_000, 30_000, 60_000, 300_000]))
        rows.append((at, at + length, day))
        at += length + draw(st.sampled_from([0, 0, 1, 1_000, 59_999, 3_600_000, 86_400_000]))
        day += draw(st.sampled_from([0, 0, 1, 3, 30]))
    return rows


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A schedule of two keys, ticks around its bounds, frames, and a time."""
    hours = {"A": draw(schedules()), "B": draw(schedules())}
    if draw(st.booleans()):
        hours["B"] = hours["A"]
    ticks: list[Raw] = []
    for _ in range(draw(st.integers(0, 40))):
        symbol = draw(st.sampled_from("ABX"))
        rows = hours.get(symbol, hours["A"])
        opened, closed, _ = draw(st.sampled_from(rows))
        edges = [opened, closed, (opened // 60_000 + 1) * 60_000]
        at = draw(
            st.one_of(
                st.integers(opened, closed),
                st.builds(lambda e, d: e + d, st.sampled_from(edges), st.integers(-1, 1)),
            )
        )
        ticks.append((symbol, at, len(ticks), draw(st.integers(-500, 500)), draw(st.integers(0, 300))))
    frames = draw(st.sampled_from(FRAMES))
    grace = draw(st.sampled_from([0, 5_000]))
    last = max(r[1] for rows in hours.values() for r in rows)
    return {
        "hours": hours,
        "ticks": ticks,
        "frames": frames,
        "align": draw(st.sampled_from(["clock", "session"])),
        "continuous": draw(st.booleans()),
        "grace": grace,
        "now": draw(
            st.one_of(
                st.integers(START - 7_200_000, last + 40 * 86_400_000),
                st.builds(
                    lambda edge, late, step: edge + late + step,
                    st.sampled_from([e for r in hours.values() for o, c, _ in r for e in (o, c, c // 60_000 * 60_000)]),
                    st.sampled_from([0, grace]),
                    st.integers(-1, 1),
                ),
            )
        ),
    }


def expected(ref: ModuleType, case: dict[str, Any], period: str) -> list[dict[str, Any]]:
    """The reference's bars of one frame."""
    epoch = date(1970, 1, 1)
    sessions = [
        ref.Session(key=(k,), open=o, close=c, market_date=epoch + timedelta(days=d))
        for k, rows in case["hours"].items()
        for o, c, d in rows
    ]
    ticks = [
        ref.Tick(key=(k,), at=at, seq=seq, price=Decimal(p) / 100, size=Decimal(s) / 100)
        for k, at, seq, p, s in case["ticks"]
    ]
    bars = ref.bars(
        ticks, sessions, base=min(case["frames"], key=Period.parse), period=period, now=case["now"],
        grace=case["grace"], align=case["align"], continuous=case["continuous"],
    )  # fmt: skip
    return [{name: getattr(b, name) for name in b.__slots__} if hasattr(b, "__slots__") else vars(b) for b in bars]


def got(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of a result in the reference's terms."""

    def ms(value: Any) -> int | None:
        return None if value is None else round(value.timestamp() * 1000)

    return [
        {
            **{n: row[n] for n in ("open", "high", "low", "close", "volume", "ticks", "final", "synthetic")},
            **{n: row[n] for n in ("first_seq", "last_seq")},
            **{n: ms(row[n]) for n in ("bucket_start", "bucket_end", "first_at", "last_at")},
            "key": (row["symbol"],),
        }
        for row in table.to_pylist()
    ]


def source_of(case: dict[str, Any]) -> Schedule:
    """The schedule of a case."""
    return Schedule.of(
        {
            (k,): Sessions.build(*(np.array(c, dtype=np.int64) for c in zip(*rows, strict=True)))
            for k, rows in case["hours"].items()
        }
    )
