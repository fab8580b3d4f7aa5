from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from tests.support_bars import LATER, FullLog, Passing, closes, market, read, row, table, table_of
from tests.support_engine import HOUR, MINUTE, START, Trade, bars, moment, trade

import ashioto as ao
from ashioto import BarAddOptions, BarAddReport, Period, TimeBucket
from ashioto.bars.adding import BarAdder
from ashioto.clock import ManualClock
from ashioto.errors import InputError, LogFullError, UsageError
from ashioto.log.embedded import EmbeddedLog
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.bars.options import Conflict
    from ashioto.log.base import Log

SMALL = BarAddOptions(batch_bytes=2_000)
MANY = [row(symbol, minute) for minute in range(40) for symbol in ("B", "A")]


@pytest.fixture(params=["memory", "embedded"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "memory":
        yield MemoryLog()
        return
    with EmbeddedLog(tmp_path / "log.db") as made:
        yield made


def test_what_is_added_can_be_read_with_its_envelope(log: Log) -> None:
    bars_1m = table_of(market(log=log, partitions=3))
    assert bars_1m.add_range(table([row("B", 1), row("A", 0)])) == BarAddReport(written=2)
    found = bars_1m.read("V", "B").to_pylist()[0]
    start = moment(START + MINUTE)
    assert found == {
        **row("B", 1), "bucket_end": start + timedelta(minutes=1), "market_date": date(2024, 3, 11), "final": True,
        "synthetic": False, "first_at": None, "first_seq": None, "last_at": None, "last_seq": None,
        "source_cut": None, "origin": "history",
    }  # fmt: skip


def test_a_bar_goes_into_the_partition_of_its_ticks(log: Log) -> None:
    made = market(log=log, partitions=8)
    table_of(made).add_range(table(MANY))
    made.send(*(trade(symbol, 0) for symbol in "AB"))
    for partition in range(8):
        ticks, bars_1m = (log.read(topic, partition, 0) for topic in ("t.trade", "t.trade_bars_1m"))
        symbols = [set() if part is None else set(part.data["symbol"].to_pylist()) for part in (ticks, bars_1m)]
        assert symbols[0] == symbols[1]
        if bars_1m is not None:
            starts = bars_1m.data["bucket_start"].cast(pa.int64()).to_numpy()
            assert bars_1m.timestamps.tolist() == starts.tolist()


def test_one_bar_is_added_as_an_object(log: Log) -> None:
    bars_1m = table_of(market(log=log))
    bar = _bar_class(bars_1m)(
        **row("A", 3, first_at=moment(START + 3 * MINUTE), last_at=moment(START + 3 * MINUTE + 1))
    )
    assert bars_1m.add(bar) == BarAddReport(written=1)
    assert bars_1m.add(bar) == BarAddReport(skipped=1)
    back = _bar_class(bars_1m)(**bars_1m.read_all().to_pylist()[0])
    assert (back.bucket_end, back.market_date) == (moment(START + 4 * MINUTE), date(2024, 3, 11))
    assert vars(back) == {**vars(bar), "bucket_end": back.bucket_end, "market_date": back.market_date}


def _bar_class(found: Any) -> Any:
    return found.binding.context.queries[found.binding.query.name].bar(found.binding.period)


@pytest.mark.parametrize("options", [BarAddOptions(), SMALL, BarAddOptions(batch_bytes=1, concurrency=3)])
def test_a_second_time_nothing_is_written(log: Log, options: BarAddOptions) -> None:
    made = market(log=log)
    passing = Passing(log)
    bars_1m = table_of(made, log=passing)
    assert bars_1m.add_range(table(MANY), options) == BarAddReport(written=80)
    sizes = list(passing.sizes)
    assert sum(sizes) == 80
    assert bars_1m.add_range(table(MANY), options) == BarAddReport(skipped=80)
    assert passing.sizes == sizes


@pytest.mark.parametrize(
    ("conflict", "report", "close"),
    [
        ("upsert", BarAddReport(written=2, skipped=1, conflicting=1), 7),
        ("skip", BarAddReport(written=1, skipped=2, conflicting=1), 5),
    ],
)
def test_bars_that_are_there_are_replaced_or_left(
    log: Log, conflict: Conflict, report: BarAddReport, close: int
) -> None:
    bars_1m = table_of(market(log=log))
    bars_1m.add_range(table([row("A", 0), row("A", 1)]))
    rows = table([row("A", 0), row("A", 1, 7), row("A", 2, 7)])
    assert bars_1m.add_range(rows, BarAddOptions(conflict=conflict)) == report
    assert closes(bars_1m) == {("A", 0): 5, ("A", 1): close, ("A", 2): 7}


def test_another_bar_can_be_an_error_that_writes_nothing(log: Log) -> None:
    bars_1m = table_of(market(log=log))
    bars_1m.add_range(table([row("A", 1), row("A", 2)]))
    rows = [row("B", minute) for minute in range(20)] + [row("A", 2, 7), row("A", 1, 7)]
    with pytest.raises(
        InputError, match=r"row 20 \(V A 2024-03-11T00:02:00Z\).*its close is 5\.00, not 7\.00"
    ) as caught:
        bars_1m.add_range(table(rows), BarAddOptions(conflict="error", batch_bytes=2_000))
    assert (caught.value.ids["rule"], caught.value.ids["report"]) == ("conflict", BarAddReport())
    assert len(read(bars_1m)) == 2
    same = BarAddOptions(conflict="error")
    assert bars_1m.add_range(table([row("A", 2), row("A", 3)]), same) == BarAddReport(written=1, skipped=1)


def test_without_comparing_every_bar_that_is_there_is_in_the_way(log: Log) -> None:
    bars_1m = table_of(market(log=log))
    rows = table([row("A", 0)])
    bars_1m.add_range(rows)
    again = BarAddOptions(idempotent=False)
    assert bars_1m.add_range(rows, again) == BarAddReport(written=1, conflicting=1)
    skip = BarAddOptions(idempotent=False, conflict="skip")
    assert bars_1m.add_range(rows, skip) == BarAddReport(skipped=1, conflicting=1)
    with pytest.raises(InputError, match="the same bar is there"):
        bars_1m.add_range(rows, BarAddOptions(idempotent=False, conflict="error"))


@pytest.mark.parametrize("conflict", ["upsert", "skip", "error"])
def test_a_synthetic_bar_is_never_in_the_way(conflict: Conflict) -> None:
    made = market()
    made.send(trade("A", 0))
    made.at(10 * HOUR)
    bars_1m = table_of(made)
    filled = len(read(bars_1m))
    assert filled > 400
    report = bars_1m.add_range(table([row("A", 5, 7)]), BarAddOptions(conflict=conflict))
    assert report == BarAddReport(written=1)
    assert (closes(bars_1m)["A", 5], len(read(bars_1m))) == (Decimal(7), filled)


def test_a_bar_of_the_stream_with_the_same_numbers_is_left_as_it_is() -> None:
    made = market()
    made.send(*(trade("A", at, price) for at, price in [(0, 4), (1, 9), (2, 1), (3, 5)]))
    made.at(10 * HOUR)
    bars_1m = table_of(made)
    given = row("A", 0, volume=Decimal(4), ticks=4)
    assert bars_1m.add_range(table([given])) == BarAddReport(skipped=1)
    assert bars_1m.read_all(limit=1)["origin"].to_pylist() == ["stream"]
    told = {**given, "first_at": moment(START), "last_at": moment(START + 3)}
    assert bars_1m.add_range(table([told])) == BarAddReport(skipped=1)
    assert bars_1m.add_range(table([{**told, "last_at": moment(START + 4)}])) == BarAddReport(written=1, conflicting=1)
    assert bars_1m.read_all(limit=1)["origin"].to_pylist() == ["history"]


def test_a_live_bar_that_is_there_is_not_touched() -> None:
    made = market()
    made.send(trade("A", 0), trade("A", 5 * MINUTE))
    made.at(5 * MINUTE + 1)
    bars_1m = table_of(made)
    with pytest.raises(InputError, match=r"row 1 .*the bar that is there is still live") as caught:
        bars_1m.add_range(table([row("A", 0, 7), row("A", 5, 7)]))
    assert caught.value.ids["rule"] == "live_bucket"
    assert {r["origin"] for r in made.table("1m")} == {"stream"}


def test_the_disk_may_be_full_and_the_report_says_what_was_written() -> None:
    made = market()
    full = FullLog(made.log, room=2)
    with pytest.raises(LogFullError, match=r"of those before it, \d+ bars were") as caught:
        table_of(made, log=full).add_range(table(MANY), SMALL)
    report = caught.value.ids["report"]
    assert report == BarAddReport(written=sum(full.sizes))
    assert made.written()["1m"] == sum(full.sizes) > 0
    assert table_of(made).add_range(table(MANY)) == BarAddReport(written=80 - sum(full.sizes), skipped=sum(full.sizes))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_killed_anywhere_and_run_again_the_end_is_the_same(when: Any, concurrency: int) -> None:
    expected = table_of(market())
    expected.add_range(table(MANY))
    options = BarAddOptions(batch_bytes=1_000, concurrency=concurrency)
    appends = 0
    for crash_at in range(1, 99):
        made = market()
        crashing = CrashingLog(made.log, crash_at=crash_at, when=when)
        try:
            table_of(made, log=crashing).add_range(table(MANY), options)
        except CrashError:
            there = made.written()["1m"]
            report = table_of(made).add_range(table(MANY), options)
            assert report == BarAddReport(written=80 - there, skipped=there)
        else:
            appends = crash_at - 1
        assert table_of(made).read_all() == expected.read_all()
        assert made.written()["1m"] == 80
        if appends:
            break
    assert appends > 5


def test_batches_are_about_as_large_as_asked_and_in_the_order_of_keys() -> None:
    made = market()
    passing, done = Passing(made.log), list[int]()
    options = BarAddOptions(batch_bytes=2_000, progress=done.append)
    table_of(made, log=passing).add_range(table(MANY), options)
    assert done == np.cumsum(passing.sizes).tolist()
    assert 4 < len(done) < 20
    part = made.log.read("t.trade_bars_1m", 0, 0)
    assert part is not None
    assert part.keys.to_pylist() == sorted(part.keys.to_pylist())


def test_a_rate_is_kept_by_the_clock() -> None:
    made = market()
    clock = ManualClock(LATER)
    query = made.queries[0]
    bars_1m = TimeBucket.set(query.bar(Period.minutes(1)), Period.minutes(1), log=made.log, clock=clock)
    bars_1m.add_range(table(MANY), BarAddOptions(max_rate=10))
    assert clock.now_ms() - LATER == 7_000
    bars_1m.add_range(table(MANY), BarAddOptions(max_rate=10))
    assert clock.now_ms() - LATER == 7_000


def test_ashioto_itself_may_give_hidden_columns_and_the_envelope() -> None:
    made = market(bars_with_average())
    made.send(trade("A", 0, 4), trade("A", 1, 6))
    made.at(10 * HOUR)
    before = made.log.view("t.trade_bars_1m").data
    assert "__sum_price" in before.schema.names
    binding = table_of(made).binding
    adder = BarAdder(binding, made.log, options=BarAddOptions(), clock=ManualClock(LATER), trusted=True)
    assert adder.add(before) == BarAddReport(skipped=before.num_rows)
    other = before.set_column(before.schema.get_field_index("origin"), "origin", pa.repeat("history", before.num_rows))
    report = adder.add(other)
    assert report == BarAddReport(written=before.num_rows, conflicting=1)
    assert adder.add(before).written == before.num_rows
    assert made.log.view("t.trade_bars_1m").data == before


def bars_with_average() -> Any:
    return bars("1m", select={"middle": ao.avg(Trade.price), "close": ao.last(Trade.price)})


def test_nothing_is_nothing() -> None:
    bars_1m = table_of(market())
    assert bars_1m.add_range([]) == BarAddReport()
    assert bars_1m.add_range(table(MANY).slice(0, 0)) == BarAddReport()
    assert bars_1m.add_range(iter([])) == BarAddReport()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"conflict": "replace"}, "conflict is one of upsert, skip, error, not 'replace'"),
        ({"batch_bytes": 0}, "batch_bytes is at least 1"),
        ({"concurrency": 0}, "concurrency is at least 1"),
        ({"max_rate": 0}, "max_rate is more than 0"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        BarAddOptions(**wrong)


def test_reports_add_up() -> None:
    total = BarAddReport(written=1, skipped=2, conflicting=1) + BarAddReport(written=3)
    assert (total, total.rows) == (BarAddReport(written=4, skipped=2, conflicting=1), 6)
