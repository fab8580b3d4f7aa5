"""The simulation itself: a seed is the same world anywhere, what hangs is told, and a failure says how to see it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import __main__ as command
from tests.simulation import world as world_module
from tests.simulation.options import Options, changed, text_of
from tests.simulation.report import told
from tests.simulation.run import simulate

from ashioto.engines.embedded.host import EngineHost
from ashioto.heartbeat.beat import SpecBeat

ROOT = Path(__file__).parents[2]
PRINT = (
    "from tests.simulation.run import simulate\nfor seed in (1, 2, 5): print(*(r := simulate(seed)).trace, r.counts)"
)


def in_a_process(hashes: int) -> str:
    """Run some seeds in a process of its own, whose sets have another order."""
    env = {**os.environ, "PYTHONHASHSEED": str(hashes), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    return subprocess.run([sys.executable, "-c", PRINT], env=env, check=True, capture_output=True, text=True).stdout


def test_a_seed_is_the_same_world_in_every_process() -> None:
    one, other = in_a_process(1), in_a_process(2)
    assert len(one) > 1_000
    assert one == other


def test_a_world_that_does_not_become_quiet_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EngineHost, "step", lambda _: False)
    assert simulate(1).failure.startswith("quiet: alpha_rate_bars_v")


def test_a_world_that_turns_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "MOST_TURNS", 100)
    assert "more than 100 turns" in simulate(1).failure


def test_a_failure_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    send = SpecBeat.send
    monkeypatch.setattr(SpecBeat, "send", lambda self, now, sender: send(self, now + 60_000, sender))
    result = simulate(2, changed=partial(changed, texts=["keys=3"]))
    text = told(result)
    assert result.failure.startswith("P2: hb")
    assert "seed 2 failed: P2" in text
    assert f"--first 2 --seeds 1 --options {text_of(result.options)}" in text
    assert changed(Options(), text_of(result.options).split()) == result.options


def test_the_command_tells_of_failures_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--seeds", "2", "--processes", "1", "--options", "calls=0", "edits=0"]) == 0
    assert "2 of 2 seeds" in capsys.readouterr().out
    monkeypatch.setattr(EngineHost, "step", lambda _: False)
    assert command.main(["--seeds", "50", "--first", "7", "--processes", "1", "--stop"]) == 1
    out = capsys.readouterr().out
    assert "seed 7 failed: quiet" in out
    assert "failed: [7, " in out


def test_options_are_checked() -> None:
    wrong: list[Any] = ["keys", "keys=x", "nothing=1"]
    for text in wrong:
        with pytest.raises(ValueError, match="give NAME=NUMBER"):
            changed(Options(), [text])
