"""The ready-made schedule that is always open: one session a UTC day, for every key."""

from __future__ import annotations

from ashioto.logical.nodes import ALWAYS_OPEN, TimeFrame


def always_open() -> TimeFrame:
    """Return the time frame that joins every key to `ALWAYS_OPEN`.

    >>> always_open().join
    ()
    """
    return TimeFrame(schedule=ALWAYS_OPEN, join=(), open_column="open", close_column="close", day_column="market_date")


def is_always_open(time_frame: TimeFrame) -> bool:
    """Return whether sessions follow from the calendar, so that no schedule rows are needed.

    >>> is_always_open(always_open())
    True
    """
    return time_frame.schedule == ALWAYS_OPEN
