from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support_heartbeat import TrimmedLog, session_batch
from tests.support_orchestrator import DAY, KEYS, LATER, MINUTE, OPEN, PLAN, Stage
from tests.support_planning import START, START_DAY

from ashioto.control.schedules import open_always
from ashioto.heartbeat.followed import Followed
from ashioto.heartbeat.members import Layout

NEXT = (START + DAY, START + DAY + MINUTE, START_DAY + 1)
SENT = START + 2 * DAY


def test_keys_that_follow_equal_sessions_are_one_group() -> None:
    stage = Stage(hours={("FX", "A"): [OPEN], ("FX", "B"): [OPEN], ("EX", "A"): [OPEN, NEXT]})
    followed = Followed(stage.log, stage.spec())
    assert sorted([list(group.keys) for group in followed.groups]) == [[("EX", "A")], [("FX", "A"), ("FX", "B")]]
    assert followed.ends_ms == OPEN[1]
    assert followed.is_named


def test_one_series_of_a_market_that_is_always_open_needs_no_bars_to_be_known() -> None:
    stage = Stage(plan=replace(PLAN, group_by=(), time_frame=None))
    followed = Followed(stage.log, stage.spec())
    assert list(followed.sessions) == [()]
    assert len(followed.sessions[()]) == len(open_always())
    stage.specify()
    stage.run(stage.active(), START)
    part = stage.log.read("t.rate_hb", 0, 0) or stage.log.read("t.rate_hb", 1, 0)
    assert part is not None
    assert part.keys.to_pylist() == [b"1"] * len(part.keys)


def test_what_changes_after_a_session_leaves_all_before_its_close_alone() -> None:
    stage = Stage()
    followed = Followed(stage.log, stage.spec())
    stage.log.append([session_batch({KEYS[0]: [NEXT]})])
    again = followed.refresh(SENT, [])
    assert again is not None
    assert [(list(s.members.keys), s.after, s.until) for s in again] == [([KEYS[0]], OPEN[1] - 1, SENT)]
    assert followed.refresh(SENT, again) is None


def test_what_was_still_to_be_sent_is_sent_by_the_newest_schedule() -> None:
    stage = Stage()
    followed = Followed(stage.log, stage.spec())
    early = (START - DAY, START - DAY + MINUTE, START_DAY - 1)
    stage.log.append([session_batch({KEYS[0]: [early]})])
    again = followed.refresh(SENT, [])
    assert again is not None
    stage.log.append([session_batch({KEYS[0]: [NEXT], KEYS[1]: [NEXT]})])
    newest = followed.refresh(SENT + 1, again)
    assert newest is not None
    found = {s.members.keys[0]: s for s in newest}
    assert {key: (s.after, s.until) for key, s in found.items()} == {
        KEYS[0]: (again[0].after, SENT + 1),
        KEYS[1]: (OPEN[1] - 1, SENT + 1),
    }
    assert all(len(s.members.sessions) >= 3 for s in newest)


@pytest.mark.parametrize(
    ("start", "changes", "wanted"),
    [
        (4, {}, {KEYS[0]: OPEN[1] - 1}),
        (4, {"join": (("symbol", "symbol"), ("broker", "market_date"))}, None),
        (5, {}, dict.fromkeys(KEYS, OPEN[1] - 1)),
    ],
)
def test_where_the_log_has_forgotten_how_it_was_the_records_say_what_changed(
    start: int, changes: dict[str, Any], wanted: dict[Any, int] | None
) -> None:
    stage = Stage()
    stage.log.append([session_batch({}, removed={KEYS[0]: [LATER]}), session_batch({KEYS[0]: [NEXT]})])
    spec = stage.spec(**changes)
    if wanted is None:  # joined by what is no key: a record does not say for sure whose session it was
        followed = Followed(TrimmedLog(stage.log, start=start), stage.spec())
        followed._spec = spec
        found = followed.since(4, SENT)
        assert {key for s in found for key in s.members.keys} == set(KEYS)
        return
    found = Followed(TrimmedLog(stage.log, start=start), spec).since(4, SENT)
    assert {key: s.after for s in found for key in s.members.keys} == wanted


def test_a_week_is_the_most_that_is_sent_again() -> None:
    stage = Stage()
    followed = Followed(stage.log, stage.spec())
    stage.log.append([session_batch({KEYS[0]: [NEXT]})])
    (stretch,) = followed.refresh(START + 90 * DAY, []) or []
    assert stretch.after == START + 83 * DAY


def test_a_layout_puts_keys_beside_their_ticks_in_order() -> None:
    stage = Stage()
    sessions = next(iter(Followed(stage.log, stage.spec()).sessions.values()))
    members = Layout(3).members(sessions, [("b", "\x1f"), ("a", "x"), ("a", "\\")])
    assert list(members.keys) == [("a", "\\"), ("a", "x"), ("b", "\x1f")]
    rows = [(k, *c) for p in members.parts.values()
            for k, *c in zip(p.keys.to_pylist(), *(col.to_pylist() for col in p.columns), strict=True)]  # fmt: skip
    assert sorted(rows) == [
        (b"1\x1fa\x1f\\\\", "a", "\\"), (b"1\x1fa\x1fx", "a", "x"), (b"1\x1fb\x1f\\u001f", "b", "\x1f"),
    ]  # fmt: skip
