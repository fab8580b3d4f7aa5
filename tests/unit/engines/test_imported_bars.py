"""Bars that others write: carried on, merged into, refused to ticks, put back after a race, and found after a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, START, Market, Trade, bars, columns, moment, trade
from tests.support_history import Foreign, RacingLog, foreign_batch
from tests.support_host import Site, version_of

import ashioto as ao
from ashioto.engines.embedded import residency, stream
from ashioto.log.base import Batch
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.partition import partitions_of
from ashioto.schema.arrow import key_column
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.log.base import Slice, ViewPage

DAYS = 40
HOURS = [(s, d * DAY, d * DAY + HOUR) for s in "AB" for d in range(DAYS)]
BAR = ("bucket_start", "close", "ticks", "final", "synthetic", "origin")


@pytest.fixture(params=["resident", "evicted", "restarted"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether what an import touches is still in memory."""
    if request.param == "evicted":
        monkeypatch.setattr(residency, "_SLACK", -1000)
    return str(request.param)


def settle(market: Market, memory: str) -> None:
    if memory == "restarted":
        market.restart()


def opaque(close: int, **others: Any) -> Foreign:
    return Foreign(kind="opaque", open=close, high=close, low=close, close=close, **others)


def partial(start: int, close: int, **others: Any) -> Foreign:
    whole: dict[str, Any] = {"first": (start + 1, 1000), "last": (start + 20_000, 1001), "volume": 2, "ticks": 2}
    return Foreign(kind="partial", open=close, high=close, low=close, close=close, **(whole | others))


def put(market: Market, period: str, found: dict[int, Foreign], symbol: str = "A") -> None:
    market.log.append([foreign_batch(market.queries[0], period, symbol, found)])


def of(market: Market, symbol: str, period: str = "1m") -> list[dict[str, Any]]:
    return [row for row in market.bars(period) if row["symbol"] == symbol]


def early(market: Market) -> dict[str, list[dict[str, Any]]]:
    """Bars of A in the first 20 minutes."""
    return {kind: [r for r in of(market, "A", kind) if r["bucket_start"] < 20 * MINUTE] for kind in ("1m", "5m")}


def test_a_key_without_bars_is_filled_from_the_imported_one_up_to_now(memory: str) -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    market.send(trade("B", 0, 1))
    market.at(DAY + 3 * MINUTE)
    settle(market, memory)
    put(market, "1m", {57 * MINUTE: opaque(7)})
    market.run()
    rows = of(market, "A")
    after = [DAY + m * MINUTE for m in range(4)]
    assert [r["bucket_start"] for r in rows] == [57 * MINUTE, 58 * MINUTE, 59 * MINUTE, *after]
    assert {r["close"] for r in rows} == {7}
    assert columns(rows, "final", "synthetic", "origin")[0] == (True, False, "history")
    assert [r["final"] for r in rows] == [True] * 6 + [False]
    assert of(market, "A", "5m") == []
    market.at(DAY + 5 * MINUTE)
    assert columns(of(market, "A"), "bucket_start", "final")[-3:] == [
        (DAY + 3 * MINUTE, True), (DAY + 4 * MINUTE, True), (DAY + 5 * MINUTE, False),
    ]  # fmt: skip


def test_synthetic_bars_are_revised_up_to_the_next_bar_and_no_further(memory: str) -> None:
    market = Market.of(bars("1m"), hours=HOURS)
    market.send(trade("A", 0, 1), trade("A", 10 * MINUTE, 2))
    market.at(20 * MINUTE)
    settle(market, memory)
    before = market.written()["1m"]
    put(market, "1m", {4 * MINUTE: opaque(5)})
    market.run()
    assert [r["close"] for r in of(market, "A")[:12]] == [1] * 4 + [5] * 6 + [2] * 2
    assert market.written()["1m"] - before == 1 + 5
    put(market, "1m", {4 * MINUTE: Foreign(kind="deleted")})
    market.run()
    assert [r["close"] for r in of(market, "A")[:12]] == [1] * 10 + [2] * 2
    assert columns(of(market, "A"), *BAR)[4] == (4 * MINUTE, 1, 0, True, True, "stream")


def test_what_carried_a_deleted_first_bar_goes_with_it(memory: str) -> None:
    market = Market.of(bars("1m"), hours=HOURS)
    put(market, "1m", {0: opaque(3)})
    market.send(trade("A", 5 * MINUTE, 2))
    market.at(8 * MINUTE)
    assert len(of(market, "A")) == 9
    settle(market, memory)
    put(market, "1m", {0: Foreign(kind="deleted")})
    market.run()
    assert columns(of(market, "A"), "bucket_start", "close") == [(m * MINUTE, 2) for m in (5, 6, 7, 8)]


def test_a_late_tick_merges_into_a_bar_with_times(memory: str) -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    put(market, "1m", {MINUTE: partial(MINUTE, 5)})
    market.send(trade("B", 0))
    market.at(10 * MINUTE)
    settle(market, memory)
    market.send(trade("A", MINUTE + 30_000, 9))
    market.run()
    row = of(market, "A")[0]
    assert columns([row], *BAR) == [(MINUTE, 9, 3, True, False, "history")]
    assert (row["open"], row["first_seq"], row["last_at"], row["source_cut"]) == (5, 1000, MINUTE + 30_000, 1)
    assert {r["close"] for r in of(market, "A")} == {9}
    assert columns(of(market, "A", "5m"), "bucket_start", "ticks") == [(0, 1), (5 * MINUTE, 0), (10 * MINUTE, 0)]
    assert market.late() == []


@pytest.mark.parametrize("frame", ["1m", "5m"])
@pytest.mark.parametrize("kind", ["opaque", "bare"])
def test_a_late_tick_of_a_bar_without_times_is_in_no_frame(memory: str, frame: str, kind: Any) -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    put(market, frame, {0: Foreign(kind=kind, open=4, high=4, low=4, close=4)})
    market.send(trade("A", 20 * MINUTE, 2), trade("B", 0))
    market.at(40 * MINUTE)
    settle(market, memory)
    before = early(market)
    market.send(trade("A", 30_000, 9, lots=3), trade("A", 21 * MINUTE, 8), trade("A", HOUR + 1))
    market.run()
    assert [(r["symbol"], r["at"], r["lots"]) for r in market.late()] == [("A", moment(START + 30_000), 3)]
    assert market.late()[0]["reason"] == (
        f"its bar of {frame} was imported without first and last times, so nothing can be added to it"
    )
    known = market.progress()[0]
    assert (known["late"], known["out_of_session"], known["rejected"]) == (1, 1, 0)
    assert early(market) == before
    assert any(before.values())
    assert next(r["close"] for r in of(market, "A") if r["bucket_start"] == 21 * MINUTE) == 8


def test_the_imported_record_is_never_written_again_by_the_engine(memory: str) -> None:
    select = {**ao.ohlcv(Trade.price, Trade.size), "step": ao.last(Trade.price) - ao.previous("close")}
    market = Market.of(bars("1m", select=select, grace=MINUTE), hours=HOURS)
    market.send(trade("A", 0, 1), trade("A", 3 * MINUTE, 2))
    market.at(10 * MINUTE)
    settle(market, memory)
    put(market, "1m", {2 * MINUTE: opaque(5)})
    market.run()
    offset = market.log.end_offsets("t.trade_bars_1m")[0]
    market.send(trade("A", 30_000, 7))
    market.at(12 * MINUTE)
    part = market.log.read("t.trade_bars_1m", 0, offset)
    assert part is not None
    assert moment(START + 2 * MINUTE) not in part.data.column("bucket_start").to_pylist()
    assert columns(of(market, "A"), "close", "step")[:5] == [(7, None), (7, None), (5, None), (2, -3), (2, None)]


def test_expressions_look_back_at_what_was_given(memory: str) -> None:
    select = {
        **ao.ohlcv(Trade.price, Trade.size), "middle": (ao.max(Trade.price) + ao.min(Trade.price)) / 2,
        "above": ao.last(Trade.price) - ao.previous("close"),
    }  # fmt: skip
    market = Market.of(bars("1m", select=select, when_empty={"middle": ao.previous("middle")}), hours=HOURS)
    market.send(trade("A", 0, 1), trade("A", 4 * MINUTE, 2))
    market.at(6 * MINUTE)
    settle(market, memory)
    made = foreign_batch(market.queries[0], "1m", "A", {MINUTE: opaque(5)})
    at = made.data.schema.get_field_index("middle")
    column = pa.array([42], pa.int64()).cast(made.data.column("middle").type)
    made = Batch(
        topic=made.topic, partition=0, keys=made.keys, timestamps=made.timestamps,
        data=made.data.set_column(at, made.data.schema.field(at), column),
    )  # fmt: skip
    market.log.append([made])
    market.run()
    assert [float(r["middle"]) for r in of(market, "A")[:6]] == [1, 42, 42, 42, 2, 2]
    assert of(market, "A")[4]["above"] == -3


def test_what_was_imported_while_nothing_ran_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for trimmed in (False, True):
        log = TrimmedLog()
        market = Market.of(bars("1m"), hours=HOURS, log=log)
        market.send(trade("A", 0, 1), trade("A", 30 * MINUTE, 2))
        market.at(40 * MINUTE)
        put(market, "1m", {10 * MINUTE: opaque(5)})
        put(market, "1m", {20 * MINUTE: opaque(6)})
        log.trimmed = trimmed
        monkeypatch.setattr(residency, "_SLACK", -1000)
        market.restart()
        market.run()
        assert [r["close"] for r in of(market, "A")[9:32]] == [1] + [5] * 10 + [6] * 10 + [2] * 2
        written = market.written()
        market.restart()
        market.run()
        assert market.written() == written


class TrimmedLog(MemoryLog):
    """A log whose bars can, from some time on, only be read by key."""

    trimmed = False

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        if self.trimmed and "_bars_" in topic:
            offset = max(offset, self.end_offsets(topic)[partition])
        return super().read(topic, partition, offset, max_rows=max_rows)


def test_a_log_in_a_file_is_followed_the_same(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db") as log:
        market = Market.of(bars("1m", "5m"), hours=HOURS, log=log)
        market.send(trade("A", 0, 1), trade("A", 10 * MINUTE, 2))
        market.at(20 * MINUTE)
        put(market, "1m", {0: Foreign(kind="deleted"), 4 * MINUTE: partial(4 * MINUTE, 5), 6 * MINUTE: opaque(6)})
        market.send(trade("A", 4 * MINUTE + 30_000, 7), trade("A", 6 * MINUTE, 1))
        market.run()
        assert columns(of(market, "A"), "bucket_start", "close", "origin")[:3] == [
            (4 * MINUTE, 7, "history"), (5 * MINUTE, 7, "stream"), (6 * MINUTE, 6, "history"),
        ]  # fmt: skip
        assert [r["ticks"] for r in of(market, "A", "5m")[:3]] == [2, 0, 1]
        assert len(market.late()) == 1
        written = market.written()
        market.restart()
        market.run()
        assert market.written() == written


@pytest.mark.parametrize("crash_at", [0, 1, 2, 3])
def test_a_bar_that_was_overwritten_at_the_same_moment_stands(crash_at: int) -> None:
    market = Market.of(bars("1m", "5m"), hours=HOURS)
    market.send(trade("A", 0, 1), trade("A", 10 * MINUTE, 2))
    market.at(20 * MINUTE)
    others = [foreign_batch(market.queries[0], "1m", "A", {0: partial(0, 5), 3 * MINUTE: opaque(6)})]
    log: Any = RacingLog(market.log, others, lambda: None)
    market.restart(engine_log=CrashingLog(log, crash_at=crash_at, when="after") if crash_at else log)
    market.send(trade("A", 40_000, 9))
    try:
        market.run()
    except CrashError:
        market.clock.advance(1)
    market.restart(engine_log=market.log)
    market.run()
    rows = of(market, "A")
    assert columns(rows, *BAR)[:5] == [
        (0, 5, 2, True, False, "history"),
        (MINUTE, 5, 0, True, True, "stream"),
        (2 * MINUTE, 5, 0, True, True, "stream"),
        (3 * MINUTE, 6, 1, True, False, "history"), (4 * MINUTE, 6, 0, True, True, "stream"),
    ]  # fmt: skip
    dead = market.dead()
    assert [(r["source_topic"], r["reason"][:15]) for r in dead] == [("t.trade_bars_1m", "an imported bar")]
    with pa.ipc.open_stream(dead[0]["value"]) as reader:
        lost = reader.read_all().to_pylist()[0]
    assert (lost["ticks"], lost["close"], lost["last_at"]) == (2, 9, moment(START + 40_000))
    assert of(market, "A", "5m")[0]["ticks"] == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_crash_ends_in_the_same(when: Any) -> None:
    def play(crash_at: int) -> tuple[dict[str, Any], int, Any]:
        market = Market.of(bars("1m", "5m", "1d", grace=MINUTE), hours=HOURS)
        market.send(trade("A", 0, 1), trade("A", 30 * MINUTE, 2), trade("B", 0, 1))
        market.at(35 * MINUTE)
        put(market, "1m", {m * MINUTE: partial(m * MINUTE, m) for m in range(5, 9)})
        put(market, "5m", {10 * MINUTE: opaque(4)})
        put(market, "1m", {0: Foreign(kind="deleted")}, "B")
        market.send(trade("A", 5 * MINUTE + 30_000, 8), trade("A", 12 * MINUTE, 7), trade("B", 9 * MINUTE, 3))
        crashing = CrashingLog(market.log, crash_at=crash_at, when=when)
        market.restart(engine_log=crashing)
        try:
            market.run()
            market.at(DAY + 5 * MINUTE)
        except CrashError:
            market.restart(engine_log=market.log)
            market.at(DAY + 5 * MINUTE)
        market.restart(engine_log=market.log)
        market.run()
        found = {kind: [r | {"source_cut": None} for r in market.bars(kind)] for kind in ("1m", "5m", "1d")}
        return found, crashing.appends, (market.late(), market.progress()[0]["late"])

    whole, appends, late = play(0)
    assert appends >= 5
    assert len(late[0]) == late[1] == 1
    for crash_at in range(1, appends + 1):
        found, _, too = play(crash_at)
        assert found == whole, crash_at
        assert too == late, crash_at


class CountingLog(MemoryLog):
    """A log that counts looks and the bars it is asked for."""

    looks = viewed = 0

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        self.looks += "_bars_" in topic
        return super().end_offsets(topic, committed=committed)

    def view(self, topic: str, **options: Any) -> ViewPage:
        page = super().view(topic, **options)
        self.viewed += len(page.keys) if "_bars_" in topic else 0
        return page


def test_a_look_costs_one_question_a_topic_every_tenth_of_a_second() -> None:
    log = CountingLog()
    market = Market.of(bars("1m", "5m"), hours=HOURS, log=log)
    market.run()
    log.looks = 0
    for _ in range(50):
        market.clock.advance(10)
        market.engine.poll()
    assert log.looks <= 2 * 6


def test_many_imported_bars_are_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_SLACK", 50)
    market = Market.of(bars("1m"), hours=HOURS)
    market.send(trade("A", 30 * DAY, 1), trade("B", 30 * DAY, 1))
    market.at(30 * DAY + 5 * MINUTE)
    core = market.runners[0]._parts[0]._core
    table = core.tables[ao.Period.minutes(1)]
    for day in range(20):
        starts = [day * DAY + m * MINUTE for m in range(60) if m != 7]
        put(market, "1m", {start: opaque(3) for start in starts})
        put(market, "1m", {start: opaque(4) for start in starts}, "C")
        market.run()
        assert table.rows <= 60 + 2 * 60
    assert len(of(market, "A")) == 30 * 60 + 6
    assert {r["close"] for r in of(market, "A")[: 30 * 60]} == {3}
    assert len(of(market, "C")) == 20 * 59
    assert table.ints.shape[0] <= 2048


def test_keys_that_have_bars_of_a_longer_frame_only_are_known_after_a_restart() -> None:
    market = Market.of(bars("1m", "1d"), hours=HOURS)
    put(market, "1d", {0: opaque(3)})
    market.send(trade("B", 0))
    market.at(2 * DAY + 1)
    market.restart()
    market.at(3 * DAY + 1)
    assert columns(of(market, "A", "1d"), "bucket_start", "close", "synthetic") == [
        (0, 3, False), (DAY, 3, True), (2 * DAY, 3, True), (3 * DAY, 3, True),
    ]  # fmt: skip
    assert of(market, "A", "1m") == []


def test_ticks_that_wait_for_the_very_bucket_come_after_the_imported_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_ROWS", 1)
    market = Market.of(bars("1m"), hours=HOURS)
    market.send(trade("A", 0, 1), trade("A", MINUTE, 2), trade("A", 10, 3))
    for _ in range(3):
        market.engine.poll()
    assert market.progress() == []
    put(market, "1m", {0: partial(0, 5), MINUTE: opaque(6)})
    market.run()
    assert columns(of(market, "A"), "bucket_start", "close", "ticks") == [(0, 5, 4), (MINUTE, 6, 1)]
    assert [r["at"] for r in market.late()] == [moment(START + MINUTE)]
    assert np.all([r["origin"] == "history" for r in of(market, "A")])


def test_each_partition_follows_its_own_part_of_the_topics() -> None:
    market = Market.of(bars("1m"), hours=[(s, 0, HOUR) for s in "ABCDEF"], partitions=3)
    market.send(*(trade(s, 0, 1) for s in "ABCDEF"))
    market.at(10 * MINUTE)
    query = market.queries[0]
    for number, symbol in enumerate("ABCDEF"):
        one = foreign_batch(query, "1m", symbol, {2 * MINUTE: opaque(5 + number)})
        where = int(partitions_of(key_column(("venue", "symbol"), one.data), 3)[0])
        market.log.append([foreign_batch(query, "1m", symbol, {2 * MINUTE: opaque(5 + number)}, partition=where)])
    market.run()
    for number, symbol in enumerate("ABCDEF"):
        assert [r["close"] for r in of(market, symbol)] == [1, 1] + [5 + number] * 9


CONTEXT = ao.Context("t")


def test_a_rebuild_fills_behind_imported_bars_and_keeps_what_was_merged() -> None:
    query = bars("1m", context=CONTEXT, name="q", grace=MINUTE)
    found = Site(Market.of(query, hours=HOURS))
    market = found.market
    found.register(version_of(query.plan))
    host = found.host()
    market.send(trade("A", 0, 1), trade("A", 20 * MINUTE, 2))
    market.beat(50 * MINUTE)
    found.run(host)
    put(market, "1m", {5 * MINUTE: partial(5 * MINUTE, 5), 10 * MINUTE: opaque(6), 20 * MINUTE: opaque(8)})
    found.run(host)
    market.send(trade("A", 5 * MINUTE + 40_000, 9), trade("A", 10 * MINUTE, 1))
    found.run(host)
    before = columns(of(market, "A"), *BAR)
    assert [row[1:3] for row in before if row[2]] == [(1, 1), (9, 3), (6, 1), (8, 1)]
    weighed = bars("1m", context=ao.Context("t"), name="q", grace=MINUTE, where=[Trade.lots > 0])
    found.register(version_of(weighed.plan, 2))
    found.run(host)
    assert columns(of(market, "A"), *BAR) == before
