"""Remembers which bars have been met, eight bytes a bar, so that one that comes again is noticed however far apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto import keys
from ashioto.errors import InputError
from ashioto.migration.series import SeriesBook

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]

_BITS: Final = (10**keys.TIME_DIGITS).bit_length()
MOST_SERIES: Final = 1 << (63 - _BITS)


class SeenBars:
    """Notices bars that come twice.

    Sorted runs are merged as they grow, so that there are never more than a few.

    Args:
        names: The key columns.

    >>> import pyarrow as pa
    >>> seen, rows = SeenBars(["symbol"]), pa.record_batch({"symbol": ["A", "B", "A"]})
    >>> seen.again(rows, np.array([5, 5, 6])), seen.again(rows, np.array([7, 5, 8]))
    (None, 1)
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._book = SeriesBook(names)
        self._runs: list[Ints] = []

    def again(self, bars: pa.RecordBatch, start: Ints) -> int | None:
        """Take bars in and return the first row that names a bar that was there before, or None.

        Args:
            bars: Their key columns.
            start: Bucket start of each, ms; shape (rows,).

        Raises:
            InputError: There are too many series.
        """
        codes = self._book.codes(bars)
        if len(self._book.series) > MOST_SERIES:
            raise InputError(f"there are more than {MOST_SERIES:,} series", hint="add them in several runs")
        whole = (codes << _BITS) | np.clip(start, 0, (1 << _BITS) - 1)
        order = np.argsort(whole, kind="stable")
        run = whole[order]
        again = np.zeros(run.shape[0], dtype=np.bool_)
        again[1:] = run[1:] == run[:-1]
        for older in self._runs:
            place = np.minimum(np.searchsorted(older, run), older.shape[0] - 1)
            again |= older[place] == run
        if again.any():
            return int(order[again].min())
        if run.shape[0]:
            self._keep(run)
        return None

    def _keep(self, run: Ints) -> None:
        while self._runs and self._runs[-1].shape[0] <= 2 * run.shape[0]:
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
