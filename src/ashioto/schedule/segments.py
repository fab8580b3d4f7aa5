"""Segments: base buckets cut by sessions, the smallest stretches of time that heartbeats speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ashioto.schedule.buckets import Align, bucket_start

if TYPE_CHECKING:
    from ashioto.period import Period
    from ashioto.schedule.sessions import Ints, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Holds segments in time order; int64 arrays of one length.

    Args:
        start: When each begins, ms.
        end: When each ends, ms.
        session_index: Number of its session.
        bucket_start: Start of its base bucket, ms.
    """

    start: Ints
    end: Ints
    session_index: Ints
    bucket_start: Ints


def segments(sessions: Sessions, base: Period, align: Align, lo: int, hi: int) -> Segments:
    """Return the segments that start in `[lo, hi)`.

    Args:
        sessions: The schedule.
        base: The smallest frame; for a day, week or month a segment is the whole session.
        align: What intraday buckets count from.
        lo: From, ms.
        hi: Until, ms, exclusive.
    """
    first, last = sessions.touching(lo, hi)
    opens, closes = sessions.opens[first:last], sessions.closes[first:last]
    index = np.arange(first, last, dtype=np.int64)
    if not base.is_intraday:
        labels = bucket_start(base, align, opens, opens, sessions.days[first:last])
        return _within(opens, closes, index, labels, lo, hi)
    size = base.millis
    origin = opens if align == "session" else np.zeros_like(opens)
    begin = origin + (np.maximum(opens, min(lo, hi)) - origin) // size * size
    stop = np.minimum(closes, hi)
    counts = np.maximum(-(-(stop - begin) // size), 0)
    owner = np.repeat(np.arange(opens.shape[0]), counts)
    step = np.arange(owner.shape[0]) - np.repeat(np.cumsum(counts) - counts, counts)
    bucket = begin[owner] + step * size
    start, end = np.maximum(bucket, opens[owner]), np.minimum(bucket + size, closes[owner])
    return _within(start, end, index[owner], bucket, lo, hi)


def _within(start: Ints, end: Ints, index: Ints, bucket: Ints, lo: int, hi: int) -> Segments:
    kept = (start >= lo) & (start < hi)
    return Segments(start=start[kept], end=end[kept], session_index=index[kept], bucket_start=bucket[kept])
