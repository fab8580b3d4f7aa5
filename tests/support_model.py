"""Bars by plain Python and exact fractions, for any query: slow, and meant to be obviously right."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ashioto.logical.nodes import Agg, Col, Lit, Op, Previous

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ashioto.logical.nodes import Expr, Query
    from ashioto.period import Period

Row = dict[str, Any]
Key = tuple[str, ...]
Session = tuple[int, int, date]
"""Open and close in ms, and the market date."""
Tick = tuple[int, int, Row]
"""Event time in ms, sequence, and the row."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000


def ms(at: datetime) -> int:
    """Return a time as milliseconds."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def exact(value: Any) -> Any:
    """Return a number as it is summed: decimals and integers as fractions."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    return Fraction(value)


def value_of(expr: Expr, leaf: Callable[[Expr], Any]) -> Any:
    """Return the value of an expression; None is null."""
    if isinstance(expr, Lit):
        return (
            exact(expr.value) / 10**expr.type.scale if expr.type.is_numeric and expr.value is not None else expr.value
        )
    if not isinstance(expr, Op):
        return leaf(expr)
    args = [value_of(arg, leaf) for arg in expr.args]
    held = [arg for arg in args if arg is not None]
    if expr.op in {"greatest", "least", "coalesce"}:
        pick: Any = {"greatest": max, "least": min, "coalesce": lambda found: found[0]}[expr.op]
        return pick(held) if held else None
    if expr.op in {"and", "or"}:
        decides = expr.op == "or"
        return decides if decides in held else (None if len(held) < len(args) else not decides)
    return _plain(expr.op, args) if len(held) == len(args) else None


def _plain(op: str, args: list[Any]) -> Any:
    if op == "/":
        return None if args[1] == 0 else float(args[0]) / float(args[1])
    if any(isinstance(arg, float) for arg in args):
        args = [float(arg) if isinstance(arg, Fraction) else arg for arg in args]
    made: dict[str, Callable[..., Any]] = {
        "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "neg": lambda a: -a,
        "not": lambda a: not a, "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    }  # fmt: skip
    return made[op](*args)


def tick_value(expr: Expr, row: Row) -> Any:
    """Return the value of an expression of one tick."""

    def leaf(node: Expr) -> Any:
        assert isinstance(node, Col)
        return exact(row[node.name])

    return value_of(expr, leaf)


def bar_value(expr: Expr, ticks: Sequence[Tick], before: Sequence[Tick], query: Query) -> Any:
    """Return the value of a selected expression over ticks in order."""

    def leaf(node: Expr) -> Any:
        if isinstance(node, Previous):
            inner = next(o.expr for o in query.outputs if o.name == node.output)
            return bar_value(inner, before, (), query) if before else None
        assert isinstance(node, Agg)
        if node.arg is None:
            return Fraction(len(ticks))
        values = [tick_value(node.arg, row) for _, _, row in ticks]
        made: dict[str, Callable[[], Any]] = {
            "first": lambda: values[0], "last": lambda: values[-1], "min": lambda: min(values),
            "max": lambda: max(values), "sum": lambda: total(values), "avg": lambda: float(total(values)) / len(values),
        }  # fmt: skip
        return made[node.func]()

    return value_of(expr, leaf)


def total(values: Sequence[Any]) -> Any:
    """Return the exact sum."""
    return math.fsum(values) if any(isinstance(v, float) for v in values) else sum(values, Fraction(0))


def bucket(period: Period, at: int, session: Session, align: str) -> tuple[int, int]:
    """Return start and end of the bucket that holds an instant of a session, ms."""
    opened, _, day = session
    if period.is_intraday:
        origin = opened if align == "session" else 0
        start = origin + (at - origin) // period.millis * period.millis
        return start, start + period.millis
    if period.unit == "mo":
        month = (day.year * 12 + day.month - 1) // period.count * period.count
        first, after = (date(m // 12, m % 12 + 1, 1) for m in (month, month + period.count))
    else:
        size, zero = (period.count, date(1970, 1, 1)) if period.unit == "d" else (7 * period.count, date(1970, 1, 5))
        first = zero + timedelta(days=(day - zero).days // size * size)
        after = first + timedelta(days=size)
    return ((first - EPOCH.date()).days * DAY, (after - EPOCH.date()).days * DAY)


def pieces(query: Query, sessions: Iterable[Session]) -> list[tuple[int, int, Session]]:
    """Return every base bucket, cut to its session: start, end, session."""
    found = []
    for session in sorted(sessions):
        at, close, _ = session
        while at < close:
            end = min(bucket(query.base, at, session, query.align)[1], close) if query.base.is_intraday else close
            found.append((at, end, session))
            at = end
    return found


def counted(query: Query, ticks: Iterable[Tick], sessions: Sequence[Session]) -> list[tuple[Tick, Session]]:
    """Return the ticks of one key that count, in order, each with its session."""
    found = []
    for tick in sorted(ticks, key=lambda t: t[:2]):
        inside = [s for s in sessions if s[0] <= tick[0] < s[1]]
        if inside and all(tick_value(condition, tick[2]) for condition in query.where):
            found.append((tick, inside[0]))
    return found


def bars_of(query: Query, period: Period, ticks: Iterable[Tick], sessions: Sequence[Session], now: int) -> list[Row]:
    """Return the bars of one key as they stand at a time, in order; `now` in ms."""
    real: dict[int, list[Tick]] = {}
    for tick, session in counted(query, ticks, sessions):
        real.setdefault(bucket(period, tick[0], session, query.align)[0], []).append(tick)
    cut = pieces(query, sessions)
    labels = [bucket(period, start, session, query.align) for start, _, session in cut]
    ends: dict[int, int] = {}
    for (_, end, _), (start, _) in zip(cut, labels, strict=True):
        ends[start] = max(end, ends.get(start, end))
    if latest := max(labels, default=None):
        ends[latest[0]] = max(ends[latest[0]], latest[1])
    exist = {start for (begin, _, _), (start, _) in zip(cut, labels, strict=True) if begin <= now and query.continuous}
    made: list[Row] = []
    carried: list[list[Tick]] = []
    for start in sorted(exist | real.keys()):
        carried += [real[start]] if start in real else []
        if carried:
            final = query.continuous and ends[start] + query.grace_ms <= now
            row = _bar(query, carried[-1], carried[-2] if len(carried) > 1 else [], empty=start not in real)
            made.append({"bucket_start": start, "bucket_end": dict(labels)[start], "final": final, **row})
    return made


def _bar(query: Query, ticks: Sequence[Tick], before: Sequence[Tick], *, empty: bool) -> Row:
    own = {o.name: bar_value(o.expr, ticks, before, query) for o in query.outputs}
    if not empty:
        first, last = ticks[0], ticks[-1]
        edges = {"first_at": first[0], "first_seq": first[1], "last_at": last[0], "last_seq": last[1]}
        return {**own, **edges, "synthetic": False}
    rules = {r.name: r.expr for r in query.when_empty}
    row = {n: own[r.output] if isinstance(r, Previous) else value_of(r, lambda _: None) for n, r in rules.items()}
    return {**row, **dict.fromkeys(("first_at", "first_seq", "last_at", "last_seq")), "synthetic": True}


def model(
    query: Query, period: Period, ticks: Iterable[Tick], sessions: Callable[[Key], Sequence[Session]], now: int
) -> list[Row]:
    """Return the bars of every key, in the order of keys and time."""

    def key(tick: Tick) -> Key:
        return tuple(tick[2][name] for name in query.group_by)

    found: list[Row] = []
    for owner, mine in groupby(sorted(ticks, key=key), key=key):
        named = dict(zip(query.group_by, owner, strict=True))
        found += [{**named, **row} for row in bars_of(query, period, mine, sessions(owner), now)]
    return found


def same(mine: Any, theirs: Any) -> bool:
    """Return whether an engine's value is the model's; floats may differ in the last bits."""
    if mine is None or theirs is None or isinstance(theirs, str | bool):
        return bool(mine == theirs)
    if isinstance(mine, datetime):
        return bool(ms(mine) == theirs)
    if isinstance(mine, float) or isinstance(theirs, float):
        return math.isclose(float(mine), float(theirs), rel_tol=1e-9, abs_tol=1e-9)
    return bool(Fraction(mine) == theirs)


def differences(got: Sequence[Mapping[str, Any]], wanted: Sequence[Row]) -> list[str]:
    """Return in words where bars are not those of the model."""
    words = [] if len(got) == len(wanted) else [f"{len(got)} bars, not {len(wanted)}"]
    for mine, theirs in zip(got, wanted, strict=False):
        off = [f"{n} {mine[n]!r}, not {v!r}" for n, v in theirs.items() if not same(mine[n], v)]
        words += [f"{theirs['bucket_start']}: {'; '.join(off)}"] if off else []
    return words
