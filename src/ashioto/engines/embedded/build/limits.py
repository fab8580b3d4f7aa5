"""Refuses builds that cannot end well: one wrong time makes years of empty bars."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.errors import InputError
from ashioto.schedule.sessions import time_text

if TYPE_CHECKING:
    from ashioto.logical.nodes import Query
    from ashioto.schedule.sessions import Sessions

BAR_BYTES: Final = 220
"""Memory that a bar takes while bars are laid out."""
BUCKET_BYTES: Final = 140
"""Memory that a bucket takes where only those with ticks become bars."""

_SHARE: Final = 0.8
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


def check_size(query: Query, sessions: Sessions, span_ms: tuple[int, int], memory: int) -> None:
    """Raise when one key alone has more buckets between the first and the last tick than memory holds.

    Ticks outside sessions make no bars, so they prove nothing.

    Args:
        query: What is built.
        sessions: The sessions of a key.
        span_ms: Times of the first and the last tick, ms.
        memory: Bytes there are.

    Raises:
        InputError: It has.
    """
    if (sessions.index_of(np.array(span_ms, dtype=np.int64)) < 0).any():
        return
    near = sessions.between(span_ms[0], span_ms[1] + 1)
    length = int(np.sum(near.closes - near.opens))
    buckets = sum(length // period.millis for period in query.frames if period.is_intraday)
    needed = buckets * (BAR_BYTES if query.continuous else BUCKET_BYTES)
    if needed > _SHARE * memory:
        raise InputError(
            f"from {time_text(span_ms[0])} to {time_text(span_ms[1])} there are {buckets:,} bars of one key, "
            f"about {needed / 1e9:,.0f} GB",
            hint="is one of these times wrong? else build longer periods, or less time at once",
        )


def machine_memory() -> int:
    """Return the bytes of memory this process may use.

    >>> machine_memory() > 0
    True
    """
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(_CGROUP.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return installed
