"""Worlds that failed once, and why; they are run for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Names a world that failed.

    Args:
        seed: Its seed.
        why: What was wrong with the code.
        options: Other than those of the seed, as the command line takes them.
    """

    seed: int
    why: str
    options: tuple[str, ...] = ()


EDITS: Final = ("edits=6", "changes=0", "calls=30", "ticks=5", "contexts=1", "keys=2")
CHANGES: Final = ("edits=0", "changes=3", "calls=30", "ticks=5", "contexts=1", "keys=2")
REGRESSIONS: Final = [
    Regression(
        seed=323, why="an engine that was started while columns changed between two reads ended with a traceback"
    ),
    Regression(seed=275, why="a watermark from before the schedule was imported was taken for a promise, by the judge"),
    Regression(
        seed=3,
        options=EDITS,
        why="ticks that were read just after an edit of the schedule were judged by the one before",
    ),
    Regression(seed=82, why="the same, with another deployment and a key that becomes known meanwhile"),
    Regression(
        seed=57,
        options=EDITS,
        why="a new heartbeat that sent edits again set the engine's time back, and final bars were not any more",
    ),
    Regression(seed=93, why="the same, at a takeover on the second day"),
    Regression(
        seed=7,
        options=(*EDITS, "clock_ms=3500"),
        why="markers were sent again that are not due yet by the sender's own clock",
    ),
    Regression(seed=69, why="the same, where a sender with a clock that was ahead had gone before"),
    Regression(
        seed=10, why="with a shorter grace, final markers between the old deadline and the new one were never sent"
    ),
    Regression(seed=10, options=CHANGES, why="and the engine never called these bars final"),
    Regression(seed=52, why="the same, with a takeover between the two versions"),
    Regression(seed=14, why="an engine that was started while a column was dropped ended with a traceback"),
]
