from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.support_sessions import Case, cases, edges

from ashioto.period import Period
from ashioto.schedule.buckets import buckets_named, frame_buckets
from ashioto.schedule.sessions import Sessions

FIELDS = ("start", "end", "exists_at", "closes_at", "day")


@given(cases())
def test_every_bucket_is_found_by_its_name(case: Case) -> None:
    lo, hi = case.cuts[0], min(case.cuts[1], case.cuts[0] + 3 * 86_400_000)
    every = frame_buckets(case.sessions, case.period, case.align, lo, hi)
    found, there = buckets_named(case.sessions, case.period, case.align, every.start)
    assert there.all()
    for name in FIELDS:
        assert getattr(found, name).tolist() == getattr(every, name).tolist(), name


@given(cases(), st.data())
def test_no_other_instant_names_a_bucket(case: Case, data: st.DataObject) -> None:
    near = st.sampled_from(edges(case.sessions, case.period))
    starts = data.draw(st.lists(st.builds(lambda e, d: e + d, near, st.sampled_from([0, 1, -1, 60_000])), max_size=9))
    found, there = buckets_named(case.sessions, case.period, case.align, np.array(starts, dtype=np.int64))
    whole = frame_buckets(case.sessions, case.period, case.align, min(near_all(case)) - 1, max(near_all(case)) + 1)
    assert there.tolist() == np.isin(starts, whole.start).tolist()
    assert found.start.tolist() == starts


def near_all(case: Case) -> list[int]:
    return [*case.sessions.opens.tolist(), *case.sessions.closes.tolist()]


def test_a_schedule_without_sessions_has_no_buckets() -> None:
    none = np.zeros(0, dtype=np.int64)
    for period in (Period.minutes(1), Period.days(1)):
        assert not buckets_named(Sessions.build(none, none, none), period, "clock", np.array([0]))[1].any()
