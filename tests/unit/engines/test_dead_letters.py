"""Bad records go to the dead letters, once, with reason, original and origin; all others of their batch are in."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.support_engine import DAY, HOUR, MINUTE, Market, Trade, bars, batch_of, columns, trade

import ashioto as ao
from ashioto import keys

HOURS = [(s, 0, 12 * HOUR) for s in ("A", "B")]
TOP = Decimal(10**18 - 1) / 100
SELECT = {
    **ao.ohlcv(Trade.price, Trade.size),
    "notional": ao.sum(Trade.price * Trade.size),
    "weight": ao.max(Trade.weight),
    "ratio": ao.max(Trade.price / Trade.size),
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "null key": ({"symbol": None}, "column 'symbol' is null"),
    "null time": ({"at": None}, "column 'at' is null"),
    "null price": ({"price": None}, "column 'price' is null"),
    "NaN": ({"weight": math.nan}, "the input of column 'weight' is not finite"),
    "infinity": ({"weight": -math.inf}, "the input of column 'weight' is not finite"),
    "overflow": ({"price": TOP, "size": Decimal(1)}, "the input of column 'notional' leaves 64 bits"),
    "no value": ({"size": Decimal(0)}, "the input of column 'ratio' has no value"),
}


def market(**options: Any) -> Market:
    query = bars("1m", "1h", select=SELECT, when_empty={"weight": None, "ratio": None}, **options)
    return Market.of(query, hours=HOURS)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_a_dead_letter_and_the_others_are_in(name: str) -> None:
    change, reason = BAD[name]
    here = market()
    bad = trade("A", 20_000, 9, venue="W") | change
    rows = [trade("A", 10_000, 1), bad, trade("A", 30_000, 3), trade("B", 1, 4)]
    here.send(trade("B", 0, 5))
    here.send(*rows)
    here.at(MINUTE)
    (letter,) = here.dead()
    assert letter["reason"] == reason
    origin = ("t.trade", 0, 2)
    assert (letter["source_topic"], letter["source_partition"], letter["source_offset"]) == origin
    source = here.log.read("t.trade", 0, 0)
    assert source is not None
    assert letter["record_key"] == source.keys[2].as_py()
    original = pa.ipc.open_stream(letter["value"]).read_all()
    assert original.schema.names == source.data.schema.names
    assert str(original.to_pylist()) == str(batch_of(Trade.__entity__, [bad]).to_pylist())
    part = here.log.read("rc.dlq", 0, 0)
    assert part is not None
    assert part.keys.to_pylist() == [keys.encode(origin)]
    found = columns(here.bars("1h"), "symbol", "open", "close", "ticks")
    assert found == [("A", 1, 3, 2), ("B", 5, 4, 2)]
    assert (here.progress()[0]["rejected"], here.progress()[0]["source_offset"]) == (1, 5)


def test_a_condition_that_leaves_64_bits_or_is_not_finite_rejects() -> None:
    here = market(where=[Trade.price * Trade.price > 0, Trade.weight + 1.0 < 5.0])
    here.send(trade("A", 0, 2), trade("A", 1, TOP), trade("A", 2, 3, weight=math.nan), trade("A", 3, 3, weight=9.0))
    here.run()
    assert [letter["reason"] for letter in here.dead()] == [
        "a condition of trade_bars leaves 64 bits",
        "a condition of trade_bars is not finite",
    ]
    assert columns(here.bars("1m"), "ticks", "close") == [(1, 2)]


def test_a_number_only_a_condition_reads_is_checked_too() -> None:
    query = bars("1m", select={"n": ao.count()}, where=[~(Trade.weight > 1.0)])
    here = Market.of(query, hours=HOURS)
    here.send(trade("A", 0), trade("A", 1, weight=math.nan), trade("A", 2, weight=2.0))
    here.run()
    assert columns(here.bars("1m"), "n") == [(1,)]
    assert [letter["reason"] for letter in here.dead()] == ["a condition of trade_bars is not finite"]


def test_a_comparison_of_different_scales_does_not_wrap() -> None:
    query = bars("1m", select={"n": ao.count()}, where=[Trade.price < Trade.price * Trade.size])
    here = Market.of(query, hours=HOURS)
    here.send(trade("A", 0, 3, size=Decimal(2)), trade("A", 1, TOP, size=Decimal("0.1")))
    here.run()
    assert columns(here.bars("1m"), "n") == [(1,)]
    assert [letter["reason"] for letter in here.dead()] == ["a condition of trade_bars leaves 64 bits"]


@pytest.mark.parametrize("together", [True, False])
def test_the_one_tick_a_sum_cannot_take_is_a_dead_letter(together: bool) -> None:  # noqa: FBT001  # a parameter of the test
    here = Market.of(bars("1m", "5m", "1d", select={"total": ao.sum(Trade.lots), "n": ao.count()}), hours=HOURS)
    most = 2**62
    rows = [trade("A", n, lots=lots) for n, lots in enumerate((most, 5, most - 6, 3, -7))]
    rows += [trade("A", MINUTE, lots=3), trade("B", 1, lots=most), trade("A", 7, price=None)]
    for part in [rows] if together else [[row] for row in rows]:
        here.send(*part)
        here.run()
    assert columns(here.bars("1m"), "symbol", "total", "n") == [
        ("A", 2**63 - 8, 4),
        ("A", 3, 1),
        ("B", most, 1),
    ]
    assert sorted(columns(here.dead(), "source_offset", "reason")) == [
        (3, "the sum in column 'total' leaves 64 bits at the scale 0"),
        (7, "column 'price' is null"),
    ]
    assert columns(here.bars("1d"), "symbol", "total") == [("A", 2**63 - 5), ("B", most)]


def test_a_sum_that_only_a_longer_frame_cannot_hold_is_refused_in_all_frames() -> None:
    here = Market.of(bars("1m", "1h", select={"total": ao.sum(Trade.lots)}), hours=HOURS)
    here.send(*(trade("A", n * MINUTE, lots=2**61) for n in range(6)))
    here.run()
    assert columns(here.dead(), "source_offset") == [(3,), (4,), (5,)]
    assert [sum(row["total"] for row in here.bars(kind)) for kind in ("1m", "1h")] == [3 * 2**61] * 2


def test_bad_records_are_told_once_over_restarts() -> None:
    here = market()
    here.send(*(trade("A", n, n, weight=math.nan if n % 3 else 1.0) for n in range(30)))
    here.run()
    here.restart()
    here.send(trade("A", 40, None))
    here.run()
    here.restart()
    here.run()
    offsets = [letter["source_offset"] for letter in here.dead()]
    assert offsets == [n for n in range(30) if n % 3] + [30]
    assert here.progress()[0]["rejected"] == 21


def test_a_batch_of_bad_records_only() -> None:
    here = market()
    here.send(*(trade("A", n, None) | {"symbol": None} for n in range(3)))
    here.at(DAY)
    assert len(here.dead()) == 3
    assert here.bars("1m") == []


def test_tombstones_are_no_ticks() -> None:
    here = market()
    here.send(trade("A", 1, 1), trade("A", 2, 2))
    here.delete(trade("A", 3, 3))
    here.run()
    assert columns(here.bars("1m"), "ticks", "close") == [(2, 2)]
    assert columns(here.dead(), "source_offset", "reason") == [(2, "a deletion is no tick")]


def test_a_column_that_leaves_64_bits_is_null_and_told_when_its_bar_is_final() -> None:
    select = {"square": ao.sum(Trade.lots) * ao.sum(Trade.lots), "lots": ao.sum(Trade.lots)}
    here = Market.of(bars("1m", "1h", select=select), hours=HOURS)
    here.send(trade("A", 0, lots=2**31), trade("A", MINUTE, lots=2**31), trade("B", 0, lots=5))
    here.at(30_000)
    assert here.dead() == []
    here.at(2 * MINUTE)
    here.restart()
    here.at(12 * HOUR)
    rows = [row for row in here.bars("1h") if row["lots"]]
    assert columns(rows, "symbol", "square", "lots") == [("A", None, 2**32), ("B", 25, 5)]
    assert [row["square"] for row in here.bars("1m") if row["lots"]] == [2**62, 2**62, 25]
    (letter,) = here.dead()
    assert (letter["source_topic"], letter["source_offset"]) == ("t.trade_bars_1h", None)
    assert letter["reason"] == "column 'square' leaves 64 bits"
    assert pa.ipc.open_stream(letter["value"]).read_all().to_pylist()[0]["lots"] == 2**32
