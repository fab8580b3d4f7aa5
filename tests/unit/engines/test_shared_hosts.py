"""Several hosts share the partitions of a source: each runs its own, and what moves goes on from the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support_engine import DAY, HOUR, MINUTE, Market, bars, columns, trade
from tests.support_group import Crew
from tests.support_host import ENV, Site, version_of

import ashioto as ao
from ashioto import keys
from ashioto.control.group_shares import AGAIN_S
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.host import IDLE_S
from ashioto.engines.embedded.progress import version_progress
from ashioto.log.partition import partition_of

if TYPE_CHECKING:
    from tests.support_group import Engine
    from tests.support_host import Site as AnySite

    from ashioto.control.applied import Registration

CONTEXT = ao.Context("t")
MINUTES = bars("1m", context=CONTEXT, name="minutes")
HOURLY = bars("1h", context=CONTEXT, name="hours")
FIRST, SECOND = version_of(MINUTES.plan), version_of(replace(MINUTES.plan, retention_ms=DAY), 2)
NAME = FIRST.name
KEYS = [[s for s in "ABCDEFGHIJ" if partition_of(keys.encode(["V", s]), 2) == number] for number in (0, 1)]
A, B = KEYS[0][0], KEYS[1][-1]
"""A symbol of each partition."""


def scene(*versions: Registration) -> tuple[Crew, Engine, Engine]:
    """Two engines that run a partition each."""
    hours = [(s, 0, HOUR) for s in (A, B)]
    site = Site(Market.of(MINUTES, HOURLY, hours=hours, partitions=2))
    site.register(*(versions or [FIRST]))
    crew = Crew(site, {"t.trade": 2})
    one, two = crew.engine(), crew.engine()
    crew.share((one, [0]), (two, [1]))
    crew.turn(one, two)
    return crew, one, two


def runs(engine: Engine) -> dict[str, list[int]]:
    """Return which partitions of which query an engine runs."""
    return {name: list(runner.read()) for name, runner in engine.host.running().items()}


def made(site: AnySite, kind: str = "1m") -> list[tuple[str, int, int]]:
    return sorted(columns(site.market.bars(kind), "symbol", "bucket_start", "ticks"))


def test_each_runs_its_own_and_together_they_run_all() -> None:
    crew, one, two = scene(FIRST, version_of(HOURLY.plan))
    assert runs(one) == {"t_hours_v1": [0], NAME: [0]}
    assert runs(two) == {"t_hours_v1": [1], NAME: [1]}
    assert crew.registry.progress(FIRST) == {0: 0, 1: 0}
    crew.site.market.send(trade(A, 0), trade(B, 0), trade(B, 1))
    crew.turn(one, two)
    assert made(crew.site) == [(A, 0, 1), (B, 0, 2)]
    assert crew.registry.progress(FIRST) == {0: 1, 1: 2}
    stand = crew.state(NAME)
    assert (stand.state, stand.detail) == ("running", "e1: partition 0; e2: partition 1")
    crew.share((one, [0, 1]))
    crew.site.market.clock.advance(2_000)
    crew.turn(one, two)
    assert crew.state(NAME).detail == "e1"
    assert one.seat.committed[("t.trade", 0)] == 1


def test_one_without_a_partition_stands_by_with_its_kernels_ready() -> None:
    crew, one, two = scene()
    third = crew.engine()
    crew.turn(third)
    assert (third.host.is_active, runs(third)) == (False, {})
    assert third.host.pause() > IDLE_S
    assert third.host._ready == {FIRST.plan}
    crew.share((one, [0]), (third, [1]))
    crew.turn(one, two, third)
    assert (two.host.is_active, third.host.is_active) == (False, True)
    assert (runs(two), runs(third)) == ({}, {NAME: [1]})


def test_what_was_read_is_written_before_a_partition_moves_and_the_rest_goes_on_untouched() -> None:
    crew, one, two = scene()
    crew.share((one, [0, 1]))
    crew.turn(one, two)
    crew.site.market.send(trade(A, 0), trade(B, 0))
    one.host.step()
    (runner,) = one.host.runners
    kept = runner._parts[0]
    assert made(crew.site) == []
    crew.share((one, [0]), (two, [1]))
    one.host.step()
    assert made(crew.site) == [(B, 0, 1)], "only what moves is written at once"
    assert (runner._parts[0] is kept, list(runner._parts)) == (True, [0])
    two.host.step()
    crew.site.market.send(trade(B, 1))
    crew.turn(one, two)
    assert made(crew.site) == [(A, 0, 1), (B, 0, 2)]


def test_one_that_was_replaced_in_one_partition_goes_on_with_the_others() -> None:
    crew, one, two = scene()
    crew.share((one, [0, 1]))
    crew.turn(one, two)
    crew.site.market.send(trade(A, 0), trade(B, 0))
    one.host.step()
    one.seat.asleep = True
    one.seat.assigned -= {("t.trade", 1)}
    crew.share((one, [0]), (two, [1]))
    two.host.step()
    two.host.drain()
    one.seat.assigned |= {("t.trade", 1)}
    crew.site.market.clock.advance(1_500)
    one.host.drain()
    one.host.step()
    assert runs(one) == {NAME: [0]}
    assert made(crew.site) == [(A, 0, 1), (B, 0, 1)]
    one.seat.asleep = False
    crew.site.market.clock.advance(AGAIN_S * 1000)
    crew.turn(one, two)
    assert (runs(one), runs(two)) == ({NAME: [0]}, {NAME: [1]})


def test_one_that_ends_writes_what_it_can_and_leaves() -> None:
    crew, one, two = scene()
    crew.share((one, [0, 1]))
    crew.turn(one, two)
    crew.site.market.send(trade(A, 0), trade(B, 0))
    one.host.step()
    crew.site.leases.change_lease(  # somebody takes partition 0 over, and nobody says so
        "engine\x1fdev\x1flocal\x1ft.trade\x1f0", lambda known: replace(known, epoch=9) if known else None
    )
    one.host.finish()
    assert made(crew.site) == [(B, 0, 1)]
    assert crew.group.seats.keys() == {"e2"}
    assert not one.host.is_active


def test_a_partition_of_nobody_is_told_and_is_not_running() -> None:
    crew, one, two = scene()
    crew.group.owners = {(APPLIED, 0): "e1", ("t.trade", 0): "e1"}
    crew.turn(one, two)
    stand = crew.state(NAME)
    assert (stand.state, stand.detail) == ("starting", "nobody runs partition 1 yet")
    crew.group.owners = {(APPLIED, 0): "e1"}
    crew.turn(one, two)
    assert crew.state(NAME).detail == "nobody runs partitions 0, 1 yet"
    one.host.finish()
    two.host.finish()
    assert crew.state(NAME).state == "waiting"


def test_a_newer_version_takes_over_in_every_partition_and_no_partition_goes_back() -> None:
    crew, one, two = scene()
    crew.site.market.send(trade(A, 0), trade(B, 0))
    crew.turn(one, two)
    crew.site.register(SECOND)
    one.host.step()
    assert runs(one) == {SECOND.name: [0]}
    crew.share((two, [0, 1]))  # who has not heard of the second version gets a partition in which it has begun
    one.host.step()
    two.host.step()
    assert runs(two) == {SECOND.name: [0, 1]}
    crew.turn(one, two)
    assert crew.registry.progress(SECOND) == {0: 1, 1: 1}
    assert crew.registry.progress(FIRST) == {0: 1, 1: 1}
    assert made(crew.site) == [(A, 0, 1), (B, 0, 1)]


def test_a_plan_that_cannot_be_read_is_told_by_one_engine_and_the_version_before_goes_on() -> None:
    crew, one, two = scene()
    bad = replace(version_of(HOURLY.plan), plan="{}")
    crew.site.register(bad)
    crew.turn(one, two)
    stand = crew.state(bad.name)
    assert stand.state == "failed"
    assert "no plan" in stand.detail
    assert set(version_progress(crew.site.market.log, ENV, "t", bad.object)) == {0}
    assert runs(one) == {NAME: [0]}


def test_a_problem_is_recorded_only_where_it_is_run() -> None:
    crew, one, two = scene()
    crew.site.market.send(trade(A, 0), trade(B, 0))
    crew.turn(one, two)
    crew.site.register(replace(SECOND, plan="{}"))
    crew.turn(one)
    records = version_progress(crew.site.market.log, ENV, "t", SECOND.object)
    assert {number: record.source_offset for number, record in records.items()} == {0: -1}
    crew.turn(two)
    assert set(version_progress(crew.site.market.log, ENV, "t", SECOND.object)) == {0, 1}
    assert runs(one) == {NAME: [0]}


def test_a_version_that_has_begun_and_cannot_be_read_has_failed_whatever_is_recorded() -> None:
    crew, one, two = scene()
    crew.site.register(replace(FIRST, plan="{}"))
    crew.turn(one, two)
    assert (runs(one), runs(two)) == ({}, {})
    assert crew.state(NAME).state == "failed"
    assert crew.registry.progress(FIRST) == {0: 0, 1: 0}


def test_a_schedule_is_followed_where_the_one_before_left_it() -> None:
    crew, one, two = scene()
    market = crew.site.market
    crew.share((one, [0, 1]))
    crew.turn(one, two)
    market.send(trade(B, 0), trade(B, 2 * HOUR))
    market.beat(HOUR + MINUTE)
    crew.share((one, [0]), (two, [1]))
    crew.turn(one, two)
    before = made(crew.site, "1m")
    (runner,) = one.host.runners
    assert runner.progress[0].schedule_offset == 2
    market.open((B, HOUR, HOUR + 10 * MINUTE))
    market.clock.advance(1_500)
    two.host.drain()
    crew.share((one, [0, 1]))
    two.host.step()
    one.host._shares.step(one.host._wanted(), one.host._release)
    one.host._moved = True
    crew.turn(one, two)
    market.beat(HOUR + 11 * MINUTE)
    crew.turn(one, two)
    added = [row for row in made(crew.site, "1m") if row not in before]
    assert [(symbol, start) for symbol, start, _ in added] == [(B, HOUR + m * MINUTE) for m in range(10)]
