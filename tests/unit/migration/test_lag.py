from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

import ashioto as ao
from ashioto import Field, Period
from ashioto.clock import ManualClock
from ashioto.control.applied import Registration, RegistrationState, registration_batch
from ashioto.control.topics import control_topics
from ashioto.engines.base import RunningQuery, RunState
from ashioto.engines.embedded.progress import Progress, progress_batch, progress_key
from ashioto.engines.embedded.topics import system_topics
from ashioto.log.base import Batch, TopicSpec
from ashioto.logical.codec import encode_query
from ashioto.migration.lag import Lag, follow, lags, look_twice, paced
from ashioto.schema.arrow import storage_schema
from ashioto.testing import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

    from ashioto.logical.nodes import Query

ENV = ("dev", "local")
SOURCE = "lagging.rate"
SECOND = 1_000


class Rate(ao.Stream):
    symbol: Field[str] = ao.key()
    at: Field[datetime] = ao.timestamp()
    price: Field[Decimal] = ao.decimal(18, 5)


def plan(*, continuous: bool = True) -> Query:
    framed = ao.Context("lagging").events(Rate).time_frame(ao.AlwaysOpen)
    tumbled = framed.tumbling(Rate.at, Period.minutes(1), ensure_continuous=continuous)
    return tumbled.select(close=ao.last(Rate.price)).to_query(name="rate_bars").plan


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    made.create([*system_topics(), *(t for t in control_topics() if t.name not in {s.name for s in system_topics()})])
    made.create([TopicSpec(name=SOURCE, partitions=2, schema=storage_schema(Rate.__entity__))])
    return made


@pytest.fixture
def register(log: MemoryLog) -> Callable[..., None]:
    def registering(
        state: RegistrationState = "applied", *, continuous: bool = True, version: int = 1, engine: str = "embedded"
    ) -> None:
        made = Registration(
            context="lagging", query="rate_bars", version=version, state=state, engine=engine, checksum="",
            plan=encode_query(plan(continuous=continuous)), begins="start", updated_ms=0,
        )  # fmt: skip
        log.append([registration_batch(ENV, [made])])

    return registering


def send(log: MemoryLog, count: int, *, at: int = 0, partition: int = 0) -> None:
    """Ticks a second apart, the first at a second."""
    times = at + SECOND * np.arange(count, dtype=np.int64)
    rows = {"symbol": ["A"] * count, "at": times.tolist(), "price": [None] * count}
    schema = storage_schema(Rate.__entity__)
    columns = [pa.array(rows[f.name], f.type) for f in schema]
    log.append([
        Batch(topic=SOURCE, partition=partition, keys=pa.array([b"1\x1fA"] * count, pa.binary()), timestamps=times,
              data=pa.RecordBatch.from_arrays(columns, schema=schema))
    ])  # fmt: skip


def reach(log: MemoryLog, offset: int, *, now_ms: int = -1, partition: int = 0, problem: str | None = None) -> None:
    progress = Progress(source_offset=offset, now_ms=now_ms, problem=problem)
    key = progress_key(ENV, "lagging", "rate_bars_v1", partition)
    log.append([progress_batch([(key, progress)], 0)])


def first(log: MemoryLog) -> Lag:
    return lags(log, ENV, ["lagging"])[0]


def test_records_and_seconds_behind_are_told_by_partition(log: MemoryLog, register: Callable[..., None]) -> None:
    register()
    send(log, 10)
    send(log, 4, partition=1)
    reach(log, 6, now_ms=5 * SECOND)
    reach(log, 4, partition=1)
    one, other = lags(log, ENV, ["lagging"])
    assert (one.query, one.partition, one.read, one.end, one.records) == ("lagging_rate_bars_v1", 0, 6, 10, 4)
    assert (one.seconds, one.state, one.eta) == (4.0, "behind", None)
    assert (other.partition, other.records, other.seconds, other.state, other.eta) == (1, 0, 0.0, "caught up", 0.0)


def test_of_queries_on_a_server_the_server_is_asked(log: MemoryLog, register: Callable[..., None]) -> None:
    register(engine="flink")
    send(log, 10)
    send(log, 4, partition=1)

    def stands(state: RunState = "running", **cuts: int) -> Callable[[Registration], RunningQuery]:
        read = {int(name[1:]): at for name, at in cuts.items()}
        return lambda one: RunningQuery(name=one.name, state=state, cuts=read, detail="its job is FAILED")

    found = lags(log, ENV, ["lagging"], served=stands(p0=7, p1=4))
    assert [(lag.read, lag.records, lag.seconds, lag.state, lag.detail) for lag in found] == [
        (7, 3, 3.0, "behind", ""), (4, 0, 0.0, "caught up", ""),
    ]  # fmt: skip
    (one, _) = lags(log, ENV, ["lagging"], served=lambda _: None)
    assert (one.state, one.seconds) == ("not begun", None)
    assert one.detail == "the engine has not begun to read it: rc infra status"
    for cuts in ({}, {"p0": 7}):
        (one, _) = lags(log, ENV, ["lagging"], served=stands("ended", **cuts))
        assert (one.state, one.detail) == ("problem", "its job is FAILED")
    reads = iter([2, 4])

    def reading(one: Registration) -> RunningQuery:
        return RunningQuery(name=one.name, state="running", cuts={0: next(reads)})

    twice = look_twice(log, ENV, ["lagging"], ManualClock(), 2.0, served=reading)
    assert twice[0].read_rate == 1.0


def test_the_time_of_the_heartbeats_counts_where_it_is_later(log: MemoryLog, register: Callable[..., None]) -> None:
    register()
    send(log, 10)
    reach(log, 2, now_ms=8 * SECOND)
    assert first(log).seconds == 1.0
    reach(log, 2, now_ms=60 * SECOND)
    assert first(log).seconds == 0.0


def test_without_heartbeats_the_last_tick_says_what_time_it_is(log: MemoryLog, register: Callable[..., None]) -> None:
    register(continuous=False)
    send(log, 10)
    reach(log, 2, now_ms=8 * SECOND)
    assert first(log).seconds == 8.0


def test_a_query_that_no_engine_has_begun_is_wholly_behind(log: MemoryLog, register: Callable[..., None]) -> None:
    register()
    send(log, 3)
    found = first(log)
    assert (found.state, found.records, found.seconds) == ("not begun", 3, None)
    assert "rc engine run" in found.detail


def test_problems_are_told(log: MemoryLog, register: Callable[..., None]) -> None:
    register()
    reach(log, -1, problem="no such column")
    assert (first(log).state, first(log).detail) == ("problem", "no such column")
    reach(log, 0, problem="stuck")
    assert (first(log).state, first(log).detail) == ("problem", "stuck")


def test_only_what_an_engine_runs_is_told(log: MemoryLog, register: Callable[..., None]) -> None:
    register("stopped")
    assert lags(log, ENV, ["lagging"]) == []
    register("intent", version=2)
    assert lags(log, ENV, ["lagging"]) == []
    register("registered", version=3)
    assert first(log).query == "lagging_rate_bars_v3"
    assert lags(log, ENV, ["other"]) == []
    assert lags(MemoryLog(), ENV, ["lagging"]) == []


class Working(ManualClock):
    """Reads some ticks and sends some whenever somebody waits."""

    def __init__(self, log: MemoryLog, *, reads: int, sends: int) -> None:
        super().__init__()
        self._log, self._reads, self._sends, self._read = log, reads, sends, 0

    def sleep(self, seconds: float) -> None:
        self._read += self._reads
        reach(self._log, self._read)
        if self._sends:
            send(self._log, self._sends)
        super().sleep(seconds)


@pytest.mark.parametrize(
    ("reads", "sends", "rates", "eta"),
    [(20, 10, (10.0, 5.0), 18.0), (10, 10, (5.0, 5.0), None), (100, 0, (50.0, 0), 0.0)],
)
def test_two_looks_give_rates_and_the_time_left(
    log: MemoryLog, register: Callable[..., None], reads: int, sends: int, rates: tuple[float, float], eta: float | None
) -> None:
    register()
    send(log, 100)
    reach(log, 0)
    found = look_twice(log, ENV, ["lagging"], Working(log, reads=reads, sends=sends), 2.0)[0]
    assert ((found.read_rate, found.write_rate), found.eta) == (rates, eta)
    assert look_twice(log, ENV, ["lagging"], ManualClock(), 0)[0].read_rate is None


def test_following_looks_again_and_again(log: MemoryLog, register: Callable[..., None]) -> None:
    register()
    send(log, 100)
    reach(log, 0)
    looks = list(islice(follow(log, ENV, ["lagging"], Working(log, reads=10, sends=0), 0.5), 3))
    assert [look[0].records for look in looks] == [100, 90, 80]
    assert [look[0].read_rate for look in looks] == [None, 20.0, 20.0]


def test_a_version_that_comes_between_two_looks_has_no_rate_yet() -> None:
    lag = Lag(query="q_v1", partition=0, read=5, end=10, seconds=0.0, state="behind")
    assert paced([], [lag], 1.0) == [lag]
    row = paced([lag], [lag], 1.0)[0].row()
    assert (row["per_second"], row["eta_s"], row["records"]) == (0.0, None, 5)
