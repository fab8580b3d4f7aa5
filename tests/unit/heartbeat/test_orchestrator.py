from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.support_heartbeat import HOURS_TOPIC, contents, planned, session_batch
from tests.support_orchestrator import DAY, ENV, KEYS, LATER, MINUTE, OPEN, PLAN, RefusingLog, Stage
from tests.support_planning import HOURS, START, START_DAY

from ashioto import naming
from ashioto.control.state import heartbeat_state
from ashioto.errors import LogBusyError, LogFullError, StaleEpochError
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Batch, Fence, TopicSpec
from ashioto.schema.arrow import storage_schema

SPEC = "t.Rate.1m"
BARS = naming.bars_topic("t", "Rate", PLAN.base)


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.specify()
    return made


def test_every_marker_is_sent_when_it_is_due(stage: Stage) -> None:
    runs = stage.active()
    stage.run(runs, START + 10 * MINUTE)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 10 * MINUTE)
    assert stage.value("ashioto_hb_emitted_total", kind="live") == 10
    assert stage.value("ashioto_hb_emitted_total", kind="final") == 10
    assert stage.value("ashioto_hb_delay_seconds_sum") == 0
    assert stage.value("ashioto_hb_catch_up_total") == 0


def test_it_never_spins(stage: Stage) -> None:
    runs = stage.active(options=HeartbeatOptions(watch_s=10.0))
    until = START + 60 * MINUTE
    due = {row[2] for row in planned(PLAN, stage.hours, after=START - MINUTE - 1, until=until)}
    watches, watermarks = 61 * 6, 61 * MINUTE // stage.spec().interval_ms
    assert stage.run(runs, until) <= len(due) + watches + watermarks + 5


def test_while_the_watermark_lies_ahead_it_waits(stage: Stage) -> None:
    stage.clock.advance(3 * MINUTE)
    stage.run(stage.active(), START + 2 * MINUTE)
    stage.clock.advance(-2 * MINUTE)
    before = stage.log.end_offsets("t.rate_hb")
    runs = stage.active(epoch=2)
    assert (runs.step(), runs.wake_ms()) == (0, START + 2 * MINUTE + 1)
    assert stage.log.end_offsets("t.rate_hb") == before


def test_what_was_due_before_is_caught_up_on_in_pieces(stage: Stage) -> None:
    stage.clock.advance(11 * MINUTE)
    runs = stage.active(options=HeartbeatOptions(max_rows=3))
    assert runs.step() == 2
    stage.run(runs, START + 10 * MINUTE)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 10 * MINUTE)
    assert stage.value("ashioto_hb_catch_up_total") == 20


def test_one_that_cannot_be_served_does_not_stop_the_others_and_is_served_once_it_can(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stage.specify(stage.spec(kind="5m", schedule_topic="t.holidays"))
    runs = stage.active()
    stage.run(runs, START + MINUTE)
    assert list(runs.problems) == ["t.Rate.5m"]
    assert "t.holidays" in runs.problems["t.Rate.5m"]
    assert sum("t.holidays" in r.message for r in caplog.records) == 1
    assert sum(contents(stage.log, PLAN).values()) == 4
    stage.log.create([TopicSpec(name="t.holidays", cleanup="compact", schema=storage_schema(HOURS))])
    stage.run(runs, START + MINUTE + 6_000)
    assert runs.problems == {}
    assert set(runs.beats) == {SPEC, "t.Rate.5m"}


def test_one_that_is_wanted_no_more_stops_and_goes_on_where_it_was(stage: Stage) -> None:
    runs = stage.active()
    stage.run(runs, START)
    stage.specify(stage.spec(enabled=False))
    stage.run(runs, START + 2 * MINUTE)
    assert runs.beats == {}
    assert runs.wake_ms() is None
    assert sum(contents(stage.log, PLAN).values()) == 2
    stage.specify(stage.spec(version=2, grace_ms=3_000))
    stage.run(runs, START + 5 * MINUTE)
    changed = replace(PLAN, grace_ms=3_000)
    assert contents(stage.log, PLAN) == planned(changed, stage.hours, after=START - 1, until=START + 5 * MINUTE)


def test_one_that_is_new_begins_when_it_was_written() -> None:
    stage = Stage()
    runs = stage.active()
    stage.run(runs, START + MINUTE)
    assert runs.wake_ms() is None
    stage.specify(stage.spec(updated_ms=START + MINUTE))
    stage.run(runs, START + 3 * MINUTE)
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=START + MINUTE - 1, until=START + 3 * MINUTE)


@pytest.mark.parametrize("topic", [HOURS_TOPIC, "t.rate_hb", "t.rate"])
def test_a_topic_that_is_deleted_is_a_problem_until_it_is_there_again(stage: Stage, topic: str) -> None:
    runs = stage.active()
    stage.run(runs, START)
    spec = stage.log.describe(topic).spec
    stage.log.delete([topic])
    stage.run(runs, START + 2 * MINUTE)
    assert list(runs.problems) == [SPEC]
    assert topic in runs.problems[SPEC]
    assert stage.value("ashioto_hb_problem") == 1
    stage.log.create([spec])
    if topic == HOURS_TOPIC:
        stage.log.append([session_batch(stage.hours)])
    stage.run(runs, START + 3 * MINUTE)
    assert runs.problems == {}
    assert stage.value("ashioto_hb_problem") == 0
    missed = planned(PLAN, stage.hours, after=START, until=START + 3 * MINUTE)
    assert not missed - contents(stage.log, PLAN)


@pytest.mark.parametrize("error", [LogBusyError("held"), LogFullError("full")])
def test_a_log_that_refuses_for_a_while_loses_nothing(
    stage: Stage, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    log = RefusingLog(stage.log)
    runs = stage.active(log)
    log.errors = [error] * 3
    stage.run(runs, START + 2 * MINUTE)
    assert log.errors == []
    assert sum("tried again" in r.message for r in caplog.records) == 3
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 2 * MINUTE)


def test_whoever_was_followed_by_another_is_told(stage: Stage) -> None:
    first = stage.active()
    first.step()
    stage.clock.advance(1)
    stage.active(epoch=2).step()
    stage.clock.advance(MINUTE)
    with pytest.raises(StaleEpochError):
        first.step()
    assert sum(contents(stage.log, PLAN).values()) == 0


def test_handing_over_is_recorded(stage: Stage) -> None:
    runs = stage.active()
    stage.run(runs, START)
    runs.hand_over()
    state = heartbeat_state(stage.log, stage.spec().key(ENV))
    assert state is not None
    assert (state.mode, state.last_hb_ms, state.epoch, state.holder) == ("stopped", START, 1, "h")
    stage.clock.advance(MINUTE)
    assert runs.step() == 0


def test_an_edit_that_does_not_hold_together_is_told_once_and_not_followed(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    runs = stage.active()
    stage.run(runs, START)
    early, overlap = (START - 30_000, START + 1, START_DAY), (START - 50_000, START - 10_000, START_DAY)
    stage.log.append([session_batch({KEYS[0]: [early], KEYS[1]: [overlap]})])
    stage.run(runs, START + 2 * MINUTE)
    assert sum("does not hold together" in r.message for r in caplog.records) == 1
    assert contents(stage.log, PLAN) == planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 2 * MINUTE)
    stage.log.append([session_batch({}, removed={KEYS[0]: [early]})])
    stage.hours[KEYS[1]] = [overlap, *stage.hours[KEYS[1]]]
    second = stage.active(epoch=2)
    stage.run(second, START + 3 * MINUTE)
    wanted = planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 3 * MINUTE)
    assert not wanted - contents(stage.log, PLAN)


def test_the_end_of_a_schedule_is_told_ahead_and_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(hours={KEYS[0]: [OPEN, (START + 9 * DAY, START + 9 * DAY + MINUTE, START_DAY + 9)]})
    stage.specify()
    runs = stage.orchestrator(options=HeartbeatOptions(watch_s=3600.0))

    def told() -> int:
        return sum("ends at" in r.message for r in caplog.records)

    for hours, wanted in [(0, 0), (50, 1), (90, 1)]:
        while stage.clock.now_ms() < START + hours * 3_600_000:
            stage.clock.advance(3_600_000)
            runs.watch()
        assert told() == wanted
    stage.log.append([session_batch({KEYS[0]: [LATER]})])
    stage.clock.advance(3_600_000)
    runs.watch()
    assert told() == 1
    assert stage.value("ashioto_hb_schedule_ends_timestamp_seconds") == LATER[1] / 1000


def test_a_schedule_without_sessions_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(hours={})
    stage.specify()
    stage.run(stage.active(), START + MINUTE)
    assert sum("rc schedule import" in r.message for r in caplog.records) == 1


def test_keys_of_a_market_that_is_always_open_are_served_once_they_have_bars() -> None:
    stage = Stage()
    stage.specify(stage.spec(schedule_topic=None, join=(), schedule_keys=()))
    runs = stage.active()
    stage.run(runs, START)
    assert runs.beats[SPEC].keys == 0
    schema = stage.log.describe(BARS).spec.schema
    row = dict.fromkeys(schema.names)
    stage.log.append([
        Batch(topic=BARS, partition=0, keys=pa.array([b"1\x1fFX\x1fA\\\\B\x1f1710028800000"]),
              timestamps=np.array([START]), data=pa.RecordBatch.from_pylist([row], schema=schema)),
    ])  # fmt: skip
    stage.run(runs, START + 2 * MINUTE)
    assert {said[0] for said in contents(stage.log, PLAN)} == {("FX", "A\\B")}
    assert sum(contents(stage.log, PLAN).values()) == 4


def test_after_a_rewind_it_says_so_and_goes_on_from_there(stage: Stage) -> None:
    runs = stage.active()
    stage.run(runs, START + 2 * MINUTE)
    stage.clock.advance(-2 * MINUTE)
    runs.rewind(Fence(name="hb", epoch=2), START - 1)
    stage.run(runs, START + 3 * MINUTE)
    twice = planned(PLAN, stage.hours, after=START - 1, until=START + 2 * MINUTE)
    assert contents(stage.log, PLAN) == twice + planned(PLAN, stage.hours, after=START - 1, until=START + 3 * MINUTE)
