"""A live market on Kafka whose processes and brokers come to grief, and counts of what is wrong in the end."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from tests.support_crew import Crew, check_refused, in_order, reference
from tests.support_heartbeat import content, planned, records
from tests.support_kafka_bars import record_offsets
from tests.support_live_market import GRACE_MS, Feed, import_sessions, rate_bars, sessions
from tests.support_roles import CLOCK, Role, Roles, leader, rc, wait_until

from ashioto import keys
from ashioto.config import load_config
from ashioto.control.roles import heartbeat_role, partition_role
from ashioto.control.specs import heartbeat_specs
from ashioto.control.state import HeartbeatState, heartbeat_state
from ashioto.control.topics import HB_STATE
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.log.opening import open_kafka
from ashioto.log.partition import partition_of
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support_live_market import Key
    from tests.support_planning import Row

    from ashioto.log.base import Log
    from ashioto.log.kafka import KafkaLog

ENV: Final = ("dev", "local")
PLAN: Final = rate_bars.plan
PARTITIONS: Final = 2
SOURCE, BEATS = "trading.rate", "trading.rate_hb"
SEED: Final = 20_261_127
TOML: Final = """
[project]
contexts = ["tests.support_live_market:trading"]

[log]
kind = "kafka"
bootstrap = "{bootstrap}"
prefix = "{prefix}."
partitions = 2

[schema_registry]
url = "{registry}"

[kafka.settings]
"session.timeout.ms" = 1500
"""


@dataclass
class Engines:
    """Engines that share the partitions, and what was done to them.

    Args:
        roles: Starts them.
        log: Says who runs what.
    """

    roles: Roles
    log: KafkaLog
    members: list[Role] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def fill(self, size: int) -> None:
        """Have so many."""
        while len(self.members) < size:
            self.members.append(self.roles.start("engine", "run"))

    def owner(self, partition: int) -> Role | None:
        """Return which of them runs a partition, by what it has written last about its fence."""
        return leader(self.log, partition_role(ENV, SOURCE, partition), self.members)

    def run(self) -> None:
        """Wait until each partition is run by one of them."""

        def settled() -> bool:
            ended = [one.text for one in self.members if not one.runs]
            assert ended == []
            return all(self.owner(partition) is not None for partition in range(PARTITIONS))

        wait_until(settled, every=0.05, what="engines that run everything")

    def trouble(self, draw: random.Random, number: signal.Signals) -> None:
        """Kill one that runs something, or pause it until others have all of it."""
        self.fill(2)
        self.run()
        victim = self.owner(draw.randrange(PARTITIONS))
        assert victim is not None
        phase = draw.randrange(15, 120)  # bars are written just after a deadline
        wait_until(lambda: phase <= CLOCK.now_ms() % GRACE_MS < phase + 5, every=0.001)
        (victim.end if number == signal.SIGKILL else victim.send)(number)
        self.members.remove(victim)
        self.fill(2)
        self.run()
        if number == signal.SIGSTOP:
            victim.send(signal.SIGCONT)
            self.members.append(victim)  # it learns what it has lost, and shares again
        self.counts[number.name] += 1


@dataclass
class World:
    """A project on Kafka, its log, its sessions and its ticks.

    Args:
        folder: The project.
        log: Its log.
        hours: Sessions by key.
        feed: Sends ticks.
        began: When its heartbeats began, ms.
    """

    folder: Path
    log: KafkaLog
    hours: dict[Key, list[Row]]
    feed: Feed
    began: int

    @classmethod
    @contextmanager
    def on(cls, folder: Path, bootstrap: str, registry: str, prefix: str) -> Iterator[World]:
        """Make a project, apply it, and import sessions."""
        toml = TOML.format(bootstrap=bootstrap, registry=registry, prefix=prefix)
        (folder / "ashioto.toml").write_text(toml, encoding="utf-8")
        rc(folder, "infra", "apply")
        with open_kafka(load_config(folder)) as log:
            hours = sessions(CLOCK.now_ms())
            import_sessions(log, hours)
            began = heartbeat_specs(log, ENV, "trading")[0].updated_ms
            yield cls(folder, log, hours, Feed(log, list(hours), CLOCK, SEED), began)

    @property
    def state(self) -> HeartbeatState | None:
        """How far the heartbeats are."""
        return heartbeat_state(self.log, heartbeat_specs(self.log, ENV, "trading")[0].key(ENV))

    def beaten(self, after_ms: int) -> None:
        """Wait until heartbeats have been sent for all times up to one, ms."""
        wait_until(
            lambda: (state := self.state) is not None and state.last_hb_ms > after_ms, every=0.05, what="a heartbeat"
        )

    def run(self, *troubles: Callable[[Crew, Engines], None]) -> tuple[Crew, Engines, Roles]:
        """Run engines and heartbeats through troubles at once, let things go quiet, and end all in good order."""
        quiet = threading.Event()
        with Roles(self.folder) as roles, ThreadPoolExecutor(1 + len(troubles)) as threads:
            beats = Crew(roles, self.log, heartbeat_role(ENV, "trading"), ("hb", "run"))
            engines = Engines(roles, self.log)
            feeding = threads.submit(self.feed.run, quiet)
            try:
                for done in [threads.submit(one, beats, engines) for one in troubles]:
                    done.result()
            finally:
                quiet.set()
            feeding.result()
            self.settle(beats, engines)
            return beats, engines, roles

    def settle(self, beats: Crew, engines: Engines) -> None:
        """Let every marker of what was sent come, hand over to nobody, and let the engines read everything."""
        self.beaten(CLOCK.now_ms() + 3_000)
        for one in beats.members:  # one that has only just been started knows nothing of signals
            wait_until(lambda one=one: not one.runs or "health on " in one.text, what="a heartbeat")  # type: ignore[misc]  # bound now
        for one in sorted(beats.members, key=lambda m: m is leader(self.log, beats.role, beats.members)):
            if one.end() != 0:
                check_refused(one)  # displaced by somebody else's trouble
        wait_until(self.has_read_everything, every=0.05, what="the engines")
        for role in engines.members:
            assert role.end() == 0, role.text

    def has_read_everything(self) -> bool:
        """Whether all ticks and heartbeats have been read, and what came of them was written."""
        rows = self.log.view(OFFSETS).data.to_pylist()
        for name, topic in (("source_offset", SOURCE), ("hb_offset", BEATS)):
            ends = self.log.end_offsets(topic)
            read = sorted(row[name] for row in rows)
            if len(read) < len(ends) or any(at < end for at, end in zip(read, sorted(ends.values()), strict=True)):
                return False
        return True


def verdict(world: World) -> dict[str, int]:
    """Return what is wrong, counted; all of it must be 0."""
    state = world.state
    assert state is not None
    now = state.last_hb_ms
    world.feed.look()
    sent = Counter(content(row) for _, rows in records(world.log, PLAN) for row in rows if row["kind"] != "clock")
    wanted = planned(PLAN, world.hours, after=world.began - 1, until=now)
    ticks = tables(world.log)
    there = Counter(tuple(row.values()) for table in ticks for row in table.to_pylist())
    expected = reference(world.hours, ticks, now)
    found = {period.kind: stored_bars(world.log, f"{SOURCE}_bars_{period.kind}") for period in PLAN.frames}
    assert wanted
    assert expected
    return {
        "missed": (wanted - sent).total(),
        "conflicting": len(sent.keys() - wanted.keys()),
        "repeated": sent.total() - len(sent),
        "stale": stale(world.log),
        "early": world.feed.early,
        "ticks_lost": (world.feed.sent - there).total(),
        "ticks_twice": there.total() - len(there),
        "ticks_of_nobody": (there - world.feed.sent - world.feed.unsure).total(),
        "bars_differing": sum(_differing(found[kind], expected[kind]) for kind in expected),
    }


def _differing(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> int:
    mine, theirs = (
        {(row["broker"], row["symbol"], row["bucket_start"]): row for row in rows} for rows in (found, wanted)
    )
    assert len(mine) == len(found)
    return sum(mine.get(key) != theirs.get(key) for key in mine.keys() | theirs.keys())


def tables(log: Log) -> list[pa.Table]:
    """Return the ticks of each partition, in order."""
    found = []
    for partition in log.end_offsets(SOURCE):
        at, parts = 0, []
        while (part := log.read(SOURCE, partition, at)) is not None:
            parts.append(part.data)
            at = part.next_offset
        found.append(pa.Table.from_batches(parts))
    return found


def stored_bars(log: Log, topic: str) -> list[dict[str, Any]]:
    """Return bars as they stand, with the number of the record in its partition instead of its offset."""
    places = record_offsets(log, SOURCE)
    rows: list[dict[str, Any]] = log.view(topic).data.to_pylist()
    for row in rows:
        own = places[partition_of(keys.encode([row["broker"], row["symbol"]]), len(places))]
        for name in ("first_seq", "last_seq"):
            if row[name] is not None:
                (at,) = np.flatnonzero(own == row[name])
                row[name] = int(at)
    return in_order(rows)


def stale(log: Log) -> int:
    """Count records that follow one of a newer epoch: in each partition of the markers, and in the state."""
    columns = [[row["epoch"] for row in rows] for _, rows in records(log, PLAN)]
    at, state = 0, []
    while (part := log.read(HB_STATE, 0, at)) is not None:
        state.append(part.data)
        at = part.next_offset
    whole = pa.Table.from_batches(state).combine_chunks().to_batches()[0]
    assert np.all(np.diff(int64_view(whole.column("last_hb_at_utc"))) >= 0)
    columns.append(whole.column("epoch").to_pylist())
    return sum(int((np.array(c) < np.maximum.accumulate(c)).sum()) for c in columns if c)


def aborted(log: KafkaLog, topic: str) -> int:
    """Return how many records of a topic were sent and never committed."""
    ends = log.end_offsets(topic)
    settings = {"bootstrap.servers": log.options.bootstrap, "group.id": "count", "enable.partition.eof": True}
    consumer = Consumer(settings | {"isolation.level": "read_uncommitted"})
    consumer.assign([TopicPartition(log.options.prefix + topic, partition, 0) for partition in ends])
    count = left = 0
    try:
        while left < len(ends):
            for message in consumer.consume(10_000, 1.0):
                left, count = (left, count + 1) if message.error() is None else (left + 1, count)
    finally:
        consumer.close()
    return count - sum(len(found) for found in record_offsets(log, topic).values())
