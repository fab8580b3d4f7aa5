"""Engines that share partitions give the bars of one that has them all, whoever crashes, sleeps or is told too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_engine import HOUR, MINUTE, Market, bars, trade
from tests.support_group import Crew
from tests.support_host import Site, version_of

import ashioto as ao
from ashioto.control import group_shares
from ashioto.log.leases import Lease
from ashioto.testing import memory_log

if TYPE_CHECKING:
    from tests.support_engine import Row

PARTITIONS = 3
SYMBOLS = "ABCDEFG"
CONTEXT = ao.Context("t")
QUERIES = (
    bars("1m", "5m", context=CONTEXT, name="short"),
    bars("1h", context=CONTEXT, name="long"),
)


def market() -> Market:
    return Market.of(*QUERIES, hours=[(s, 0, HOUR) for s in SYMBOLS], partitions=PARTITIONS)


ticks = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 20 * MINUTE), st.integers(1, 9), st.booleans()), max_size=6
)
engines = st.integers(0, 2)
ACTIONS = st.one_of(
    st.tuples(st.just("send"), ticks),
    st.tuples(st.just("beat"), st.integers(0, 25)),
    st.tuples(st.sampled_from(["step", "step", "step", "crash", "sleep", "wake", "leave", "busy"]), engines),
    st.tuples(st.just("share"), st.lists(st.integers(0, 3), min_size=PARTITIONS + 1, max_size=PARTITIONS + 1)),
    st.tuples(st.just("wait"), st.integers(100, 2_500)),
)


class Play:
    """Three engines that share a market, and the same ticks and heartbeats in another one."""

    def __init__(self, emit_interval: float) -> None:
        self.shared, self.alone = market(), market()
        self.site = Site(self.shared)
        self.site.register(*(version_of(query.plan) for query in QUERIES))
        self.crew = Crew(self.site, {"t.trade": PARTITIONS})
        self.options = {"emit_interval": emit_interval}
        self.engines = [self.crew.engine(**self.options) for _ in range(3)]

    def act(self, action: str, what: Any) -> None:
        match action:
            case "send" | "beat":
                for one in (self.shared, self.alone):
                    self.feed(one, action, what)
            case "wait":
                self.shared.clock.advance(what)
            case "share":
                for place, number in zip(self.crew.places, what, strict=True):
                    self.crew.group.owners[place] = self.engines[number].seat.name if number < 3 else "nobody"
            case _:
                self.engine(action, what)

    def feed(self, one: Market, action: str, what: Any) -> None:
        if action == "beat":
            one.beat(what * MINUTE)
        elif what:
            one.send(*(trade(s, at, None if bad and price > 7 else price) for s, at, price, bad in what))

    def engine(self, action: str, number: int) -> None:
        engine = self.engines[number]
        match action:
            case "step":
                engine.host.step()
            case "crash":
                self.replace(number)
            case "sleep":  # its session ends, and it goes on without a word from the group
                engine.seat.asleep = True
                self.crew.group.expel(engine.seat.name)
            case "wake":
                engine.seat.asleep = False
            case "busy":
                engine.leases.busy = 2
            case "leave":
                engine.host.finish()
                self.replace(number)

    def replace(self, number: int) -> None:
        self.crew.group.expel(self.engines[number].seat.name)
        self.engines[number] = self.crew.engine(**self.options)

    def end(self) -> None:
        """Wake everybody, share evenly, and read everything."""
        for number, engine in enumerate(self.engines):
            engine.seat.asleep, engine.leases.busy = False, 0
            for place in self.crew.places:
                if place[1] % 3 == number:
                    self.crew.group.owners[place] = engine.seat.name
        self.crew.turn(*self.engines, rounds=5)
        self.alone.run()


def stand(one: Market, kind: str) -> list[Row]:
    """Return the bars; up to where each piece was read depends on when it was."""
    return [{k: v for k, v in row.items() if k != "source_cut"} for row in one.bars(kind)]


def letters(one: Market) -> list[tuple[Any, ...]]:
    return sorted((row["source_partition"], row["source_offset"]) for row in one.dead())


def counts(one: Market) -> list[tuple[Any, ...]]:
    """Return what became of the ticks of each partition that has any."""
    return sorted((row["ticks"], row["rejected"]) for row in one.progress() if row["ticks"] or row["rejected"])


def check(actions: list[tuple[str, Any]], emit_interval: float) -> None:
    play = Play(emit_interval)
    for action, what in actions:
        play.act(action, what)
    play.end()
    for kind in ("1m", "5m", "1h"):
        assert stand(play.shared, kind) == stand(play.alone, kind), kind
    assert letters(play.shared) == letters(play.alone)
    assert counts(play.shared) == counts(play.alone)
    for version in play.site.known.values():
        assert play.crew.state(version.name).state == "running"


@settings(max_examples=120, deadline=None)
@given(actions=st.lists(ACTIONS, max_size=40), emit_interval=st.sampled_from([0.0, 1.0]))
def test_shared_partitions_give_the_bars_of_one_engine(actions: list[tuple[str, Any]], emit_interval: float) -> None:
    check(actions, emit_interval)


BAD = ("A", 1, 8, True)
ZOMBIE: list[tuple[str, Any]] = [
    ("share", [0, 0, 0, 0]), ("step", 0), ("step", 0), ("send", [BAD]), ("step", 0), ("sleep", 0),
    ("share", [1, 1, 1, 1]), ("step", 1), ("step", 1), ("wait", 1_500), ("step", 1),
    ("step", 0), ("wait", 1_500), ("step", 0), ("wake", 0), ("step", 0),
]  # fmt: skip
"""Engine 0 has read a bad tick and not yet said so when it loses its partitions, and goes on unaware."""


def test_a_paused_owner_wakes_and_is_refused() -> None:
    check(ZOMBIE, 1.0)


def test_without_fences_the_same_play_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_log, "check_epoch", lambda *_: None)
    with pytest.raises(AssertionError):
        check(ZOMBIE, 1.0)


def test_with_a_fence_that_stays_the_same_play_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_shares, "Lease", lambda **made: Lease(**(made | {"epoch": 1})))
    with pytest.raises(AssertionError):
        check(ZOMBIE, 1.0)
