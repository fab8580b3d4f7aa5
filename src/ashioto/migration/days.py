"""Times of bars of days, weeks and months: which date names them, and where a bar begins that ends somewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.files.parsed import Ints, Mask
    from ashioto.period import Period


def midnights(at: Ints, zone: str) -> tuple[Ints, Mask]:
    """Return midnight UTC of the dates that times are midnight of in a zone, and where they are not midnight.

    Args:
        at: UTC milliseconds; shape (n,).
        zone: Its name.

    >>> midnights(np.array([5 * 3_600_000]), "Etc/GMT+5")[0].tolist()
    [0]
    """
    if zone == "UTC":
        return at, at % DAY_MS != 0
    known, back = np.unique(at, return_inverse=True)
    local = np.array([moment + _offset(moment, ZoneInfo(zone)) for moment in known.tolist()], dtype=np.int64)
    found = local[back]
    return found // DAY_MS * DAY_MS, found % DAY_MS != 0


def starts_of(period: Period, ends: Ints) -> Ints:
    """Return where the bars of a period begin that end at these moments.

    Args:
        period: Their length.
        ends: UTC milliseconds, of days, weeks and months midnight; shape (n,).

    >>> from ashioto.period import Period
    >>> starts_of(Period.months(1), np.array([31 * 86_400_000])).tolist()
    [0]
    """
    if period.is_intraday:
        return ends - period.millis
    if period.unit == "mo":
        months = (ends // DAY_MS).astype("datetime64[D]").astype("datetime64[M]") - period.count
        return np.asarray(months.astype("datetime64[D]").astype(np.int64) * DAY_MS)
    return ends - period.count * (7 if period.unit == "w" else 1) * DAY_MS


def _offset(moment: int, zone: ZoneInfo) -> int:
    """Return how far a zone is ahead of UTC at a moment, ms."""
    found = datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone).utcoffset()
    return 0 if found is None else round(found.total_seconds() * 1000)
