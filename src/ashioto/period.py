"""Lengths of bars: `1s 5m 1h 1d 1w 1mo`, ISO form `PT1S PT5M PT1H P1D P1W P1M`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from ashioto.errors import PeriodError

Unit = Literal["s", "m", "h", "d", "w", "mo"]

UNIT_MS: Final[dict[str, int]] = {"s": 1_000, "m": 60_000, "h": 3_600_000}
DAY_MS: Final = 86_400_000
_KIND: Final = re.compile(r"([1-9]\d{0,8})(s|m|h|d|w|mo)")
_ISO: Final = re.compile(r"P(?:(?P<date>[1-9]\d{0,8})(?P<dunit>[DWM])|T(?P<time>[1-9]\d{0,8})(?P<tunit>[SMH]))")
_ISO_DATE: Final[dict[str, Unit]] = {"D": "d", "W": "w", "M": "mo"}
_ISO_LETTER: Final[dict[str, str]] = {"s": "S", "m": "M", "h": "H", "d": "D", "w": "W", "mo": "M"}
_NEXT: Final[dict[str, Unit]] = {"s": "m", "m": "h"}
_ORDER: Final[dict[str, int]] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_629_746}


@dataclass(frozen=True, slots=True)
class Period:
    """Names the length of a bar; whole minutes of seconds and whole hours of minutes become the larger unit.

    Args:
        count: How many units, >= 1.
        unit: `s m h` (intraday, on the clock or from the session's open) or `d w mo` (by market date).

    Raises:
        PeriodError: The count is not positive or the unit is unknown.

    >>> Period.minutes(60)
    Period('1h')
    >>> Period.parse("PT5M").kind
    '5m'
    """

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        whole: object = self.count
        if self.unit not in get_args(Unit) or not isinstance(whole, int) or isinstance(whole, bool):
            raise PeriodError(f"no such period: {self.count!r} {self.unit!r}", hint="units are s, m, h, d, w, mo")
        if self.count < 1:
            raise PeriodError(f"a period needs a positive count, not {self.count}", hint="e.g. Period.minutes(5)")
        count, unit = self.count, self.unit
        while unit in _NEXT and count % 60 == 0:
            count, unit = count // 60, _NEXT[unit]
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "unit", unit)

    def __repr__(self) -> str:
        return f"Period({self.kind!r})"

    def __str__(self) -> str:
        return self.kind

    def __lt__(self, other: Period) -> bool:
        return self._rank < other._rank

    @classmethod
    def seconds(cls, count: int) -> Period:
        """Return a period of seconds."""
        return cls(count, "s")

    @classmethod
    def minutes(cls, count: int) -> Period:
        """Return a period of minutes."""
        return cls(count, "m")

    @classmethod
    def hours(cls, count: int) -> Period:
        """Return a period of hours."""
        return cls(count, "h")

    @classmethod
    def days(cls, count: int) -> Period:
        """Return a period of market dates."""
        return cls(count, "d")

    @classmethod
    def weeks(cls, count: int) -> Period:
        """Return a period of weeks, Monday first, by market date."""
        return cls(count, "w")

    @classmethod
    def months(cls, count: int) -> Period:
        """Return a period of calendar months, by market date."""
        return cls(count, "mo")

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `5m` or `PT5M`.

        Raises:
            PeriodError: The text is neither form.
        """
        if match := _KIND.fullmatch(text.strip()):
            return cls(int(match[1]), cast("Unit", match[2]))
        if match := _ISO.fullmatch(text.strip()):
            if match["date"]:
                return cls(int(match["date"]), _ISO_DATE[match["dunit"]])
            return cls(int(match["time"]), cast("Unit", match["tunit"].lower()))
        raise PeriodError(
            f"no such period: {text!r}", hint="write e.g. 1s, 5m, 1h, 1d, 1w, 1mo or PT5M, P1D", period=text
        )

    @property
    def kind(self) -> str:
        """The short form, as in names of bars and topics: `5m`."""
        return f"{self.count}{self.unit}"

    @property
    def iso(self) -> str:
        """The ISO 8601 form: `PT5M`, `P1D`."""
        return f"P{'T' if self.is_intraday else ''}{self.count}{_ISO_LETTER[self.unit]}"

    @property
    def is_intraday(self) -> bool:
        """Whether buckets are cut by time and not by market date."""
        return self.unit in UNIT_MS

    @property
    def millis(self) -> int:
        """The length in milliseconds; intraday periods only.

        Raises:
            PeriodError: A day, week or month has no fixed length.
        """
        if not self.is_intraday:
            raise PeriodError(f"{self.kind} has no fixed length", hint="days, weeks and months go by market date")
        return self.count * UNIT_MS[self.unit]

    @property
    def order(self) -> int:
        """A rough length in seconds, for sorting only."""
        return self.count * _ORDER[self.unit]

    @property
    def _rank(self) -> tuple[bool, int, str]:
        return (not self.is_intraday, self.order, self.unit)

    def holds(self, base: Period) -> bool:
        """Return whether every bucket of this period is a whole number of `base` buckets.

        >>> Period.minutes(5).holds(Period.minutes(2))
        False
        """
        if base.is_intraday:
            return not self.is_intraday or self.millis % base.millis == 0
        if self.is_intraday or base.count != 1:
            return self == base or (self.unit == base.unit and self.count % base.count == 0)
        return base.unit in {"d", self.unit}
