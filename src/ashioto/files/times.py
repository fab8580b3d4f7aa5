"""Turns times into UTC milliseconds; what is finer is cut off, and order within a millisecond is that of the rows."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import UsageError
from ashioto.files.parsed import Parsed, is_text, matching, nulls, parse, plain, reasons
from ashioto.schema.arrow import TIME, from_numpy, int64_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.files.parsed import Floats, Ints, Mask

TimeUnit = Literal["s", "ms", "us", "ns"]

UNITS: Final[tuple[TimeUnit, ...]] = get_args(TimeUnit)
_PER_SECOND: Final[dict[str, int]] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_UNIT_BELOW: Final[tuple[tuple[float, TimeUnit], ...]] = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))
_FIRST: Final = int(datetime(1, 1, 3, tzinfo=UTC).timestamp()) * 1000
_LAST: Final = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp()) * 1000
_QUARTER: Final = 900_000
"""Offsets of zones change on whole quarters of an hour."""
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # local time of any zone
_WHOLE: Final = r"^\s*[+-]?\d+\s*$"
_BROKEN: Final = r"^\s*[+-]?\d+\.\d*\s*$"
_DAY: Final = r"^\s*\d{4}-\d\d-\d\d"
_CLOCK: Final = r"[T ]\d\d(:\d\d(:\d\d(\.\d+)?)?)?"
_LOCAL: Final = rf"{_DAY}({_CLOCK})?\s*$"
_ZONED: Final = rf"{_DAY}{_CLOCK}(Z|[+-]\d\d(:?\d\d)?)\s*$"
_IMPRECISE: Final = 5e-4
"""Milliseconds by which a double may lie below the time it stands for."""


def is_time(kind: pa.DataType) -> bool:
    """Return whether a column of this type can hold times, be it as numbers or text.

    >>> is_time(pa.int64()), is_time(pa.string()), is_time(pa.bool_())
    (True, True, False)
    """
    if pa.types.is_dictionary(kind):
        return is_time(kind.value_type)
    return bool(
        is_text(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
    )


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        UsageError: There is none of this name.

    >>> zone_of("Europe/Berlin").key
    'Europe/Berlin'
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        names = {known.casefold(): known for known in available_timezones()}
        near = [names[match] for match in difflib.get_close_matches(name.casefold(), names)]
        hint = f"did you mean {' or '.join(near)}?" if near else "e.g. UTC, America/New_York or Asia/Tokyo"
        raise UsageError(f"no time zone {name!r}", hint=hint, zone=name) from error


class TimeReader:
    """Reads the times of one column, part after part.

    Args:
        unit: What numbers count since 1970; None tells it by the size of the first but 0, for all that follow.
        zone: Where times without a zone are local.

    Raises:
        UsageError: The zone is unknown.

    >>> TimeReader(zone="Asia/Tokyo").read(pa.array(["2025-01-06T18:30"])).values[0].as_py().isoformat()
    '2025-01-06T09:30:00+00:00'
    """

    def __init__(self, *, unit: TimeUnit | None = None, zone: str = "UTC") -> None:
        self.unit = unit
        self._zone = None if zone == "UTC" else zone_of(zone)
        self._offsets: dict[int, tuple[int, int]] = {}

    def read(self, values: pa.Array) -> Parsed:
        """Return times as timestamps in UTC milliseconds.

        Args:
            values: Timestamps, dates, numbers since 1970, or ISO 8601 text.
        """
        values = plain(values)
        null, kind = nulls(values), values.type
        if is_text(kind):
            return self._of_text(values, null)
        if pa.types.is_date(kind):
            values = values.cast(pa.timestamp("ms"))
        elif not pa.types.is_timestamp(kind):
            at, off = self._of_numbers(values.fill_null(0) if values.null_count else values, null)
            return _finish(at, null, ("is out of range", off))
        at, off = _floored(int64_view(values), values.type.unit)
        if kind == values.type and kind.tz is not None:
            return _finish(at, null, ("is out of range", off))
        at, *bad = self._to_utc(at)
        return _finish(at, null, ("is out of range", off), *bad)

    def _of_numbers(self, values: pa.Array, null: Mask | None) -> tuple[Ints, Mask | None]:
        if pa.types.is_floating(values.type):
            return self._of_floats(np.asarray(values.cast(pa.float64()), dtype=np.float64), null)
        numbers = np.asarray(values.cast(pa.uint64() if values.type == pa.uint64() else pa.int64()))
        huge = numbers > np.iinfo(np.int64).max if values.type == pa.uint64() else None
        at, off = _floored(numbers.astype(np.int64, copy=False), self._unit_of(numbers, null))
        return at, off if huge is None else huge if off is None else huge | off

    def _of_floats(self, numbers: Floats, null: Mask | None) -> tuple[Ints, Mask | None]:
        per_ms = _PER_SECOND[self._unit_of(numbers, null)] / 1000
        with np.errstate(invalid="ignore", over="ignore"):
            at = np.floor(numbers / per_ms + _IMPRECISE)
            off = ~((at >= _FIRST) & (at <= _LAST))
        return np.where(off, 0.0, at).astype(np.int64), off

    def _unit_of(self, numbers: Ints | Floats, null: Mask | None) -> TimeUnit:
        if self.unit is not None:
            return self.unit
        given = np.isfinite(numbers) & (numbers != 0)
        if null is not None:
            given &= ~null
        if not given.any():
            return "ms"
        size = abs(float(numbers[int(given.argmax())]))
        unit: TimeUnit = next((unit for bound, unit in _UNIT_BELOW if size < bound), "ns")
        self.unit = unit
        return unit

    def _of_text(self, values: pa.Array, null: Mask | None) -> Parsed:
        if null is None and (quick := self._quickly(values)) is not None:
            return quick
        at = np.zeros(len(values), dtype=np.int64)
        good, locally = np.zeros((2, len(values)), dtype=np.bool_)
        trimmed = pc.ascii_trim_whitespace(values)
        for form, reader in _FORMS:
            rows = np.flatnonzero(matching(values, form))
            if not rows.shape[0]:
                continue
            out = np.zeros(len(values), dtype=np.float64 if reader is _doubles else np.int64)
            good[rows] = True
            good[parse(trimmed, rows, [reader], out)] = False
            if form in {_WHOLE, _BROKEN}:
                out[rows], off = self._of_numbers(pa.array(out[rows]), ~good[rows])
                good[rows] &= True if off is None else ~off
            at[rows] = out[rows]
            locally[rows] = good[rows] & (form == _LOCAL)
        return self._mixed(at, null, good, locally)

    def _mixed(self, at: Ints, null: Mask | None, good: Mask, locally: Mask) -> Parsed:
        moved, *bad = self._to_utc(np.where(locally, at, 0))
        known = [(reason, mask & locally) for reason, mask in bad if mask is not None]
        return _finish(np.where(locally, moved, at), null, ("is no time", ~good), *known)

    def _quickly(self, values: pa.Array) -> Parsed | None:
        """Read text that is all of one form; None where it is not."""
        form, reader = next((f for f in _FORMS if matching(values[:1], f[0]).any()), (None, None))
        if reader is None:
            return None
        try:
            found = reader(values)
        except pa.ArrowInvalid:
            return None
        if form in {_WHOLE, _BROKEN}:
            at, off = self._of_numbers(pa.array(found), None)
            return _finish(at, None, ("is no time", off))
        at = found.astype(np.int64, copy=False)
        if form == _ZONED:
            return _finish(at, None)
        at, *bad = self._to_utc(at)
        return _finish(at, None, *bad)

    def _to_utc(self, local: Ints) -> tuple[Ints, *tuple[tuple[str, Mask | None], ...]]:
        """Return UTC of local times, and where a local time is there twice or not at all."""
        if self._zone is None or not local.shape[0]:
            return (local,)
        quarter = local // _QUARTER
        heads = np.flatnonzero(np.diff(quarter, prepend=quarter[0] - 1))
        distinct, inverse = np.unique(quarter[heads], return_inverse=True)
        pairs = np.array([self._offset(q) for q in distinct.tolist()], dtype=np.int64)
        both = np.repeat(pairs[inverse], np.diff(heads, append=local.shape[0]), axis=0)
        first, second = both[:, 0], both[:, 1]
        name = self._zone.key
        return (
            local - first,
            (f"is there twice in {name}", first > second),
            (f"does not exist in {name}", first < second),
        )

    def _offset(self, quarter: int) -> tuple[int, int]:
        found = self._offsets.get(quarter)
        if found is None:
            local = _EPOCH + timedelta(milliseconds=min(max(quarter * _QUARTER, _FIRST), _LAST))
            one, two = (local.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
            found = self._offsets[quarter] = (one // timedelta(milliseconds=1), two // timedelta(milliseconds=1))
        return found


def _floored(numbers: Ints, unit: str) -> tuple[Ints, Mask | None]:
    """Return milliseconds of times in a unit, and where they lie outside the years 1 to 9999."""
    per_second = _PER_SECOND[unit]
    at = numbers if per_second == 1000 else numbers // (per_second // 1000) if per_second > 1000 else numbers * 1000
    low, high = (_FIRST, _LAST) if per_second >= 1000 else (_FIRST // 1000, _LAST // 1000)
    tested = at if per_second >= 1000 else numbers
    if not at.shape[0] or (int(tested.min()) >= low and int(tested.max()) <= high):
        return at, None
    off = (tested < low) | (tested > high)
    return np.where(off, 0, at), off


def _finish(at: Ints, null: Mask | None, *bad: tuple[str, Mask | None]) -> Parsed:
    known = [(reason, mask if null is None or mask is None else mask & ~null) for reason, mask in bad]
    return Parsed(values=from_numpy(at, TIME), null=null, bad=reasons(*known))


def _zoned(texts: pa.Array) -> Ints:
    return _cast(texts, "UTC")


def _local(texts: pa.Array) -> Ints:
    return _cast(texts, None)


def _cast(texts: pa.Array, zone: str | None) -> Ints:
    """Read ISO 8601; microseconds reach from the year 1 to 9999, nanoseconds have more digits."""
    try:
        found = texts.cast(pa.timestamp("us", tz=zone))
    except pa.ArrowInvalid:
        found = texts.cast(pa.timestamp("ns", tz=zone))
    at, _ = _floored(int64_view(found), found.type.unit)
    return at


def _ints(texts: pa.Array) -> Ints:
    return np.asarray(texts.cast(pa.int64()))


def _doubles(texts: pa.Array) -> Floats:
    return np.asarray(texts.cast(pa.float64()))


_FORMS: Final[tuple[tuple[str, Callable[[pa.Array], Ints | Floats]], ...]] = (
    (_ZONED, _zoned),
    (_LOCAL, _local),
    (_WHOLE, _ints),
    (_BROKEN, _doubles),
)
"""How text can say a time, and what reads it."""
