"""Imported bars in tests: how they are written, and a model of what the bars are in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from tests.support_engine import START, moment

from ashioto import Period, naming
from ashioto.bars.keys import bar_keys
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.plan import compile_query
from ashioto.log.base import Batch
from ashioto.log.passing import PassingLog
from ashioto.schedule.buckets import bucket_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from tests.support_engine import Market, Row

    from ashioto.dsl import BarQuery
    from ashioto.log.base import Appended, Fence, Log

Kind = Literal["partial", "opaque", "bare", "deleted"]
Place = tuple[str, str, int]
"""Frame, symbol, bucket start in ms since START."""
OHLC = ("open", "high", "low", "close")
COLUMNS = (
    *OHLC, "volume", "ticks", "final", "synthetic", "origin", "first_at", "first_seq", "last_at", "last_seq",
    "bucket_end",
)  # fmt: skip
VENUE = "V"


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A bar that somebody else writes: whole, without times, without volume and times, or its deletion."""

    kind: Kind
    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    volume: int = 1
    ticks: int = 1
    first: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)


@dataclass
class Ticks:
    """What a bar is made of in the model."""

    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    ticks: Any
    first: tuple[int, int] | None
    last: tuple[int, int] | None

    def add(self, at: int, seq: int, price: int) -> None:
        """Merge a tick."""
        assert self.first is not None
        assert self.last is not None
        if (at, seq) < self.first:
            self.first, self.open = (at, seq), price
        if (at, seq) > self.last:
            self.last, self.close = (at, seq), price
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume, self.ticks = self.volume + 1, self.ticks + 1


def foreign_batch(query: BarQuery, period: str, symbol: str, bars: dict[int, Foreign], *, partition: int = 0) -> Batch:
    """Lay bars of one key out as records; by bucket start, ms since START."""
    frame = Period.parse(period)
    plan = compile_query(query.plan)
    rows = [_row(frame, symbol, start, bar) for start, bar in bars.items()]
    schema = bar_schema(plan, frame)
    for row in rows:
        row |= {name: row.get(name) for name in schema.names}
    data = pa.RecordBatch.from_pylist(rows, schema=schema)
    gone = np.array([bar.kind == "deleted" for bar in bars.values()])
    return Batch(
        topic=naming.bars_topic("t", "Trade", frame),
        partition=partition,
        keys=bar_keys(data, query.plan.group_by),
        timestamps=np.array([START + start for start in bars], dtype=np.int64),
        data=data,
        tombstones=gone if gone.any() else None,
    )


def _row(frame: Period, symbol: str, start: int, bar: Foreign) -> Row:
    at = START + start
    times = bar.kind == "partial"
    row = {name: Decimal(getattr(bar, name)) for name in OHLC}
    end = int(bucket_end(frame, "clock", np.array([at]))[0])
    return row | {
        "venue": VENUE,
        "symbol": symbol,
        "bucket_start": moment(at),
        "bucket_end": moment(end),
        "market_date": moment(at).date(),
        "volume": None if bar.kind == "bare" else Decimal(bar.volume),
        "ticks": None if bar.kind == "bare" else bar.ticks,
        "final": True,
        "synthetic": False,
        "first_at": moment(START + bar.first[0]) if times else None,
        "first_seq": bar.first[1] if times else None,
        "last_at": moment(START + bar.last[0]) if times else None,
        "last_seq": bar.last[1] if times else None,
        "source_cut": None,
        "origin": "history",
    }


@dataclass
class Model:
    """What the bars are, said without an engine.

    A foreign bar takes the place of the record before it: of the ticks in bars by then. Those that come after it merge
    into it if it has times, else no frame takes them.
    """

    ref: ModuleType
    frames: tuple[str, ...]
    align: str
    grace: int
    hours: dict[str, list[tuple[int, int]]]
    ticks: list[tuple[str, int, int]] = field(default_factory=list)
    events: dict[Place, list[tuple[int, Foreign]]] = field(default_factory=dict)

    def sessions(self, symbol: str) -> list[Any]:
        """The sessions of a symbol, in ms since 1970."""
        return [
            self.ref.Session(
                key=(symbol,), open=START + o, close=START + c, market_date=moment(START + o).date(),
            )
            for o, c in self.hours[symbol]
        ]  # fmt: skip

    def buckets(self, period: str, symbol: str) -> dict[int, tuple[int, int]]:
        """Start, end and existence of every bucket, ms since START."""
        found: dict[int, tuple[int, int]] = {}
        for start, _, session in self.ref.segments(self.frames[0], self.sessions(symbol), self.align):
            begin, end = self.ref.bucket(period, start, session, self.align)
            found.setdefault(begin - START, (end - START, start - START))
        return found

    def bucket_of(self, period: str, symbol: str, at: int) -> int | None:
        """The bucket a tick falls into; None outside sessions."""
        for session in self.sessions(symbol):
            if session.open <= START + at < session.close:
                start: int = self.ref.bucket(period, START + at, session, self.align)[0]
                return start - START
        return None

    def write(self, place: Place, bar: Foreign, read: int) -> None:
        """Note a foreign bar; ticks below the offset `read` were in bars by then."""
        self.events.setdefault(place, []).append((read, bar))

    def _standing(self, place: Place, offset: int) -> Foreign | None:
        """The foreign bar that a tick meets."""
        found = [bar for read, bar in self.events.get(place, []) if read <= offset]
        return found[-1] if found else None

    def refused(self) -> list[int]:
        """Offsets of the ticks that no frame takes."""
        found = []
        for offset, (symbol, at, _) in enumerate(self.ticks):
            places = [(p, symbol, b) for p in self.frames if (b := self.bucket_of(p, symbol, at)) is not None]
            met = [self._standing(place, offset) for place in places]
            if any(bar is not None and bar.kind in {"opaque", "bare"} for bar in met):
                found.append(offset)
        return found

    def _bar(self, place: Place, refused: set[int]) -> tuple[Ticks | None, Foreign | None, bool]:
        """What stands in a bucket: its ticks, the foreign bar in it, and whether that is as it was written."""
        period, symbol, start = place
        events = self.events.get(place, [])
        read, foreign = events[-1] if events else (0, None)
        held: Ticks | None = None
        if foreign is not None and foreign.kind != "deleted":
            whole, times = foreign.kind != "bare", foreign.kind == "partial"
            held = Ticks(
                foreign.open, foreign.high, foreign.low, foreign.close, foreign.volume if whole else None,
                foreign.ticks if whole else None, foreign.first if times else None, foreign.last if times else None,
            )  # fmt: skip
        untouched = True
        for offset, (whose, at, price) in enumerate(self.ticks):
            if offset < read or offset in refused or whose != symbol or self.bucket_of(period, symbol, at) != start:
                continue
            untouched = False
            if held is None:
                held = Ticks(price, price, price, price, 1, 1, (at, offset), (at, offset))
            else:
                held.add(at, offset, price)
        if foreign is not None and foreign.kind == "deleted":
            foreign = None
        return held, foreign, untouched

    def bars(self, period: str, symbol: str, now: int | None) -> list[Row]:
        """The bars of a frame in the end, at a time in ms since START."""
        refused = set(self.refused())
        buckets = self.buckets(period, symbol)
        closings = self.ref.closings(self.frames[0], period, self.sessions(symbol), self.align)
        before: Any = None
        rows = []
        for start, (end, exists) in sorted(buckets.items()):
            held, foreign, untouched = self._bar((period, symbol, start), refused)
            final = now is not None and closings[START + start] - START + self.grace <= now
            row: Row = {"symbol": symbol, "bucket_start": start, "bucket_end": end, "final": final}
            if held is not None:
                row |= {name: getattr(held, name) for name in (*OHLC, "volume", "ticks")}
                row |= {"synthetic": False, "origin": "history" if foreign else "stream"}
                first, last = held.first or (None, None), held.last or (None, None)
                row |= {"first_at": first[0], "first_seq": first[1], "last_at": last[0], "last_seq": last[1]}
                if foreign and untouched:
                    row |= {"final": True, "step": None, "given": True}
                else:
                    row |= {"step": None if before is None else held.close - before, "given": False}
                rows.append(row)
                before = held.close
            elif before is not None and now is not None and exists <= now:
                row |= dict.fromkeys(OHLC, before) | dict.fromkeys(("first_at", "first_seq", "last_at", "last_seq"))
                row |= {"volume": 0, "ticks": 0, "synthetic": True, "origin": "stream", "step": None, "given": True}
                rows.append(row)
        return rows


def check(market: Market, model: Model) -> None:
    """Compare every bar in the log with the model."""
    known = market.progress()
    now = known[0]["now_ms"] - START if known and known[0]["now_ms"] > 0 else None
    looks_back = "step" in market.queries[0].plan.outputs[-1].name
    for period in model.frames:
        wanted = [row for symbol in sorted(model.hours) for row in model.bars(period, symbol, now)]
        got = market.bars(period)
        names = ("symbol", "bucket_start", *COLUMNS)
        have, want = ([{n: row[n] for n in names} for row in rows] for rows in (got, wanted))
        odd = [row for row in have if row not in want], [row for row in want if row not in have]
        assert odd == ([], []), f"{period}: {odd[0]} instead of {odd[1]}"
        assert have == want, period
        if looks_back:
            pairs = [(r, g) for r, g in zip(wanted, got, strict=True) if not r["given"]]
            odd_steps = [
                (r["symbol"], r["bucket_start"], g["step"], r["step"]) for r, g in pairs if r["step"] != g["step"]
            ]
            assert odd_steps == [], period
    sent = [model.ticks[offset] for offset in model.refused()]
    late = [(r["symbol"], (r["at"] - moment(START)) // timedelta(milliseconds=1), r["price"]) for r in market.late()]
    assert sorted(late) == sorted(sent)
    assert sum(p["late"] for p in known) == len(sent)


class RacingLog(PassingLog):
    """A log in which somebody else writes just before an append of bars arrives.

    Args:
        inner: The log.
        others: What they write; once.
        after: Called once the append is in.
    """

    def __init__(self, inner: Log, others: Sequence[Batch], after: Callable[[], None]) -> None:
        super().__init__(inner)
        self.others, self.after = others, after

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append, after somebody else has."""
        first = bool(self.others) and any("_bars_" in batch.topic for batch in batches)
        if first:
            self.inner.append(self.others)
            self.others = ()
        found = self.inner.append(batches, fence=fence)
        if first:
            self.after()
        return found
