from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from tests.contract.log_contract import STATE, TICKS, batch, xs_of

from ashioto.log.leases import Holder, Lease
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from collections.abc import Callable

LEASE = Lease(name="hb", epoch=1, holder=Holder(name="a"), expires_ms=5)


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


EFFECTS: list[tuple[str, Callable[[CrashingLog], object], Callable[[MemoryLog], object]]] = [
    ("create", lambda log: log.create([STATE]), lambda log: "t.state" in log.topics()),
    ("append", lambda log: log.append([batch("t.ticks", [("a", 1)])]), lambda log: xs_of(log, "t.ticks") == [1]),
    (
        "alter",
        lambda log: log.alter(replace(TICKS, retention_ms=5)),
        lambda log: log.describe("t.ticks").spec.retention_ms == 5,
    ),
    ("change_lease", lambda log: log.change_lease("hb", lambda _: LEASE), lambda log: log.lease("hb") == LEASE),
    ("delete", lambda log: log.delete(["t.ticks"]), lambda log: "t.ticks" not in log.topics()),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, len(EFFECTS) + 1))
def test_each_side_effect_can_crash_and_leaves_none_or_all(at: int, when: Literal["before", "after"]) -> None:
    inner = MemoryLog()
    inner.create([TICKS])
    log = CrashingLog(inner, crash_at=at, when=when, count="effects")
    for number, (name, does, is_done) in enumerate(EFFECTS, 1):
        assert not is_done(inner)
        if number == at:
            with pytest.raises(CrashError, match=rf"{when} effect {at} \({name}\)"):
                does(log)
            assert is_done(inner) == (when == "after")
            return
        does(log)
        assert is_done(inner)


def test_appends_and_effects_are_counted_apart_and_reads_not_at_all() -> None:
    log = CrashingLog(MemoryLog(), crash_at=2)
    log.create([TICKS])
    log.append([])
    log.alter(TICKS)
    log.change_lease("hb", lambda _: None)
    log.delete(["t.never"])
    assert log.lease("hb") is None
    assert log.topics() == ["t.ticks"]
    assert log.describe("t.ticks").end_offsets == log.end_offsets("t.ticks")
    assert (log.appends, log.effects) == (1, 5)
    with pytest.raises(CrashError, match="before append 2"):
        log.append([])
