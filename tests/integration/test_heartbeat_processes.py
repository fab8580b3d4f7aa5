"""Heartbeats and engines as real processes under kill -9 and SIGSTOP: nothing is missed, twice, stale or early."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from tests.support_crew import Crew, after_deadline, in_order, reference
from tests.support_heartbeat import content, planned, records
from tests.support_live_market import TOML, Feed, import_sessions, rate_bars, sessions
from tests.support_roles import CLOCK, Roles, leader, rc, wait_until

from ashioto.control.roles import engine_role, heartbeat_role
from ashioto.control.specs import heartbeat_specs
from ashioto.control.state import HeartbeatState, heartbeat_state
from ashioto.control.topics import HB_STATE
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.log.embedded import EmbeddedLog
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support_live_market import Key
    from tests.support_planning import Row

ENV = ("dev", "local")
PLAN = rate_bars.plan
SEED = 20_261_127
KILLS, STOPS = 50, 20
ENGINE_TROUBLES = (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL)


def trouble_heartbeats(crew: Crew) -> None:
    """Kill and pause active heartbeats, in turns."""
    for number in range(KILLS + STOPS):
        is_pause = number * STOPS // (KILLS + STOPS) < (number + 1) * STOPS // (KILLS + STOPS)
        (crew.stop if is_pause else crew.kill)(3, at=after_deadline(number))


def trouble_engines(crew: Crew) -> None:
    """Kill and pause active engines, in turns."""
    for number, what in enumerate(ENGINE_TROUBLES):
        (crew.stop if what == signal.SIGSTOP else crew.kill)(2, at=after_deadline(number))


def run_troubled(folder: Path, log: EmbeddedLog, feed: Feed) -> tuple[Crew, Crew, Roles]:
    """Run engines and heartbeats through everything, then let things go quiet and end them in good order."""
    quiet = threading.Event()
    with Roles(folder) as roles, ThreadPoolExecutor(3) as threads:
        beats = Crew(roles, log, heartbeat_role(ENV, "trading"), ("hb", "run"))
        engines = Crew(roles, log, engine_role(ENV), ("engine", "run"))
        feeding = threads.submit(feed.run, quiet)
        try:
            for done in (threads.submit(trouble_heartbeats, beats), threads.submit(trouble_engines, engines)):
                done.result()
        finally:
            quiet.set()
        feeding.result()
        settle(log, beats, engines)
        return beats, engines, roles


def settle(log: EmbeddedLog, beats: Crew, engines: Crew) -> None:
    """Let every marker of what was sent come, hand over to nobody, and let the engine read everything."""
    until = CLOCK.now_ms() + 3_000
    wait_until(lambda: state_of(log).last_hb_ms > until, what="the last heartbeat")
    for one in sorted(beats.members, key=lambda m: m is leader(log, beats.role, beats.members)):
        assert one.end() == 0, one.text
    wait_until(lambda: has_read_everything(log), what="the engine")
    for one in sorted(engines.members, key=lambda m: m is leader(log, engines.role, engines.members)):
        assert one.end() == 0, one.text


def state_of(log: EmbeddedLog) -> HeartbeatState:
    found = heartbeat_state(log, heartbeat_specs(log, ENV, "trading")[0].key(ENV))
    assert found is not None
    return found


def has_read_everything(log: EmbeddedLog) -> bool:
    rows = log.view(OFFSETS).data.to_pylist()
    ends = [sum(log.end_offsets(topic).values()) for topic in ("trading.rate", "trading.rate_hb")]
    return [sum(row[name] for row in rows) for name in ("source_offset", "hb_offset")] == ends


def stale(log: EmbeddedLog) -> int:
    """Count records that follow one of a newer epoch: in each partition of the markers, and in the state."""
    columns = [[row["epoch"] for row in rows] for _, rows in records(log, PLAN)]
    state = log.read(HB_STATE, 0, 0)
    assert state is not None
    assert np.all(np.diff(int64_view(state.data.column("last_hb_at_utc"))) >= 0)
    columns.append(state.data.column("epoch").to_pylist())
    return sum(int((np.array(c) < np.maximum.accumulate(c)).sum()) for c in columns)


def ticks_in(log: EmbeddedLog) -> list[pa.Table]:
    """Return the ticks of each partition, in order, with their offsets."""
    parts = [log.read("trading.rate", partition, 0, max_rows=1_000_000) for partition in (0, 1)]
    assert all(part is not None and part.base_offset == 0 for part in parts)
    return [pa.Table.from_batches([part.data]) for part in parts if part is not None]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Path, EmbeddedLog, dict[Key, list[Row]]]]:
    (tmp_path / "ashioto.toml").write_text(TOML, encoding="utf-8")
    rc(tmp_path, "infra", "apply")
    with EmbeddedLog(tmp_path / "log.db", busy_timeout_ms=2_000) as log:
        hours = sessions(CLOCK.now_ms())
        import_sessions(log, hours)
        yield tmp_path, log, hours


def test_killed_and_paused_again_and_again_nothing_is_missed(
    project: tuple[Path, EmbeddedLog, dict[Key, list[Row]]],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, log, hours = project
    began = CLOCK.monotonic()
    spec = heartbeat_specs(log, ENV, "trading")[0]
    feed = Feed(log, list(hours), CLOCK, SEED)
    beats, engines, roles = run_troubled(folder, log, feed)
    feed.look()
    now = state_of(log).last_hb_ms

    wanted = planned(PLAN, hours, after=spec.updated_ms - 1, until=now)
    sent = Counter(content(row) for _, rows in records(log, PLAN) for row in rows)
    ticks = ticks_in(log)
    bars = {p.kind: in_order(log.view(f"trading.rate_bars_{p.kind}").data.to_pylist()) for p in PLAN.frames}
    expected = reference(hours, ticks, now)
    figures: dict[str, object] = {
        "seed": SEED,
        "seconds": round(CLOCK.monotonic() - began),
        "kills": beats.counts["kill"],
        "stops": beats.counts["stop"],
        "engine_kills": engines.counts["kill"],
        "engine_stops": engines.counts["stop"],
        "ended_inside_a_write": beats.counts["ended inside a write"] + engines.counts["ended inside a write"],
        "displaced": beats.counts["displaced"] + engines.counts["displaced"],
        "markers": sent.total(),
        "missed": (wanted - sent).total(),
        "conflicting": len(sent.keys() - wanted.keys()),
        "repeated": sent.total() - len(sent),
        "stale": stale(log),
        "early": feed.early,
        "ticks": feed.sent.total(),
        "bars": sum(map(len, bars.values())),
        "bars_differing": sum(bars[k] != expected[k] for k in expected),
        **{
            f"{what}_takeover_{name}_ms": round(float(np.percentile(took, q)))
            for what, took in beats.took_ms.items()
            for name, q in (("p50", 50), ("p99", 99), ("max", 100))
        },
    }
    for name, value in figures.items():
        record_property(name, value)
    with capsys.disabled():
        print(" ".join(f"{name}={value}" for name, value in figures.items()))  # noqa: T201

    assert {n: figures[n] for n in ("missed", "conflicting", "repeated", "stale", "early")} == dict.fromkeys(
        ("missed", "conflicting", "repeated", "stale", "early"), 0
    )
    assert (beats.counts["kill"], beats.counts["stop"]) == (KILLS, STOPS)
    assert Counter(tuple(row.values()) for table in ticks for row in table.to_pylist()) == feed.sent
    assert bars == expected
    assert roles.tracebacks() == []
