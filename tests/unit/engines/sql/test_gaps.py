"""What engines that speak SQL cannot do is refused when the query is registered, with the reason and the way out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import Trade, bars
from tests.support_sql import DUCKDB, build

import ashioto as ao
from ashioto.control.topics import marker_schema
from ashioto.engines.sql.dialect import GAPS
from ashioto.engines.sql.layout import NEXT_OPENED, OPENED, lay_out
from ashioto.errors import UnsupportedError
from ashioto.logical.nodes import TEXT, Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.dsl import Column as Selected
    from ashioto.logical.nodes import Query


def refused(query: Query) -> Any:
    with pytest.raises(UnsupportedError) as caught:
        build(query)
    assert caught.value.hint
    return caught.value.ids["capability"]


def test_bars_of_several_months() -> None:
    assert refused(bars("1d", "3mo").plan) == "months"


def test_several_periods_from_the_open_of_a_session_hand_on_by_the_smallest() -> None:
    known = lay_out(bars("1m", "5m", align="session").plan, DUCKDB)
    assert known.carrier is not None
    assert known.carrier.name == "1m"


def test_heartbeats_have_the_columns_that_say_so() -> None:
    assert {OPENED, NEXT_OPENED} <= set(marker_schema(()).names)


def test_one_period_from_the_open_of_a_session_is_possible() -> None:
    assert build(bars("5m", align="session").plan).layout.carrier is not None


def test_several_periods_from_the_open_of_a_day_that_never_closes_are_possible() -> None:
    assert build(bars("1h", "4h", align="session", schedule=False).plan).layout.join is None


def test_previous_of_more_than_last_values_in_several_periods() -> None:
    select: Mapping[str, Selected[Any]] = {
        "high": ao.max(Trade.price),
        "change": ao.max(Trade.price) - ao.coalesce(ao.previous("high"), 0),
    }
    empty = {"high": ao.previous("high"), "change": ao.previous("high")}
    assert refused(bars("1m", "5m", select=select, when_empty=empty).plan) == "previous_of_frames"
    assert build(bars("1m", select=select, when_empty=empty).plan).layout.carried == ("high",)


def test_previous_without_heartbeats() -> None:
    select: Mapping[str, Selected[Any]] = {
        "open": ao.coalesce(ao.previous("close"), ao.first(Trade.price)),
        "close": ao.last(Trade.price),
    }
    assert refused(bars("1m", select=select, continuous=False).plan) == "previous_alone"


def test_a_schedule_joined_by_more_than_its_keys() -> None:
    plan = bars("1m").plan
    frame = plan.time_frame
    assert frame is not None
    more = Column(name="venue", type=TEXT)
    schedule = replace(frame.schedule, columns=(*frame.schedule.columns, more))
    joined = replace(frame, schedule=schedule, join=(*frame.join, ("venue", "venue")))
    assert refused(replace(plan, time_frame=joined)) == "schedule_columns"


@pytest.mark.parametrize("capability", sorted(GAPS))
def test_every_gap_has_a_reason_and_a_way_out(capability: Any) -> None:
    gap = GAPS[capability]
    assert gap.what
    assert gap.reason
    assert gap.hint
