"""The stream gives the reference's bars after any interleaving of ticks, time, flushes, evictions and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support_heartbeat import Beats
from tests.support_oracle import HOURS, START, batch_of, cases, expected, got, query
from tests.support_shared import oracle

from ashioto import keys, naming
from ashioto.clock import ManualClock
from ashioto.engines.embedded import residency
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.engines.embedded.topics import query_topics, system_topics
from ashioto.log.base import Batch, TopicSpec
from ashioto.schema.arrow import from_numpy, key_column, storage_schema
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from ashioto.logical.nodes import Query


def prepare_log(plan: Query, hours: dict[str, list[tuple[int, int, int]]]) -> MemoryLog:
    """A log with every topic, and the schedule in it."""
    log = MemoryLog()
    schedule = TopicSpec(name=naming.topic("t", "Hours"), cleanup="compact", schema=storage_schema(HOURS))
    log.create([schedule, *system_topics(), *query_topics(compile_query(plan), 1)])
    log.append([sessions_batch(hours)])
    return log


def sessions_batch(hours: dict[str, list[tuple[int, int, int]]]) -> Batch:
    """Sessions as records of the schedule."""
    schema = storage_schema(HOURS)
    rows = [(k, *row) for k, found in hours.items() for row in found]
    columns = list(zip(*rows, strict=True))
    data = pa.RecordBatch.from_arrays(
        [
            pa.array(columns[0], pa.string()).dictionary_encode(),
            *(from_numpy(np.array(c, dtype=np.int64), schema.field(i + 1).type) for i, c in enumerate(columns[1:])),
        ],
        schema=schema,
    )
    record_keys = key_column(["symbol", "open"], data)
    topic, times = naming.topic("t", "Hours"), np.zeros(len(rows), np.int64)
    return Batch(topic=topic, partition=0, keys=record_keys, timestamps=times, data=data)


def send(log: MemoryLog, ticks: list[Any]) -> None:
    """Append ticks."""
    if ticks:
        data = batch_of(ticks)
        at = np.array([t[1] for t in ticks], dtype=np.int64)
        log.append([Batch(topic="t.rate", partition=0, keys=key_column(["symbol"], data), timestamps=at, data=data)])


def view(log: MemoryLog, period: str) -> list[dict[str, Any]]:
    """Every bar of a frame as it stands in the log, in the reference's terms."""
    page = log.view(f"t.rate_bars_{period}")
    for key, row in zip(page.keys, page.data.to_pylist(), strict=True):
        start = round(row["bucket_start"].timestamp() * 1000)
        assert key == keys.encode([row["symbol"]]) + b"\x1f" + keys.time_part(start).encode()
    return got(pa.Table.from_batches([page.data]))


def play(runner: QueryRunner, action: str, again: Callable[[], QueryRunner]) -> QueryRunner:
    """Let the engine work, stop cleanly, or die; returns the one that goes on."""
    match action:
        case "poll":
            runner.poll()
        case "drain":
            runner.drain()
        case "flush":
            runner.poll()
            runner.flush()
        case "restart":
            runner.drain()
            return again()
        case "crash":
            runner.poll()
            return again()
    return runner


ACTIONS = ["poll", "drain", "flush", "restart", "crash", "nothing"]
LOOSE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=200, deadline=None, suppress_health_check=LOOSE)
@given(case=cases(), data=st.data())
def test_stream_equals_the_reference(
    case: dict[str, Any], data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "_SLACK", data.draw(st.sampled_from([-1000, 1, 4096])))
    ref = oracle()
    if not case["frames"][0].endswith(("s", "m", "h")):
        case["hours"] = {k: [(START, START + 3_600_000, START // 86_400_000)] for k in case["hours"]}
        case["now"] = min(case["now"], START + 80 * 86_400_000)
    ticks = [t for t in case["ticks"] if t[0] != "X"]
    case["ticks"] = [(k, at, i, p, s) for i, (k, at, _, p, s) in enumerate(ticks)]
    plan = query(case["frames"], align=case["align"], continuous=case["continuous"], grace=case["grace"])
    log, clock = prepare_log(plan, case["hours"]), ManualClock(START)
    runner = QueryRunner(log, plan, clock=clock)
    beat = Beats(log, plan, start_ms=START - 86_400_000) if plan.continuous else None
    times = [*sorted(data.draw(st.lists(st.integers(START - 7_200_000, case["now"]), max_size=4))), case["now"]]
    position = 0
    for now in times:
        more = data.draw(st.integers(0, len(ticks)))
        send(log, case["ticks"][position : position + more])
        position += more
        if beat is not None:
            beat.send(now)
        runner = play(runner, data.draw(st.sampled_from(ACTIONS)), lambda: QueryRunner(log, plan, clock=clock))
    send(log, case["ticks"][position:])
    runner.drain()
    runner.drain()
    late = sum(p.late for p in runner.progress)
    assert late == log.end_offsets("t.rate_late")[0]
    if late:
        return
    frontier = runner.progress[0].now_ms
    for period in plan.frames:
        rows = [
            {k: v for k, v in r.items() if k != "period"} for r in expected(ref, case | {"now": frontier}, period.kind)
        ]
        assert view(log, period.kind) == rows, period
