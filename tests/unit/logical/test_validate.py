from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.errors import DefinitionError, PeriodError
from ashioto.logical.nodes import (
    BOOL,
    FLOAT64,
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
    Op,
    Output,
    Previous,
    Query,
)
from ashioto.logical.outputs import MARKER_COLUMNS, RESERVED
from ashioto.logical.schedules import always_open
from ashioto.logical.types import type_of
from ashioto.logical.validate import check_frames, check_query
from ashioto.period import Period

if TYPE_CHECKING:
    from ashioto.logical.nodes import Expr

PRICE = Col(name="price")
FIRST = Agg(func="first", arg=PRICE)
PERIODS = st.builds(Period, st.integers(1, 12), st.sampled_from(["s", "m", "h", "d", "w", "mo"]))


def with_output(query: Query, expr: Expr) -> Query:
    return replace(query, outputs=(*query.outputs, Output(name="x", expr=expr)))


def test_checking_twice_changes_nothing(query: Query) -> None:
    assert check_query(check_query(query)) == check_query(query)


@given(st.permutations([Period.minutes(1), Period.minutes(5), Period.hours(4), Period.days(1), Period.months(1)]))
def test_frames_come_out_ascending(frames: list[Period]) -> None:
    assert [p.kind for p in check_frames(frames)] == ["1m", "5m", "4h", "1d", "1mo"]


@given(st.lists(PERIODS, min_size=1, max_size=4, unique=True))
def test_frames_are_accepted_exactly_if_one_of_them_is_inside_all(frames: list[Period]) -> None:
    if any(all(frame.holds(base) for frame in frames) for base in frames):
        base, *others = check_frames(frames)
        assert all(frame.holds(base) for frame in others)
        return
    with pytest.raises(PeriodError) as caught:
        check_frames(frames)
    assert {caught.value.ids["period"], caught.value.ids["base"]} <= {frame.kind for frame in frames}


def test_periods_in_the_hint_would_really_work() -> None:
    with pytest.raises(PeriodError) as caught:
        check_frames([Period.minutes(7), Period.hours(1)])
    assert caught.value.message == "1h is not a whole number of 7m, the smallest period"
    assert caught.value.hint.startswith("56m or 63m would fit 7m")
    assert check_frames([Period.minutes(7), Period.minutes(56), Period.minutes(63)])


def test_join_pairs_have_one_order(query: Query) -> None:
    assert query.time_frame is not None
    schedule = replace(
        query.time_frame.schedule,
        columns=(Column(name="venue", type=TEXT, role="key"), *query.time_frame.schedule.columns),
    )
    pairs = (("venue", "venue"), ("symbol", "symbol"))
    made = [
        check_query(replace(query, time_frame=replace(query.time_frame, schedule=schedule, join=join)))
        for join in (pairs, pairs[::-1], (*pairs, pairs[0]))
    ]
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize(
    ("func", "arg", "wanted"),
    [
        ("first", "price", Previous(output="close")),
        ("min", "price", Previous(output="close")),
        ("last", "price", Previous(output="x")),
        ("max", "size", "nothing says what x is"),
        ("sum", "size", Lit(type=INT64, value=0)),
        ("sum", "weight", Lit(type=FLOAT64, value=0.0)),
        ("avg", "price", Lit(type=FLOAT64, value=None)),
    ],
)
def test_empty_bars_have_a_default_for_each_aggregate(query: Query, func: Any, arg: str, wanted: object) -> None:
    asked = with_output(query, Agg(func=func, arg=Col(name=arg)))
    if func == "last":
        asked = replace(asked, outputs=asked.outputs[2:])
    if isinstance(wanted, str):
        with pytest.raises(DefinitionError, match=wanted):
            check_query(asked)
        return
    assert check_query(asked).when_empty[-1] == EmptyRule(name="x", expr=wanted)  # type: ignore[arg-type]  # a table


def test_an_empty_bar_prefers_the_last_of_the_same_column(query: Query) -> None:
    doubled = Op(op="*", args=(PRICE, Lit(type=INT64, value=2)))
    asked = replace(
        query,
        outputs=(
            *query.outputs,
            Output(name="twice", expr=Agg(func="last", arg=doubled)),
            Output(name="top", expr=Agg(func="max", arg=doubled)),
        ),
    )
    rules = {r.name: r.expr for r in check_query(asked).when_empty}
    assert rules["top"] == Previous(output="twice")
    assert rules["high"] == Previous(output="close")


def test_a_range_is_null_in_an_empty_bar(query: Query) -> None:
    spread = Op(op="-", args=(Agg(func="max", arg=PRICE), Agg(func="min", arg=PRICE)))
    rule = check_query(with_output(query, spread)).when_empty[-1]
    assert rule.expr == Lit(type=DataType(name="decimal", precision=18, scale=5), value=None)


def test_given_rules_win_and_take_the_order_of_the_columns(query: Query) -> None:
    rules = (
        EmptyRule(name="ticks", expr=Lit(type=INT64, value=-1)),
        EmptyRule(name="high", expr=Lit(type=type_of(PRICE, query.entity), value=None)),
    )
    found = check_query(replace(query, when_empty=rules)).when_empty
    assert [r.name for r in found] == ["high", "close", "ticks"]
    assert (found[0], found[2]) == rules[::-1]
    with pytest.raises(DefinitionError, match="names a column twice"):
        check_query(replace(query, when_empty=(rules[0], rules[0])))


def test_bars_that_are_not_continuous_have_no_rules(query: Query) -> None:
    assert check_query(replace(query, continuous=False, time_frame=None)).when_empty == ()


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (PRICE, "uses price of a single tick"),
        (Col(name="prise"), "no column 'prise'"),
        (Agg(func="sum", arg=Col(name="prise")), "no column 'prise'"),
        (Agg(func="sum", arg=FIRST), "one aggregate inside another"),
        (Agg(func="sum", arg=Op(op="+", args=(PRICE, FIRST))), "one aggregate inside another"),
        (Agg(func="sum", arg=Previous(output="close")), "one aggregate inside another"),
        (Agg(func="sum", arg=None), "needs a column"),
        (Agg(func="max", arg=Col(name="symbol")), "takes numbers"),
        (Op(op="+", args=(FIRST, PRICE)), "uses price of a single tick"),
        (Op(op="+", args=(FIRST,)), "does not take 1 arguments"),
        (Op(op="%", args=(FIRST, FIRST)), "'%' does not take"),
        (Op(op="and", args=(FIRST, FIRST)), "takes conditions"),
        (Op(op="*", args=(FIRST,) * 2), "the right one"),
        (Op(op="greatest", args=()), "does not take 0"),
        (Previous(output="volume"), "names no column"),
        (Lit(type=TEXT, value="x"), "must be a number"),
        (Op(op="<", args=(FIRST, Lit(type=TEXT, value="x"))), "do not compare"),
    ],
)
def test_selected_columns_are_numbers_over_the_bucket(query: Query, expr: Expr, text: str) -> None:
    asked = with_output(query, expr)
    if text == "the right one":
        assert check_query(asked).outputs == asked.outputs
        return
    with pytest.raises(DefinitionError) as caught:
        check_query(asked)
    assert text in str(caught.value)


def test_conditions_joined_by_and_are_conditions_of_their_own(query: Query) -> None:
    one, two = (Op(op=op, args=(Col(name="size"), Lit(type=INT64, value=0))) for op in (">", "!="))
    joined = check_query(replace(query, where=(Op(op="and", args=(one, Op(op="and", args=(two, one)))),)))
    assert joined.where == (one, two, one)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_of_the_envelope_are_taken(query: Query, name: str) -> None:
    asked = replace(query, outputs=(*query.outputs, Output(name=name, expr=FIRST)))
    with pytest.raises(DefinitionError, match=f"already has a column {name}"):
        check_query(asked)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"context": "Trading"}, "no name for a context"),
        ({"name": ""}, "no name for a query"),
        ({"frames": ()}, "there is no period"),
        ({"where": (PRICE,)}, "where needs a condition"),
        ({"where": (Lit(type=BOOL, value=True), FIRST)}, "first() stands outside select"),
        ({"group_by": ("venue",)}, "group_by lacks symbol"),
        ({"group_by": ("symbol", "price")}, "bars are grouped by text"),
        ({"group_by": ("symbol", "nothing")}, "no column 'nothing'"),
        ({"time_frame": None}, "ensure_continuous needs a time_frame"),
        ({"grace_ms": -1}, "grace is negative"),
        ({"retention_ms": -1}, "retention is negative"),
        ({"outputs": ()}, "nothing is selected"),
        ({"outputs": (Output(name="a", expr=FIRST), Output(name="a", expr=FIRST))}, "a is selected twice"),
        ({"entity": Entity(name="Rate", kind="stream", columns=())}, "no event time"),
        (
            {"entity": Entity(name="T", kind="table", columns=(Column(name="a", type=TEXT, role="key"),))},
            "T is a table",
        ),
        (
            {
                "entity": Entity(
                    name="R", kind="stream", columns=(Column(name="a", type=TIMESTAMP, role="timestamp"),) * 2
                )
            },
            "two columns a",
        ),
    ],
)
def test_every_part_of_a_query_is_checked(query: Query, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_query(replace(query, **changes))
    assert text in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"open_column": "day"}, "MarketSchedule.day is date"),
        ({"day_column": "close"}, "MarketSchedule.close is timestamp"),
        ({"close_column": "end"}, "no column 'end'"),
        ({"open_column": "close"}, "close is no key"),
        ({"join": (("symbol", "symbol"), ("at", "day"))}, "Rate.at is timestamp, MarketSchedule.day is date"),
        ({"join": ()}, "symbol is a key of the schedule"),
    ],
)
def test_the_schedule_is_checked(query: Query, changes: dict[str, Any], text: str) -> None:
    assert query.time_frame is not None
    with pytest.raises(DefinitionError) as caught:
        check_query(replace(query, time_frame=replace(query.time_frame, **changes)))
    assert text in str(caught.value)


def test_the_ready_made_schedule_fits_any_entity(query: Query) -> None:
    for group_by in (("symbol", "venue"), ("venue",), ()):
        assert check_query(replace(query, time_frame=always_open(), group_by=group_by)).group_by == group_by


@pytest.mark.parametrize("name", MARKER_COLUMNS)
def test_continuous_bars_are_not_grouped_by_a_column_that_heartbeats_have(query: Query, name: str) -> None:
    entity = replace(query.entity, columns=(*query.entity.columns, Column(name=name, type=TEXT)))
    entity = entity if name != "at" else replace(entity, columns=tuple(_renamed(c) for c in query.entity.columns))
    named = replace(query, entity=entity, group_by=("symbol", name))
    said = "that every bar needs" if name in RESERVED else f"heartbeats have a column {name} of their own"
    with pytest.raises(DefinitionError, match=said) as caught:
        check_query(named)
    assert caught.value.ids["column"] == name
    assert caught.value.hint.startswith("rename it")
    if name not in RESERVED:
        assert check_query(replace(named, continuous=False)).group_by == ("symbol", name)


def _renamed(column: Column) -> Column:
    """A stream whose time is `time` and whose venue is called `at`."""
    return replace(column, name={"at": "time", "venue": "at"}.get(column.name, column.name))
