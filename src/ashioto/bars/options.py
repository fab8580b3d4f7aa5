"""How bars are added to a bar table, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from ashioto.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Conflict = Literal["upsert", "skip", "error"]
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BarAddOptions:
    """Says how bars are added.

    Args:
        conflict: What happens where another bar is there already: `upsert` replaces it, `skip` leaves it, `error`
            refuses. A synthetic bar is never in the way.
        validate_schedule: Whether keys and buckets must be in the schedule.
        validate_topic: Whether the topic must have the columns of the query, and no others.
        batch_bytes: About how much is written at once, all or none.
        concurrency: How many batches are on their way at the same time.
        idempotent: Whether bars that are there already as they are given are left alone and count as skipped.
            Otherwise any bar that is there is in the way.
        max_rate: How many bars are written a second at most; None is as fast as it goes.
        progress: Is called after each batch with the number of bars done so far.

    Raises:
        UsageError: A value is none of those allowed.

    >>> BarAddOptions(conflict="skip").batch_bytes
    8388608
    """

    conflict: Conflict = "upsert"
    validate_schedule: bool = True
    validate_topic: bool = True
    batch_bytes: int = 8 * _MIB
    concurrency: int = 1
    idempotent: bool = True
    max_rate: float | None = None
    progress: Callable[[int], object] | None = None

    def __post_init__(self) -> None:
        if self.conflict not in get_args(Conflict):
            ways = ", ".join(get_args(Conflict))
            raise UsageError(f"conflict is one of {ways}, not {self.conflict!r}", hint='e.g. conflict="skip"')
        for name in ("batch_bytes", "concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"{name} is at least 1, not {getattr(self, name)}", hint="leave it out for the default"
                )
        if self.max_rate is not None and not self.max_rate > 0:
            raise UsageError(f"max_rate is more than 0 bars a second, not {self.max_rate}", hint="None means no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarAddReport:
    """Counts what became of bars; `written + skipped` is how many were given.

    Args:
        written: Bars that were written.
        skipped: Bars that were not, since they are there already or another one is and stays.
        conflicting: How many of both met another bar that is not synthetic.

    >>> BarAddReport(written=2, skipped=1) + BarAddReport(written=1)
    BarAddReport(written=3, skipped=1, conflicting=0)
    """

    written: int = 0
    skipped: int = 0
    conflicting: int = 0

    def __add__(self, other: BarAddReport) -> BarAddReport:
        return BarAddReport(
            written=self.written + other.written,
            skipped=self.skipped + other.skipped,
            conflicting=self.conflicting + other.conflicting,
        )

    @property
    def rows(self) -> int:
        """How many bars were given."""
        return self.written + self.skipped
