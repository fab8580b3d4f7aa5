"""Numbers the series of bars by their key columns, the same on both sides of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ashioto.files.parsed import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

Series = tuple[str, ...]
_TABLE: Final = 1 << 22
"""So many combinations of words of a batch are looked up by number."""


class SeriesBook:
    """Gives each series a number, in order of appearance.

    Args:
        names: The key columns.

    >>> import pyarrow as pa
    >>> SeriesBook(["symbol"]).codes(pa.record_batch({"symbol": ["B", "A", "B"]})).tolist()
    [0, 1, 0]
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.series: list[Series] = []
        self._known: dict[Series, int] = {}

    def codes(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Return the number of each row's series; shape (rows,)."""
        rows = batch.num_rows
        combined, size = np.zeros(rows, dtype=np.int64), 1
        words: list[list[str]] = []
        for name in self.names:
            column = plain(batch.column(name)).dictionary_encode()
            words.append([str(word) for word in column.dictionary.to_pylist()])
            combined = combined * len(words[-1]) + np.asarray(column.indices, dtype=np.int64)
            size *= len(words[-1])
        present, back = self._present(combined, size)
        numbers = np.array([self._number(one, words) for one in present.tolist()], dtype=np.int64)
        return numbers[back]

    @staticmethod
    def _present(combined: npt.NDArray[np.int64], size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the combinations there are, in order of appearance, and for each row which it is."""
        if size > _TABLE:
            found, firsts, back = np.unique(combined, return_index=True, return_inverse=True)
        else:
            seen = np.full(size, combined.shape[0], dtype=np.int64)
            seen[combined[::-1]] = np.arange(combined.shape[0] - 1, -1, -1)
            found = np.flatnonzero(seen < combined.shape[0])
            firsts = seen[found]
            place = np.zeros(size, dtype=np.int64)
            place[found] = np.arange(found.shape[0])
            back = place[combined]
        order = np.argsort(firsts)
        rank = np.empty_like(order)
        rank[order] = np.arange(order.shape[0])
        return found[order], rank[back]

    def _number(self, combined: int, words: Sequence[Sequence[str]]) -> int:
        parts = []
        for column in reversed(words):
            combined, at = divmod(combined, len(column))
            parts.append(column[at])
        series = tuple(reversed(parts))
        if series not in self._known:
            self._known[series] = len(self.series)
            self.series.append(series)
        return self._known[series]
