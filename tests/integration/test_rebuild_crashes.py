"""A host dies at every append while a newer version takes over: the bars in the end are those without a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.support_engine import DAY, MINUTE, Market, Trade, bars, trade
from tests.support_host import ENV, Site, version_of

import ashioto as ao
from ashioto.engines.embedded import rebuild, residency, stream
from ashioto.engines.embedded.progress import version_progress
from ashioto.testing.crashing_log import CrashError, CrashingLog

if TYPE_CHECKING:
    from ashioto.control.applied import Begins

When = Literal["before", "after"]
OLD = bars("1m", "5m", "1d", context=ao.Context("t"), name="q", grace=MINUTE)
NEW = bars("1m", "5m", "1d", context=ao.Context("t"), name="q", where=[Trade.lots > 1], grace=MINUTE)


def before_the_change() -> Site:
    """Bars of a first version, and ticks and heartbeats that it has not read."""
    hours = [(s, d * DAY, d * DAY + 10 * MINUTE) for s in "ABC" for d in range(3)]
    found = Site(Market.of(OLD, hours=hours))
    market = found.market
    found.register(version_of(OLD.plan))
    host = found.host()
    market.send(trade("A", 0, 1), trade("A", 5, 2, lots=2), trade("B", MINUTE, 3), trade("C", 2 * MINUTE, 9, lots=3))
    found.run(host)
    market.beat(6 * MINUTE)
    found.run(host)
    host.finish()
    market.send(trade("B", 7 * MINUTE, 4, lots=2), trade("A", DAY + MINUTE, 5, lots=2), trade("A", 7, 1, lots=2))
    market.beat(DAY + 5 * MINUTE)
    return found


def change(begins: Begins, crash_at: int, when: When) -> tuple[Site, int]:
    """Register the newer version and run hosts until nothing is left to do; the first one crashes."""
    found = before_the_change()
    plan = NEW.plan if begins == "start" else replace(OLD.plan, retention_ms=2 * DAY)
    found.register(version_of(plan, 2, begins=begins))
    crashing = CrashingLog(found.market.log, crash_at=crash_at, when=when)
    found.engine_log = crashing
    try:
        found.run(found.host())
    except CrashError:
        found.market.clock.advance(1)
    found.engine_log = found.market.log
    found.market.send(trade("C", DAY + 2 * MINUTE, 6, lots=5))
    found.run(found.host())
    return found, crashing.appends


def end(found: Site) -> dict[str, Any]:
    records = version_progress(found.market.log, ENV, "t", "q_v2")
    bars_of = {kind: found.market.bars(kind) for kind in ("1m", "5m", "1d")}
    return {
        "bars": {kind: [row | {"source_cut": None} for row in rows] for kind, rows in bars_of.items()},
        "progress": {n: replace(p, written_ms=0, hb_offset=0, followed=None) for n, p in records.items()},
    }


@pytest.mark.parametrize("slack", [-1000, 4096], ids=["evicting", "keeping"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("begins", ["start", "previous"])
def test_every_crash_while_a_version_takes_over_ends_in_the_same(
    begins: Begins, when: When, slack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "_SLACK", slack)
    monkeypatch.setattr(rebuild, "PAGE", 3)
    monkeypatch.setattr(stream, "MAX_BARS", 7)
    monkeypatch.setattr(stream, "MAX_ROWS", 2)
    whole, appends = change(begins, 0, when)
    expected = end(whole)
    assert appends >= (12 if begins == "start" else 5)
    assert expected["progress"][0].rebuild is None
    for crash_at in range(1, appends + 1):
        found, _ = change(begins, crash_at, when)
        assert end(found) == expected, crash_at


def test_the_rebuilt_bars_are_those_of_a_log_that_knows_no_other_version() -> None:
    found, _ = change("start", 0, "before")
    fresh = Market.of(NEW, hours=[(s, d * DAY, d * DAY + 10 * MINUTE) for s in "ABC" for d in range(3)])
    fresh.send(*found.market.sent)
    fresh.at(DAY + 5 * MINUTE)
    for kind in ("1m", "5m", "1d"):
        assert [r | {"source_cut": 0} for r in found.market.bars(kind)] == [
            r | {"source_cut": 0} for r in fresh.bars(kind)
        ]
