from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ashioto.cli.dev import DevStatus
from ashioto.cli.dev_screen import FILE_SECONDS, PEOPLE_SECONDS, Screen

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """Says that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_file_gets_a_line_when_more_was_counted() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.tell("running")
    for now, ticks in ((0, 1), (1_000, 1), (2_000, 2)):
        screen.show(DevStatus(now_ms=now, ticks=ticks))
    assert out.getvalue().splitlines() == [
        "running",
        "1970-01-01T00:00:00Z · 1 ticks · 0 bar updates",
        "1970-01-01T00:00:02Z · 2 ticks · 0 bar updates",
    ]
    assert screen.interval == FILE_SECONDS


def test_a_terminal_has_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    out = Terminal()
    screen = Screen(out)
    screen.show(DevStatus())
    screen.show(DevStatus(now_ms=1_000, late=2))
    screen.tell("stopped")
    first, second, last = out.getvalue().removeprefix("\r").split("\r")
    assert first == "\x1b[2K1970-01-01T00:00:00Z · 0 tick"
    assert second == "\x1b[2K1970-01-01T00:00:01Z · 0 tick"
    assert last == "\x1b[2Kstopped\n"
    assert screen.interval == PEOPLE_SECONDS


def test_troubles_are_named_when_there_are_any() -> None:
    line = DevStatus(out_of_session=1, unknown_key=2_000, late=3, rejected=4).line()
    assert line.endswith("1 out of session · 2,000 of unknown keys · 3 too late · 4 rejected")
