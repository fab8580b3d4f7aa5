"""Compares bars column by column: rows are brought into one form, put into order, and laid beside each other."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError, UsageError
from ashioto.migration.forms import Form, has_nulls
from ashioto.migration.series import SeriesBook
from ashioto.migration.spill import IN_MEMORY, SideRows, pairs_of, places_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import TracebackType

    import numpy.typing as npt

    from ashioto.migration.series import Series

    Ints = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

START: Final = "bucket_start"
_CODE: Final = "__series"
_DAY_S: Final = 86_400
_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
STATES: Final = ("equal", "unequal", "missing", "extra")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Says which columns are compared.

    Args:
        columns: Those, in the order of the expected side.
        left_out: Why others are not, by column.
    """

    columns: tuple[str, ...]
    left_out: Mapping[str, str]


def choose(
    expected: Sequence[str],
    actual: Sequence[str],
    *,
    keys: Sequence[str],
    ignore: Collection[str] = (),
    columns: Sequence[str] | None = None,
) -> Compared:
    """Return which columns are compared: those that both sides have, or those that were named.

    Raises:
        UsageError: A named column is missing on one side, or is one that names the bar.

    >>> choose(["symbol", "bucket_start", "open", "x"], ["symbol", "bucket_start", "open"], keys=["symbol"]).left_out
    {'x': 'only in the expected bars'}
    """
    for side, names in (("expected", expected), ("actual", actual)):
        for name in (*keys, START):
            if name not in names:
                raise UsageError(
                    f"the {side} bars have no column {name!r}, only {', '.join(names)}",
                    hint="say by keys which columns name a series",
                    column=name,
                )
        for name in columns or ():
            if name not in names or name in {*keys, START}:
                near = difflib.get_close_matches(name, [n for n in names if n not in {*keys, START}], 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
                raise UsageError(f"the {side} bars have no column {name!r} to compare", hint=hint, column=name)
    left_out: dict[str, str] = {}
    chosen = []
    for name in dict.fromkeys([*expected, *actual]):
        if name in {*keys, START} or name.startswith("__"):
            continue
        if name not in actual or name not in expected:
            left_out[name] = f"only in the {'actual' if name in actual else 'expected'} bars"
        elif name in ignore or (columns is not None and name not in columns):
            left_out[name] = "was not asked for"
        else:
            chosen.append(name)
    return Compared(columns=tuple(chosen), left_out=left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Holds a bar that is not as expected.

    Args:
        state: Number in `STATES`.
        code: Number of the series.
        start: Bucket start, in the unit of the comparison.
        columns: Expected and actual value of each column that differs.
    """

    state: int
    code: int
    start: int
    columns: Mapping[str, tuple[object, object]]


class Comparison:
    """Takes both sides in, then says where they differ; a context manager that removes its files.

    Args:
        expected: Columns of the expected bars.
        actual: Columns of the actual bars.
        keys: Those that name a series.
        compared: Those to compare.
        tolerance: How far numbers may be apart, for all columns or by column.
        limit: How many bars of each kind of difference are kept.
        in_memory: How many rows of a side stay in memory.

    Raises:
        InputError: Values of a column can never be equal.
    """

    def __init__(
        self,
        expected: pa.Schema,
        actual: pa.Schema,
        *,
        keys: Sequence[str],
        compared: Compared,
        tolerance: Decimal | float | Mapping[str, Decimal | float] | None = None,
        limit: int = 20,
        in_memory: int = IN_MEMORY,
    ) -> None:
        def form(name: str) -> Form:
            return Form(name, expected.field(name).type, actual.field(name).type, moment=name == START)

        self.book = SeriesBook(keys)
        self.start = form(START)
        self.forms = [form(name) for name in compared.columns]
        if self.start.kind not in {"time", "date"}:
            kind = expected.field(START).type
            raise InputError(f"{START} is {kind}, not a time", hint="convert it to timestamps or UTC milliseconds")
        if self.start.kind == "date":
            self.start = Form(START, pa.timestamp("ms"), pa.timestamp("ms"))
        self._near = [form.distance(_of(tolerance, form.name)) for form in self.forms]
        self._folder = TemporaryDirectory(prefix="ashioto-compare-")
        columns = [(_CODE, pa.int64()), (START, pa.int64()), *((f.name, f.stored) for f in self.forms)]
        folder, schema = Path(self._folder.name), pa.schema(columns)
        self._schema, self._limit = schema, limit
        self.expected = SideRows(folder, "expected", schema, in_memory=in_memory)
        self.actual = SideRows(folder, "actual", schema, in_memory=in_memory)
        self.twice = {"expected": 0, "actual": 0}
        self.counts: Counter[str] = Counter()
        self.differing: Counter[str] = Counter()
        self.found: list[Found] = []
        self.cells: list[Ints] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for side in (self.expected, self.actual):
            side.close()
        self._folder.cleanup()

    def take(self, rows: pa.Table | pa.RecordBatch, side: SideRows) -> None:
        """Take bars of one side in.

        Raises:
            InputError: A row has no key or no start, or a number has more than 64 bits.
        """
        batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
        for batch in batches:
            if batch.num_rows:
                self._take(batch, side, "expected" if side is self.expected else "actual")

    def run(self) -> None:
        """Lay both sides beside each other."""
        for expected, actual in pairs_of(self.expected, self.actual):
            self._compare(expected, actual)
            self.found = _first(self.found, self._limit)

    def day_of(self, start: Ints) -> Ints:
        """Return the UTC day that buckets start on, days since 1970."""
        return start // (_DAY_S * _PER_SECOND[self.start.unit])

    def _take(self, batch: pa.RecordBatch, side: SideRows, name: str) -> None:
        for column in (*self.book.names, START):
            if has_nulls(batch.column(column)):
                raise InputError(f"a row of the {name} bars has no {column}", hint="mend it, or drop it", column=column)
        code = self.book.codes(batch)
        start = self.start.read(batch.column(START))
        columns = [pa.array(code), start, *(form.read(batch.column(form.name)) for form in self.forms)]
        places = places_of(code, self.day_of(np.asarray(start)))
        side.add(pa.RecordBatch.from_arrays(columns, schema=self._schema), places)

    def _compare(self, expected: pa.Table, actual: pa.Table) -> None:
        if not (expected.num_rows or actual.num_rows):
            return
        one, other = _Sorted(expected), _Sorted(actual)
        self.twice["expected"] += one.twice
        self.twice["actual"] += other.twice
        mine, theirs, missing, extra = _matched(one, other)
        equal = np.ones(mine.shape[0], dtype=np.bool_)
        wrong: dict[str, Mask] = {}
        for form, near in zip(self.forms, self._near, strict=True):
            differs = _differs(one.column(form.name, mine), other.column(form.name, theirs), near)
            if differs.any():
                wrong[form.name] = differs
                self.differing[form.name] += int(differs.sum())
                equal &= ~differs
        states = [(one, mine[equal]), (one, mine[~equal]), (one, missing), (other, extra)]
        for number, (side, rows) in enumerate(states):
            self.counts[STATES[number]] += int(rows.shape[0])
            self._cells(number, side.code[rows], side.start[rows])
        self._note(2, one, missing)
        self._note(3, other, extra)
        self._note_unequal(one, other, mine, theirs, equal, wrong)

    def _cells(self, state: int, code: Ints, start: Ints) -> None:
        if not code.shape[0]:
            return
        both = np.stack([code, self.day_of(start)])
        change = np.flatnonzero((np.diff(both) != 0).any(axis=0)) + 1
        firsts = np.concatenate([[0], change])
        counts = np.diff(np.append(firsts, code.shape[0]))
        self.cells.append(np.vstack([both[:, firsts], np.full(firsts.shape[0], state), counts]))

    def _note(self, state: int, side: _Sorted, rows: Ints) -> None:
        for row in rows[: self._limit].tolist():
            self.found.append(Found(state=state, code=int(side.code[row]), start=int(side.start[row]), columns={}))

    def _note_unequal(
        self, one: _Sorted, other: _Sorted, mine: Ints, theirs: Ints, equal: Mask, wrong: Mapping[str, Mask]
    ) -> None:
        for at in np.flatnonzero(~equal)[: self._limit].tolist():
            row, its = int(mine[at]), int(theirs[at])
            columns = {
                form.name: (self._said(form, one, row), self._said(form, other, its))
                for form in self.forms
                if form.name in wrong and wrong[form.name][at]
            }
            self.found.append(Found(state=1, code=int(one.code[row]), start=int(one.start[row]), columns=columns))

    @staticmethod
    def _said(form: Form, side: _Sorted, row: int) -> object:
        value = side.table[form.name][int(side.order[row])].as_py()
        return None if value is None else form.show(value)

    def series(self, code: int) -> Series:
        """Return the keys of a series."""
        return self.book.series[code]

    def cell_table(self) -> tuple[Ints, Ints, Ints]:
        """Return series, days and counts by `STATES` of the cells there are; shapes (n,), (n,) and (n, 4)."""
        if not self.cells:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing, np.zeros((0, len(STATES)), dtype=np.int64)
        every = np.hstack(self.cells)
        pairs, back = np.unique(every[:2].T, axis=0, return_inverse=True)
        counts = np.zeros((pairs.shape[0], len(STATES)), dtype=np.int64)
        np.add.at(counts, (back.reshape(-1), every[2]), every[3])
        return pairs[:, 0], pairs[:, 1], counts


class _Sorted:
    """Holds the rows of a side in order of series and start, each bar once.

    `code`, `start` and the rows handed to `column` count the bars in order; `order` says where they stand in the table.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table.combine_chunks()
        code, start = (np.asarray(self.table[name].to_numpy(), dtype=np.int64) for name in (_CODE, START))
        step, later = np.diff(code), np.diff(start)
        self._in_order = bool(((step > 0) | ((step == 0) & (later > 0))).all())
        if self._in_order:
            self.code, self.start, self.order, self.twice = code, start, np.arange(code.shape[0]), 0
            return
        order = np.lexsort((start, code))
        code, start = code[order], start[order]
        fresh = np.ones(code.shape[0], dtype=np.bool_)
        fresh[1:] = (np.diff(code) != 0) | (np.diff(start) != 0)
        self.code, self.start, self.order = code[fresh], start[fresh], order[fresh]
        self.twice = int(order.shape[0] - self.order.shape[0])

    def column(self, name: str, rows: Ints) -> tuple[Any, Mask | None]:
        """Return values of some bars, and where they have one; None means everywhere."""
        column = self.table[name]
        array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        whole = rows.shape[0] == len(array) and self._in_order
        held = np.asarray(array.is_valid().to_numpy(zero_copy_only=False)) if array.null_count else None
        values = np.asarray((array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False))
        if whole:
            return values, held
        at = self.order[rows]
        return values[at], None if held is None else held[at]


def _matched(one: _Sorted, other: _Sorted) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the rows of both sides that name the same bar, then those of each that the other has not."""
    if np.array_equal(one.start, other.start) and np.array_equal(one.code, other.code):
        every, none = np.arange(one.code.shape[0]), np.zeros(0, dtype=np.int64)
        return every, every, none, none
    mine, theirs = _identities(one, other)
    place = np.minimum(np.searchsorted(theirs, mine), max(theirs.shape[0] - 1, 0))
    both = theirs[place] == mine if theirs.shape[0] else np.zeros(mine.shape[0], dtype=np.bool_)
    taken = np.zeros(theirs.shape[0], dtype=np.bool_)
    taken[place[both]] = True
    return np.flatnonzero(both), place[both], np.flatnonzero(~both), np.flatnonzero(~taken)


def _identities(one: _Sorted, other: _Sorted) -> tuple[Ints, Ints]:
    """Return one ascending number a bar that names it on both sides."""
    starts = np.unique(np.concatenate([one.start, other.start]))
    made = [side.code * starts.shape[0] + np.searchsorted(starts, side.start) for side in (one, other)]
    return made[0], made[1]


def _differs(mine: tuple[Any, Mask | None], theirs: tuple[Any, Mask | None], near: float) -> Mask:
    (one, held), (other, its) = mine, theirs
    differs = one != other
    if one.dtype == np.float64:
        differs &= ~(np.isnan(one) & np.isnan(other))
    if near and differs.any():
        at = np.flatnonzero(differs)
        differs[at] = ~(np.abs(one[at] - other[at]) <= near)
    if held is None and its is None:
        return np.asarray(differs)
    every = np.ones(one.shape[0], dtype=np.bool_)
    held, its = every if held is None else held, every if its is None else its
    return np.asarray((differs & held & its) | (held != its))


def _of(tolerance: Decimal | float | Mapping[str, Decimal | float] | None, name: str) -> Decimal | float:
    if tolerance is None:
        return 0
    if isinstance(tolerance, int | float | Decimal):
        return tolerance
    return tolerance.get(name, 0)


def _first(found: list[Found], limit: int) -> list[Found]:
    """Return the first bars of each kind of difference, in order of series and time."""
    left = dict.fromkeys(range(len(STATES)), limit)
    kept = []
    for one in sorted(found, key=lambda f: (f.code, f.start)):
        if left[one.state]:
            left[one.state] -= 1
            kept.append(one)
    return kept


def span_of(table: pa.Table) -> tuple[int, int] | None:
    """Return the first and last bucket start, UTC milliseconds, or None where there are no bars."""
    if not table.num_rows:
        return None
    at = pc.min_max(table[START].cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())).as_py()
    return at["min"], at["max"]
