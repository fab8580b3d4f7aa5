"""A version that begins at the start makes every bar anew, in place, and what is left of older versions goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, columns, trade
from tests.support_hidden import HidingLog
from tests.support_host import Site, version_of

import ashioto as ao
from ashioto.engines.embedded import rebuild, residency
from ashioto.engines.embedded.plan import compile_query
from ashioto.engines.embedded.progress import version_progress
from ashioto.engines.embedded.topics import query_topics
from ashioto.log.base import Batch, TopicSpec

if TYPE_CHECKING:
    from ashioto.engines.embedded.host import EngineHost

CONTEXT = ao.Context("t")
ALL = bars("1m", "5m", "1d", context=CONTEXT, name="q", grace=MINUTE)
LARGE = bars("1m", "5m", "1d", context=ao.Context("t"), name="q", where=[Trade.lots > 1], grace=MINUTE)
BAR = ("symbol", "bucket_start", "close", "ticks", "final", "origin")


def play(*, partitions: int = 1) -> tuple[Site, EngineHost]:
    """A market with bars of a first version, of ticks large and small, over two days."""
    hours = [(s, d * DAY, d * DAY + 20 * MINUTE) for s in "ABC" for d in range(4)]
    found = Site(Market.of(ALL, hours=hours, partitions=partitions))
    found.register(version_of(ALL.plan))
    host = found.host()
    market = found.market
    market.send(trade("A", 0, 1), trade("A", 5, 2, lots=2), trade("B", 3 * MINUTE, 3), trade("C", MINUTE, 9))
    found.run(host)
    market.beat(10 * MINUTE)
    market.send(trade("B", 12 * MINUTE, 4, lots=2), trade("A", DAY + MINUTE, 5))
    found.run(host)
    market.beat(DAY + 5 * MINUTE)
    found.run(host)
    return found, host


def fresh(found: Site) -> dict[str, list[Any]]:
    """The bars of `LARGE` as one that saw every tick from the first on has them."""
    other = Market.of(LARGE, hours=[])
    other.open(*[(s, d * DAY, d * DAY + 20 * MINUTE) for s in "ABC" for d in range(4)])
    other.restart()
    other.send(*found.market.sent)
    other.run()
    other.beat(DAY + 5 * MINUTE)
    other.run()
    return {kind: columns(other.bars(kind), *BAR) for kind in ("1m", "5m", "1d")}


def got(found: Site) -> dict[str, list[Any]]:
    return {kind: columns(found.market.bars(kind), *BAR) for kind in ("1m", "5m", "1d")}


@pytest.mark.parametrize("slack", [-1000, 4096], ids=["evicting", "keeping"])
@pytest.mark.parametrize("partitions", [1, 3])
def test_every_bar_is_made_anew_and_what_is_left_goes(
    partitions: int, slack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "_SLACK", slack)
    monkeypatch.setattr(rebuild, "PAGE", 3)
    found, host = play(partitions=partitions)
    before = got(found)
    second = version_of(LARGE.plan, 2)
    found.register(second)
    found.run(host)
    assert got(found) == fresh(found)
    assert got(found) != before
    assert all(row[0] != "C" for rows in got(found).values() for row in rows)
    records = version_progress(found.market.log, ("dev", "local"), "t", second.object)
    assert [p.rebuild for p in records.values()] == [None] * partitions
    assert all(p.now_ms == START + DAY + 5 * MINUTE for p in records.values() if p.ticks)
    writes = found.market.written()
    found.run(host)
    assert found.market.written() == writes


def test_bars_of_older_versions_stay_until_the_source_has_been_read() -> None:
    found, host = play()
    found.register(version_of(LARGE.plan, 2))
    host.step()
    records = version_progress(found.market.log, ("dev", "local"), "t", "q_v2")
    assert records[0].source_offset <= 6
    found.run(host)
    assert got(found) == fresh(found)


def test_a_first_version_on_empty_topics_has_nothing_to_sweep() -> None:
    found = Site(Market.of(ALL, hours=[("A", 0, HOUR)]))
    found.register(version_of(ALL.plan))
    found.market.send(trade("A", 0))
    host = found.host()
    host.step()
    assert version_progress(found.market.log, ("dev", "local"), "t", "q_v1")[0].rebuild is None


def test_older_bars_that_are_hidden_when_it_begins_are_older_all_the_same() -> None:
    log = HidingLog()
    market = Market.of(ALL, hours=[("A", 0, HOUR)], log=log)
    market.send(trade("A", 0))
    market.run()
    for name in ("t.trade", "t.trade_hb", "t.trade_bars_1m"):
        log.hide(name)
    page = log.view("t.trade_bars_1m", settled=False)
    again = Batch(
        topic="t.trade_bars_1m", partition=0, keys=pa.array(page.keys), timestamps=page.timestamps, data=page.data
    )
    log.append([again])
    market.send(trade("A", MINUTE))
    market.beat(2 * MINUTE)
    begun = rebuild.begin_rebuild(log, ALL.plan, 0)
    assert begun is not None
    assert begun.floors["1m"] == log.end_offsets("t.trade_bars_1m", committed=False)[0]
    assert begun.floors["1m"] > log.end_offsets("t.trade_bars_1m")[0]
    assert (begun.target, begun.beats) == (2, log.end_offsets("t.trade_hb", committed=False)[0])


def imported(market: Market, *starts: int) -> None:
    """Turn bars into imported ones."""
    for kind in ("1m", "5m", "1d"):
        topic = f"t.trade_bars_{kind}"
        page = market.log.view(topic)
        kept = [n for n, row in enumerate(market.bars(kind)) if row["bucket_start"] in starts and row["symbol"] == "A"]
        data = page.data.take(pa.array(kept, pa.int64()))
        at = data.schema.get_field_index("origin")
        data = data.set_column(at, "origin", pa.array(["history"] * len(kept), pa.string()))
        at = data.schema.get_field_index("source_cut")
        data = data.set_column(at, "source_cut", pa.nulls(len(kept), pa.int64()))
        keys = pa.array([page.keys[n] for n in kept], pa.binary())
        market.log.append([Batch(topic=topic, partition=0, keys=keys, timestamps=page.timestamps[kept], data=data)])


def test_imported_bars_are_read_and_stay() -> None:
    found, host = play()
    imported(found.market, 0)
    found.register(version_of(LARGE.plan, 2))
    found.run(host)
    minutes = columns([r for r in found.market.bars("1m") if r["symbol"] == "A"], *BAR)
    assert minutes[0] == ("A", 0, 2, 2, True, "history")
    assert minutes[1] == ("A", MINUTE, 2, 0, True, "stream")


def test_imported_bars_without_ticks_of_their_own_carry_on() -> None:
    found, host = play()
    imported(found.market, 0)
    nothing = bars("1m", "5m", "1d", context=ao.Context("t"), name="q", where=[Trade.lots > 99], grace=MINUTE)
    found.register(version_of(nothing.plan, 2))
    found.run(host)
    minutes = columns(found.market.bars("1m"), *BAR)
    assert minutes[0] == ("A", 0, 2, 2, True, "history")
    assert {row[0] for row in minutes} == {"A"}
    assert [row[2:4] for row in minutes[1:]] == [(2, 0)] * (len(minutes) - 1)
    assert len(minutes) == 20 + 6


def test_a_version_between_that_has_not_finished_hands_on_what_is_left_to_do() -> None:
    found, host = play()
    found.register(version_of(LARGE.plan, 2))
    one = found.market.clock
    host._follow()
    versions = host._queries["t", "q"]
    assert versions._choose()
    assert version_progress(found.market.log, ("dev", "local"), "t", "q_v2")[0].rebuild is not None
    third = version_of(replace(LARGE.plan, retention_ms=6 * DAY), 3, begins="previous")
    found.register(third)
    found.run(host)
    assert got(found) == fresh(found)
    assert version_progress(found.market.log, ("dev", "local"), "t", "q_v3")[0].rebuild is None
    assert one.now_ms() > START


def test_a_rebuild_copes_with_columns_that_old_bars_do_not_have() -> None:
    found, host = play()
    select = {**ao.ohlcv(Trade.price, Trade.size), "lots": ao.sum(Trade.lots)}
    more = bars("1m", "5m", "1d", context=ao.Context("t"), name="q", select=select, grace=MINUTE)
    imported(found.market, 0)
    for period in more.plan.frames:
        info = found.market.log.describe(f"t.trade_bars_{period.kind}")
        wanted = {s.name: s for s in _topics(more)}[info.spec.name]
        found.leases.alter(wanted)
    found.register(version_of(more.plan, 2))
    found.run(host)
    minutes = [r for r in found.market.bars("1m") if r["ticks"]]
    assert columns(minutes, "symbol", "bucket_start", "ticks", "lots") == [
        ("A", 0, 2, None),
        ("A", DAY + MINUTE, 1, 1),
        ("B", 3 * MINUTE, 1, 1),
        ("B", 12 * MINUTE, 1, 2),
        ("C", MINUTE, 1, 1),
    ]


def _topics(query: Any) -> list[TopicSpec]:
    return query_topics(compile_query(query.plan), 1)
