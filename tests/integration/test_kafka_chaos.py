"""Heartbeats and engines on Kafka under kill -9 and SIGSTOP, mostly in mid-transaction: nothing is wrong in the end."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import numpy as np
from tests.support_crew import after_deadline
from tests.support_kafka_chaos import BEATS, SEED, SOURCE, Engines, World, aborted, verdict
from tests.support_roles import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from tests.support_crew import Crew

KILLS, STOPS = 13, 3
ENGINE_TROUBLES = (*[signal.SIGKILL] * 4, signal.SIGSTOP, *[signal.SIGKILL] * 3)


def trouble_heartbeats(beats: Crew, _: Engines) -> None:
    """Kill and pause active heartbeats, in turns."""
    for number in range(KILLS + STOPS):
        is_pause = number * STOPS // (KILLS + STOPS) < (number + 1) * STOPS // (KILLS + STOPS)
        (beats.stop if is_pause else beats.kill)(3, at=after_deadline(number))


def trouble_engines(_: Crew, engines: Engines) -> None:
    """Kill and pause engines that run something."""
    draw = random.Random(SEED)  # noqa: S311  # no secret is drawn
    for number in ENGINE_TROUBLES:
        engines.trouble(draw, number)


def test_killed_and_paused_again_and_again_nothing_is_wrong(
    kafka: str, registry: str, unique: str, tmp_path: Path,
    record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    began = CLOCK.monotonic()
    with World.on(tmp_path, kafka, registry, unique) as world:
        beats, engines, roles = world.run(trouble_heartbeats, trouble_engines)
        wrong = verdict(world)
        took = beats.took_ms["kill"]
        figures: dict[str, object] = {
            "seconds": round(CLOCK.monotonic() - began),
            "heartbeats": dict(beats.counts),
            "engines": dict(engines.counts),
            "aborted_markers": aborted(world.log, BEATS),
            "aborted_bars": aborted(world.log, f"{SOURCE}_bars_1s"),
            "ticks": world.feed.sent.total(),
            "kill_takeover_p50_ms": round(float(np.median(took))),
            "kill_takeover_max_ms": round(max(took)),
            **wrong,
        }
    for name, value in figures.items():
        record_property(name, value)
    with capsys.disabled():
        print(" ".join(f"{name}={value}" for name, value in figures.items()))  # noqa: T201  # for whoever reads along
    assert not any(wrong.values()), wrong
    assert (beats.counts["kill"], beats.counts["stop"]) == (KILLS, STOPS)
    assert engines.counts.total() == len(ENGINE_TROUBLES)
    assert roles.tracebacks() == []
