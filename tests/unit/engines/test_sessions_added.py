"""Sessions that are added in the past, while the engine runs or while it does not: their buckets get bars at once."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, Market, Row, bars, columns, trade

from ashioto import Period
from ashioto.engines.embedded import residency
from ashioto.engines.embedded.reschedule import differing
from ashioto.schedule.sessions import Sessions

BAR = ("bucket_start", "close", "ticks", "final")
ADDED = ("A", 9 * HOUR, 9 * HOUR + 3 * MINUTE)


def at_ten(*, slack: int = 4096, monkeypatch: pytest.MonkeyPatch | None = None) -> Market:
    """A market at ten, with bars from eight to half past eight and from half past nine on."""
    if monkeypatch is not None:
        monkeypatch.setattr(residency, "_SLACK", slack)
    hours = [(s, o, c) for s in "AB" for o, c in ((8 * HOUR, 8 * HOUR + 2 * MINUTE), (570 * MINUTE, 12 * HOUR))]
    market = Market.of(bars("1m", "1h", "1d"), hours=hours)
    for n, at in enumerate((8 * HOUR, 570 * MINUTE, 580 * MINUTE, 590 * MINUTE, 598 * MINUTE)):
        market.send(trade("A", at, n + 1), trade("B", at, n + 10))
        market.at(at + 1)
    market.at(10 * HOUR + 30_000)
    return market


def of(market: Market, kind: str, symbol: str = "A") -> list[Row]:
    return [row for row in market.bars(kind) if row["symbol"] == symbol]


@pytest.mark.parametrize("slack", [-1000, 4096], ids=["evicting", "keeping"])
@pytest.mark.parametrize("restart", [False, True], ids=["while it runs", "while it does not"])
def test_the_buckets_of_an_added_session_appear_filled_and_final(
    restart: bool,  # noqa: FBT001  # a parameter of the test
    slack: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = at_ten(slack=slack, monkeypatch=monkeypatch)
    before = {kind: market.bars(kind) for kind in ("1m", "1h", "1d")}
    market.open(ADDED)
    if restart:
        market.restart()
    market.run()
    new = [row for row in of(market, "1m") if row not in before["1m"]]
    assert columns(new, *BAR) == [(9 * HOUR + n * MINUTE, 1, 0, True) for n in range(3)]
    assert of(market, "1m", "B") == [row for row in before["1m"] if row["symbol"] == "B"]
    assert len(of(market, "1m")) == len([r for r in before["1m"] if r["symbol"] == "A"]) + 3
    assert of(market, "1h") == [row for row in before["1h"] if row["symbol"] == "A"]


def test_what_is_written_for_an_addition_is_only_what_differs() -> None:
    market = at_ten()
    before = market.written()
    market.open(ADDED, ("A", 13 * HOUR, 14 * HOUR))
    market.run()
    after = market.written()
    assert {kind: after[kind] - before[kind] for kind in after} == {"1m": 3, "1h": 1, "1d": 0}


def test_sessions_to_come_write_no_bars() -> None:
    market = at_ten()
    before = market.written()
    market.open(("A", 13 * HOUR, 14 * HOUR), ("B", DAY, DAY + HOUR), ("C", 0, HOUR))
    market.run()
    assert market.written() == before | {"1d": before["1d"] + 1}
    assert [row["final"] for row in market.bars("1d")] == [False, False]


def test_a_longer_frame_that_gets_a_later_end_is_live_again_and_one_with_an_earlier_end_is_final() -> None:
    hours = [("A", 0, 10 * MINUTE), ("B", 0, 50 * MINUTE), ("A", 5 * HOUR, 6 * HOUR), ("B", 5 * HOUR, 6 * HOUR)]
    market = Market.of(bars("1m", "1h"), hours=hours)
    market.send(trade("A", 0, 1), trade("B", 0, 1))
    market.at(20 * MINUTE)
    assert [(row["symbol"], row["final"]) for row in market.bars("1h")] == [("A", True), ("B", False)]
    market.open(("A", 30 * MINUTE, 40 * MINUTE), ("B", 0, 15 * MINUTE))
    market.run()
    assert [(row["symbol"], row["final"]) for row in market.bars("1h")] == [("A", False), ("B", True)]
    market.at(41 * MINUTE)
    assert [row["final"] for row in market.bars("1h")] == [True, True]


def test_a_key_without_sessions_gets_its_bars_once_it_has_some() -> None:
    market = Market.of(bars("1m"), hours=[("A", 0, 2 * MINUTE), ("A", DAY, DAY + HOUR)])
    market.send(trade("A", 0, 1))
    market.at(5 * MINUTE)
    market.close("A", 0)
    market.close("A", DAY)
    market.run()
    market.open(("A", 0, 4 * MINUTE), ("A", DAY, DAY + HOUR))
    market.at(5 * MINUTE + 1)
    assert columns(market.bars("1m"), *BAR) == [(n * MINUTE, 1, 0 if n else 1, True) for n in range(4)]


def test_sessions_before_the_first_bar_of_a_key_read_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_SLACK", -1000)
    market = at_ten()
    held = market.runners[0]._parts[0]._core.tables[Period.minutes(1)].rows
    before = market.bars("1m")
    market.open(("A", -3 * DAY, -3 * DAY + HOUR))
    market.engine.poll()
    assert market.runners[0]._parts[0]._core.tables[Period.minutes(1)].rows == held
    assert market.bars("1m") == before


def sessions(*rows: tuple[int, int, int]) -> Sessions:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Sessions.build(columns[0] * MINUTE, columns[1] * MINUTE, columns[2])


@pytest.mark.parametrize(
    ("before", "after", "frame", "now", "runs"),
    [
        ([(0, 9, 0)], [(0, 9, 0)], "1m", 99, []),
        ([(0, 9, 0)], [(0, 9, 0), (20, 22, 0)], "1m", 19, []),
        ([(0, 9, 0)], [(0, 9, 0), (20, 22, 0)], "1m", 20, [(20, 20)]),
        ([(0, 9, 0)], [(0, 9, 0), (20, 22, 0)], "10m", 30, [(0, 20)]),
        ([(0, 9, 0), (20, 22, 0)], [(0, 9, 0)], "1m", 30, []),
        ([], [(5, 7, 0)], "1m", 30, [(5, 6)]),
        ([(0, 9, 0)], [], "1m", 30, []),
        ([(0, 3, 0), (5, 6, 0), (8, 9, 0)], [(1, 2, 0), (5, 6, 0), (7, 9, 0)], "1m", 30, [(7, 7)]),
        ([(0, 3, 0), (9, 12, 0)], [(0, 2, 0), (9, 12, 0)], "1h", 30, []),
        ([(0, 3, 0), (1440, 1450, 1)], [(0, 3, 0), (700, 800, 0), (1440, 1450, 1)], "1d", 1441, [(0, 0)]),
        ([(0, 3, 0)], [(0, 3, 0), (1440, 1450, 1)], "1d", 5, [(0, 0)]),
    ],
)
def test_which_buckets_differ(
    before: list[tuple[int, int, int]],
    after: list[tuple[int, int, int]],
    frame: str,
    now: int,
    runs: list[tuple[int, int]],
) -> None:
    found = differing(sessions(*before), sessions(*after), Period.parse(frame), "clock", now * MINUTE)
    assert [(int(a) // MINUTE, int(b) // MINUTE) for a, b in found] == runs
