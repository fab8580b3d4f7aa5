"""One context's market: sessions, how they are edited, and ticks in them, beside them, on their edges, and late."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from random import Random

LENGTHS: Final = (1, 999, 5_000, 7_001, 12_000, 20_000)
GAPS: Final = (0, 0, 1, 1_000, 3_000, 8_000)
LATE: Final = ((0, 200), (0, 200), (0, 200), (0, 200), (200, 3_000), (3_000, 20_000))


class Row(NamedTuple):
    """A session: open and close in ms, and the number of the market date."""

    open: int
    close: int
    day: int


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Changes sessions of a key, in one append.

    Args:
        at: True time, ms.
        symbol: The key.
        gone: Sessions that are deleted.
        put: Sessions that are written.
        mends: Whether the schedule did not hold together before it: then no edit is followed, of whatever key.
    """

    at: int
    symbol: str
    gone: tuple[Row, ...] = ()
    put: tuple[Row, ...] = ()
    mends: bool = False


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One tick; `arrives` is when it is appended, `price` None makes it a bad record."""

    arrives: int
    symbol: str
    at: int
    price: int | None
    size: int


@dataclass(frozen=True, kw_only=True)
class Market:
    """Holds what happens in a context.

    Args:
        first: Sessions of each key before any edit.
        edits: In order.
        versions: Sessions of each key since when, in order; the first is that of the beginning.
        ticks: In the order in which they arrive.
    """

    first: dict[str, list[Row]]
    edits: list[Edit] = field(default_factory=list)
    versions: dict[str, list[tuple[int, tuple[Row, ...]]]] = field(default_factory=dict)
    ticks: list[Tick] = field(default_factory=list)

    def __post_init__(self) -> None:
        for symbol, rows in self.first.items():
            self.versions.setdefault(symbol, [(0, tuple(rows))])

    def sessions(self, symbol: str) -> tuple[Row, ...]:
        """Return the sessions of a key in the end."""
        return self.versions[symbol][-1][1] if symbol in self.versions else ()

    @property
    def edited(self) -> set[str]:
        """Keys whose sessions were edited, or written again."""
        return {edit.symbol for edit in self.edits}

    def settled(self, symbol: str, at: int) -> int:
        """Return since when it is so for ever whether an instant lies in a session, true time in ms."""
        found = 0
        inside = [is_inside(rows, at) for _, rows in self.versions[symbol]]
        for number, (since, _) in enumerate(self.versions[symbol]):
            if number and inside[number] != inside[number - 1]:
                found = since
        return max([found, *(edit.at for edit in self.edits if edit.mends)]) if found else 0


def is_inside(rows: tuple[Row, ...] | list[Row], at: int) -> bool:
    """Return whether an instant lies in one of some sessions."""
    return any(row.open <= at < row.close for row in rows)


def draw_sessions(random: Random, days: list[tuple[int, int]], number: int) -> list[Row]:
    """Return sessions of two days, with breaks."""
    rows = []
    for day, (first, last) in enumerate(days):
        at = first + random.choice((0, 0, 1, 2_500, 5_000))
        while at < last:
            close = min(at + random.choice(LENGTHS), last)
            rows.append(Row(at, close, number + day))
            at = close + random.choice(GAPS)
    return rows


def draw_edits(random: Random, market: Market, days: list[tuple[int, int]], count: int) -> None:
    """Draw edits, and note what the sessions are after each."""
    times = sorted(random.randint(*random.choice(days)) for _ in range(count))
    until = 0
    for at in times:
        if at <= until:
            continue
        symbol = random.choice(list(market.first))
        rows = market.sessions(symbol)
        kind = random.choice(("add", "add", "before", "before", "remove", "move", "close", "same", "broken"))
        until = at + _edit(random, market, Edit(at=at, symbol=symbol), kind, rows)


def _edit(random: Random, market: Market, edit: Edit, kind: str, rows: tuple[Row, ...]) -> int:
    """Draw one edit if its kind is possible; returns for how many ms nothing else may be edited."""
    at, symbol, room = edit.at, edit.symbol, random.choice((200, 3_000, 8_000))
    coming = [row for row in rows if row.open > at + room]
    gone: tuple[Row, ...] = ()
    put: tuple[Row, ...] = ()
    if kind == "add":
        put = _free(random, rows, at + room, at + room + 15_000)
    elif kind == "before":
        put = _free(random, rows, at - 15_000, at)
    elif kind == "same":
        put = tuple(random.sample(rows, min(2, len(rows))))
    elif kind == "remove" and coming:
        gone = (random.choice(coming),)
    elif kind == "move" and coming:
        row = random.choice(coming)
        gone = (row,)
        put = _free(random, tuple(r for r in rows if r != row), row.open - 2_000, row.close + 5_000)
        put = put if put and put[0].open > at + room else ()
        gone = () if put and put[0].open == row.open else gone
    elif kind == "close":
        put = _other_close(random, rows, at + room)
    elif kind == "broken" and rows:
        row = random.choice(rows)
        middle = (row.open + row.close) // 2
        if middle > row.open:
            return _broken(random, market, edit, Row(middle, row.close + 1_000, row.day))
    if gone or put:
        market.edits.append(Edit(at=at, symbol=symbol, gone=gone, put=put))
        kept = [row for row in rows if row not in gone and row.open not in {p.open for p in put}]
        market.versions[symbol].append((at, tuple(sorted([*kept, *put]))))
    return 1


def _broken(random: Random, market: Market, edit: Edit, extra: Row) -> int:
    """Write a session that overlaps another one, and take it away again."""
    lasts = random.randint(300, 3_000)
    market.edits.append(Edit(at=edit.at, symbol=edit.symbol, put=(extra,)))
    market.edits.append(Edit(at=edit.at + lasts, symbol=edit.symbol, gone=(extra,), mends=True))
    return lasts


def _other_close(random: Random, rows: tuple[Row, ...], after: int) -> tuple[Row, ...]:
    open_ones = [number for number, row in enumerate(rows) if row.close > after]
    if not open_ones:
        return ()
    number = random.choice(open_ones)
    row = rows[number]
    limit = min([row.close + 10_000, *(later.open for later in rows[number + 1 : number + 2])])
    low = max(after, row.open + 1)
    return (row._replace(close=random.randint(low, limit)),) if low < limit else ()


def _free(random: Random, rows: tuple[Row, ...], low: int, high: int) -> tuple[Row, ...]:
    """Return a session in a free stretch between two moments, or none where there is no room."""
    bounds = [(low, low), *((row.open, row.close) for row in rows if row.close > low and row.open < high), (high, high)]
    gaps = [(a[1], b[0]) for a, b in pairwise(bounds) if b[0] - a[1] >= 500]
    if not gaps or not rows:
        return ()
    first, last = random.choice(gaps)
    opened = random.choice((first, random.randint(first, last - 400)))
    closed = random.choice((last, random.randint(opened + 100, last)))
    before = bisect_right([row.open for row in rows], opened) - 1
    return (Row(opened, closed, rows[max(before, 0)].day),)


def draw_ticks(random: Random, market: Market, symbol: str, every_ms: int, last: int) -> list[Tick]:
    """Return ticks of a key; whether one counts is settled before it arrives."""
    found: list[Tick] = []
    rows = market.sessions(symbol)
    for row in rows:
        for _ in range(random.randint(0, 2 * max(row.close - row.open, every_ms // 2) // every_ms)):
            at = random.choice((random.randrange(row.open, row.close), row.open, row.close - 1, _edge(random, row)))
            found += _arriving(random, market, symbol, at, last, random.choice((1, 1, 1, 3)))
    for _, version in market.versions[symbol]:
        beside = [at for row in version for at in (row.open - 1, row.close, row.close + 700) if random.random() < 0.1]
        for at in beside:
            found += _arriving(random, market, symbol, at, last, 1)
    return found


def _edge(random: Random, row: Row) -> int:
    edge = random.randrange(row.open, row.close) // 5_000 * 5_000 + random.choice((-1, 0, 1))
    return min(max(edge, row.open), row.close - 1)


def _arriving(random: Random, market: Market, symbol: str, at: int, last: int, count: int) -> list[Tick]:
    found = []
    for _ in range(count):
        arrives = max(at + random.randint(*random.choice(LATE)), market.settled(symbol, at) + random.choice((1, 1_000)))
        price = None if random.random() < 0.01 else random.randint(-500, 500)
        found.append(Tick(arrives=min(arrives, last), symbol=symbol, at=at, price=price, size=random.randint(0, 300)))
    return found
