"""A host runs what is registered: one at a time has the role, one version of a query runs, and failures stay alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime  # noqa: TC003  # read when a class is declared
from decimal import Decimal  # noqa: TC003  # read when a class is declared
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, HOUR, Market, Trade, bars, columns, trade
from tests.support_host import ENV, Site, version_of

import ashioto as ao
from ashioto.control.election import CAMPAIGN_S
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded import versions
from ashioto.engines.embedded.host import IDLE_S
from ashioto.engines.embedded.progress import progress_key, read_progress, version_progress
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.errors import InputError, LeaseLostError, LogBusyError, LogFullError, StaleEpochError, UnsupportedError
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence, ViewPage

CONTEXT = ao.Context("t")
MINUTES = bars("1m", context=CONTEXT, name="minutes")
HOURLY = bars("1h", context=CONTEXT, name="hours")
BAR = ("bucket_start", "ticks")


class Later(ao.Stream):
    """A stream whose topic is made later."""

    venue: ao.Field[str] = ao.key()
    symbol: ao.Field[str] = ao.key()
    at: ao.Field[datetime] = ao.timestamp()
    price: ao.Field[Decimal] = ao.decimal(18, 2)
    size: ao.Field[Decimal] = ao.decimal(18, 1)


class FencedLog(MemoryLog):
    """A log that notes the fence of every append, and refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fences: list[Fence | None] = []
        self.refused: str | None = None

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, or refuse because of a topic among the batches."""
        if self.refused is not None and any(batch.topic == self.refused for batch in batches):
            raise LogFullError("the disk is full", hint="make room")
        done = super().append(batches, fence=fence)
        self.fences.append(fence)
        return done


def site(*, partitions: int = 1) -> Site:
    return Site(
        Market.of(MINUTES, HOURLY, hours=[("A", 0, HOUR), ("B", 0, HOUR)], log=FencedLog(), partitions=partitions)
    )


def fenced(found: Site) -> FencedLog:
    assert isinstance(found.market.log, FencedLog)
    return found.market.log


def test_nothing_is_registered_yet_or_the_topic_is_missing() -> None:
    found = site()
    host = found.host()
    assert host.step() is False
    assert (host.is_active, host.pause()) == (True, IDLE_S)
    found.leases.delete([APPLIED])
    assert host.step() is False
    assert host.runners == []


def test_a_second_host_stands_by_and_takes_over_when_the_first_hands_over() -> None:
    found = site()
    found.register(version_of(MINUTES.plan))
    one, two = found.host("one"), found.host("two")
    found.run(one)
    assert two.step() is False
    assert (two.is_active, two.pause()) == (False, CAMPAIGN_S)
    assert found.state(version_of(MINUTES.plan)).detail == "one"
    found.market.send(trade("A", 0))
    one.step()
    one.finish()
    assert [row["ticks"] for row in found.market.bars("1m")] == [1]
    assert found.state(version_of(MINUTES.plan)).state == "waiting"
    found.market.clock.advance(CAMPAIGN_S * 1000)
    found.run(two)
    assert (one.is_active, two.is_active) == (False, True)
    found.market.send(trade("A", 1))
    found.run(two)
    assert [row["ticks"] for row in found.market.bars("1m")] == [2]


def test_a_host_keeps_its_role_by_renewing_also_while_it_reads() -> None:
    found = site()
    found.register(version_of(MINUTES.plan))
    one, two = found.host("one"), found.host("two")
    found.run(one)
    for _ in range(8):
        found.market.clock.advance(700)
        one.step()
        two.step()
    assert (one.is_active, two.is_active) == (True, False)


def test_a_host_that_reads_back_for_long_keeps_its_role_meanwhile() -> None:
    found = site()
    found.register(version_of(MINUTES.plan))
    one = found.host("one")
    found.run(one)
    found.market.send(*(trade(s, 0) for s in "AB"))
    found.run(one)
    one.finish()
    found.market.clock.advance(100)
    slow = found.host("one")
    read, campaigns = found.leases.view, found.election("two")

    def view(*args: Any, **options: Any) -> ViewPage:
        found.market.clock.advance(900)
        assert campaigns.campaign() is None
        return read(*args, **options)

    slow.step()
    found.register(version_of(replace(MINUTES.plan, retention_ms=DAY), 2))
    found.leases.view = view  # type: ignore[method-assign]  # reads take their time
    since = found.market.clock.monotonic()
    slow.step()
    assert found.market.clock.monotonic() - since > 4
    assert slow.is_active
    assert len(slow.runners) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_a_cluster_that_does_not_answer_ends_no_host(is_first: bool, caplog: pytest.LogCaptureFixture) -> None:  # noqa: FBT001  # a case
    caplog.set_level(logging.WARNING)
    found = site()
    found.register(version_of(MINUTES.plan))
    one, two = found.host("one"), found.host("two")
    found.run(one)
    two.step()
    watched = one if is_first else two
    ends, lease = found.leases.end_offsets, found.leases.lease

    def silent(*_: object, **__: object) -> None:
        raise LogBusyError("Kafka does not answer", hint="wait")

    found.leases.end_offsets = found.leases.lease = silent  # type: ignore[method-assign,assignment]
    for _ in range(5):
        watched.step()
        found.market.clock.advance(200)
    found.leases.end_offsets, found.leases.lease = ends, lease  # type: ignore[method-assign]
    assert (one.is_active, two.is_active) == (True, False)
    assert sum("what is registered" in r.message for r in caplog.records) == 1
    found.market.send(trade("A", 1))
    found.run(one)
    assert [row["ticks"] for row in found.market.bars("1m")] == [1]


def test_a_standby_makes_the_kernels_ready_and_leaves_bad_plans_for_later() -> None:
    found = site()
    found.register(version_of(MINUTES.plan), replace(version_of(HOURLY.plan), plan="{}"))
    one, two = found.host("one"), found.host("two")
    found.run(one)
    two.step()
    assert not two.is_active
    assert two._ready == {version_of(MINUTES.plan).plan, "{}"}


def test_a_query_is_refused_whose_ticks_lie_in_several_partitions() -> None:
    found = site(partitions=3)
    spread = bars("1m", context=ao.Context("t"), name="spread", group_by=[Trade.symbol])
    with pytest.raises(UnsupportedError, match="3 partitions"):
        found.registry.compile(version_of(spread.plan))
    with pytest.raises(InputError, match="no plan"):
        found.registry.compile(replace(version_of(spread.plan), plan="{}"))
    with pytest.raises(InputError, match=r"the plan of t_other_v1 is that of t\.spread"):
        found.registry.compile(replace(version_of(spread.plan), query="other"))
    (said,) = found.registry.compile(version_of(MINUTES.plan))
    assert said.startswith("query t.minutes")


def test_on_a_log_without_an_engine_nothing_has_begun() -> None:
    found = site()
    found.leases.delete([OFFSETS])
    version = version_of(MINUTES.plan)
    assert found.registry.progress(version) is None
    assert found.state(version).state == "waiting"


def test_a_problem_from_before_a_version_was_recorded_again_does_not_count() -> None:
    found = site()
    bad = replace(version_of(MINUTES.plan), plan="{}")
    found.register(bad)
    host = found.host()
    found.run(host)
    assert found.state(bad).state == "failed"
    again = replace(bad, state="registered", updated_ms=found.market.clock.now_ms() + 1)
    found.register(again)
    assert found.state(again).state == "running"
    found.market.clock.advance(5)
    found.run(host)
    assert found.state(again).state == "failed"


@pytest.mark.parametrize("renews", [True, False], ids=["the lease says it", "the log says it"])
def test_a_host_that_was_paused_writes_nothing_more(renews: bool) -> None:  # noqa: FBT001  # a parameter of the test
    found = site()
    found.register(version_of(MINUTES.plan))
    one, two = found.host("one"), found.host("two")
    found.run(one)
    found.market.send(trade("A", 0))
    one.step()
    found.market.clock.advance(2_500)
    found.run(two)
    before = len(fenced(found).fences)
    if not renews:
        one._shares._role._next = 1e18  # type: ignore[attr-defined]  # it keeps its role by a lease
    with pytest.raises(LeaseLostError if renews else StaleEpochError) as caught:
        one.step()
    assert caught.value.exit_code == 5
    one.finish()
    assert len(fenced(found).fences) == before
    assert [row["ticks"] for row in found.market.bars("1m")] == [1]


def test_every_append_of_a_host_is_fenced() -> None:
    found = site()
    found.register(version_of(MINUTES.plan), replace(version_of(HOURLY.plan), plan="{}"))
    fenced(found).fences.clear()
    host = found.host()
    found.run(host)
    found.market.send(trade("A", 0), trade("A", 1, None), trade("A", -9 * DAY))
    ours = len(fenced(found).fences)
    found.run(host)
    host.finish()
    fences = fenced(found).fences
    del fences[ours - 1]  # the ticks
    assert len(fences) >= 3
    assert {(f.name, f.epoch) for f in fences if f is not None} == {("engine\x1fdev\x1flocal", 1)}
    assert None not in fences


def test_a_version_says_at_once_that_it_has_begun_in_every_partition() -> None:
    found = site(partitions=3)
    version = version_of(MINUTES.plan)
    found.register(version)
    host = found.host()
    host.step()
    assert found.registry.progress(version) == {0: 0, 1: 0, 2: 0}
    assert len([f for f in fenced(found).fences if f is not None]) == 1


@pytest.mark.parametrize("begins", ["start", "previous"])
def test_a_newer_version_goes_on_where_the_older_stands_or_begins_anew(begins: Any) -> None:
    found = site()
    first = version_of(MINUTES.plan)
    second = version_of(replace(MINUTES.plan, retention_ms=DAY), 2, begins=begins)
    found.register(first)
    host = found.host()
    found.run(host)
    found.market.send(trade("A", 0, 1), trade("A", 1, None))
    host.step()  # read, not yet written
    found.register(second)
    host.step()
    again = begins == "start"
    assert [runner.query.retention_ms for runner in host.runners] == [DAY]
    assert columns(found.market.bars("1m"), *BAR) == [(0, 1)]
    found.market.send(trade("A", 2, 1))
    found.run(host)
    assert columns(found.market.bars("1m"), *BAR) == [(0, 2)]
    assert found.registry.progress(second) == {0: 3}
    assert found.registry.progress(first) == {0: 2}
    assert len(found.market.dead()) == (2 if again else 1)
    records = version_progress(found.market.log, ENV, "t", second.object)
    assert (records[0].ticks, records[0].rejected, records[0].rebuild) == (2, 1, None)


def test_the_newest_older_version_that_has_begun_is_followed() -> None:
    found = site()
    found.register(version_of(MINUTES.plan))
    host = found.host()
    found.run(host)
    found.market.send(trade("A", 0))
    found.run(host)
    host.finish()
    skipped = version_of(MINUTES.plan, 2, state="stopped")
    third = version_of(replace(MINUTES.plan, retention_ms=DAY), 3, begins="previous")
    found.register(version_of(MINUTES.plan, state="stopped"), skipped, third)
    found.market.clock.advance(1_000)
    again = found.host()
    again.step()
    assert found.registry.progress(third) == {0: 1}


def test_a_version_that_cannot_run_is_told_and_tried_again_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    found = site()
    elsewhere = bars("1m", context=ao.Context("t"), name="minutes", entity=Later)
    first, second = version_of(MINUTES.plan), version_of(elsewhere.plan, 2)
    found.register(first)
    host = found.host()
    found.run(host)
    found.register(second)
    for _ in range(5):
        found.market.send(trade("A", 0))
        found.market.clock.advance(500)
        host.step()
    assert "t.later" in found.state(second).detail
    assert found.state(second).state == "failed"
    assert found.state(first).state == "running"
    assert found.registry.progress(second) is None
    assert [row["ticks"] for row in found.market.bars("1m")] == [5]
    assert len([m for m in caplog.messages if "t.later" in m]) == 1
    extra = Market.of(elsewhere, log=found.market.log)
    found.market.clock.advance(versions.LONGEST_RETRY_S * 1000)
    found.run(host)
    assert found.state(second).state == "running"
    assert found.registry.progress(second) == {0: 0}
    assert extra.written() == {"1m": 0}


def test_a_query_that_fails_while_it_runs_stops_nobody_else_and_comes_back() -> None:
    found = site()
    minutes, hourly = version_of(MINUTES.plan), version_of(HOURLY.plan)
    found.register(minutes, hourly)
    host = found.host()
    found.run(host)
    fenced(found).refused = "t.trade_bars_1m"
    found.market.send(trade("A", 0))
    found.run(host)
    assert len(host.runners) == 1
    assert found.state(minutes).state == "failed"
    assert found.state(minutes).detail == "the disk is full"
    assert [row["ticks"] for row in found.market.bars("1h")] == [1]
    waits = []
    for _ in range(6):
        since = found.market.clock.monotonic()
        while len(host.runners) == 1:
            found.market.clock.advance(500)
            host.step()
        waits.append(found.market.clock.monotonic() - since)
        host.drain()
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert max(waits) <= versions.LONGEST_RETRY_S
    fenced(found).refused = None
    found.market.clock.advance(versions.LONGEST_RETRY_S * 1000)
    found.run(host)
    assert found.state(minutes).state == "running"
    assert [row["ticks"] for row in found.market.bars("1m")] == [1]


def test_a_version_that_has_begun_and_fails_is_not_replaced_by_an_older_one() -> None:
    found = site()
    first, second = version_of(MINUTES.plan), version_of(replace(MINUTES.plan, retention_ms=DAY), 2)
    found.register(first, second)
    host = found.host()
    found.run(host)
    assert found.registry.progress(first) is None
    found.register(replace(second, plan="{}"))
    found.run(host)
    assert host.runners == []
    host.finish()
    found.market.clock.advance(1_000)
    again = found.host()
    found.run(again)
    assert again.runners == []
    assert found.state(second).state == "failed"
    assert found.registry.progress(second) == {0: 0}


def test_what_is_withdrawn_is_written_and_then_left_alone() -> None:
    found = site()
    version = version_of(MINUTES.plan)
    found.register(version)
    host = found.host()
    found.run(host)
    found.market.send(trade("A", 0))
    host.step()
    found.register(replace(version, state="stopped"))
    host.step()
    assert host.runners == []
    assert [row["ticks"] for row in found.market.bars("1m")] == [1]
    assert found.registry.inspect([replace(version, state="stopped")]) == []


def test_queries_of_other_engines_and_intents_are_nothing_to_it() -> None:
    found = site()
    intent = version_of(MINUTES.plan, state="intent")
    found.register(version_of(HOURLY.plan, engine="ksqldb"), intent)
    host = found.host()
    found.run(host)
    assert host.runners == []
    assert found.registry.inspect([version_of(HOURLY.plan, engine="ksqldb")]) == []
    found.register(replace(intent, state="registered"))
    found.run(host)
    assert len(host.runners) == 1


def test_the_progress_of_the_query_itself_is_not_that_of_a_version() -> None:
    found = site()
    found.market.run()
    plain = read_progress(found.market.log, progress_key(ENV, "t", "minutes", 0))
    assert plain is None
    found.register(version_of(MINUTES.plan))
    found.run(found.host())
    keys = found.market.log.view(OFFSETS).keys
    assert [key.split(b"\x1f")[-2:] for key in keys] == [[b"minutes_v1", b"0"]]
