"""Calendars: the sessions of markets that never close, of FX, and of the exchanges that `exchange_calendars` knows."""

from __future__ import annotations

import difflib
import textwrap
import warnings
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from ashioto.errors import ScheduleError
from ashioto.period import DAY_MS
from ashioto.schedule.sessions import Ints, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EPOCH: Final = date(1970, 1, 1)
_NEW_YORK: Final = ZoneInfo("America/New_York")
_FX_CLOSE: Final = time(17)
_WIDEST_OWN: Final = (_EPOCH, date(2099, 12, 31))
_WIDEST_EXCHANGE: Final = (date(1990, 1, 1), date(2049, 12, 31))
_KNOWN: Final = (date(1900, 1, 1), date(2099, 12, 31))
"""What a calendar without bounds of its own is asked for."""
_PROBE: Final = ("2024-01-01", "2024-12-31")
"""A year that every calendar of the package knows: cheap to build, and the object then tells its bounds."""


def calendar_sessions(name: str, first: date, last: date) -> Sessions:
    """Return the sessions of a calendar, by market date.

    Args:
        name: `24x7` (one session a UTC day), `fx` (17:00 to 17:00 New York, market dates Monday to Friday), or a code
            of `exchange_calendars`, e.g. `XNYS`; case does not matter. A lunch break makes two sessions of one date.
        first: First market date.
        last: Last market date, inclusive.

    Raises:
        ScheduleError: The calendar is unknown, or does not know all of these dates.

    >>> calendar_sessions("24x7", date(2024, 1, 1), date(2024, 1, 2))
    Sessions(2: 2024-01-01 to 2024-01-02)
    """
    if last < first:
        raise ScheduleError(f"{name}: the last date {last} lies before the first {first}", hint="turn them round")
    code = _code(name)
    known_first, known_last = _known(code)
    if first < known_first or known_last < last:
        raise ScheduleError(
            f"the calendar {code} does not know every market date from {first} to {last}",
            hint=f"it knows {known_first} to {known_last}; import what lies outside from a file",
            calendar=code,
        )
    if code in _OWN:
        return _OWN[code](_number(first), _number(last))
    return _exchange(code, first, last)


def widest(name: str) -> Sessions:
    """Return every session of a calendar that ticks of the past or the near future could need.

    Args:
        name: As for `calendar_sessions`.

    Returns:
        From 1970 to 2099; of an exchange from 1990 to 2049, where its calendar knows them.

    Raises:
        ScheduleError: The calendar is unknown.

    >>> widest("24x7")
    Sessions(47482: 1970-01-01 to 2099-12-31)
    """
    return _widest(_code(name))


def known_calendars() -> list[str]:
    """Return the names of all calendars, aliases too: ours first, then the exchanges in order.

    >>> known_calendars()[:2]
    ['24x7', 'fx']
    """
    return [*_OWN, *_exchange_names()]


@cache
def _widest(code: str) -> Sessions:
    first, last = _known(code)
    wanted_first, wanted_last = _WIDEST_OWN if code in _OWN else _WIDEST_EXCHANGE
    return calendar_sessions(code, max(first, wanted_first), min(last, wanted_last))


def _always(first: int, last: int) -> Sessions:
    days = np.arange(first, last + 1, dtype=np.int64)
    return Sessions(days * DAY_MS, (days + 1) * DAY_MS, days)


def _fx(first: int, last: int) -> Sessions:
    evenings = _fx_closes(first - 1, last)
    days = np.arange(first, last + 1, dtype=np.int64)
    weekday = (days + 3) % 7 < 5
    return Sessions(evenings[:-1][weekday], evenings[1:][weekday], days[weekday])


_OWN: Final[dict[str, Callable[[int, int], Sessions]]] = {"24x7": _always, "fx": _fx}


def _fx_closes(first: int, last: int) -> Ints:
    """Return 17:00 New York of each day, ms UTC; asks the zone weekly, and daily where a week changes the offset."""
    days = np.arange(first, last + 1, dtype=np.int64)
    weekly = np.array([_fx_offset(day) for day in range(first, last + 8, 7)], dtype=np.int64)
    week = (days - first) // 7
    offsets = weekly[week]
    for i in np.flatnonzero(offsets != weekly[week + 1]).tolist():
        offsets[i] = _fx_offset(first + i)
    return days * DAY_MS + offsets


def _fx_offset(day: int) -> int:
    """Return how long after midnight UTC of a date it is 17:00 in New York, ms."""
    midnight = datetime.combine(_EPOCH + timedelta(days=day), time(), UTC)
    return (midnight.replace(tzinfo=_NEW_YORK, hour=_FX_CLOSE.hour) - midnight) // timedelta(milliseconds=1)


def _exchange(code: str, first: date, last: date) -> Sessions:
    known_first, known_last = _known(code)
    years = max(known_first, date(first.year, 1, 1)), min(known_last, date(last.year, 12, 31))
    schedule = _calendar(code, *map(str, years)).schedule
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    wanted = (days >= _number(first)) & (days <= _number(last))
    opens, pauses, resumes, closes = (
        schedule[column].to_numpy("datetime64[ms]")[wanted] for column in ("open", "break_start", "break_end", "close")
    )
    days, paused = days[wanted], ~np.isnat(pauses)
    return Sessions.build(
        np.concatenate([opens, resumes[paused]]).astype(np.int64),
        np.concatenate([np.where(paused, pauses, closes), closes[paused]]).astype(np.int64),
        np.concatenate([days, days[paused]]),
        label=code,
    )


@cache
def _known(code: str) -> tuple[date, date]:
    """Return the first and the last market date a calendar can speak of."""
    first, last = _KNOWN
    if code not in _OWN:
        calendar = _calendar(code, *_PROBE)
        low, high = calendar.bound_min(), calendar.bound_max()
        first, last = max(first, low.date()) if low else first, min(last, high.date()) if high else last
    return first, last


def _calendar(code: str, first: str, last: str) -> Any:
    with _quiet():
        import exchange_calendars

        try:
            return exchange_calendars.get_calendar(code, start=first, end=last)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ScheduleError(
                f"exchange_calendars {exchange_calendars.__version__} cannot make the calendar {code}: "
                f"{textwrap.shorten(str(error), 120)}",
                hint="another version of exchange-calendars or pandas may; or import the sessions from a file",
                calendar=code,
            ) from error


@cache
def _exchange_names() -> list[str]:
    with _quiet():
        import exchange_calendars

        return sorted(exchange_calendars.get_calendar_names())


def _code(name: str) -> str:
    """Return the canonical code of a calendar's name or alias."""
    if name.casefold() in _OWN:
        return name.casefold()
    names = {known.casefold(): known for known in known_calendars()}
    if name.casefold() not in names:
        near = [names[match] for match in difflib.get_close_matches(name.casefold(), names)]
        hint = f"did you mean {' or '.join(near)}?" if near else "24x7, fx, or an exchange's code such as XNYS or XTKS"
        raise ScheduleError(f"no calendar {name!r}", hint=hint, calendar=name)
    with _quiet():
        import exchange_calendars

    return str(exchange_calendars.resolve_alias(names[name.casefold()]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what `exchange_calendars` makes pandas warn of: it concerns the package's own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _number(day: date) -> int:
    return (day - _EPOCH).days
