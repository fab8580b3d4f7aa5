"""`make demo` works from one end to the other, and shows what it says it shows."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from ashioto.cli import demo, demo_live

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def section(text: str, title: str, *, year: str = "2025") -> list[list[str]]:
    """The rows of a printed table, as words."""
    lines = [line.strip() for line in text.split(title)[1].splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("──")) + 1
    return [line.split() for line in takewhile(lambda line: line.startswith(year), lines[first:])]


def test_the_demo_shows_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["demo", "--out", str(tmp_path)])
    demo.main()
    said = capsys.readouterr().out
    before = section(said, "at 01:31, before the late ticks")
    after = section(said, "5m after the late ticks")
    assert [row[1] for row in before] == ["01:10:00Z", "01:15:00Z", "01:20:00Z", "01:25:00Z", "01:30:00Z"]
    assert [row[-2:] for row in after] == [["yes", "no"]] * 2 + [["yes", "yes"]] * 2 + [["no", "yes"]]
    assert before[0] == after[0]
    assert before[1][5] != after[1][5]
    assert {row[5] for row in after[1:]} == {after[1][5]}
    weekend = section(said, "around the weekend")
    assert [row[1] for row in weekend] == ["21:50:00Z", "21:55:00Z", "21:00:00Z", "21:05:00Z"]
    lunch = section(said, "around the lunch break")
    assert [row[1] for row in lunch] == ["02:20:00Z", "02:25:00Z", "03:30:00Z", "03:35:00Z"]
    newest = section(said, "5m, the newest")
    assert [row[-2] for row in newest] == ["yes", "yes", "yes", "no"]
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (tmp_path / "weekend.html").read_text(encoding="utf-8")
    applied, again = said.split("$ rc infra apply\n")[1:]
    assert "register: register trading_rate_bars_v1" in applied
    assert again.startswith("nothing to do")
    first, second = (rows for rows in said.split("heartbeats\n")[1:])
    assert [" active " in part.split("\n\n")[0] for part in (first, second)] == [True, True]
    assert re.search(r"took over after \d+ ms, under epoch 2", said)
    around = section(said, "around the kill", year=str(datetime.now(UTC).year))
    assert len(around) == demo_live.BARS_BEFORE + demo_live.BARS_AFTER
    assert {row[-2] for row in around} == {"yes"}
    assert " final bars: 0 missing." in said
