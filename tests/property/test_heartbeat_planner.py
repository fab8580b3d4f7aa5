"""Whatever the stretches of time in which markers are planned, together they are those of the schedule, each once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_planning import Row, bucket, markers_of, pieces_of, plans, sessions_of

from ashioto.heartbeat.planner import next_due, plan_markers
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.heartbeat.planner import Marker
    from ashioto.logical.nodes import Query


def moments(draw: st.DrawFn, markers: list[Marker], count: int) -> list[int]:
    """Some moments around what is due."""
    edges = [m.due for m in markers]
    near = st.builds(lambda due, step: due + step, st.sampled_from(edges), st.integers(-1, 1))
    return draw(st.lists(near | st.integers(edges[0] - DAY_MS, edges[-1] + DAY_MS), max_size=count))


@st.composite
def planned(draw: st.DrawFn) -> tuple[Query, list[Row], list[Marker], list[int]]:
    """A case, all its markers, and ends of stretches of time that hold them all."""
    plan, rows = draw(plans())
    markers = markers_of(plan, rows)
    inner = moments(draw, markers, 6)
    return plan, rows, markers, sorted([markers[0].due - 1, markers[-1].due, *inner])


CASES = settings(max_examples=100, deadline=None)


@CASES
@given(planned())
def test_any_split_of_time_gives_every_marker_once(case: tuple[Query, list[Row], list[Marker], list[int]]) -> None:
    plan, rows, markers, edges = case
    found: list[Marker] = []
    for after, until in pairwise(edges):
        some = plan_markers(plan, sessions_of(rows), after=after, until=until)
        assert all(after < m.due <= until for m in some)
        found += some
    assert found == [m for m in markers if edges[0] < m.due <= edges[-1]]


@CASES
@given(planned())
def test_each_segment_begins_once_and_ends_once(case: tuple[Query, list[Row], list[Marker], list[int]]) -> None:
    plan, rows, _, edges = case
    found = plan_markers(plan, sessions_of(rows), after=edges[0] - DAY_MS, until=edges[-1])
    pieces = pieces_of(plan, rows)
    assert [m.next_at for m in found if m.kind == "live"] == [start for start, _, _ in pieces]
    ends = [(m.at, m.due - plan.grace_ms) for m in found if m.kind == "final"]
    of_segments = [end for end in ends if end in {(start, end) for start, end, _ in pieces}]
    assert of_segments == [(start, end) for start, end, _ in pieces]
    beyond = [m for m in found if m.kind == "final" and (m.at, m.due - plan.grace_ms) not in of_segments]
    assert all(m.closes for m in beyond)


@CASES
@given(planned())
def test_every_bar_is_closed_once(case: tuple[Query, list[Row], list[Marker], list[int]]) -> None:
    plan, rows, _, edges = case
    found = plan_markers(plan, sessions_of(rows), after=edges[0] - DAY_MS, until=edges[-1])
    for frame in plan.frames:
        bars = {bucket(frame, plan.align, start, row) for start, _, row in pieces_of(plan, rows)}
        assert sum(frame.kind in m.closes for m in found) == len(bars)
    assert not any(m.closes for m in found if m.kind == "live")


@CASES
@given(planned())
def test_no_marker_is_dated_ahead_of_the_clock(case: tuple[Query, list[Row], list[Marker], list[int]]) -> None:
    plan, rows, _, edges = case
    for after, until in pairwise(edges):
        for marker in plan_markers(plan, sessions_of(rows), after=after, until=until):
            assert marker.at <= marker.due <= until
            assert marker.next_at is None or marker.at <= marker.next_at <= until


@CASES
@given(planned(), st.integers(0, 5))
def test_what_is_due_next_is_what_is_planned_next(
    case: tuple[Query, list[Row], list[Marker], list[int]], far: int
) -> None:
    plan, rows, markers, edges = case
    for after in [edges[0] - far * 400 * DAY_MS, *edges, edges[-1] + 1, *(m.due for m in markers[:20])]:
        following = [m.due for m in markers if m.due > after]
        assert next_due(plan, sessions_of(rows), after=after) == min(following, default=None)


@CASES
@given(planned(), st.integers(1, 5))
def test_what_begins_says_the_same_when_the_schedule_grows(
    case: tuple[Query, list[Row], list[Marker], list[int]], more: int
) -> None:
    plan, rows, _, edges = case
    opened = rows[-1][1] + 60_000
    grown = [*rows, *((opened + i * DAY_MS, opened + i * DAY_MS + 1_000, rows[-1][2] + i) for i in range(more))]
    now = rows[-1][1]
    live = [
        [m for m in plan_markers(plan, sessions_of(r), after=edges[0] - 1, until=now) if m.kind == "live"]
        for r in (rows, grown)
    ]
    assert live[0] == live[1]
