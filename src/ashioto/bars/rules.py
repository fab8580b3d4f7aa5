"""The rules every bar must keep before it is written: its bucket, its numbers, its envelope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import ScheduleError
from ashioto.logical.nodes import Agg
from ashioto.schedule.sessions import day_text, time_text
from ashioto.schema.arrow import int64_view, mask_of
from ashioto.schema.casting import undictionaried

if TYPE_CHECKING:
    import numpy.typing as npt

    from ashioto.bars.places import BarPlaces, Places
    from ashioto.bars.rows import BarRows
    from ashioto.dsl.bar import BarBinding
    from ashioto.logical.nodes import Expr, Query
    from ashioto.schedule.sessions import Flags, Ints

_PICKS: Final = ("min", "first", "last", "max")
_ORIGIN: Final = "history"
_TICKS: Final = ("first_at", "last_at", "first_seq", "last_seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Holds bars that want to be written.

    Args:
        binding: Whose bars these are.
        rows: Their numbers, keys and buckets.
        columns: The columns that were given, in the types that are stored, by name.
        places: Where they belong.
        now_ms: The time, ms.
    """

    binding: BarBinding
    rows: BarRows
    columns: dict[str, pa.Array]
    places: Places
    now_ms: int

    def value(self, name: str, at: int) -> object:
        """Return a value for a message."""
        found: object = self.columns[name][at].as_py()
        return found

    @property
    def real(self) -> Flags:
        """Where bars are not synthetic."""
        return ~self.flags("synthetic", default=False)

    def flags(self, name: str, *, default: bool) -> Flags:
        """Return a column of yes and no; shape (n,)."""
        if name not in self.columns:
            return np.full(len(self.rows), default)
        return mask_of(self.columns[name], null=default)

    def missing(self, name: str) -> Flags:
        """Return where a column has no value; shape (n,)."""
        if name not in self.columns:
            return np.ones(len(self.rows), dtype=np.bool_)
        return mask_of(pc.is_null(self.columns[name]))


def check_buckets(bars: Candidates) -> None:
    """Refuse starts that are no start of a bucket.

    Raises:
        InputError: There is one; names row, key and start.
    """
    query, period = bars.binding.query, bars.binding.period
    counted = "from the session's open" if query.align == "session" and period.is_intraday else _EDGES[period.unit]
    bars.rows.refuse(
        ~bars.places.on_edge, "bucket_edge",
        lambda at: f"bucket_start {time_text(int(bars.rows.start[at]))} is not on an edge of {period}",
        hint=f"buckets of {period} count {counted}; is it the start of the bucket, and in UTC?", column="bucket_start",
    )  # fmt: skip


_EDGES: Final = {
    **dict.fromkeys("smh", "from 1970, 00:00 UTC"),
    "d": "by market date; the start is midnight UTC of that date",
    "w": "by market date; the start is midnight UTC of the Monday",
    "mo": "by market date; the start is midnight UTC of the first of the month",
}


def check_scheduled(bars: Candidates, found: BarPlaces) -> None:
    """Refuse keys and buckets that the schedule does not have.

    Raises:
        ScheduleError: There is one; names row, key and start.
    """
    rows, places = bars.rows, bars.places
    unknown = np.flatnonzero(~places.known)
    near = found.near(rows.key(int(unknown[0]))) if unknown.size else ""
    rows.refuse(
        ~places.known, "unknown_key", lambda at: f"the schedule has no sessions of {' '.join(rows.key(at))}",
        hint=(f"did you mean {near}? Else add" if near else "add") + " its sessions: rc schedule import",
        error=ScheduleError,
    )  # fmt: skip
    rows.refuse(
        ~places.scheduled, "outside_schedule", lambda _: f"no session of its key lies in this {bars.binding.period}",
        hint="rc schedule show prints the sessions; validate_schedule=False writes the bar all the same",
        error=ScheduleError,
    )  # fmt: skip


def check_ends(bars: Candidates, *, days: bool) -> None:
    """Refuse ends and market dates other than those of the bucket.

    Args:
        bars: The bars.
        days: Whether the schedule says the market dates; else only those of days, weeks and months are known.

    Raises:
        InputError: There is one; shows both.
    """
    rows, places = bars.rows, bars.places
    if "bucket_end" in bars.columns:
        given = int64_view(bars.columns["bucket_end"])
        rows.refuse(
            (given != places.end) & ~bars.missing("bucket_end"), "bucket_end",
            lambda at: f"bucket_end is {time_text(int(given[at]))}, not {time_text(int(places.end[at]))}",
            hint=f"it is bucket_start + {bars.binding.period}; leave the column out", column="bucket_end",
        )  # fmt: skip
    if "market_date" in bars.columns and (days or not bars.binding.period.is_intraday):
        dates = int64_view(bars.columns["market_date"])
        rows.refuse(
            (dates != places.day) & ~bars.missing("market_date"), "market_date",
            lambda at: f"market_date is {day_text(int(dates[at]))}, not {day_text(int(places.day[at]))}",
            hint="the schedule says it; leave the column out", column="market_date",
        )  # fmt: skip


def check_over(bars: Candidates) -> None:
    """Refuse buckets that can still get ticks in time.

    Raises:
        InputError: There is one; says when it ends.
    """
    grace = bars.binding.query.grace_ms
    after = f" + {grace} ms of grace" if grace else ""
    bars.rows.refuse(
        bars.places.closes_at + grace > bars.now_ms, "live_bucket",
        lambda at: f"the bucket is still live: it ends at {time_text(int(bars.places.closes_at[at]))}{after}, "
        f"now it is {time_text(bars.now_ms)}",
        hint="bars that are not over are made from ticks; leave the row out, or add it later",
    )  # fmt: skip


def check_envelope(bars: Candidates) -> None:
    """Refuse what only the engine says of a bar: that it is live or synthetic, and what of the stream is in it.

    Raises:
        InputError: There is such a bar.
    """
    rows = bars.rows
    rows.refuse(
        bars.flags("synthetic", default=False), "synthetic", lambda _: "synthetic is true: only the engine fills gaps",
        hint="leave bars without ticks out; a continuous query fills them", column="synthetic",
    )  # fmt: skip
    if bars.binding.query.continuous:
        rows.refuse(
            ~bars.flags("final", default=True), "final", lambda _: "final is false: bars that are added are over",
            hint="leave the column out, or the bar", column="final",
        )  # fmt: skip
    rows.refuse(
        ~bars.missing("source_cut"), "source_cut", lambda at: f"source_cut is {bars.value('source_cut', at)}",
        hint="it belongs to bars of the stream; leave the column out", column="source_cut",
    )  # fmt: skip
    if "origin" in bars.columns:
        other = mask_of(pc.not_equal(undictionaried(bars.columns["origin"]), _ORIGIN))
        rows.refuse(
            other, "origin", lambda at: f"origin is {bars.value('origin', at)!r}, bars that are added are {_ORIGIN!r}",
            hint="leave the column out", column="origin",
        )  # fmt: skip


def check_times(bars: Candidates, *, scheduled: bool) -> None:
    """Refuse first and last ticks that come alone, the wrong way round, or lie outside the bucket.

    Raises:
        InputError: There is such a bar.
    """
    if not bars.columns.keys() & set(_TICKS):
        return
    rows, gone = bars.rows, {name: bars.missing(name) for name in _TICKS}
    for name, other in (_TICKS[:2], _TICKS[2:]):
        rows.refuse(
            gone[name] != gone[other], "first_last",
            lambda at, n=name, o=other: f"{n if gone[n][at] else o} is null, but {o if gone[n][at] else n} is not",  # type: ignore[misc]  # bound now
            hint=f"give {name} and {other} together, or neither", column=name,
        )  # fmt: skip
    rows.refuse(
        ~gone["first_seq"] & gone["first_at"], "first_last", lambda _: "it has sequences of ticks without their times",
        hint="give first_at and last_at too, or leave first_seq and last_seq out", column="first_at",
    )  # fmt: skip
    if not {"first_at", "last_at"} <= bars.columns.keys():
        return
    first, last = (int64_view(bars.columns[name]) for name in ("first_at", "last_at"))
    held = ~gone["first_at"]

    def text(at: int) -> str:
        return f"first_at {time_text(int(first[at]))}, last_at {time_text(int(last[at]))}"

    rows.refuse(
        held & (first > last), "first_last", lambda at: f"first_at lies after last_at: {text(at)}",
        hint="first_at is the time of the first tick, last_at that of the last", column="first_at",
    )  # fmt: skip
    if scheduled or bars.binding.period.is_intraday:
        outside = (first < bars.places.exists_at) | (last >= bars.places.closes_at)
        rows.refuse(
            held & outside, "first_last", lambda at: f"ticks outside the bucket: {text(at)}",
            hint="they lie in the bucket and in a session; or leave both columns out", column="first_at",
        )  # fmt: skip


def check_numbers(bars: Candidates) -> None:
    """Refuse aggregates that are missing, no finite numbers, or contradict each other.

    Raises:
        InputError: There is such a bar.
    """
    rows, real = bars.rows, bars.real
    for output in bars.binding.query.outputs:
        name, array = output.name, bars.columns[output.name]
        if isinstance(output.expr, Agg):
            rows.refuse(
                bars.missing(name) & real, "null", lambda _, n=name: f"{n} is null",  # type: ignore[misc]  # bound now
                hint="give it a value; a volume that is not known may be 0", column=name,
            )  # fmt: skip
        if pa.types.is_floating(array.type):
            odd = ~mask_of(pc.is_finite(array), null=True)
            rows.refuse(
                odd, "not_finite", lambda at, n=name: f"{n} is {bars.value(n, at)}, no finite number",  # type: ignore[misc]  # bound now
                hint="leave bars without a price out", column=name,
            )  # fmt: skip
        if isinstance(output.expr, Agg) and output.expr.func == "count":
            _check_count(bars, name)
    for low, high in ordered_pairs(bars.binding.query):
        wrong = real & (_numbers(bars.columns[low]) > _numbers(bars.columns[high]))
        rows.refuse(
            wrong, "spread", lambda at, a=low, b=high: f"{b} {bars.value(b, at)} is less than {a} {bars.value(a, at)}",  # type: ignore[misc]  # bound now
            hint=f"of one bar {low} <= {high}; are the columns mixed up?", column=high,
        )  # fmt: skip


def _check_count(bars: Candidates, name: str) -> None:
    number = int64_view(bars.columns[name])
    few = (number < 0) | ((number < 1) & ~bars.missing("first_at"))
    bars.rows.refuse(
        few & bars.real, "count", lambda at: f"{name} is {number[at]}",
        hint="a bar with a first tick has at least one; 0 stands for not known", column=name,
    )  # fmt: skip


def ordered_pairs(query: Query) -> list[tuple[str, str]]:
    """Return pairs of selected columns of which the first is never more than the second, by what they aggregate.

    Args:
        query: Whose columns.
    """
    picks: dict[Expr, list[tuple[str, str]]] = {}
    for output in query.outputs:
        if isinstance(output.expr, Agg) and output.expr.func in _PICKS and output.expr.arg is not None:
            picks.setdefault(output.expr.arg, []).append((output.expr.func, output.name))
    pairs = []
    for same in picks.values():
        low, high = ([name for func, name in same if func == bound] for bound in ("min", "max"))
        between = [name for func, name in same if func in {"first", "last"}]
        pairs += [(a, b) for a in low for b in high]
        pairs += [(a, b) for a in low for b in between] + [(a, b) for a in between for b in high]
    return pairs


def _numbers(array: pa.Array) -> npt.NDArray[np.float64] | Ints:
    if pa.types.is_floating(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    return int64_view(array)
