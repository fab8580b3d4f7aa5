"""Replay, swap and undo end the same after a crash at any append: the same run again completes what was begun."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.support_engine import DAY, HOUR, MINUTE, Market, bars, trade
from tests.support_migration import LATER, contents, ends_of, place_of, tick_file, ticks_of

from ashioto.migration import changes, rebuild
from ashioto.migration.replay import replay
from ashioto.migration.swap import SwapOptions, swap
from ashioto.migration.undo import UndoOptions, undo
from ashioto.migration.undo_file import UndoFile
from ashioto.testing import CrashingLog
from ashioto.testing.crashing_log import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support_engine import Row

    from ashioto.migration.running import Place

WAYS: tuple[Literal["before", "after"], ...] = ("before", "after")
QUERY = bars("1m", "1h", "1d")
ROWS = [
    trade(s, d * DAY + 9 * HOUR + m * MINUTE + n, 100 + (m * 7 + d) % 30)
    for d in (0, 1)
    for m in range(0, 100, 3)
    for n, s in enumerate("AB")
]
HOURS = [(s, d * DAY + 9 * HOUR, d * DAY + 11 * HOUR) for s in "AB" for d in (0, 1)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many appends of few bars."""
    monkeypatch.setattr(changes, "BATCH_BYTES", 4_000)
    monkeypatch.setattr(rebuild, "GROUP", 20)


def market_of(rows: list[Row]) -> Market:
    """A market that has seen these ticks."""
    market = Market.of(QUERY, hours=HOURS)
    market.send(*rows)
    market.at(LATER)
    return market


def sweep(make: Callable[[], Market], run: Callable[[Place], Any], wanted: Any) -> int:
    """Crash at every append, before and after it, run again, and once more; returns at how many places."""
    for when in WAYS:
        number = 0
        while True:
            number += 1
            market = make()
            broken = CrashingLog(market.log, crash_at=number, when=when)
            crashed = True
            with suppress(CrashError):
                run(place_of(broken, market.clock, LATER))
                crashed = False
            run(place_of(market.log, market.clock, LATER))
            assert contents(market, without=set()) == wanted, (when, number)
            ends = ends_of(market)
            run(place_of(market.log, market.clock, LATER))
            assert ends_of(market) == ends, (when, number)
            if not crashed:
                break
    return number - 1


def test_replay(tmp_path: Path) -> None:
    source = ticks_of(tick_file(tmp_path / "t.parquet", QUERY.plan.entity, ROWS[:80]))

    def make() -> Market:
        return market_of(ROWS[80:])

    def run(place: Place) -> None:
        replay(place, QUERY.plan, source)

    done = make()
    run(place_of(done.log, done.clock, LATER))
    assert contents(done) == contents(market_of(ROWS))
    assert sweep(make, run, contents(done, without=set())) > 8


def test_swap(tmp_path: Path) -> None:
    source = ticks_of(tick_file(tmp_path / "t.parquet", QUERY.plan.entity, ROWS))
    wrong = [dict(row, price=row["price"] + 1) if 30 <= i < 90 else row for i, row in enumerate(ROWS)]
    number = 0

    def make() -> Market:
        nonlocal number
        number += 1
        (tmp_path / str(number)).mkdir()
        return market_of(wrong)

    def run(place: Place) -> None:
        swap(place, QUERY.plan, source, SwapOptions(folder=tmp_path / str(number), agreed=lambda _: True))

    done = make()
    contents(done, without=set())
    run(place_of(done.log, done.clock, LATER))
    assert contents(done) == contents(market_of(ROWS))
    places = sweep(make, run, contents(done, without=set()))
    assert places > 5


@pytest.mark.parametrize("when", WAYS)
@pytest.mark.parametrize("crash_at", [1, 2, 3, 4, 5])
def test_the_first_undo_file_undoes_a_swap_that_was_cut_off(tmp_path: Path, when: Any, crash_at: int) -> None:
    source = ticks_of(tick_file(tmp_path / "t.parquet", QUERY.plan.entity, ROWS))
    market = market_of([dict(row, price=row["price"] + 1) if 30 <= i < 90 else row for i, row in enumerate(ROWS)])
    before = contents(market, without=set())
    options = SwapOptions(folder=tmp_path, agreed=lambda _: True)
    broken = CrashingLog(market.log, crash_at=crash_at, when=when)
    with pytest.raises(CrashError):
        swap(place_of(broken, market.clock, LATER), QUERY.plan, source, options)
    swap(place_of(market.log, market.clock, LATER), QUERY.plan, source, options)
    assert contents(market) == contents(market_of(ROWS))
    files = sorted(tmp_path.glob("undo*"))
    assert len(files) == 1
    undo(place_of(market.log, market.clock, LATER), QUERY.plan, UndoFile(files[0]), UndoOptions(agreed=lambda _: True))
    assert contents(market, without=set()) == before


def test_undo(tmp_path: Path) -> None:
    source = ticks_of(tick_file(tmp_path / "t.parquet", QUERY.plan.entity, ROWS))
    wrong = [dict(row, price=row["price"] + 1) if 30 <= i < 90 else row for i, row in enumerate(ROWS)]
    before = contents(market_of(wrong), without=set())
    file: list[Path] = []

    def make() -> Market:
        market = market_of(wrong)
        folder = tmp_path / str(len(file))
        folder.mkdir()
        options = SwapOptions(folder=folder, agreed=lambda _: True)
        found = swap(place_of(market.log, market.clock, LATER), QUERY.plan, source, options).undo_file
        assert found is not None
        file.append(found)
        return market

    def run(place: Place) -> None:
        undo(place, QUERY.plan, UndoFile(file[-1]), UndoOptions(agreed=lambda _: True))

    assert sweep(make, run, before) > 3
