"""Plans as text for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, assert_never

from ashioto.logical.nodes import Agg, Col, Lit, Op, Previous

if TYPE_CHECKING:
    from ashioto.logical.nodes import Entity, Expr, Query, TimeFrame

_WORDS: Final = {"neg": "-", "not": "not "}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def render_expr(expr: Expr) -> str:
    """Return an expression as it would be written.

    >>> render_expr(Op(op="/", args=(Agg(func="sum", arg=Col(name="turnover")), Agg(func="count", arg=None))))
    '(sum(turnover) / count())'
    """
    match expr:
        case Lit():
            return _literal(expr)
        case Col():
            return expr.name
        case Previous():
            return f"previous({expr.output})"
        case Agg():
            return f"{expr.func}({'' if expr.arg is None else render_expr(expr.arg)})"
        case Op():
            return _operator(expr.op, [render_expr(arg) for arg in expr.args])
        case _:
            assert_never(expr)


def render(query: Query) -> str:
    """Return a query as lines: where ticks come from, how they are cut, and what each bar holds.

    >>> from ashioto.logical.nodes import Entity, Output, Query
    >>> from ashioto.period import Period
    >>> print(render(Query(context="trading", name="rate_bars", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(Period.minutes(5),), align="clock", continuous=False, grace_ms=0,
    ...     retention_ms=0, group_by=("symbol",), outputs=(Output(name="n", expr=Agg(func="count", arg=None)),),
    ...     when_empty=())))
    query trading.rate_bars
      ticks     Rate, late up to 0s
      periods   5m, aligned to the clock
      by        symbol
      select    n = count()
    """
    lines = [f"query {query.context}.{query.name}", _row("ticks", _ticks(query))]
    lines += [_row("where" if i == 0 else "", render_expr(c)) for i, c in enumerate(query.where)]
    if query.time_frame is not None:
        lines.append(_row("sessions", _sessions(query.time_frame, query.entity)))
    lines.append(_row("periods", _periods(query)))
    lines.append(_row("by", ", ".join(query.group_by) or "one series"))
    lines += [
        _row("select" if i == 0 else "", f"{o.name} = {render_expr(o.expr)}") for i, o in enumerate(query.outputs)
    ]
    lines += [
        _row("if empty" if i == 0 else "", f"{r.name} = {render_expr(r.expr)}") for i, r in enumerate(query.when_empty)
    ]
    return "\n".join(lines)


def _row(head: str, text: str) -> str:
    return f"  {head:<9} {text}"


def _ticks(query: Query) -> str:
    return f"{query.entity.name}, late up to {_duration(query.retention_ms)}"


def _sessions(frame: TimeFrame, entity: Entity) -> str:
    join = ", ".join(f"{entity.name}.{a} = {frame.schedule.name}.{b}" for a, b in frame.join)
    span = f"[{frame.open_column}, {frame.close_column}) on {frame.day_column}"
    return f"{frame.schedule.name} {span}{', where ' + join if join else ''}"


def _periods(query: Query) -> str:
    anchor = "the clock" if query.align == "clock" else "the session's open"
    text = f"{' '.join(map(str, query.frames))}, aligned to {anchor}"
    return f"{text}, continuous, final {_duration(query.grace_ms)} after their end" if query.continuous else text


def _duration(ms: int) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")):
        if ms % size == 0 and (ms or unit == "s"):
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def _operator(op: str, args: list[str]) -> str:
    if op in _WORDS:
        return f"({_WORDS[op]}{args[0]})"
    if op.isalpha() and op not in {"and", "or"}:
        return f"{op}({', '.join(args)})"
    return f"({f' {op} '.join(args)})"


def _literal(lit: Lit) -> str:
    value, name = lit.value, lit.type.name
    if value is None:
        return "null"
    if isinstance(value, int) and name == "decimal":
        return format(Decimal(f"{value}E-{lit.type.scale}"), "f")
    if isinstance(value, int) and name == "timestamp":
        return (_EPOCH + timedelta(milliseconds=value)).isoformat()
    if isinstance(value, int) and name == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return repr(value)
