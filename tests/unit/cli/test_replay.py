from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ashioto.cli.replay import (
    LOST_MS,
    PAUSE_MS,
    RENEW_MS,
    SharedClock,
    announce,
    announced,
    begin,
    reached,
    renew,
    replay,
    return_to_wall,
)
from ashioto.clock import ManualClock
from ashioto.engines.embedded.topics import system_topics
from ashioto.errors import LogBusyError, StaleEpochError, UnknownTopicError
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.base import Appended, Batch, Fence, Log

WALL = 1_800_000_000_000
MARKET = 1_400_000_000_000


@pytest.fixture
def log() -> Log:
    made = MemoryLog()
    made.create(system_topics())
    return made


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(WALL)


def test_what_is_announced_is_read(log: Log, wall: ManualClock) -> None:
    assert announced(log) is None
    assert reached(log, wall) is None
    line = begin(log, wall, event_ms=MARKET, speed=60.0, lead_ms=500)
    assert announced(log) == line
    assert (line.wall_ms, line.began_ms) == (WALL + 500, WALL)
    wall.advance(1_500)
    assert reached(log, wall) == MARKET + 60_000


def test_without_the_topic_the_way_out_is_named(wall: ManualClock) -> None:
    empty = MemoryLog()
    assert announced(empty) is None
    assert not SharedClock(empty, wall).replaying
    with pytest.raises(UnknownTopicError, match="do not exist yet\nHint: start `rc dev`"):
        announce(empty, wall, event_ms=MARKET, speed=1.0)


def test_every_replay_is_newer_than_the_last_even_where_the_wall_clock_was_set_back(
    log: Log, wall: ManualClock
) -> None:
    first = begin(log, wall, event_ms=MARKET, speed=60.0)
    second = begin(log, ManualClock(WALL - 5_000), event_ms=MARKET, speed=60.0)
    assert second.began_ms > first.began_ms
    with pytest.raises(StaleEpochError):
        renew(log, first, WALL)
    assert announced(log) == second


def test_a_replay_renews_its_line_and_goes_on_at_real_pace_at_its_end(log: Log, wall: ManualClock) -> None:
    with replay(log, wall, event_ms=MARKET, speed=60.0, lead_ms=500) as clock:
        clock.sleep(0.5)
        assert clock.now_ms() == MARKET
        clock.sleep(10)
        line = announced(log)
        assert line is not None
        assert (line.event_ms, line.wall_ms, line.speed) == (MARKET + 600_000, WALL + 10_500, 60.0)
    wall.advance(2_000)
    line = announced(log)
    assert line is not None
    assert (line.event_ms, line.speed) == (MARKET + 600_000, 1.0)
    assert reached(log, wall) == MARKET + 602_000


def test_an_interrupted_replay_goes_on_at_real_pace(log: Log, wall: ManualClock) -> None:
    with suppress(KeyboardInterrupt), replay(log, wall, event_ms=MARKET, speed=60.0) as clock:
        clock.sleep(2)
        raise KeyboardInterrupt
    line = announced(log)
    assert line is not None
    assert (line.event_ms, line.speed) == (MARKET + 120_000, 1.0)


def test_a_replay_that_another_one_overtook_leaves_the_line_alone(log: Log, wall: ManualClock) -> None:
    with replay(log, wall, event_ms=MARKET, speed=60.0) as clock:
        newer = begin(log, wall, event_ms=MARKET + 5, speed=2.0)
        clock.sleep(3)
        assert clock.now_ms() == MARKET + 180_000
    assert announced(log) == newer


def test_a_shared_clock_follows_a_replay_its_end_and_the_next(log: Log, wall: ManualClock) -> None:
    shared = SharedClock(log, wall)
    assert (shared.replaying, shared.follow(), shared.now_ms()) == (False, False, WALL)
    with replay(log, wall, event_ms=MARKET, speed=60.0) as clock:
        assert shared.follow()
        assert (shared.replaying, shared.speed, shared.now_ms()) == (True, 60.0, MARKET)
        clock.sleep(4)
        assert not shared.follow()
        assert shared.now_ms() == clock.now_ms() == MARKET + 240_000
    assert not shared.follow()
    assert shared.speed == 1.0
    wall.advance(1_000)
    assert shared.now_ms() == MARKET + 241_000
    begin(log, wall, event_ms=MARKET, speed=3.0)
    assert shared.follow()
    assert (shared.now_ms(), shared.speed) == (MARKET, 3.0)


def test_a_shared_clock_runs_on_while_the_log_does_not_answer(
    log: Log, wall: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(log, wall, event_ms=MARKET, speed=60.0)
    shared = SharedClock(log, wall)

    def silent(*_: object, **__: object) -> None:
        raise LogBusyError("no answer", hint="wait")

    with monkeypatch.context() as patch:
        patch.setattr(log, "view", silent)
        wall.advance(1_000)
        assert not shared.follow()
        assert shared.now_ms() == MARKET + 60_000
    assert not shared.follow()


def test_a_replay_that_died_is_noticed_and_the_pace_becomes_real(log: Log, wall: ManualClock) -> None:
    begin(log, wall, event_ms=MARKET, speed=60.0)
    shared = SharedClock(log, wall)
    wall.advance(LOST_MS)
    assert not shared.follow()
    assert shared.speed == 60.0
    wall.advance(1)
    assert not shared.follow()
    assert shared.speed == 1.0
    assert shared.now_ms() == MARKET + (LOST_MS + 1) * 60


def test_at_real_pace_the_line_is_kept_alive_by_whoever_follows_it(log: Log, wall: ManualClock) -> None:
    announce(log, wall, event_ms=MARKET, speed=1.0)
    shared = SharedClock(log, wall)
    for _ in range(3 * PAUSE_MS // 10_000):
        shared.sleep(10)
    line = announced(log)
    assert line is not None
    assert wall.now_ms() - line.wall_ms <= RENEW_MS
    assert shared.now_ms() == MARKET + 3 * PAUSE_MS
    assert SharedClock(log, wall).now_ms() == shared.now_ms()


def test_a_short_pause_is_time_that_passed_and_after_a_long_one_the_market_stands_where_it_was(
    log: Log, wall: ManualClock
) -> None:
    announce(log, wall, event_ms=MARKET, speed=1.0)
    wall.advance(PAUSE_MS)
    assert SharedClock(log, wall).now_ms() == MARKET + PAUSE_MS
    wall.advance(1)
    assert reached(log, wall) == MARKET
    stood = SharedClock(log, wall)
    assert stood.now_ms() == MARKET
    wall.advance(700)
    assert stood.now_ms() == MARKET + 700
    assert SharedClock(log, wall).now_ms() == MARKET + 700


def test_a_replay_that_died_while_nobody_followed_stands_where_it_was_last_renewed(log: Log, wall: ManualClock) -> None:
    line = begin(log, wall, event_ms=MARKET, speed=60.0)
    wall.advance(2_000)
    renew(log, line, wall.now_ms())
    wall.advance(LOST_MS + 1)
    assert SharedClock(log, wall).now_ms() == MARKET + 120_000


def test_the_return_to_the_wall_clock_is_a_jump_that_others_follow(log: Log, wall: ManualClock) -> None:
    return_to_wall(log, wall)
    assert announced(log) is None
    announce(log, wall, event_ms=MARKET, speed=1.0)
    shared = SharedClock(log, wall)
    return_to_wall(log, wall)
    assert shared.follow()
    assert (shared.replaying, shared.now_ms()) == (False, WALL)
    wall.advance(10 * PAUSE_MS)
    assert not shared.follow()
    assert (reached(log, wall), SharedClock(log, wall).now_ms()) == (None, wall.now_ms())
    before = announced(log)
    return_to_wall(log, wall)
    assert announced(log) == before


class Overtaken(MemoryLog):
    """Lets another replay begin right before the next append."""

    def __init__(self, wall: ManualClock) -> None:
        super().__init__()
        self._wall = wall
        self.overtake = False

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        if self.overtake:
            self.overtake = False
            begin(self, self._wall, event_ms=MARKET + 77, speed=5.0)
        return super().append(batches, fence=fence)


def test_a_renewal_that_comes_too_late_changes_nothing(wall: ManualClock) -> None:
    log = Overtaken(wall)
    log.create(system_topics())
    announce(log, wall, event_ms=MARKET, speed=1.0)
    shared = SharedClock(log, wall)
    wall.advance(RENEW_MS + 1)
    log.overtake = True
    assert not shared.follow()
    assert shared.follow()
    assert (shared.now_ms(), shared.speed) == (MARKET + 77, 5.0)
