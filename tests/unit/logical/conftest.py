from __future__ import annotations

import pytest

from ashioto.logical.nodes import DATE, TEXT, TIMESTAMP, Agg, Col, Column, DataType, Entity, Output, Query, TimeFrame
from ashioto.period import Period

PRICE = DataType(name="decimal", precision=18, scale=5)
RATE = Entity(
    name="Rate",
    kind="stream",
    columns=(
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="venue", type=TEXT, role="key"),
        Column(name="at", type=TIMESTAMP, role="timestamp"),
        Column(name="price", type=PRICE),
        Column(name="size", type=DataType(name="int64")),
        Column(name="weight", type=DataType(name="float64")),
    ),
)
SCHEDULE = Entity(
    name="MarketSchedule",
    kind="table",
    columns=(
        Column(name="symbol", type=TEXT, role="key"),
        Column(name="open", type=TIMESTAMP, role="key"),
        Column(name="close", type=TIMESTAMP),
        Column(name="day", type=DATE),
    ),
)


@pytest.fixture
def query() -> Query:
    frame = TimeFrame(
        schedule=SCHEDULE, join=(("symbol", "symbol"),), open_column="open", close_column="close", day_column="day"
    )
    return Query(
        context="trading",
        name="rate_bars",
        entity=RATE,
        where=(),
        time_frame=frame,
        frames=(Period.minutes(5), Period.hours(1)),
        align="clock",
        continuous=True,
        grace_ms=5_000,
        retention_ms=604_800_000,
        group_by=("symbol", "venue"),
        outputs=(
            Output(name="high", expr=Agg(func="max", arg=Col(name="price"))),
            Output(name="close", expr=Agg(func="last", arg=Col(name="price"))),
            Output(name="ticks", expr=Agg(func="count", arg=None)),
        ),
        when_empty=(),
    )
