"""A day of a heartbeat costs no more memory than its first hour, and plans each marker once."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from tests.support_orchestrator import DAY, MINUTE, Stage
from tests.support_planning import START, START_DAY

from ashioto.heartbeat import portions as portions_module
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.heartbeat.planner import plan_markers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from ashioto.log.base import Appended, Batch, Fence, Log

HOUR = 60 * MINUTE


class DiscardingLog:
    """Passes everything on to another log but appends, which it only counts.

    Args:
        inner: The log.
    """

    def __init__(self, inner: Log) -> None:
        self._inner = inner
        self.markers = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Count heartbeats."""
        assert fence is not None
        self.markers += sum(b.data.num_rows for b in batches if b.topic == "t.rate_hb")
        return []


def test_a_day_of_two_hundred_keys_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal planned
        planned += 1
        return plan_markers(*args, **options)

    monkeypatch.setattr(portions_module, "plan_markers", counted)
    rows = [(START + day * DAY, START + (day + 1) * DAY, START_DAY + day) for day in range(40)]
    stage = Stage(hours={("FX", f"S{n:03d}"): rows for n in range(200)})
    stage.specify()
    log = DiscardingLog(stage.log)
    runs = stage.active(log, options=HeartbeatOptions(watch_s=20.0))
    stage.run(runs, START + HOUR)
    sizes = []
    for hour in (2, 24):
        stage.run(runs, START + hour * HOUR)
        gc.collect()
        sizes.append((sys.getallocatedblocks(), len(runs._deadlines)))
    assert log.markers == 200 * (24 * 60 + 1 + 24 * 60 - 1)
    assert planned <= 2 * 24 * 60 + 2
    assert sizes[1][0] - sizes[0][0] < 300
    assert sizes[1][1] <= 18
