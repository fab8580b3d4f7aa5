from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from ashioto import Period
from ashioto.control.applied import Registration
from ashioto.deploy.begins import begins_at, changed_parts, plan_of, same_bars
from ashioto.engines.base import RunningQuery
from ashioto.logical.codec import checksum, encode_query
from ashioto.logical.nodes import (
    DATE,
    INT64,
    TEXT,
    TIMESTAMP,
    Agg,
    Col,
    Column,
    EmptyRule,
    Entity,
    Lit,
    Op,
    Output,
    Previous,
    Query,
    TimeFrame,
)

if TYPE_CHECKING:
    from ashioto.control.applied import Begins

M1, M5, H1 = Period.minutes(1), Period.minutes(5), Period.hours(1)
SYMBOL = Column(name="symbol", type=TEXT, role="key")
AT = Column(name="at", type=TIMESTAMP, role="timestamp")
PRICE, SIZE, NOTE = (Column(name=n, type=INT64) for n in ("price", "size", "note"))
HOURS = Entity(
    name="Hours",
    kind="table",
    columns=(
        SYMBOL,
        Column(name="open", type=TIMESTAMP, role="key"),
        Column(name="close", type=TIMESTAMP),
        Column(name="late_close", type=TIMESTAMP),
        Column(name="market_date", type=DATE),
        Column(name="other_date", type=DATE),
    ),
)
FRAME = TimeFrame(
    schedule=HOURS, join=(("symbol", "symbol"),), open_column="open", close_column="close", day_column="market_date"
)
QUERY = Query(
    context="trading",
    name="bars",
    entity=Entity(name="Rate", kind="stream", columns=(SYMBOL, AT, PRICE, SIZE, NOTE)),
    where=(Op(op=">", args=(Col(name="size"), Lit(type=INT64, value=0))),),
    time_frame=FRAME,
    frames=(M1, M5, H1),
    align="clock",
    continuous=True,
    grace_ms=0,
    retention_ms=1_000,
    group_by=("symbol",),
    outputs=(Output(name="close", expr=Agg(func="last", arg=Col(name="price"))),),
    when_empty=(EmptyRule(name="close", expr=Previous(output="close")),),
)


def entity(*columns: Column, name: str = "Rate") -> Entity:
    return Entity(name=name, kind="stream", columns=columns)


def frame(**changes: object) -> Query:
    return replace(QUERY, time_frame=replace(FRAME, **changes))  # type: ignore[arg-type]  # one field of any type


SAME = {
    "grace_ms": [replace(QUERY, grace_ms=9)],
    "retention_ms": [replace(QUERY, retention_ms=9)],
    "frames": [replace(QUERY, frames=(M1, H1)), replace(QUERY, frames=(M1,))],
    "entity": [
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, SIZE)),
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, SIZE, NOTE, Column(name="venue", type=TEXT))),
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, SIZE, replace(NOTE, type=TEXT))),
        replace(QUERY, entity=entity(SYMBOL, AT, NOTE, SIZE, PRICE)),
    ],
    "time_frame": [
        frame(schedule=replace(HOURS, columns=HOURS.columns[:-1])),
        frame(schedule=replace(HOURS, columns=(*HOURS.columns, NOTE))),
    ],
}
OTHER = {
    "context": [replace(QUERY, context="analytics")],
    "name": [replace(QUERY, name="other")],
    "entity": [
        replace(QUERY, entity=entity(*QUERY.entity.columns, name="Quote")),
        replace(QUERY, entity=entity(SYMBOL, AT, replace(PRICE, type=TEXT), SIZE, NOTE)),
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, replace(SIZE, default=Lit(type=INT64, value=1)), NOTE)),
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, SIZE, replace(NOTE, role="sequence"))),
        replace(QUERY, entity=entity(SYMBOL, AT, PRICE, SIZE, replace(NOTE, role="key"))),
    ],
    "where": [replace(QUERY, where=())],
    "time_frame": [
        replace(QUERY, time_frame=None),
        frame(schedule=replace(HOURS, name="Sessions")),
        frame(join=()),
        frame(open_column="market_date"),
        frame(close_column="late_close"),
        frame(day_column="other_date"),
    ],
    "frames": [replace(QUERY, frames=(M5, H1)), replace(QUERY, frames=(M1, M5, H1, Period.days(1)))],
    "align": [replace(QUERY, align="session")],
    "continuous": [replace(QUERY, continuous=False)],
    "group_by": [replace(QUERY, group_by=())],
    "outputs": [
        replace(QUERY, outputs=(Output(name="last", expr=QUERY.outputs[0].expr),)),
        replace(QUERY, outputs=(Output(name="close", expr=Agg(func="first", arg=Col(name="price"))),)),
        replace(QUERY, outputs=(*QUERY.outputs, Output(name="n", expr=Agg(func="count", arg=None)))),
    ],
    "when_empty": [replace(QUERY, when_empty=(EmptyRule(name="close", expr=Lit(type=INT64, value=0)),))],
}


def cases(found: dict[str, list[Query]]) -> list[object]:
    return [pytest.param(name, plan, id=f"{name}{i}") for name, plans in found.items() for i, plan in enumerate(plans)]


def test_every_part_of_a_plan_is_decided_on() -> None:
    assert SAME.keys() | OTHER.keys() == {f.name for f in fields(Query)}


@pytest.mark.parametrize(("part", "plan"), cases(SAME))
def test_what_changes_no_bar(part: str, plan: Query) -> None:
    assert changed_parts(QUERY, plan) == [part]
    assert checksum(plan) != checksum(QUERY)
    assert same_bars(QUERY, plan)


@pytest.mark.parametrize(("part", "plan"), cases(OTHER))
def test_what_changes_bars(part: str, plan: Query) -> None:
    assert part in changed_parts(QUERY, plan)
    assert not same_bars(QUERY, plan)


def registration(plan: Query = QUERY, begins: Begins = "start") -> Registration:
    return Registration(
        context="trading", query="bars", version=1, state="applied", engine="memory", checksum=checksum(plan),
        plan=encode_query(plan), begins=begins, updated_ms=0,
    )  # fmt: skip


def run(cuts: dict[int, int]) -> RunningQuery:
    return RunningQuery(name="trading_bars_v1", state="running", cuts=cuts)


def test_a_version_goes_on_only_where_one_has_begun() -> None:
    later = replace(QUERY, grace_ms=5)
    assert begins_at(None, later) == "start"
    assert begins_at(registration(), later) == "start"
    assert begins_at(registration(), later, run=run({})) == "start"
    assert begins_at(registration(), later, run=run({0: 7})) == "previous"
    assert begins_at(registration(begins="previous"), later) == "previous"


def test_a_version_with_other_bars_begins_at_the_start() -> None:
    for begins in ("start", "previous"):
        assert begins_at(registration(begins=begins), replace(QUERY, where=()), run=run({0: 7})) == "start"


def test_a_plan_nobody_can_read_any_more_is_no_ground_to_go_on_from() -> None:
    for text in ('{"version": 99}', "{", '{"version": 1}'):
        damaged = replace(registration(), plan=text)
        assert plan_of(damaged) is None
        assert begins_at(damaged, QUERY, run=run({0: 7})) == "start"
