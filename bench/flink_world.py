"""What the benchmarks on Flink share: a cluster beside broker and registry, a market with ticks, a query as a job."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pyarrow as pa
from kafka_world import World, world
from market import Rate, declared, schedule_batch, tick_data

import ashioto as ao
from ashioto import naming
from ashioto.clock import SystemClock
from ashioto.control.applied import Registration
from ashioto.deploy.bootstrap import wanted_topics
from ashioto.engines.flink.gateway import Gateway
from ashioto.engines.flink.jobs import Jobs
from ashioto.engines.flink.options import FlinkOptions
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.registry import FlinkEngine
from ashioto.engines.flink.statements import Script, script
from ashioto.engines.flink.traces import explained
from ashioto.engines.rest import Access, Rest
from ashioto.engines.sql.index import index_repairs, indexes
from ashioto.log.base import Batch
from ashioto.log.partition import partitions_of
from ashioto.logical.codec import checksum, encode_query
from ashioto.period import Period
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schema.arrow import int64_view, key_column
from ashioto.testing.stack import Flink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.kafka import KafkaLog
    from ashioto.logical.nodes import Query

PARTITIONS = 2
ROWS = 100_000
START = int(datetime(2024, 3, 4, tzinfo=UTC).timestamp()) * 1000
SOURCE = "bench.rate"
HINT = re.compile(r" /\*\+ STATE_TTL\(.*?\) \*/")
PATIENCE_S = 400.0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A broker, a registry and a cluster of Flink."""

    kafka: World
    flink: Flink
    settings: dict[str, str] = field(default_factory=dict)
    """Settings of jobs on top of ours."""
    forgets: bool = True
    """Whether state is forgotten in the end, as it is in jobs that people run."""

    def log(self, prefix: str, name: str) -> KafkaLog:
        """Open the log of a market; those of another prefix have topics of their own."""
        return self.kafka.log(f"{prefix}{name}", prefix=prefix, topic_ttl_s=60.0)

    def engine(self, log: KafkaLog, prefix: str, *, interval_ms: int) -> FlinkEngine:
        """Return what puts queries on the cluster."""
        reach = Reach(bootstrap=self.kafka.bootstrap, registry=self.kafka.registry, prefix=prefix)
        options = FlinkOptions(
            reach=reach, checkpoints=self.flink.checkpoints.as_uri(), interval_ms=interval_ms,
        )  # fmt: skip
        clock = SystemClock()
        gateway = Rest(self.flink.gateway_url, name="the gateway", access=Access(), clock=clock, explain=explained)
        return FlinkEngine(
            log, env=("bench", prefix.strip(".")), gateway=Gateway(gateway, clock=clock), jobs=self._jobs(),
            options=options, clock=clock, generate=self._script,
        )  # fmt: skip

    def _jobs(self) -> Jobs:
        clock = SystemClock()
        rest = Rest(self.flink.jobmanager_url, name="the job manager", access=Access(), clock=clock, explain=explained)
        return Jobs(rest, clock=clock)

    def _script(self, registration: Registration, reach: Reach, **others: Any) -> Script:
        made = script(registration, reach, **others)
        kept = made.definitions if self.forgets else tuple(HINT.sub("", one) for one in made.definitions)
        return replace(made, settings={**made.settings, **self.settings}, definitions=kept)

    def asked(self, path: str) -> Any:
        """Return what the job manager answers."""
        return httpx.get(f"{self.flink.jobmanager_url}{path}", timeout=30).raise_for_status().json()

    def job(self) -> dict[str, Any]:
        """Return the job that runs, with its vertices."""
        jobs = [one for one in self.asked("/jobs/overview")["jobs"] if one["state"] not in {"CANCELED", "FINISHED"}]
        (found,) = jobs
        return dict(self.asked(f"/jobs/{found['jid']}"))

    def cancel(self) -> None:
        """End the job that runs, without keeping its state."""
        job, jobs = self.job()["jid"], self._jobs()
        jobs.cancel(job)
        while not next(one for one in jobs.all() if one.id == job).ended:
            time.sleep(0.1)
        jobs.close()

    def saved(self) -> tuple[int, int]:
        """Return how large the newest checkpoint of the job that runs is, bytes, and how long it took, ms."""
        found = self.asked(f"/jobs/{self.job()['jid']}/checkpoints")["latest"]["completed"]
        return int(found["state_size"]), int(found["end_to_end_duration"])


@contextmanager
def cluster(*, heap_mb: int, given: dict[str, str], forgets: bool) -> Iterator[Cluster]:
    """Start a broker, a registry and Flink with two slots and jobs of parallelism two, and end them."""
    settings = {"parallelism.default": "2"}
    with world() as kafka, Flink(slots=2, heap_mb=heap_mb, settings=settings) as flink:
        yield Cluster(kafka=kafka, flink=flink, settings=given, forgets=forgets)


def always_open(frames: tuple[str, ...]) -> tuple[ao.Context, Query]:
    """Declare the query for a market that never closes."""
    context = ao.Context("bench")
    query = (
        context.events(Rate)
        .time_frame(ao.AlwaysOpen)
        .tumbling(Rate.at, *map(Period.parse, frames), ensure_continuous=True)
        .select(**ao.ohlcv(Rate.price, Rate.size))
        .to_query()
    )
    return context, query.plan


def version_of(plan: Query) -> Registration:
    """Return a query as a version that Flink shall run."""
    return Registration(
        context=plan.context, query=plan.name, version=1, state="registered", engine="flink",
        checksum=checksum(plan), plan=encode_query(plan), begins="start", updated_ms=0,
    )  # fmt: skip


def bar_topics(plan: Query) -> list[str]:
    """Return the topics of the bars of a query."""
    return [naming.bars_topic(plan.context, plan.entity.name, period) for period in plan.frames]


@dataclass(frozen=True, kw_only=True)
class Load:
    """Says what ticks there are.

    Args:
        ticks: How many.
        symbols: Of how many symbols, in random order.
        rate: How many a second of event time each symbol has.
    """

    ticks: int
    symbols: int
    rate: float


def prepare(log: KafkaLog, context: ao.Context, plan: Query, load: Load) -> int:
    """Create topics, send sessions and ticks; returns the volume of all ticks."""
    log.create(wanted_topics([context], partitions=PARTITIONS, in_sql=True))
    open_market(log, plan, load.symbols, date(2024, 3, 1), days=14)
    volume = 0
    for first in range(0, load.ticks, ROWS):
        number = first + np.arange(min(ROWS, load.ticks - first))
        at = START + (number * 1000 / (load.symbols * load.rate)).astype(np.int64)
        data = tick_data(first, at, load.symbols)
        volume += int(int64_view(data.column("size")).sum())
        log.append(by_partition(data, at))
    return volume


def open_market(log: KafkaLog, plan: Query, symbols: int, first: date, *, days: int) -> None:
    """Open a market for some days in the schedule of a query and in its index, where it has one."""
    for index in indexes([plan]):
        log.append([schedule_batch(symbols, calendar_sessions("24x7", first, first + timedelta(days=days)))])
        log.append(index_repairs(log, index))


def by_partition(data: pa.RecordBatch, at: np.ndarray) -> list[Batch]:
    """Return ticks as they are sent."""
    keys = key_column(["symbol"], data)
    places = partitions_of(keys, PARTITIONS)
    found = []
    for number in range(PARTITIONS):
        rows = np.flatnonzero(places == number)
        part = pa.array(rows)
        found.append(Batch(
            topic=SOURCE, partition=number, keys=keys.take(part), timestamps=at[rows], data=data.take(part),
        ))  # fmt: skip
    return found


@dataclass(frozen=True, kw_only=True)
class Run:
    """Says how a job went, seconds.

    Args:
        planned: From the call that registers the query until it returned.
        made: From the job being RUNNING until all ticks were in bars of all frames that could be read.
        first: From the job being RUNNING until the first bar could be read.
        early: The share of ticks that were in the slowest frame by then.
        committed: From the job being RUNNING until the offsets of all ticks were committed.
        bars: How many bars there are.
        busiest: The vertices of the job that worked most until then, with seconds of work, of both subtasks.
    """

    planned: float
    made: float
    first: float
    early: float
    committed: float
    bars: int
    busiest: str


def run(there: Cluster, log: KafkaLog, engine: FlinkEngine, plan: Query, *, ticks: int, volume: int) -> Run:
    """Run a query on Flink until all ticks are in bars and their offsets are committed; it still runs then."""
    registration, topics = version_of(plan), bar_topics(plan)
    begun = time.time()
    engine.register(registration)
    planned = time.time() - begun
    while not (running := there.job()["timestamps"]["RUNNING"]):
        time.sleep(0.05)
    since = running / 1000
    until = since + PATIENCE_S
    first = early = 0.0
    while (least := min(sums := [_volume(log, topic) for topic in topics])) != volume or max(sums) != volume:
        assert time.time() < until, f"{sums} of {volume} are in bars: {there.job()['state']}"
        if least and not first:
            first, early = time.time() - since, least / volume
        time.sleep(0.1)
    made, busiest = time.time() - since, _busiest(there.job())
    while sum((engine.progress(registration) or {}).values()) < ticks:
        assert time.time() < until, f"offsets are not committed: {there.job()['state']}"
        time.sleep(0.1)
    bars = sum(log.view(topic).data.num_rows for topic in topics)
    return Run(
        planned=planned, made=made, first=first or made, early=early, committed=time.time() - since, bars=bars,
        busiest=busiest,
    )  # fmt: skip


def _busiest(job: dict[str, Any]) -> str:
    spent = [(float(one["metrics"]["accumulated-busy-time"]), str(one["name"])) for one in job["vertices"]]
    known = [one for one in spent if np.isfinite(one[0])]
    return "; ".join(f"{busy / 1000:.1f} s {name[:60]}" for busy, name in sorted(known, reverse=True)[:4])


def _volume(log: KafkaLog, topic: str) -> int:
    return int(int64_view(log.view(topic).data.column("volume")).sum())


__all__ = ["Cluster", "Load", "Run", "always_open", "bar_topics", "cluster", "declared", "prepare", "run", "version_of"]
