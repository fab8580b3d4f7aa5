from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, HOUR, bars, trade
from tests.support_migration import (
    FRAMES,
    LATER,
    contents,
    ends_of,
    live,
    place_of,
    replayed,
    some_ticks,
    swapped,
    tick_file,
    ticks_of,
)

from ashioto.control.applied import Registration, registration_batch
from ashioto.control.topics import control_topics
from ashioto.errors import BlockedError, LogBusyError, LogFullError, StaleEpochError
from ashioto.files.writing import TableWriter
from ashioto.logical.codec import checksum, encode_query
from ashioto.migration.replay import ReplayOptions, replay
from ashioto.migration.running import Running
from ashioto.testing import CrashingLog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ashioto.log.base import Appended, Batch, Fence


class FullLog(CrashingLog):
    """A log whose disk is full after some appends."""

    room = 0

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, or refuse."""
        if self.appends >= self.room:
            raise LogFullError("the disk is full", hint="make room")
        return super().append(batches, fence=fence)


@pytest.mark.parametrize("room", [0, 1, 2, 4])
def test_a_full_disk_leaves_what_the_same_run_completes(tmp_path: Path, room: int) -> None:
    query, rows = bars(*FRAMES), some_ticks(600)
    market = live(query, rows[300:])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:300]))
    full = FullLog(market.log, crash_at=0)
    full.room = room
    with pytest.raises(LogFullError):
        replay(place_of(full, market.clock, LATER), query.plan, source)
    replayed(market, source, LATER)
    assert contents(market) == contents(live(query, rows))


def test_an_undo_file_that_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    query, rows = bars("1m"), some_ticks(300)
    market = live(query, [dict(row, price=1) for row in rows])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    ends = ends_of(market)
    monkeypatch.setattr(TableWriter, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        swapped(market, source, LATER, tmp_path)
    assert ends_of(market) == ends
    assert not list(tmp_path.glob("*undo*"))


def test_a_merged_bar_that_the_engine_revises_meanwhile_is_made_again(tmp_path: Path) -> None:
    query = bars(*FRAMES, retention=60 * DAY)
    rows = [row for row in some_ticks(900) if row["symbol"] == "A"]
    market = live(query, rows[250:])
    late = [trade("A", 3 * DAY + 16 * HOUR + n, 1) for n in range(2)]
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:250]))

    def meanwhile(_done: int, _total: int) -> None:
        if late:
            market.restart()
            market.send(late.pop())
            market.run()

    report = replay(
        place_of(market.log, market.clock, LATER), query.plan, source, ReplayOptions(wrote=meanwhile)
    )  # fmt: skip
    assert report.merged > 0
    market.restart()
    market.at(LATER)
    whole = [*rows, trade("A", 3 * DAY + 16 * HOUR, 1), trade("A", 3 * DAY + 16 * HOUR + 1, 1)]
    assert contents(market) == contents(live(query, whole))


def test_a_bar_that_is_revised_again_and_again_ends_the_run(tmp_path: Path) -> None:
    query = bars(*FRAMES, retention=60 * DAY)
    rows = [row for row in some_ticks(900) if row["symbol"] == "A"]
    market = live(query, rows[250:])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows[:250]))
    count = 0

    def meanwhile(_done: int, _total: int) -> None:
        nonlocal count
        count += 1
        market.send(trade("A", 3 * DAY + 16 * HOUR + count, 1))
        market.run()

    options = ReplayOptions(wrote=meanwhile)
    with pytest.raises(LogBusyError, match="the engine goes on revising bars"):
        replay(place_of(market.log, market.clock, LATER), query.plan, source, options)
    replayed(market, source, LATER)
    whole = [*rows, *(trade("A", 3 * DAY + 16 * HOUR + n, 1) for n in range(1, count + 1))]
    assert contents(market) == contents(live(query, whole))


def test_whoever_takes_the_lock_over_shuts_the_former_out(tmp_path: Path) -> None:
    query, rows = bars("1m"), some_ticks(100)
    market = live(query, [])
    source = ticks_of(tick_file(tmp_path / "t.parquet", query.plan.entity, rows))
    place = place_of(market.log, market.clock, LATER)
    with Running(place, query.plan) as former:
        market.clock.advance(600_000)
        with Running(place_of(market.log, market.clock, LATER, holder="other"), query.plan):
            ends = ends_of(market)
            with pytest.raises(StaleEpochError):
                market.log.append([], fence=former.fence)
            assert ends_of(market) == ends
    assert replayed(market, source, LATER).written.total() > 0


def test_a_query_that_is_applied_in_another_way_is_refused() -> None:
    query, other = bars("1m"), bars("1m", grace=7)
    market = live(query, [])
    market.log.create(control_topics())
    applied: Any = Registration(
        context="t", query=query.plan.name, version=3, state="applied", engine="embedded",
        checksum=checksum(other.plan), plan=encode_query(other.plan), begins="start", updated_ms=0,
    )  # fmt: skip
    market.log.append([registration_batch(("dev", "local"), [applied])])
    with pytest.raises(BlockedError, match="is declared in another way than version 3 that is applied") as error:
        Running(place_of(market.log, market.clock, LATER), query.plan)
    assert error.value.exit_code == 4
    Running(place_of(market.log, market.clock, LATER), other.plan)
