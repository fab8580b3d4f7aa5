from __future__ import annotations

import pytest
from tests.contract.log_contract import TICKS, batch, xs_of

from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog


@pytest.mark.parametrize(("when", "kept"), [("before", [1]), ("after", [1, 2])])
def test_the_chosen_append_crashes_and_leaves_none_or_all(when: str, kept: list[int]) -> None:
    inner = MemoryLog()
    inner.create([TICKS])
    log = CrashingLog(inner, crash_at=2, when="before" if when == "before" else "after")
    log.append([batch("t.ticks", [("a", 1)])])
    with pytest.raises(CrashError, match=f"{when} append 2"):
        log.append([batch("t.ticks", [("a", 2)])])
    assert xs_of(inner, "t.ticks") == kept
    log.append([batch("t.ticks", [("a", 3)])])
    assert xs_of(inner, "t.ticks") == [*kept, 3]
