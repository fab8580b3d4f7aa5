"""The engine dies at every append, before or after it takes effect; what is in the log in the end is the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, SECOND, Market, Trade, bars, trade

import ashioto as ao
from ashioto.engines.embedded import residency
from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ashioto.log.base import Log

Step = tuple[str, Any]
When = Literal["before", "after"]
HOURS = [(s, d * DAY, d * DAY + 20 * MINUTE) for s in "ABC" for d in range(9)]
SELECT = {
    **ao.ohlcv(Trade.price, Trade.size),
    "total": ao.sum(Trade.lots),
    "mean": ao.avg(Trade.weight),
    "up": ao.last(Trade.price) - ao.previous("high"),
}
QUERY = bars("1m", "5m", "1d", select=SELECT, grace=30 * SECOND, retention=2 * DAY)
MOST = 2**62
SCRIPT: list[Step] = [
    ("send", [trade("A", 5, 10), trade("B", 61 * SECOND, 20), trade("X", 7), trade("A", HOUR, 1)]),
    ("run", None),
    ("send", [trade("A", 6, 11, weight=math.nan), trade("A", 2 * MINUTE, 12), trade("C", 8, 5, lots=MOST)]),
    ("poll", None),
    ("beat", 90 * SECOND),
    ("poll", None),
    ("send", [trade("C", 9, 6, lots=MOST), trade("C", 10, 7, lots=1), trade("B", 2, None), trade("B", 1, 19)]),
    ("run", None),
    ("beat", 5 * MINUTE),
    ("run", None),
    ("send", [trade("A", 70 * SECOND, 15), trade("A", 3, 9)]),
    ("run", None),
    ("beat", DAY + 3 * MINUTE),
    ("send", [trade("A", DAY + 50, 30), trade("B", 18 * MINUTE, 25)]),
    ("run", None),
    ("poll", None),
    ("beat", 5 * DAY),
    ("run", None),
    ("send", [trade("A", 30, 1), trade("B", DAY, 2), trade("C", 3 * DAY, 8), trade("A", 4 * DAY, None)]),
    ("poll", None),
    ("send", [trade("B", 3 * DAY + 5 * MINUTE, 7), trade("C", 4 * DAY, 1, weight=math.inf)]),
    ("run", None),
    ("beat", 6 * DAY),
    ("run", None),
]


def steps(market: Market) -> Iterator[Callable[[], object]]:
    """What happens, one after another."""
    does: dict[str, Callable[[Any], object]] = {
        "send": lambda rows: market.send(*rows),
        "beat": market.beat,
        "run": lambda _: market.run(),
        "poll": lambda _: market.engine.poll(),
    }
    for name, what in SCRIPT:
        yield lambda name=name, what=what: does[name](what)  # type: ignore[misc]  # bound now


def play(log: Log, partitions: int, crash_at: int, when: When) -> tuple[Market, int]:
    """Run the script with a crash at one append; returns the market and how many appends there were before it."""
    market = Market.of(QUERY, hours=HOURS, log=log, partitions=partitions)
    crashing = CrashingLog(log, crash_at=crash_at, when=when)
    market.restart(engine_log=crashing)
    for step in steps(market):
        try:
            step()
        except CrashError:
            market.restart(engine_log=log)
            market.run()
    return market, crashing.appends


def end(market: Market) -> dict[str, Any]:
    """All that must be the same; which piece of the source a bar was read with may differ."""
    dead = [row | {"value": pa.ipc.open_stream(row["value"]).read_all().to_pylist()} for row in market.dead()]
    dead.sort(key=lambda r: (r["source_partition"], r["source_offset"]))
    found = {kind: market.bars(kind) for kind in ("1m", "5m", "1d")}
    return {
        "bars": {kind: [row | {"source_cut": None} for row in rows] for kind, rows in found.items()},
        "late": market.late(),
        "dead": [str(row) for row in dead],
        "progress": [p | {"hb_offset": None} for p in market.progress()],
    }


def check_cuts(market: Market) -> None:
    """Every bar includes its last tick and nothing that has not been read."""
    read = max(p["source_offset"] for p in market.progress())
    for kind in ("1m", "5m", "1d"):
        for row in market.bars(kind):
            assert (row["source_cut"] is None) == row["synthetic"]
            assert row["synthetic"] or row["last_seq"] <= row["source_cut"] < read


def test_the_script_has_everything_in_it() -> None:
    market, appends = play(MemoryLog(), 1, 0, "before")
    assert appends >= 9
    progress = market.progress()[0]
    counts = {n: progress[n] for n in ("late", "rejected", "unknown_key", "out_of_session", "source_offset")}
    assert counts == {"late": 2, "rejected": 5, "unknown_key": 1, "out_of_session": 1, "source_offset": 21}
    reasons = {r["reason"] for r in market.dead()}
    assert len(reasons) == 3
    assert any(r["synthetic"] and r["final"] for r in market.bars("1m"))


@pytest.mark.parametrize("slack", [-1000, 4096], ids=["evicting", "keeping"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_every_crash_ends_in_the_same(partitions: int, when: When, slack: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_SLACK", slack)
    whole, appends = play(MemoryLog(), partitions, 0, when)
    expected = end(whole)
    for crash_at in range(1, appends + 1):
        market, _ = play(MemoryLog(), partitions, crash_at, when)
        assert end(market) == expected, crash_at
        check_cuts(market)


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_crash_on_a_stored_log(when: When, tmp_path: Path) -> None:
    whole, appends = play(MemoryLog(), 1, 0, when)
    expected = end(whole)
    for crash_at in range(1, appends + 1):
        market, _ = play(EmbeddedLog(tmp_path / f"{crash_at}.db"), 1, crash_at, when)
        assert end(market) == expected, crash_at
        check_cuts(market)


def test_what_the_log_refuses_once_is_in_the_next_append() -> None:
    whole, appends = play(MemoryLog(), 1, 0, "before")
    for crash_at in range(1, appends + 1):
        market = Market.of(QUERY, hours=HOURS)
        market.restart(engine_log=CrashingLog(market.log, crash_at=crash_at))
        for step in steps(market):
            try:
                step()
            except CrashError:
                market.run()
        assert end(market) == end(whole), crash_at
