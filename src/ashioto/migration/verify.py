"""Compares bars with those that were expected: counts, examples, and how equal they are by series and day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from ashioto.errors import UsageError
from ashioto.migration.comparison import STATES, Comparison, choose

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from ashioto.migration.comparison import Compared, Found

DifferenceKind = Literal["unequal", "missing", "extra"]
EXAMPLES: Final = 20
"""Bars of each kind of difference that are kept, unless said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Names a bar that is not as expected.

    Args:
        kind: `missing` from the actual bars, `extra` in them, or `unequal`.
        key: Its series, by key column.
        start: Its bucket start.
        columns: Expected and actual value of each column that differs.

    >>> from datetime import UTC, datetime
    >>> start = datetime(2025, 1, 6, tzinfo=UTC)
    >>> Difference(kind="unequal", key={"symbol": "A"}, start=start, columns={"open": (1, 2)}).words
    'open is 2, not 1'
    """

    kind: DifferenceKind
    key: Mapping[str, str]
    start: datetime
    columns: Mapping[str, tuple[object, object]]

    @property
    def words(self) -> str:
        """What is wrong with it."""
        if self.kind != "unequal":
            return "is missing" if self.kind == "missing" else "was not expected"
        return "; ".join(f"{name} is {_said(its)}, not {_said(mine)}" for name, (mine, its) in self.columns.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Says how far bars are as expected.

    Args:
        expected: How many bars were expected, each once.
        actual: How many there are, each once.
        equal: Bars that are on both sides, with equal columns.
        unequal: Bars that are on both sides, with columns that differ.
        missing: Expected bars that are not there.
        extra: Bars that were not expected.
        twice_expected: Rows of the expected side that name a bar again; the first counts.
        twice_actual: The same of the actual side.
        columns: The columns that were compared.
        left_out: Why others were not, by column.
        differing: How many bars differ in a column, by column.
        differences: The first bars that are not as expected, by series and time; of each kind at most as many as asked.
        by_day: The key columns, `day` (UTC, of the bucket start), and how many bars are `equal`, `unequal`, `missing`
            and `extra`, sorted by key and day.

    >>> bars = pa.table({"symbol": ["A"], "bucket_start": [60_000], "close": [1.5]})
    >>> BarsVerifier().compare(bars, bars, keys=["symbol"]).rate
    1.0
    """

    expected: int
    actual: int
    equal: int
    unequal: int
    missing: int
    extra: int
    twice_expected: int
    twice_actual: int
    columns: tuple[str, ...]
    left_out: Mapping[str, str]
    differing: Mapping[str, int]
    differences: tuple[Difference, ...]
    by_day: pa.Table

    @property
    def bars(self) -> int:
        """How many bars there are on either side."""
        return self.equal + self.unequal + self.missing + self.extra

    @property
    def rate(self) -> float:
        """The share of these that are equal, 0 to 1; 1 when there are none."""
        return self.equal / self.bars if self.bars else 1.0

    @property
    def is_equal(self) -> bool:
        """Whether every bar is as expected, and stands once."""
        return self.equal == self.bars and not (self.twice_expected or self.twice_actual)

    def row(self) -> dict[str, Any]:
        """Return the counts, for programs."""
        names = ("expected", "actual", "equal", "unequal", "missing", "extra", "twice_expected", "twice_actual")
        return {
            "is_equal": self.is_equal,
            "rate": self.rate,
            **{name: getattr(self, name) for name in names},
            "columns": list(self.columns),
            "not_compared": dict(self.left_out),
            "differing": dict(self.differing),
        }


class BarsVerifier:
    """Compares bars by value: decimals, integers and floats as numbers, times as instants, text as text.

    >>> bars = pa.table({"symbol": ["A", "A"], "bucket_start": [60_000, 120_000], "close": [1.5, 1.75]})
    >>> found = BarsVerifier().compare(bars, bars.slice(1), keys=["symbol"])
    >>> found.missing, found.equal, found.differences[0].words
    (1, 1, 'is missing')
    """

    def compare(
        self,
        expected: object,
        actual: object,
        *,
        keys: Sequence[str],
        ignore: Collection[str] = (),
        tolerance: Decimal | float | Mapping[str, Decimal | float] | None = None,
        columns: Sequence[str] | None = None,
        limit: int = EXAMPLES,
    ) -> Verification:
        """Return where bars are not as expected.

        Both sides may be larger than memory: above half a million rows they are laid aside in temporary files.

        Args:
            expected: Anything with `__arrow_c_stream__` (pyarrow, polars, pandas, duckdb): the key columns,
                `bucket_start`, and further columns; in any order.
            actual: The same.
            keys: Columns that say which series a bar belongs to.
            ignore: Columns to leave out.
            tolerance: How far numbers may be apart, for every column or by column; None is not at all.
            columns: Compare these, and refuse a side that lacks one; else those that both sides have.
            limit: How many bars of each kind of difference to keep as examples; all are counted.

        Raises:
            UsageError: A side is no such thing, or lacks a column.
            InputError: A row has no key or start, or values of a column can never be equal.
        """
        mine, theirs = _stream(expected, "expected"), _stream(actual, "actual")
        compared = choose(mine.schema.names, theirs.schema.names, keys=keys, ignore=ignore, columns=columns)
        with Comparison(
            mine.schema, theirs.schema, keys=keys, compared=compared, tolerance=tolerance, limit=limit
        ) as comparison:
            for batch in mine:
                comparison.take(batch, comparison.expected)
            for batch in theirs:
                comparison.take(batch, comparison.actual)
            return verification(comparison, compared)


def verification(comparison: Comparison, compared: Compared) -> Verification:
    """Return what a comparison that has taken both sides in finds."""
    comparison.run()
    counts, twice = comparison.counts, comparison.twice
    return Verification(
        expected=comparison.expected.rows - twice["expected"],
        actual=comparison.actual.rows - twice["actual"],
        equal=counts["equal"],
        unequal=counts["unequal"],
        missing=counts["missing"],
        extra=counts["extra"],
        twice_expected=twice["expected"],
        twice_actual=twice["actual"],
        columns=compared.columns,
        left_out=compared.left_out,
        differing=dict(comparison.differing.most_common()),
        differences=tuple(_difference(comparison, one) for one in comparison.found),
        by_day=_by_day(comparison),
    )


def _stream(side: object, name: str) -> pa.RecordBatchReader:
    if isinstance(side, pa.RecordBatchReader):
        return side
    if not hasattr(side, "__arrow_c_stream__"):
        raise UsageError(
            f"the {name} bars are {type(side).__name__}, not a table",
            hint="hand in a table of pyarrow, polars, pandas or duckdb",
        )
    return pa.RecordBatchReader.from_stream(side)


def _difference(comparison: Comparison, found: Found) -> Difference:
    start: Any = comparison.start.show(found.start)
    key = dict(zip(comparison.book.names, comparison.series(found.code), strict=True))
    kinds: dict[int, DifferenceKind] = {1: "unequal", 2: "missing", 3: "extra"}
    return Difference(kind=kinds[found.state], key=key, start=start, columns=found.columns)


def _by_day(comparison: Comparison) -> pa.Table:
    names = comparison.book.names
    codes, days, counts = comparison.cell_table()
    words = [[comparison.series(code)[place] for code in codes.tolist()] for place in range(len(names))]
    columns = {name: pa.array(column, pa.string()) for name, column in zip(names, words, strict=True)}
    columns["day"] = pa.array(days, pa.int32()).cast(pa.date32())
    columns |= {state: pa.array(counts[:, number]) for number, state in enumerate(STATES)}
    return pa.table(columns).sort_by([(name, "ascending") for name in (*names, "day")])


def _said(value: object) -> str:
    return "nothing" if value is None else str(value)
