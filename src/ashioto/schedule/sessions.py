"""Sessions: when the market of a key is open, half open `[open, close)`, each with its market date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ashioto.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Key = tuple[str, ...]
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Holds one session.

    Args:
        open_ms: When it begins, ms UTC, inclusive.
        close_ms: When it ends, ms UTC, exclusive.
        market_date: The trading day it belongs to.

    >>> Session(open_ms=0, close_ms=1, market_date=date(1970, 1, 1)).close_ms
    1
    """

    open_ms: int
    close_ms: int
    market_date: date


class Sessions:
    """Holds the sessions of one key: sorted, none empty, none overlapping.

    Args:
        opens: When each begins, ms UTC; shape (n,).
        closes: When each ends, ms UTC; shape (n,).
        days: Market date of each, days since 1970; shape (n,).

    Use `Sessions.build`, which checks; the constructor does not.
    """

    __slots__ = ("_by_day", "_hash", "closes", "days", "opens")

    def __init__(self, opens: Ints, closes: Ints, days: Ints) -> None:
        self.opens, self.closes, self.days = opens, closes, days
        self._hash = hash((opens.tobytes(), closes.tobytes(), days.tobytes()))
        self._by_day: Ints | None = None

    @classmethod
    def build(cls, opens: Ints, closes: Ints, days: Ints, *, label: str = "") -> Sessions:
        """Sort and check sessions; rows that are equal count once.

        Args:
            opens: When each begins, ms UTC; shape (n,).
            closes: When each ends, ms UTC; shape (n,).
            days: Market date of each, days since 1970; shape (n,).
            label: Whose sessions these are, for messages.

        Raises:
            ScheduleError: A session is empty, or two overlap; names the market dates.

        >>> Sessions.build(np.array([10, 0]), np.array([20, 10]), np.array([0, 0])).opens.tolist()
        [0, 10]
        """
        rows = np.stack([np.asarray(a, dtype=np.int64) for a in (opens, closes, days)], axis=1).reshape(-1, 3)
        rows = np.unique(rows, axis=0)
        whose = f"{label}: " if label else ""
        for row in rows[rows[:, 0] >= rows[:, 1]][:1]:
            raise ScheduleError(
                f"{whose}the session of {day_text(int(row[2]))} opens at or after its close ({time_text(int(row[0]))})",
                hint="close must lie after open; an overnight session closes on the next day",
            )
        for i in np.flatnonzero(rows[1:, 0] < rows[:-1, 1])[:1].tolist():
            raise ScheduleError(
                f"{whose}the sessions of {day_text(int(rows[i, 2]))} and {day_text(int(rows[i + 1, 2]))} overlap "
                f"at {time_text(int(rows[i + 1, 0]))}",
                hint="a key has one session at a time; remove or shorten one of them",
            )
        return cls(*(np.ascontiguousarray(column) for column in rows.T))

    @classmethod
    def from_sessions(cls, sessions: Iterable[Session], *, label: str = "") -> Sessions:
        """Build from single sessions.

        >>> len(Sessions.from_sessions([]))
        0
        """
        rows = [(s.open_ms, s.close_ms, (s.market_date - _EPOCH).days) for s in sessions]
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return cls.build(columns[0], columns[1], columns[2], label=label)

    def __len__(self) -> int:
        return int(self.opens.shape[0])

    def __iter__(self) -> Iterator[Session]:
        rows = zip(self.opens.tolist(), self.closes.tolist(), self.days.tolist(), strict=True)
        return (Session(open_ms=o, close_ms=c, market_date=_EPOCH + timedelta(days=d)) for o, c, d in rows)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Sessions)
            and np.array_equal(self.opens, other.opens)
            and np.array_equal(self.closes, other.closes)
            and np.array_equal(self.days, other.days)
        )

    def __repr__(self) -> str:
        if not len(self):
            return "Sessions(none)"
        return f"Sessions({len(self)}: {day_text(int(self.days[0]))} to {day_text(int(self.days[-1]))})"

    @property
    def by_day(self) -> Ints:
        """Return the order of the sessions by market date, and by time within one; shape (n,)."""
        if self._by_day is None:
            self._by_day = np.argsort(self.days, kind="stable")
        return self._by_day

    def index_of(self, at: Ints) -> Ints:
        """Return the index of the session that holds each instant, -1 where none does; shape of `at`.

        >>> Sessions.build(np.array([0]), np.array([10]), np.array([0])).index_of(np.array([0, 9, 10])).tolist()
        [0, 0, -1]
        """
        if not len(self):
            return np.full(at.shape, -1, dtype=np.int64)
        found = np.searchsorted(self.opens, at, "right") - 1
        held = (found >= 0) & (at < self.closes[np.maximum(found, 0)])
        return np.where(held, found, -1)

    def between(self, lo_ms: int, hi_ms: int) -> Sessions:
        """Return the sessions that touch `[lo, hi)`."""
        first, last = self.touching(lo_ms, hi_ms)
        return Sessions(self.opens[first:last], self.closes[first:last], self.days[first:last])

    def touching(self, lo_ms: int, hi_ms: int) -> tuple[int, int]:
        """Return the index range of the sessions that touch `[lo, hi)`."""
        first = int(np.searchsorted(self.closes, lo_ms, "right"))
        last = int(np.searchsorted(self.opens, hi_ms, "left"))
        return first, max(first, last)

    def to_table(self) -> pa.Table:
        """Return columns open, close (ms UTC) and market_date."""
        time = pa.timestamp("ms", tz="UTC")
        return pa.table(
            {
                "open": pa.array(self.opens).cast(time),
                "close": pa.array(self.closes).cast(time),
                "market_date": pa.array(self.days.astype(np.int32)).cast(pa.date32()),
            }
        )


class Schedule:
    """Knows the sessions of every key; keys with equal sessions share one object.

    Args:
        keys: Sessions by key.
        default: The sessions of every other key; None means that other keys have none.
    """

    def __init__(self, keys: Mapping[Key, Sessions], default: Sessions | None = None) -> None:
        shared: dict[Sessions, Sessions] = {}
        self._keys = {key: shared.setdefault(sessions, sessions) for key, sessions in keys.items()}
        self.default = default

    @classmethod
    def of(cls, keys: Mapping[Key, Sessions], *, default: Sessions | None = None) -> Schedule:
        """Make a schedule.

        >>> nine = Sessions.build(np.array([0]), np.array([9]), np.array([0]))
        >>> Schedule.of({("FX",): nine}).sessions(("XX",)) is None
        True
        """
        return cls(keys, default)

    def sessions(self, key: Key) -> Sessions | None:
        """Return the sessions of a key, or None when it has none."""
        return self._keys.get(key, self.default)

    def keys(self) -> list[Key]:
        """Return the keys that are named."""
        return list(self._keys)

    def groups(self) -> list[tuple[Sessions, list[Key]]]:
        """Return each different list of sessions and the keys that follow it."""
        found: dict[int, tuple[Sessions, list[Key]]] = {}
        for key, sessions in self._keys.items():
            found.setdefault(id(sessions), (sessions, []))[1].append(key)
        return list(found.values())


def day_text(day: int) -> str:
    """Return a day number as a date.

    >>> day_text(0)
    '1970-01-01'
    """
    return str(np.datetime64(day, "D"))


def time_text(ms: int) -> str:
    """Return milliseconds as UTC text.

    >>> time_text(0)
    '1970-01-01T00:00:00Z'
    """
    return str(np.datetime64(ms, "ms")).removesuffix(".000") + "Z"
