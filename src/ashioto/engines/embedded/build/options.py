"""What to build, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.files.rejected import Rejected, RejectedRow
    from ashioto.files.times import TimeUnit
    from ashioto.logical.nodes import AlignName
    from ashioto.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Says which bars to build of which files.

    Args:
        files: Names and globs of Parquet and CSV files.
        periods: Lengths of the bars.
        time: Column of the event time.
        price: Column of the price.
        size: Column of the size; None for bars whose volume is 0.
        keys: Value by key column, for keys that are the same in all rows; they come first.
        key_columns: Column of the files by key column.
        sessions: Name of a calendar, or a schedule file.
        align: Whether intraday bars count from the epoch or from the session's open.
        scale: Digits of prices after the point; None finds them.
        size_scale: The same for sizes.
        fill: Whether buckets without ticks get bars, on the market dates from the first tick to the last.
        now_ms: The time, ms; it says which bars are final.
        grace_ms: How long after its end a bucket stays open.
        time_unit: What whole numbers count since 1970; None tells by the first.
        zone: Where times without a zone are local.
        threads: How many threads fold.
    """

    files: tuple[str, ...]
    periods: tuple[Period, ...]
    time: str
    price: str
    size: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    key_columns: Mapping[str, str] = field(default_factory=dict)
    sessions: str = "24x7"
    align: AlignName = "clock"
    scale: int | None = None
    size_scale: int | None = None
    fill: bool = True
    now_ms: int
    grace_ms: int = 0
    time_unit: TimeUnit | None = None
    zone: str = "UTC"
    threads: int = 2

    @property
    def key_names(self) -> tuple[str, ...]:
        """The key columns of the bars, in order."""
        return (*self.keys, *self.key_columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildReport:
    """Says what became of the rows.

    Args:
        rows: How many rows they have.
        rejected: How many rows are bad, by reason.
        examples: The first bad row, by reason.
        out_of_session: Ticks that no session of their key holds.
        unknown_key: Ticks whose key has no sessions at all.
        rounded: How many values had more digits than are kept, by column of the files.
        scale: Digits of prices after the point.
        size_scale: Digits of sizes after the point; None without sizes.
        span_ms: Times of the first and the last good tick, ms; None without any.
        bars: How many bars there are, by period.
    """

    rows: int
    rejected: Mapping[str, int]
    examples: Mapping[str, RejectedRow]
    out_of_session: int
    unknown_key: int
    rounded: Mapping[str, int]
    scale: int
    size_scale: int | None
    span_ms: tuple[int, int] | None
    bars: Mapping[Period, int]

    @property
    def bad(self) -> int:
        """How many rows are bad."""
        return sum(self.rejected.values())

    @property
    def ticks(self) -> int:
        """How many ticks the bars are made of."""
        return self.rows - self.bad - self.out_of_session - self.unknown_key


class Watcher(Protocol):
    """Is told how a build gets on."""

    def read(self, done: int, total: int, rows: int) -> None:
        """Hear that so many bytes of all, and so many rows, have been read."""
        ...

    def rejected(self, rows: Rejected) -> None:
        """Hear of rows that cannot be used."""
        ...
