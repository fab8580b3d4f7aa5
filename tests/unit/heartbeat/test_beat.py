from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_heartbeat import Beats
from tests.support_planning import HOURS, START, START_DAY, Row, query, sessions_of

from ashioto import keys, naming
from ashioto.clock import ManualClock
from ashioto.control.topics import HB_STATE
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.topics import query_topics, system_topics
from ashioto.heartbeat import portions as portions_module
from ashioto.heartbeat.planner import plan_markers
from ashioto.log.base import Batch, TopicSpec
from ashioto.log.partition import partition_of
from ashioto.schema.arrow import from_numpy, key_column, storage_schema
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

MINUTE = 60_000
DAY = 86_400_000
KEYS = [("FX", "EURUSD"), ("FX", "USDJPY"), ("EX", "USDJPY")]
ONE: list[Row] = [(START, START + 5 * MINUTE, START_DAY)]
TWO: list[Row] = [(START + MINUTE, START + 3 * MINUTE, START_DAY), (START + DAY, START + DAY + 90_000, START_DAY + 1)]
PARTITIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One marker as it stands in the log."""

    partition: int
    key: bytes
    timestamp: int
    row: dict[str, Any]

    @property
    def content(self) -> tuple[Any, ...]:
        """What it says, whoever sent it."""
        said = {k: v for k, v in self.row.items() if k not in {"source_cut", "epoch"}}
        return (self.key, self.timestamp, tuple((k, str(v)) for k, v in said.items()))


def schedule(rows: dict[tuple[str, str], list[Row]]) -> Batch:
    """Sessions by (broker, symbol) as records of the schedule topic."""
    flat = [(symbol, broker, *row) for (broker, symbol), found in rows.items() for row in found]
    schema = storage_schema(HOURS)
    texts = [pa.array([r[i] for r in flat], pa.string()).dictionary_encode() for i in (0, 1)]
    numbers = [from_numpy(np.array([r[i] for r in flat], dtype=np.int64), schema.field(i).type) for i in (2, 3, 4)]
    data = pa.RecordBatch.from_arrays([*texts, *numbers], schema=schema)
    return Batch(
        topic=naming.topic("t", "Hours"),
        partition=0,
        keys=key_column(HOURS.keys, data),
        timestamps=np.zeros(len(flat), dtype=np.int64),
        data=data,
    )


def ticks(partition: int, count: int) -> Batch:
    """Some ticks; only how many there are matters here."""
    data = pa.RecordBatch.from_arrays(
        [
            *[pa.array(["A"] * count).dictionary_encode()] * 2,
            from_numpy(np.full(count, START, dtype=np.int64), pa.timestamp("ms", tz="UTC")),
        ],
        names=["broker", "symbol", "at"],
    )
    made = key_column(["broker", "symbol"], data)
    return Batch(
        topic="t.rate", partition=partition, keys=made, timestamps=np.full(count, START, dtype=np.int64), data=data
    )


def log_of(plan: Query, rows: dict[tuple[str, str], list[Row]]) -> MemoryLog:
    """A log with every topic of a query, and its schedule."""
    made = MemoryLog()
    hours = TopicSpec(name=naming.topic("t", "Hours"), cleanup="compact", schema=storage_schema(HOURS))
    made.create([hours, *system_topics(), *query_topics(compile_query(plan), PARTITIONS)])
    made.append([schedule(rows)])
    return made


def sent(log: Log) -> list[Sent]:
    """Every marker in the log, partition by partition."""
    found = []
    for partition in range(PARTITIONS):
        part = log.read("t.rate_hb", partition, 0)
        if part is not None:
            rows = zip(part.keys.to_pylist(), part.timestamps.tolist(), part.data.to_pylist(), strict=True)
            found += [Sent(partition=partition, key=k, timestamp=t, row=row) for k, t, row in rows]
    return found


def state(log: Log) -> list[dict[str, Any]]:
    """What the log says about the heartbeat."""
    rows: list[dict[str, Any]] = log.view(HB_STATE).data.to_pylist()
    return rows


def to_ms(value: Any) -> int | None:
    """A time or date of a record as a number."""
    if value is None:
        return None
    return (value - date(1970, 1, 1)).days if type(value) is date else round(value.timestamp() * 1000)


def expected(plan: Query, found: dict[tuple[str, str], list[Row]], until: int) -> list[tuple[Any, ...]]:
    """The markers of every key as the planner makes them."""
    return sorted(
        (keys.encode(key), m.kind, m.due, m.at, m.bucket_start, m.bucket_end, m.day, m.closes, m.next_at or 0)
        for key, rows in found.items()
        for m in plan_markers(plan, sessions_of(rows), after=0, until=until)
    )


def as_planned(found: list[Sent]) -> list[tuple[Any, ...]]:
    """Markers of the log in the same terms."""
    names = ("due", "at", "bucket_start", "bucket_end", "market_date")
    return sorted(
        (s.key, s.row["kind"], *(to_ms(s.row[n]) for n in names), tuple(s.row["closes"]), to_ms(s.row["next_at"]) or 0)
        for s in found
    )


@pytest.fixture
def plan() -> Query:
    return query("1m", "5m", "1d", grace_ms=2_000)


def test_every_key_of_the_schedule_gets_its_markers_beside_its_ticks(plan: Query) -> None:
    hours = {KEYS[0]: ONE, KEYS[1]: TWO, KEYS[2]: ONE}
    log = log_of(plan, hours)
    count = Beats(log, plan, start_ms=0).send(START + 2 * DAY)
    found = sent(log)
    assert count == len(found)
    assert as_planned(found) == expected(plan, hours, START + 2 * DAY)
    assert all(s.partition == partition_of(s.key, PARTITIONS) for s in found)
    assert all(s.key == keys.encode([s.row["broker"], s.row["symbol"]]) for s in found)
    assert all(s.timestamp == to_ms(s.row["at"]) for s in found)
    assert {s.row["base"] for s in found} == {"1m"}


def test_in_a_partition_markers_stand_in_the_order_in_which_they_are_due(plan: Query) -> None:
    log = log_of(plan, dict.fromkeys(KEYS, ONE))
    Beats(log, plan, start_ms=0).send(START + 2 * DAY)
    found = sent(log)
    for partition in range(PARTITIONS):
        order = [(s.row["due"], s.row["kind"] == "live") for s in found if s.partition == partition]
        assert order == sorted(order)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4 * MINUTE), max_size=8), st.integers(0, 8))
def test_however_often_it_looks_and_starts_anew_each_marker_is_sent_once(steps: list[int], restart: int) -> None:
    plan, hours = query("1m", "5m", "1d", grace_ms=2_000), {KEYS[0]: ONE, KEYS[1]: TWO}
    log, clock = log_of(plan, hours), ManualClock(START - 1)
    beat = Beats(log, plan, start_ms=0)
    for number, step in enumerate([*steps, 2 * DAY]):
        if number == restart:
            beat = Beats(log, plan, start_ms=beat.sent_ms)
        clock.advance(step)
        beat.send(clock.now_ms())
        assert beat.sent_ms == clock.now_ms()
    assert as_planned(sent(log)) == expected(plan, hours, clock.now_ms())


def test_two_heartbeats_say_the_same_under_other_epochs(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE, KEYS[1]: TWO})
    Beats(log, plan, start_ms=0).send(START + 2 * DAY)
    first = sent(log)
    Beats(log, plan, start_ms=0).send(START + 2 * DAY)
    both = sent(log)
    assert len(both) == 2 * len(first)
    for epoch in (1, 2):
        assert {s.content for s in both if s.row["epoch"] == epoch} == {s.content for s in first}


def test_time_that_stands_or_goes_back_sends_nothing(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, plan, start_ms=0)
    assert beat.send(START + MINUTE) > 0
    before = log.end_offsets("t.rate_hb")
    assert (beat.send(START + MINUTE), beat.send(START)) == (0, 0)
    assert (beat.sent_ms, log.end_offsets("t.rate_hb")) == (START + MINUTE, before)


def test_markers_carry_the_end_of_the_ticks_in_their_partition(plan: Query) -> None:
    log = log_of(plan, dict.fromkeys(KEYS, ONE))
    log.append([ticks(partition, 10 + partition) for partition in range(PARTITIONS)])
    beat = Beats(log, plan, start_ms=0)
    beat.send(START)
    assert all(s.row["source_cut"] == 10 + s.partition for s in sent(log))
    log.append([ticks(partition, 5) for partition in range(PARTITIONS)])
    beat.send(START + MINUTE)
    assert {s.row["source_cut"] - s.partition for s in sent(log)} == {10, 15}


def test_the_state_says_how_far_it_has_sent_and_who(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, plan, start_ms=0, env=("prod", "tokyo"))
    beat.send(START - MINUTE)
    assert [to_ms(s["last_hb_at_utc"]) for s in state(log)] == [START - MINUTE]
    beat.send(START + MINUTE)
    assert log.view(HB_STATE).keys == [b"prod\x1ftokyo\x1ft\x1fRate\x1f1m"]
    (found,) = state(log)
    assert (to_ms(found["last_hb_at_utc"]), found["mode"], found["epoch"]) == (START + MINUTE, "active", 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_crash_nothing_is_missing(plan: Query, when: str) -> None:
    hours = {KEYS[0]: ONE, KEYS[1]: TWO}
    inner = log_of(plan, hours)
    log = CrashingLog(inner, crash_at=2, when="before" if when == "before" else "after")
    beat = Beats(log, plan, start_ms=0)
    beat.send(START + MINUTE)
    with pytest.raises(CrashError):
        beat.send(START + 2 * MINUTE)
    assert beat.sent_ms == START + MINUTE
    reached = START + (MINUTE if when == "before" else 2 * MINUTE)
    assert [to_ms(s["last_hb_at_utc"]) for s in state(inner)] == [reached]
    assert as_planned(sent(inner)) == expected(plan, hours, reached)
    beat.send(START + 2 * DAY)
    contents = {s.content: s for s in sent(inner)}
    assert as_planned(list(contents.values())) == expected(plan, hours, START + 2 * DAY)


def test_keys_with_equal_schedules_are_planned_once(plan: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = []

    def counted(*args: Any, **options: Any) -> Any:
        planned.append(args)
        return plan_markers(*args, **options)

    monkeypatch.setattr(portions_module, "plan_markers", counted)
    log = log_of(plan, {("FX", f"S{n:03d}"): TWO if n % 2 else ONE for n in range(100)})
    Beats(log, plan, start_ms=0).send(START + 2 * DAY)
    assert len({id(sessions) for _, sessions in planned}) == 2
    assert len({s.key for s in sent(log)}) == 100


def test_a_schedule_that_grows_is_followed(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, plan, start_ms=0)
    beat.send(START + 2 * MINUTE)
    log.append([schedule({KEYS[1]: TWO})])
    beat.send(START + 2 * DAY)
    new = [s for s in sent(log) if s.key == keys.encode(KEYS[1])]
    assert as_planned(new) == expected(plan, {KEYS[1]: TWO}, START + 2 * DAY)


def test_a_clock_that_was_set_begins_a_new_epoch(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, plan, start_ms=START + 2 * DAY)
    beat.restart_at(0)
    beat.send(START)
    set_by, first = [s.row for s in sent(log) if s.partition == partition_of(keys.encode(KEYS[0]), PARTITIONS)]
    assert (set_by["kind"], to_ms(set_by["due"]), first["kind"], first["epoch"]) == ("clock", 0, "live", 2)
    assert Beats(log, plan, start_ms=0)._sender.fence.epoch == 3


def test_where_the_schedule_is_open_for_all_keys_come_from_the_ticks(plan: Query) -> None:
    always = replace(plan, time_frame=None)
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, always, start_ms=START)
    assert beat.send(START + MINUTE) == 0
    beat.know([KEYS[1]])
    assert beat.send(START + 2 * MINUTE) == 2
    assert {s.key for s in sent(log)} == {keys.encode(KEYS[1])}


def test_a_key_that_the_schedule_does_not_name_gets_no_markers(plan: Query) -> None:
    log = log_of(plan, {KEYS[0]: ONE})
    beat = Beats(log, plan, start_ms=0)
    beat.know([("XX", "XX")])
    beat.send(START + timedelta(minutes=2) // timedelta(milliseconds=1))
    assert {s.key for s in sent(log)} == {keys.encode(KEYS[0])}
