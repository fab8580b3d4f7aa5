from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support_heartbeat import HOURS_TOPIC, TrimmedLog, create_topics, session_batch
from tests.support_planning import START, START_DAY, Row, query, sessions_of

from ashioto.control.schedules import LogSchedules
from ashioto.errors import ScheduleError
from ashioto.testing.memory_log import MemoryLog

PLAN = query("1m")
A, B = ("FX", "EURUSD"), ("EX", "A\\B")
ONE: Row = (START, START + 60_000, START_DAY)
TWO: Row = (START + 120_000, START + 180_000, START_DAY)
OVER: Row = (START + 30_000, START + 90_000, START_DAY)
EMPTY: Row = (START, START, START_DAY)


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    create_topics(made, PLAN)
    made.append([session_batch({A: [ONE], B: [ONE]})])
    return made


def test_keys_find_their_sessions_in_whatever_order_the_schedule_names_them(log: MemoryLog) -> None:
    schedules = LogSchedules(log, PLAN)
    assert schedules.sessions(A) == sessions_of([ONE])
    assert schedules.sessions(A) is schedules.sessions(B)
    assert schedules.sessions(("FX", "A\\B")) is None
    assert set(schedules.scheduled()) == {schedules.owner(A), schedules.owner(B)} == {A[::-1], B[::-1]}
    assert schedules.offset == 2


def test_without_a_schedule_every_key_is_always_open(log: MemoryLog) -> None:
    schedules = LogSchedules(log, replace(PLAN, time_frame=None))
    assert schedules.sessions(("any", "key")) is schedules.sessions(A)
    assert (schedules.offset, schedules.refresh(), schedules.as_of(0)) == (-1, False, None)


def test_a_broken_edit_is_refused_once_and_its_offset_is_not_taken_for_followed(log: MemoryLog) -> None:
    schedules = LogSchedules(log, PLAN)
    log.append([session_batch({A: [OVER], B: [TWO]})])
    with pytest.raises(ScheduleError, match="EURUSD FX"):
        schedules.refresh()
    assert not schedules.refresh()
    assert (schedules.offset, schedules.sessions(B)) == (2, sessions_of([ONE]))
    log.append([session_batch({}, removed={A: [OVER]})])
    assert schedules.refresh()
    assert (schedules.offset, schedules.sessions(B)) == (5, sessions_of([ONE, TWO]))


def test_what_nobody_looked_at_before_a_broken_edit_is_followed_all_the_same(log: MemoryLog) -> None:
    running = LogSchedules(log, PLAN)
    log.append([session_batch({A: [TWO]})])
    log.append([session_batch({A: [OVER]})])
    assert running.refresh()
    with pytest.raises(ScheduleError, match="EURUSD FX"):
        running.refresh()
    assert not running.refresh()
    started = LogSchedules(log, PLAN)
    assert running.offset == started.offset == 3
    assert running.sessions(A) == started.sessions(A) == sessions_of([ONE, TWO])


def test_where_it_never_held_together_or_that_is_not_kept_it_is_refused(log: MemoryLog) -> None:
    log.append([session_batch({A: [OVER]})])
    with pytest.raises(ScheduleError, match="EURUSD FX"):
        LogSchedules(TrimmedLog(log, start=1), PLAN)
    never = MemoryLog()
    never.create([log.describe(HOURS_TOPIC).spec])
    never.append([session_batch({A: [ONE]})])
    never.append([session_batch({A: [OVER]})])
    assert LogSchedules(never, PLAN).offset == 1
    never.delete([HOURS_TOPIC])
    never.create([log.describe(HOURS_TOPIC).spec])
    never.append([session_batch({A: [EMPTY]})])
    with pytest.raises(ScheduleError, match="EURUSD FX"):
        LogSchedules(never, PLAN)


def test_it_knows_how_the_schedule_was(log: MemoryLog) -> None:
    log.append([session_batch({A: [TWO]}, removed={B: [ONE]})])
    log.append([session_batch({A: [(ONE[0], ONE[1] - 1, ONE[2])]})])
    schedules = LogSchedules(log, PLAN)
    a, b = schedules.owner(A), schedules.owner(B)
    assert schedules.as_of(0) == {}
    assert schedules.as_of(1) == {a: sessions_of([ONE])}
    assert schedules.as_of(2) == {a: sessions_of([ONE]), b: sessions_of([ONE])}
    assert schedules.as_of(4) == {a: sessions_of([ONE, TWO])}
    assert schedules.as_of(5) == {a: schedules.sessions(A)}
    assert schedules.as_of(6) is None


def test_what_was_broken_or_is_not_kept_any_more_it_does_not_know(log: MemoryLog) -> None:
    log.append([session_batch({A: [OVER]})])
    log.append([session_batch({}, removed={A: [OVER]})])
    assert LogSchedules(log, PLAN).as_of(3) is None
    assert LogSchedules(TrimmedLog(log, start=1), PLAN).as_of(2) is None
    assert log.end_offsets(HOURS_TOPIC) == {0: 4}
