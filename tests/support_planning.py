"""Draws queries and schedules for tests of the heartbeat, and says in plain numbers which markers they have."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TypedDict

import numpy as np
from hypothesis import strategies as st

from ashioto.heartbeat.planner import Marker
from ashioto.logical.nodes import DATE, TEXT, TIMESTAMP, Agg, Column, Entity, Output, Query, TimeFrame
from ashioto.period import DAY_MS, Period
from ashioto.schedule.sessions import Sessions

EPOCH = date(1970, 1, 1)
START = 1_710_028_800_000
"""2024-03-10, the day New York clocks go forward; a Sunday."""
START_DAY = START // DAY_MS
Row = tuple[int, int, int]
"""Open and close in ms, and the number of the market date."""
Piece = tuple[int, int, Row]
"""Start and end of a segment in ms, and its session."""

RATE = Entity(
    name="Rate",
    kind="stream",
    columns=(
        Column(name="broker", type=TEXT, role="key"),
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="at", type=TIMESTAMP, role="timestamp"),
    ),
)
HOURS = Entity(
    name="Hours",
    kind="table",
    columns=(
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="broker", type=TEXT, role="key"),
        Column(name="open", type=TIMESTAMP, role="key"),
        Column(name="close", type=TIMESTAMP),
        Column(name="market_date", type=DATE),
    ),
)
FRAMES = st.sampled_from(
    [
        ("1m",),
        ("1m", "5m", "1h", "1d", "1w", "1mo"),
        ("7m", "21m", "2d"),
        ("30s", "5m", "2w", "3mo", "24mo"),
        ("1h", "4h"),
        ("1d",),
        ("1d", "1w", "1mo"),
        ("1w", "2w"),
    ]
)


def query(*frames: str, align: str = "clock", grace_ms: int = 0) -> Query:
    """Build a query that counts ticks by broker and symbol; its schedule names the two the other way round."""
    return Query(
        context="t",
        name="q",
        entity=RATE,
        where=(),
        time_frame=TimeFrame(
            schedule=HOURS,
            join=(("symbol", "symbol"), ("broker", "broker")),
            open_column="open",
            close_column="close",
            day_column="market_date",
        ),
        frames=tuple(sorted(map(Period.parse, frames))),
        align="session" if align == "session" else "clock",
        continuous=True,
        grace_ms=grace_ms,
        retention_ms=7 * DAY_MS,
        group_by=("broker", "symbol"),
        outputs=(Output(name="ticks", expr=Agg(func="count", arg=None)),),
        when_empty=(),
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[Row]:
    """Draw sessions: breaks, overnight, odd bounds, market dates that may go back."""
    at, day = START + draw(st.integers(-7_200_000, 7_200_000)), START_DAY
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 40)) * draw(st.sampled_from([1, 1_000, 30_000, 60_000, 300_000]))
        rows.append((at, at + length, day))
        at += length + draw(st.sampled_from([0, 0, 1, 1_000, 59_999, 3_600_000, DAY_MS]))
        day += draw(st.sampled_from([0, 0, 1, 3, 30, -1, -9]))
    return rows


@st.composite
def plans(draw: st.DrawFn) -> tuple[Query, list[Row]]:
    """Draw a query and a schedule."""
    grace = draw(st.sampled_from([0, 1, 5_000, 600_000]))
    return query(*draw(FRAMES), align=draw(st.sampled_from(["clock", "session"])), grace_ms=grace), draw(schedules())


def sessions_of(rows: list[Row]) -> Sessions:
    """Return the schedule, made anew."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Sessions.build(columns[0], columns[1], columns[2])


def bucket(period: Period, align: str, at: int, row: Row) -> tuple[int, int]:
    """Return start and end of the bucket of an instant, by dates and plain numbers."""
    if period.is_intraday:
        origin = row[0] if align == "session" else 0
        start = origin + (at - origin) // period.millis * period.millis
        return start, start + period.millis
    day = EPOCH + timedelta(days=row[2])
    if period.unit == "mo":
        month = (day.year * 12 + day.month - 1) // period.count * period.count
        first, after = (date(m // 12, m % 12 + 1, 1) for m in (month, month + period.count))
    else:
        size = period.count * (7 if period.unit == "w" else 1)
        origin_day = date(1970, 1, 5) if period.unit == "w" else EPOCH
        first = origin_day + timedelta(days=(day - origin_day).days // size * size)
        after = first + timedelta(days=size)
    return (first - EPOCH).days * DAY_MS, (after - EPOCH).days * DAY_MS


def pieces_of(plan: Query, rows: list[Row]) -> list[Piece]:
    """Return every segment, in order."""
    found = []
    for row in rows:
        at = row[0]
        while at < row[1]:
            end = min(bucket(plan.base, plan.align, at, row)[1], row[1]) if plan.base.is_intraday else row[1]
            found.append((at, end, row))
            at = end
    return found


def closings_of(plan: Query, pieces: list[Piece]) -> dict[int, list[str]]:
    """Return which kinds of bars end when: with the last segment, the last bar of all not before the calendar says."""
    found: dict[int, list[str]] = {}
    for frame in plan.frames:
        ends: dict[int, tuple[int, int]] = {}
        for start, end, row in pieces:
            begin, until = bucket(frame, plan.align, start, row)
            ends[begin] = (end, until)
        for begin, (end, until) in ends.items():
            found.setdefault(max(end, until) if begin == max(ends) else end, []).append(frame.kind)
    return found


class _Place(TypedDict):
    at: int
    bucket_start: int
    bucket_end: int
    day: int
    opened: int


def markers_of(plan: Query, rows: list[Row]) -> list[Marker]:
    """Return every marker of a schedule, by walking its segments."""
    pieces = pieces_of(plan, rows)
    closings = closings_of(plan, pieces)
    made: list[Marker] = []

    def place(piece: Piece) -> _Place:
        begin, until = bucket(plan.base, plan.align, piece[0], piece[2])
        return {"at": piece[0], "bucket_start": begin, "bucket_end": until, "day": piece[2][2], "opened": piece[2][0]}

    def final(end: int, piece: Piece, closes: list[str]) -> Marker:
        return Marker(kind="final", due=end + plan.grace_ms, closes=tuple(closes), **place(piece))

    for before, piece in pairwise([pieces[0], *pieces]):
        own = place(piece)
        made.append(
            Marker(
                kind="live",
                due=own["at"],
                next_at=own["at"],
                next_bucket_start=own["bucket_start"],
                next_day=own["day"],
                next_opened=own["opened"],
                **place(before),
            )
        )
        made.append(final(piece[1], piece, closings.pop(piece[1], [])))
    made += [final(end, [p for p in pieces if p[0] < end][-1], kinds) for end, kinds in closings.items()]
    return sorted(made, key=lambda m: (m.due, m.kind == "live", m.at))
