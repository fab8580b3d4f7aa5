from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  # columns are declared by them
from decimal import Decimal  # noqa: TC003  # columns are declared by it

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import ashioto as ao
from ashioto import Field
from ashioto.errors import UsageError
from ashioto.schema.arrow import int64_view, storage_schema
from ashioto.testing.ticks import SimulationOptions, TickSimulator, simulate_ticks


class Quote(ao.Stream):
    broker: Field[str] = ao.key()
    line: Field[int] = ao.key()
    at: Field[datetime] = ao.timestamp()
    seq: Field[int] = ao.sequence()
    bid: Field[Decimal] = ao.decimal(18, 5)
    ask: Field[float] = ao.field()
    volume: Field[int] = ao.field()
    venue: Field[str] = ao.field(default="X")
    note: Field[str] = ao.field()
    day: Field[date] = ao.field()
    good: Field[bool] = ao.field()


QUOTE = Quote.__entity__
KEYS = [("FX", "1"), ("FX", "2"), ("EX", "3")]


def test_equal_seeds_give_equal_ticks_and_others_do_not() -> None:
    first, again, other = (simulate_ticks(QUOTE, KEYS, 0, 60_000, SimulationOptions(seed=s)) for s in (7, 7, 8))
    assert first.equals(again)
    assert not first.equals(other)


def test_ticks_have_the_columns_of_the_entity_and_stay_in_range() -> None:
    made = simulate_ticks(QUOTE, KEYS, 5_000, 65_000)
    at = int64_view(made.column("at"))
    assert made.schema == storage_schema(QUOTE)
    assert made.num_rows > 500
    assert at.min() >= 5_000
    assert at.max() < 65_000
    assert (np.diff(at) >= 0).all()
    assert made.column("seq").to_pylist() == list(range(made.num_rows))
    assert set(made.column("venue").to_pylist()) == {"X"}
    assert set(zip(made.column("broker").to_pylist(), made.column("line").to_pylist(), strict=True)) == {
        ("FX", 1),
        ("FX", 2),
        ("EX", 3),
    }


def test_the_rate_is_met_on_average() -> None:
    made = simulate_ticks(QUOTE, KEYS, 0, 1_000_000, SimulationOptions(rate=10.0))
    assert made.num_rows == pytest.approx(30_000, rel=0.03)


def test_asks_stand_above_bids_and_prices_move_little() -> None:
    made = simulate_ticks(QUOTE, KEYS[:1], 0, 60_000, SimulationOptions(prices={KEYS[0]: 150.0}))
    bid = pc.cast(made.column("bid").cast(pa.decimal128(18, 5)), pa.float64()).to_numpy()
    assert (made.column("ask").to_numpy() > bid).all()
    assert np.abs(bid / 150.0 - 1).max() < 0.01
    assert pc.min(made.column("volume")).as_py() >= 1


def test_a_walk_goes_on_where_it_stood() -> None:
    options = SimulationOptions(prices={KEYS[0]: 150.0}, volatility=0.01, rate=100.0)
    walk = TickSimulator(QUOTE, KEYS[:1], options)
    first, second = walk.batch(0, 60_000), walk.batch(60_000, 61_000)
    assert second.column("ask")[0].as_py() == pytest.approx(first.column("ask")[-1].as_py(), rel=0.06)
    assert second.column("seq")[0].as_py() == first.num_rows


def test_no_time_gives_no_ticks() -> None:
    walk = TickSimulator(QUOTE, KEYS)
    assert walk.batch(5, 5).num_rows == 0
    assert walk.batch(9, 5).num_rows == 0


def test_keys_that_do_not_trade_have_no_ticks() -> None:
    made = TickSimulator(QUOTE, KEYS).batch(0, 10_000, trading=np.array([True, False, False]))
    assert set(made.column("line").to_pylist()) == {1}


def test_keys_must_fit_the_entity() -> None:
    with pytest.raises(UsageError, match="no keys"):
        TickSimulator(QUOTE, [])
    with pytest.raises(UsageError, match="has 1 parts") as caught:
        TickSimulator(QUOTE, [("FX",)])
    assert "broker, line" in caught.value.hint
