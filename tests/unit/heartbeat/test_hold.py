from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from tests.support_heartbeat import contents, planned, records, session_batch
from tests.support_orchestrator import KEYS, MINUTE, PLAN, Stage
from tests.support_planning import START, START_DAY

from ashioto.heartbeat.hold import Hold
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.control.specs import HeartbeatSpec

DUE = START + MINUTE + 2_000
"""When the first final markers are due."""


@dataclass
class Query:
    """A query that has read as far as it is told."""

    read: dict[int, int] | None = field(default_factory=dict)

    def __call__(self, spec: HeartbeatSpec) -> Mapping[int, int] | None:
        """Up to where it has read."""
        assert spec.id == "t.Rate.1m"
        return self.read


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.specify()
    arrive(made, 5)
    return made


def arrive(stage: Stage, count: int) -> None:
    """Let ticks arrive in every partition."""
    schema = stage.log.describe("t.rate").spec.schema
    data = pa.RecordBatch.from_pylist([dict.fromkeys(schema.names)] * count, schema=schema)
    keys, times = pa.array([b"1\x1fFX\x1fEURUSD"] * count), np.zeros(count, dtype=np.int64)
    stage.log.append([Batch(topic="t.rate", partition=p, keys=keys, timestamps=times, data=data) for p in (0, 1)])


def cuts(stage: Stage, kind: str) -> set[int]:
    """Where the source ended, as markers say."""
    return {row["source_cut"] for _, rows in records(stage.log, PLAN) for row in rows if row["kind"] == kind}


def test_finals_wait_until_the_query_has_read_up_to_their_cut_and_live_ones_behind_them_too(stage: Stage) -> None:
    query = Query({0: 0})
    runs = stage.active(hold=Hold(query, stage.clock))
    stage.run(runs, START + MINUTE)
    assert (cuts(stage, "live"), cuts(stage, "final")) == ({5}, set())
    stage.run(runs, DUE + 3_000)
    arrive(stage, 3)
    query.read = {0: 5, 1: 4}
    stage.run(runs, START + 2 * MINUTE - 33_000)
    assert cuts(stage, "final") == set()
    query.read = {0: 5, 1: 5}
    stage.run(runs, stage.clock.now_ms() + 100)
    assert cuts(stage, "final") == {5}
    assert (stage.value("ashioto_hb_held_total"), stage.value("ashioto_hb_hold_overruns_total")) == (1, 0)


def test_after_the_limit_they_are_sent_all_the_same_and_that_is_counted_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    runs = stage.active(hold=Hold(Query(None), stage.clock, limit_s=10.0))
    stage.run(runs, DUE + 9_900)
    assert cuts(stage, "final") == set()
    stage.run(runs, DUE + 40_000)
    assert cuts(stage, "final") == {5}
    assert (stage.value("ashioto_hb_held_total"), stage.value("ashioto_hb_hold_overruns_total")) == (1, 1)
    assert sum("not read up to the cut" in r.message for r in caplog.records) == 1


def test_markers_that_wait_hold_back_what_is_due_behind_them_in_order(stage: Stage) -> None:
    query = Query(None)
    runs = stage.active(hold=Hold(query, stage.clock, limit_s=3600.0))
    stage.run(runs, START + 4 * MINUTE)
    assert len(contents(stage.log, PLAN)) == 4
    query.read = {0: 5, 1: 5}
    stage.run(runs, START + 4 * MINUTE + 200)
    wanted = planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 4 * MINUTE)
    assert contents(stage.log, PLAN) == wanted
    for _, rows in records(stage.log, PLAN):
        dues = [row["due"] for row in rows]
        assert dues == sorted(dues)


def test_a_catch_up_in_pieces_is_held_piece_by_piece(stage: Stage) -> None:
    stage.clock.advance(11 * MINUTE)
    query = Query({0: 5, 1: 4})
    runs = stage.active(hold=Hold(query, stage.clock, limit_s=1.0), options=HeartbeatOptions(max_rows=2))
    stage.run(runs, START + 11 * MINUTE)
    wanted = planned(PLAN, stage.hours, after=START - MINUTE - 1, until=START + 11 * MINUTE)
    assert contents(stage.log, PLAN) == wanted
    finals = len({row[2] for row in wanted if row[1] == "final"})
    assert stage.value("ashioto_hb_held_total") == stage.value("ashioto_hb_hold_overruns_total") == finals


def test_finals_that_are_sent_again_wait_too_and_live_ones_after_them(stage: Stage) -> None:
    query = Query({0: 5, 1: 5})
    runs = stage.active(hold=Hold(query, stage.clock))
    stage.run(runs, START + 6 * MINUTE)
    arrive(stage, 1)
    added = (START - 10 * MINUTE, START - 9 * MINUTE, START_DAY)
    stage.hours[KEYS[0]] = [added, *stage.hours[KEYS[0]]]
    stage.log.append([session_batch({KEYS[0]: [added]})])
    before = contents(stage.log, PLAN)
    stage.run(runs, START + 6 * MINUTE + 1_000)
    assert contents(stage.log, PLAN) == before
    query.read = {0: 6, 1: 6}
    stage.run(runs, START + 6 * MINUTE + 2_000)
    wanted = planned(PLAN, stage.hours, after=START - 11 * MINUTE, until=stage.clock.now_ms())
    assert not wanted - contents(stage.log, PLAN)
