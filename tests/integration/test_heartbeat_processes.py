"""Heartbeats and engines as real processes under kill -9 and SIGSTOP: nothing is missed, twice, stale or early."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_heartbeat import content, planned, records
from tests.support_live_market import GRACE_MS, TOML, Feed, import_sessions, rate_bars, sessions
from tests.support_planning import sessions_of
from tests.support_roles import CLOCK, Role, Roles, leader, lease_of, rc, wait_until

from ashioto.control.roles import engine_role, heartbeat_role
from ashioto.control.specs import heartbeat_specs
from ashioto.control.state import HeartbeatState, heartbeat_state
from ashioto.control.topics import HB_STATE
from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.sessions import Schedule
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support_live_market import Key
    from tests.support_planning import Row

ENV = ("dev", "local")
PLAN = rate_bars.plan
SEED = 20_261_127
KILLS, STOPS = 50, 20
ENGINE_TROUBLES = (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL)
METADATA = ("source_cut", "origin")
"""How a bar came about, not what it says."""


@dataclass
class Crew:
    """One active process of a role, others that stand by, and what was done to the active ones.

    Args:
        roles: Starts them.
        log: Says who is active.
        role: Its name.
        command: What starts one.
        ready: What one says that stands by.
    """

    roles: Roles
    log: EmbeddedLog
    role: str
    command: tuple[str, str]
    ready: str = "stands by"
    members: list[Role] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    took_ms: dict[str, list[float]] = field(default_factory=lambda: {"kill": [], "stop": []})

    def fill(self, size: int) -> None:
        """Have so many, and let go of those that somebody else's trouble has displaced."""
        for one in [m for m in self.members if not m.runs]:
            check_refused(one)
            self.counts["displaced"] += 1
            self.members.remove(one)
        while len(self.members) < size:
            self.members.append(self.roles.start(*self.command))

    def active(self, size: int) -> Role:
        """Return the active one, once there is one and another one is ready to follow it."""
        found: list[Role] = []

        def settled() -> bool:
            self.fill(size)
            active = leader(self.log, self.role, self.members)
            found[:] = [] if active is None else [active]
            return bool(found) and any(m is not active and self.ready in m.text for m in self.members)

        wait_until(settled, what=f"an active and a ready {self.command}")
        return found[0]

    def kill(self, size: int, *, at: Callable[[], bool]) -> None:
        """Kill the active one at a moment, and wait until another one is active."""
        active = self.active(size)
        wait_until(at, every=0.001)
        epoch, since = lease_of(self.log, self.role).epoch, CLOCK.monotonic()
        active.end(signal.SIGKILL)
        self.members.remove(active)
        self.fill(size)
        self.taken(epoch, since, "kill")

    def stop(self, size: int, *, at: Callable[[], bool]) -> None:
        """Pause the active one until another one is active; when it goes on it must be refused, say so, and end."""
        active = self.active(size)
        wait_until(at, every=0.001)
        epoch, since = lease_of(self.log, self.role).epoch, CLOCK.monotonic()
        active.send(signal.SIGSTOP)
        self.members.remove(active)
        self.fill(size)
        self.taken(epoch, since, "stop")
        active.end(signal.SIGCONT)
        if active.process.returncode == -signal.SIGKILL:
            self.counts["ended inside a write"] += 1
        else:
            check_refused(active)
            self.counts["refused"] += 1

    def taken(self, epoch: int, since: float, what: str) -> None:
        """Wait until there is a newer epoch, and note how long that took."""
        wait_until(lambda: lease_of(self.log, self.role).epoch > epoch, every=0.002, what=f"who takes {self.role}")
        self.took_ms[what].append((CLOCK.monotonic() - since) * 1000)
        self.counts[what] += 1


def check_refused(role: Role) -> None:
    assert role.process.returncode == 5, f"{role.process.returncode}: {role.text}"
    assert "has taken over" in role.text or "newer epoch" in role.text, role.text
    assert "Hint: " in role.text, role.text


def after_deadline(number: int) -> Callable[[], bool]:
    """Return what holds a few milliseconds after a deadline, each time others: when the active one is writing."""
    phase = number * 7 % 25
    return lambda: phase <= CLOCK.now_ms() % GRACE_MS < phase + 5


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


def reference(hours: Mapping[Key, list[Row]], ticks: list[pa.Table], now: int) -> dict[str, list[dict[str, Any]]]:
    """Return the bars that all ticks make at once, by frame."""
    schedule = Schedule.of({key: sessions_of(rows) for key, rows in hours.items()})
    found: dict[str, list[dict[str, Any]]] = {}
    for table in ticks:
        builder = BatchBuilder(PLAN, schedule, threads=1)
        builder.add(table.combine_chunks().to_batches()[0], first_seq=0)
        for period, made in builder.finish(now_ms=now, trim=False).items():
            found.setdefault(period.kind, []).extend(made.to_pylist())
    return {kind: in_order(rows) for kind, rows in found.items()}


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = [{k: v for k, v in row.items() if k not in METADATA} for row in rows]
    return sorted(said, key=lambda r: (r["broker"], r["symbol"], r["bucket_start"]))


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
