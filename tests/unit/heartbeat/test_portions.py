"""What is due is cut into portions that are planned quickly, however long nobody was active."""

from __future__ import annotations

import pytest
from tests.support_planning import START, START_DAY, query, sessions_of

from ashioto.control.specs import derive_spec
from ashioto.heartbeat.members import Layout, Members
from ashioto.heartbeat.planner import plan_markers
from ashioto.heartbeat.portions import Portions

PLAN = query("1s", "1m")
SECONDS = 20_000
UNTIL = START + SECONDS * 1_000


def groups_of(count: int) -> list[Members]:
    """Return keys with schedules of their own: each closes a second later than the one before."""
    layout = Layout(1)
    return [
        layout.members(sessions_of([(START, UNTIL + number * 1_000, START_DAY)]), [("FX", f"S{number}")])
        for number in range(count)
    ]


@pytest.mark.parametrize(("schedules", "most"), [(1, 4_100), (3, 4_100), (300, 5_000)])
def test_a_portion_plans_few_markers_for_few_keys_and_many_schedules(schedules: int, most: int) -> None:
    groups = groups_of(schedules)
    portions = Portions(derive_spec(PLAN, version=1, updated_ms=START), 100_000)
    after, sizes = START - 1, []
    for _ in range(12):
        due, after = portions.next(groups, after, UNTIL, first=portions.first_due(groups, after))
        sizes.append(len(due))
    assert max(sizes) <= most
    assert min(sizes[2:]) > 0


def test_the_portions_together_are_all_that_is_due() -> None:
    [group] = groups_of(1)
    portions = Portions(derive_spec(PLAN, version=1, updated_ms=START), 100_000)
    after, found = START - 1, []
    while after < UNTIL:
        due, after = portions.next([group], after, UNTIL, first=portions.first_due([group], after))
        found += [marker for marker, _ in due]
    assert found == plan_markers(PLAN, group.sessions, after=START - 1, until=UNTIL)
    assert len(found) == 2 * SECONDS
