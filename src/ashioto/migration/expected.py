"""Compares the bars of files with those in the log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError
from ashioto.migration.comparison import Comparison, choose, span_of
from ashioto.migration.reading import START, BarReader
from ashioto.migration.verify import EXAMPLES, Verification, verification
from ashioto.schema.arrow import TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ashioto.bars.timebucket import BarTable
    from ashioto.files.reading import TableFile
    from ashioto.migration.mapping import BarMap
    from ashioto.migration.reading import BarPart
    from ashioto.migration.series import Series

BOOKKEEPING: Final = ("source_cut", "origin")
"""Columns that say how a bar came to be and not what it is; compared only when named."""
_PAGE: Final = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Says what of files and log is compared.

    Args:
        start: Only buckets that start at or after this, UTC milliseconds; None means from the first expected one.
        end: Only buckets that start before this; None means to the last expected one.
        columns: Only these; None means those that both have.
        limit: How many bars of each kind of difference to keep.
    """

    start: int | None = None
    end: int | None = None
    columns: tuple[str, ...] | None = None
    limit: int = EXAMPLES


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerification:
    """Says how the bars in the log compare with those of files.

    Args:
        verification: What was found.
        others: Series that are in the log and in no file; they were not compared.
        other_periods: Rows of the files that are bars of other periods.
        rounded: How many values of the files had more digits than are kept, by column of the file.
    """

    verification: Verification
    others: tuple[Series, ...]
    other_periods: int
    rounded: Mapping[str, int]


def verify_files(
    table: BarTable,
    files: Sequence[TableFile],
    mapping: BarMap,
    wanted: Wanted | None = None,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> FileVerification:
    """Return how the bars in the log compare with those of files.

    Compared are the series that the files have, over the time they cover. Columns that the mapping gives one value for
    all are not in the files, so they are compared only when named.

    Args:
        table: The bars in the log.
        files: The expected bars.
        mapping: How they say them.
        wanted: What is compared; everything when not given.
        told: Is told how many bytes of the files have been read.

    Raises:
        ConfigError: The mapping does not fit these bars.
        InputError: A file cannot be read, lacks what names a bar, has a bad row, or there are no bars to expect.
        UsageError: A wanted column is missing.
        UnknownTopicError: The topic of the bars was never created.
    """
    chosen = wanted or Wanted()
    reader = BarReader(table.binding, mapping, whole=False)
    actual = table.read_all(limit=0).schema
    expected = actual.empty_table().select(_columns(reader, files)).schema
    ignore = () if chosen.columns else (*BOOKKEEPING, *mapping.constants)
    compared = choose(expected.names, actual.names, keys=table.key_columns, ignore=ignore, columns=chosen.columns)
    rounded: Counter[str] = Counter()
    other_periods, spans = 0, []
    with Comparison(expected, actual, keys=table.key_columns, compared=compared, limit=chosen.limit) as comparison:
        for part in _parts(reader, files, told):
            rows = _within(part.bars, chosen)
            comparison.take(rows, comparison.expected)
            other_periods += part.other
            rounded.update(part.rounded)
            spans.append(span_of(rows))
        covered = [span for span in spans if span is not None]
        if not covered:
            raise InputError(_nothing(table, files, other_periods), hint="look at --from and --to, and at the mapping")
        series = list(comparison.book.series)
        first = chosen.start if chosen.start is not None else min(span[0] for span in covered)
        end = chosen.end if chosen.end is not None else max(span[1] for span in covered) + 1
        for one in series:
            for rows in pages(table, one, first, end):
                comparison.take(rows, comparison.actual)
        found = verification(comparison, compared)
    return FileVerification(
        verification=found, others=_others(table, series), other_periods=other_periods, rounded=dict(rounded)
    )


def pages(table: BarTable, series: Series, start: int, end: int) -> Iterator[pa.Table]:
    """Yield the bars of a series whose buckets start in `[start, end)`, ms, page by page."""
    while start < end:
        rows = table.read(*series, start=start, end=end, limit=_PAGE)
        if not rows.num_rows:
            return
        yield rows
        start = int(pc.cast(rows[START], pa.int64())[-1].as_py()) + 1


def _columns(reader: BarReader, files: Sequence[TableFile]) -> list[str]:
    """Return the columns of the bars that the files have, which must be the same in all of them."""
    found = [reader.columns(file) for file in files]
    for file, names in zip(files, found, strict=True):
        odd = set(names) ^ set(found[0])
        if odd:
            raise InputError(
                f"{files[0].path} and {file.path} do not both have {', '.join(sorted(odd))}",
                hint="verify them one after the other",
                file=str(file.path),
            )
    return found[0]


def _parts(reader: BarReader, files: Sequence[TableFile], told: Callable[[int], None]) -> Iterator[BarPart]:
    before = 0
    for file in files:
        for part in reader.parts(file):
            yield part
            told(before + part.part.done)
        before += file.size


def _within(rows: pa.Table, wanted: Wanted) -> pa.Table:
    if wanted.start is None and wanted.end is None:
        return rows
    at = np.asarray(pc.cast(rows[START].cast(TIME), pa.int64()))
    kept = np.ones(at.shape[0], dtype=np.bool_)
    if wanted.start is not None:
        kept &= at >= wanted.start
    if wanted.end is not None:
        kept &= at < wanted.end
    return rows.filter(pa.array(kept))


def _others(table: BarTable, known: Sequence[Series]) -> tuple[Series, ...]:
    there = table.newest().select(list(table.key_columns)).to_pylist()
    names = {tuple(row.values()) for row in there}
    return tuple(sorted(names - set(known)))


def _nothing(table: BarTable, files: Sequence[TableFile], other_periods: int) -> str:
    where = ", ".join(str(file.path) for file in files[:3]) + ", ..." * (len(files) > 3)
    if other_periods:
        return f"{where} has no bars of {table.binding.period} there, only {other_periods:,} of other periods"
    return f"{where} has no bars there"
