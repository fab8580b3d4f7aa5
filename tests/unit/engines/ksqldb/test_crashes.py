"""Whoever registers, stops or applies may be gone after any request: the next one goes on to the same end."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_deploy import ENV, Declared, World, request
from tests.support_engine import bars
from tests.support_host import version_of
from tests.support_ksqldb_server import CutOffError, Network, ServedLog, engine_of

from ashioto.clock import ManualClock
from ashioto.deploy.apply import ApplyOptions, apply
from ashioto.deploy.target import Target
from ashioto.testing.ksqldb_catalog import Topic
from ashioto.testing.ksqldb_server import KsqldbServer

if TYPE_CHECKING:
    from ashioto.deploy.apply import Outcome

QUERY = bars("1m", name="minutes")
VERSION = version_of(QUERY.plan, engine="ksqldb")
TOPICS = {"t.trade": 1, "t.trade_hb": 1, "t.hours_by_day": 1, "t.trade_bars_1m": 1}
FIRST, CHANGED = Declared(), Declared(high=True)


def state(server: KsqldbServer) -> dict[str, Any]:
    """What a server has, the numbers of queries apart."""
    catalog = server.catalog
    return {
        "topics": dict(catalog.topics),
        "sources": {name: (source.kind, source.topic, source.reads) for name, source in catalog.sources.items()},
        "queries": sorted((query.sink, query.text) for query in catalog.queries.values()),
    }


class Processes:
    """Processes one after another that talk to one server."""

    def __init__(self, *, works: int | None = None) -> None:
        self.server = KsqldbServer(topics=TOPICS)
        self.server.works = works
        self.network = Network(self.server)

    def do(self, *, stop: bool = False, crash_at: int = -1) -> bool:
        """Register or stop in a process of its own; returns whether it lived."""
        engine = engine_of(ServedLog(self.server), self.network, ManualClock())
        self.network.crash_at = crash_at
        try:
            (engine.stop if stop else engine.register)(VERSION)
        except CutOffError:
            return False
        finally:
            self.network.crash_at = -1
        return True


def whole() -> dict[str, Any]:
    world = Processes()
    world.do()
    return state(world.server)


@pytest.mark.parametrize("works", [None, 1, 4, 9])
def test_registering_goes_on_wherever_it_was_cut_off(works: int | None) -> None:
    wanted = whole()
    for crash_at in count():
        world = Processes(works=works)
        lived = world.do(crash_at=crash_at)
        assert world.do()
        assert state(world.server) == wanted, crash_at
        requests = len(world.server.requests)
        world.do()
        assert len(world.server.requests) == requests
        if lived:
            break
    assert crash_at >= (2 if works is None else 4)


@pytest.mark.parametrize("works", [None, 3])
def test_stopping_goes_on_wherever_it_was_cut_off(works: int | None) -> None:
    nothing = state(Processes().server)
    for crash_at in count():
        world = Processes()
        world.do()
        world.server.works = works
        lived = world.do(stop=True, crash_at=crash_at)
        assert world.do(stop=True)
        assert state(world.server) == nothing, crash_at
        if lived:
            break
    assert crash_at >= 20


def test_a_version_whose_stop_was_cut_off_can_be_registered_again() -> None:
    wanted = whole()
    for crash_at in range(1, 25):
        world = Processes()
        world.do()
        world.do(stop=True, crash_at=crash_at)
        assert world.do()
        assert state(world.server) == wanted, crash_at


class Projects:
    """Processes that apply what is declared, one after another."""

    def __init__(self) -> None:
        self.server = KsqldbServer()
        self.server.catalog.topics["trading.hours_by_day"] = Topic()
        self.network = Network(self.server)
        self.log = ServedLog(self.server)
        self.world = World(log=self.log)
        self.names = count(1)

    def apply(self, declared: Declared, *, crash_at: int = -1) -> Outcome | None:
        """Apply in a process of its own; returns None when that has not lived."""
        name = f"host:{next(self.names)}"
        engine = engine_of(self.log, self.network, self.world.clock)
        self.server.work(self.log.end_offsets)
        target = Target(log=self.log, engine=engine, env=ENV, clock=self.world.clock)
        self.network.crash_at = crash_at
        options = ApplyOptions(verify_timeout_s=2.0)
        try:
            return apply(request(declared), target, self.world.election(name), options=options)
        except CutOffError:
            self.world.deaths.gone.add(name)
            return None
        finally:
            self.network.crash_at = -1

    def end(self) -> dict[str, Any]:
        made = self.world.end()
        return {"records": made["records"], "specs": made["specs"], "topics": made["topics"], **state(self.server)}


def applied(*declared: Declared) -> Projects:
    world = Projects()
    for one in declared:
        assert world.apply(one) is not None
    return world


@pytest.mark.parametrize("before", [(), (FIRST,)], ids=["first", "changed"])
def test_applying_goes_on_wherever_it_was_cut_off(before: tuple[Declared, ...]) -> None:
    last = CHANGED if before else FIRST
    wanted = applied(*before, last).end()
    for crash_at in count():
        world = applied(*before)
        lived = world.apply(last, crash_at=crash_at)
        done = world.apply(last)
        assert done is not None
        assert world.end() == wanted, crash_at
        again = world.apply(last)
        assert again is not None
        assert not again.plan.steps
        if lived is not None:
            break
    assert crash_at >= (30 if before else 8)


def test_a_changed_query_runs_under_a_new_name_and_the_old_one_is_gone() -> None:
    world = applied(FIRST, CHANGED)
    versions = {name.split("_v")[1][0] for name in world.server.catalog.sources}
    assert versions == {"2"}
    assert [(r.name, r.state) for r in world.world.records()] == [
        ("trading_bars_v1", "stopped"),
        ("trading_bars_v2", "applied"),
    ]


def test_applying_twice_sends_nothing() -> None:
    world = applied(FIRST)
    requests, offsets = len(world.server.requests), world.world.offsets()
    world.apply(FIRST)
    assert (len(world.server.requests), world.world.offsets()) == (requests, offsets)
