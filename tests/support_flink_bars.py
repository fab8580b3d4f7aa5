"""A market on Kafka whose bars a real Flink makes, beside one in memory whose bars the embedded engine makes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tests.support_engine import START, Hours, Market, moment
from tests.support_host import ENV
from tests.support_kafka_log import open_kafka_log

from ashioto import naming
from ashioto.clock import SystemClock
from ashioto.control.applied import Registration
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.engines.flink.gateway import Gateway
from ashioto.engines.flink.jobs import Jobs
from ashioto.engines.flink.options import FlinkOptions
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.registry import FlinkEngine
from ashioto.engines.flink.traces import explained
from ashioto.engines.rest import Access, Rest
from ashioto.keys import TIME_DIGITS
from ashioto.log.base import Batch
from ashioto.log.partition import partition_of
from ashioto.logical.codec import checksum, encode_query
from ashioto.schema.avro import subject
from ashioto.schema.registry import SchemaRegistry
from ashioto.tables import EntitySet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.support_engine import Row

    from ashioto.dsl import BarQuery
    from ashioto.log.kafka import KafkaLog
    from ashioto.testing.stack import FlinkPlace

PATIENCE_S: Final = 150.0
"""How long bars may take to be right; a cluster plans a job for seconds, and machines are shared."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Names the services of a test, and what tells its names from those of others."""

    kafka: str
    registry: str
    flink: FlinkPlace
    unique: str
    folder: Path

    def log(self) -> KafkaLog:
        """Open the log."""
        return open_kafka_log(self.kafka, self.registry, self.unique, self.folder)

    def engine(
        self, log: KafkaLog, *, interval_ms: int = 500, registry_options: Mapping[str, str] | None = None
    ) -> FlinkEngine:
        """Open the engine."""
        reach = Reach(
            bootstrap=self.kafka, registry=self.registry, prefix=f"{self.unique}.",
            registry_options=registry_options or {},
        )  # fmt: skip
        checkpoints = self.flink.checkpoints.as_uri()
        options = FlinkOptions(reach=reach, checkpoints=checkpoints, interval_ms=interval_ms)
        clock, access = SystemClock(), Access()
        gateway = Rest(self.flink.gateway_url, name="the gateway", access=access, clock=clock, explain=explained)
        jobs = Rest(self.flink.jobmanager_url, name="the job manager", access=access, clock=clock, explain=explained)
        return FlinkEngine(
            log, env=(*ENV[:1], self.unique), gateway=Gateway(gateway, clock=clock), jobs=Jobs(jobs, clock=clock),
            options=options, clock=clock, schema=lambda topic: next(iter(self.schemas(topic)[-1:]), None),
        )  # fmt: skip

    def schemas(self, topic: str) -> list[Mapping[str, object]]:
        """Return every schema that was registered for a topic, oldest first."""
        with SchemaRegistry(self.registry) as registry:
            return [one.schema for one in registry.versions(subject(f"{self.unique}.{topic}"))]


def version_of(query: BarQuery, version: int = 1) -> Registration:
    """Return a query as a version that Flink shall run."""
    plan = query.plan
    return Registration(
        context=plan.context, query=plan.name, version=version, state="registered", engine="flink",
        checksum=checksum(plan), plan=encode_query(plan), begins="start", updated_ms=0,
    )  # fmt: skip


@dataclass(kw_only=True)
class FlinkMarket:
    """Holds a query that runs on Flink, and its twin in memory.

    Args:
        query: What runs.
        world: Where.
        twin: The market in memory: what it is sent goes to Kafka by `copy`.
        partitions: How many partitions the ticks have.
    """

    query: BarQuery
    world: World
    twin: Market
    partitions: int = 1
    _at: dict[tuple[str, int], int] = field(default_factory=dict)
    _offsets: dict[int, dict[int, int]] = field(default_factory=dict)
    _engine: FlinkEngine | None = None

    @classmethod
    def of(
        cls, query: BarQuery, world: World, *, hours: Iterable[tuple[str, int, int]] = (), partitions: int = 1
    ) -> FlinkMarket:
        """Make both markets, with sessions (symbol, open, close), ms since START; nothing runs yet."""
        hours = list(hours)
        made = cls(
            query=query, world=world, twin=Market.of(query, hours=hours, partitions=partitions), partitions=partitions
        )
        made.log.create(wanted_topics([made.twin.context], partitions=partitions, in_sql=True))
        made.open(*hours, twin=False)
        return made

    def __post_init__(self) -> None:
        self.log = self.world.log()
        self.version = version_of(self.query)

    @property
    def engine(self) -> FlinkEngine:
        """The engine."""
        if self._engine is None:
            self._engine = self.world.engine(self.log)
        return self._engine

    def open(self, *hours: tuple[str, int, int], twin: bool = True) -> None:
        """Add sessions to both markets."""
        rows = [
            Hours(symbol=s, open=moment(START + o), close=moment(START + c), market_date=moment(START + o).date())
            for s, o, c in hours
        ]
        if twin:
            self.twin.open(*hours)
        if rows:
            EntitySet(self.twin.context, Hours, self.log, clock=self.twin.clock).add_range(rows)

    def copy(self, *, ticks: bool = True, beats: bool = True) -> None:
        """Send to Kafka what the twin has got and Kafka has not."""
        plan = self.query.plan
        topics = [naming.topic(plan.context, plan.entity.name)] if ticks else []
        topics += [naming.heartbeat_topic(plan.context, plan.entity.name)] if beats and plan.continuous else []
        for topic in topics:
            for partition in range(self.partitions):
                self._copy(topic, partition)

    def _copy(self, topic: str, partition: int) -> None:
        at = self._at.get((topic, partition), 0)
        while (found := self.twin.log.read(topic, partition, at)) is not None:
            batch = Batch(
                topic=topic, partition=partition, keys=found.keys, timestamps=found.timestamps, data=found.data
            )
            for run in self.log.append([batch]):
                ours = range(run.base_offset, run.next_offset)
                known = self._offsets.setdefault(partition, {})
                if not topic.endswith("_hb"):
                    known |= {offset: found.base_offset + number for number, offset in enumerate(ours)}
            at = found.next_offset
        self._at[topic, partition] = at

    def expected(self, period: str) -> dict[bytes, Row]:
        """Return the bars of the twin by key; offsets that are cuts are left out, as each engine has its own."""
        return {key: _shown(row) for key, row in self._bars(self.twin.log, period)}

    def actual(self, period: str) -> dict[bytes, Row]:
        """Return the bars that Flink wrote by key, with the twin's offsets in place of Kafka's."""
        return {key: self._mapped(key, _shown(row)) for key, row in self._bars(self.log, period)}

    def _bars(self, log: Any, period: str) -> list[tuple[bytes, Row]]:
        topic = naming.bars_topic(self.query.plan.context, self.query.plan.entity.name, _period(self.query, period))
        page = log.view(topic)
        return list(zip(page.keys, page.data.to_pylist(), strict=True))

    def _mapped(self, key: bytes, row: Row) -> Row:
        if self.query.plan.entity.sequence is not None:
            return row
        series = key[: -1 - TIME_DIGITS]
        known = self._offsets.get(partition_of(series, self.partitions), {})
        return {**row, **{name: known.get(row[name], row[name]) for name in ("first_seq", "last_seq")}}

    def differences(self) -> list[str]:
        """Return how the bars of both markets differ, in words."""
        said = []
        for period in (p.kind for p in self.query.plan.frames):
            wanted, found = self.expected(period), self.actual(period)
            said += [
                f"{period} {key!r}: {_difference(wanted.get(key), found.get(key))}"
                for key in sorted(wanted.keys() | found.keys())
                if wanted.get(key) != found.get(key)
            ]
        return said

    def await_same(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until both markets have the same bars; tells how they differ when they do not get there."""
        until = time.monotonic() + timeout_s
        while said := self.differences():
            (standing,) = self.engine.inspect([self.version])
            assert time.monotonic() < until, f"{standing}: {len(said)} bars differ: {said[:5]}"
            time.sleep(0.2)

    def records(self, period: str) -> tuple[int, int]:
        """Return how many records the bars of a frame ever got, and how many of these delete one."""
        topic = naming.bars_topic(self.query.plan.context, self.query.plan.entity.name, _period(self.query, period))
        total = dead = 0
        for partition in range(self.partitions):
            at = 0
            while (found := self.log.read(topic, partition, at)) is not None:
                total += found.data.num_rows
                dead += 0 if found.tombstones is None else int(np.count_nonzero(found.tombstones))
                at = found.next_offset
        return total, dead

    def late(self) -> list[Row]:
        """Return the late ticks."""
        topic = naming.late_topic(self.query.plan.context, self.query.plan.entity.name)
        found: list[Row] = []
        for partition in range(self.partitions):
            at = 0
            while (part := self.log.read(topic, partition, at)) is not None:
                found += part.data.to_pylist()
                at = part.next_offset
        return found

    def end(self) -> None:
        """Stop the query, and close the log."""
        self.engine.stop(self.version)
        self.engine.close()
        self.log.close()


def _period(query: BarQuery, kind: str) -> Any:
    return next(period for period in query.plan.frames if period.kind == kind)


def _shown(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "source_cut"}


def _difference(wanted: Row | None, found: Row | None) -> str:
    if wanted is None or found is None:
        return f"{'missing' if found is None else 'too many'}"
    return ", ".join(f"{n}: {wanted[n]} expected, {found[n]} found" for n in wanted if wanted[n] != found.get(n))
