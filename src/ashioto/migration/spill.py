"""Rows of one side of a comparison: in memory while they are few, else in files by series and day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

IN_MEMORY: Final = 500_000
"""Rows of a side that stay in memory."""
PLACES: Final = 128
"""Files that the rows of a side are spread over."""


def places_of(code: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return which file rows go to: those of one series and day stay together.

    >>> places_of(np.array([0, 0, 1]), np.array([5, 5, 5])).tolist()
    [5, 5, 36]
    """
    return ((day + 31 * code) % PLACES).astype(np.uint8)


class SideRows:
    """Keeps the rows of one side.

    Args:
        folder: Where the files go; it exists.
        name: Which side it is, part of their names.
        schema: Of the rows.
        in_memory: How many rows stay in memory.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema, *, in_memory: int = IN_MEMORY) -> None:
        self._folder, self._name, self._schema, self._limit = folder, name, schema, in_memory
        self._held: list[tuple[pa.RecordBatch, npt.NDArray[np.uint8]]] = []
        self._files: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._written: set[int] = set()
        self.rows = 0
        self.spilled = False

    def add(self, rows: pa.RecordBatch, places: npt.NDArray[np.uint8]) -> None:
        """Take rows in.

        Args:
            rows: The rows.
            places: Of each, the number of its file.
        """
        self._held.append((rows, places))
        self.rows += rows.num_rows
        if self.spilled or self.rows > self._limit:
            self.spill()

    def spill(self) -> None:
        """Write what is in memory into files, and whatever comes."""
        self.spilled = True
        for rows, places in self._held:
            order = np.argsort(places, kind="stable")
            sorted_rows = rows.take(pa.array(order))
            found, firsts = np.unique(places[order], return_index=True)
            for place, first, last in zip(found.tolist(), firsts, [*firsts[1:], len(order)], strict=True):
                self._writer(place).write_batch(sorted_rows.slice(first, last - first))
        self._held.clear()

    def whole(self) -> pa.Table:
        """Return all rows, where they stayed in memory."""
        return pa.Table.from_batches([rows for rows, _ in self._held], schema=self._schema)

    def part(self, place: int) -> pa.Table:
        """Return the rows of one file."""
        self.close()
        if place not in self._written:
            return self._schema.empty_table()
        path = self._path(place)
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
        path.unlink()
        return table

    def close(self) -> None:
        """Close the files that are written to."""
        for writer in self._files.values():
            writer.close()
        self._files.clear()

    def _writer(self, place: int) -> pa.ipc.RecordBatchStreamWriter:
        if place not in self._files:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._files[place] = pa.ipc.new_stream(str(self._path(place)), self._schema, options=options)
            self._written.add(place)
        return self._files[place]

    def _path(self, place: int) -> Path:
        return self._folder / f"{self._name}-{place}.arrow"


def pairs_of(expected: SideRows, actual: SideRows) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the rows of both sides, piece by piece; rows of one series and day stand in one piece."""
    if not (expected.spilled or actual.spilled):
        yield expected.whole(), actual.whole()
        return
    for side in (expected, actual):
        side.spill()
    for place in range(PLACES):
        yield expected.part(place), actual.part(place)
