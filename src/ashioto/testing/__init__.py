"""What tests of programs that use ashioto need: clocks, logs and an engine in memory, ticks, and a comparison of bars.

>>> from ashioto.testing import ManualClock, MemoryLog
>>> ManualClock(1_000).now_ms()
1000
"""

from __future__ import annotations

from ashioto.clock import ManualClock
from ashioto.testing.bars import assert_bars
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_engine import MemoryEngine
from ashioto.testing.memory_log import MemoryLog
from ashioto.testing.ticks import SimulationOptions, TickSimulator, simulate_ticks

__all__ = [
    "CrashError",
    "CrashingLog",
    "ManualClock",
    "MemoryEngine",
    "MemoryLog",
    "SimulationOptions",
    "TickSimulator",
    "assert_bars",
    "simulate_ticks",
]
