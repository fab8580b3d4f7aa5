from __future__ import annotations

import pytest

from ashioto.control.applied import Registration
from ashioto.errors import UnsupportedError
from ashioto.testing.memory_engine import MemoryEngine

BARS, ORDERS = (
    Registration(
        context="trading", query=query, version=1, state="registered", engine="memory", checksum="", plan="{}",
        begins="start", updated_ms=0,
    )
    for query in ("bars", "orders")
)  # fmt: skip


def test_it_runs_what_was_registered_and_nothing_else() -> None:
    engine = MemoryEngine()
    engine.register(BARS)
    engine.register(BARS)
    (run,) = engine.inspect([BARS, ORDERS])
    assert (run.name, run.state, run.cuts) == ("trading_bars_v1", "running", {0: 0})
    assert engine.progress(ORDERS) is None
    engine.stop(BARS)
    engine.stop(BARS)
    assert engine.inspect([BARS, ORDERS]) == []


def test_what_it_runs_outlives_it() -> None:
    queries: dict[str, Registration] = {}
    MemoryEngine(queries).register(BARS)
    assert MemoryEngine(queries).progress(BARS) == {0: 0}


def test_it_is_ill_as_it_is_told() -> None:
    engine = MemoryEngine()
    engine.register(BARS)
    engine.stuck = True
    assert engine.progress(BARS) is None
    assert engine.inspect([BARS])[0].cuts == {}
    engine.stuck, engine.failing["trading_bars_v1"] = False, "boom"
    assert (engine.inspect([BARS])[0].state, engine.inspect([BARS])[0].detail) == ("failed", "boom")
    assert engine.progress(BARS) is None
    engine.absent = True
    assert engine.inspect([BARS])[0].state == "waiting"


def test_it_refuses_what_it_is_told_to() -> None:
    engine = MemoryEngine()
    assert engine.compile(BARS) == ["{}"]
    engine.refused["bars"] = "no such aggregate"
    with pytest.raises(UnsupportedError, match="trading_bars_v1: no such aggregate"):
        engine.compile(BARS)
