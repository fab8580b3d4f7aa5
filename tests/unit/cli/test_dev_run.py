from __future__ import annotations

import io
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ashioto import Context
from ashioto.cli.dev import DevServer, run_dev, run_until_stopped
from ashioto.cli.dev_screen import Screen
from ashioto.cli.infra_target import deploy_log
from ashioto.cli.replay import announce
from ashioto.cli.stopping import SIGNALS
from ashioto.clock import ManualClock
from ashioto.config import EngineConfig
from ashioto.errors import ConfigError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.cli.project import Project

START = 1_736_154_000_000


class Interrupted(ManualClock):
    """Gets a signal after a minute, as from ^C."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(START)
        self._number = number

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.now_ms() > START + 60_000:
            signal.raise_signal(self._number)


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_end_the_loop_and_everything_is_written(project: Project, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    out = io.StringIO()
    server = DevServer(log=deploy_log(project.log), contexts=project.contexts, base_clock=Interrupted(number))
    run_until_stopped(server, Screen(out))
    assert "0 ticks" in out.getvalue()
    assert out.getvalue().splitlines()[-1].startswith("stopped: 2025-01-06T09:01:00")
    assert signal.getsignal(number) == before


def test_what_runs_is_told_at_the_start(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ashioto.cli.dev.run_until_stopped", lambda *_: None)
    announce(project.log, ManualClock(START), event_ms=START - 86_400_000, speed=1.0)
    out = io.StringIO()
    run_dev(project.config, Screen(out))
    assert "the clock is that of the last replay" in out.getvalue()
    assert "the schedule has no sessions from now on" in out.getvalue()
    assert "running; ^C stops" in out.getvalue()
    out = io.StringIO()
    run_dev(project.config, Screen(out), wall=True)
    assert "replay;" not in out.getvalue()


def test_topics_are_told_once(folder: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ashioto.cli.dev.run_until_stopped", lambda *_: None)
    elsewhere = replace(project.config, log=replace(project.config.log, path=folder / "other.db"))
    first, second = io.StringIO(), io.StringIO()
    run_dev(elsewhere, Screen(first))
    run_dev(elsewhere, Screen(second))
    assert "created 14 topics: rc.infra.applied, " in first.getvalue()
    assert "register trading.rate_bars" in first.getvalue()
    assert not {"created", "register"} & set(second.getvalue().split())


def test_another_engine_is_refused(project: Project) -> None:
    other = replace(project.config, engine=EngineConfig(kind="flink"))
    with pytest.raises(UnsupportedError, match="rc dev runs the embedded engine"):
        run_dev(other, Screen(io.StringIO()))


def test_a_project_without_queries_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ashioto.cli.dev.declared", lambda _: [Context("empty")])
    with pytest.raises(ConfigError, match="declares no query"):
        run_dev(project.config, Screen(io.StringIO()))
