"""Plans as canonical JSON, and the checksum that says whether two plans mean the same.

One plan has one text: keys sorted, no spaces, ASCII only. Reading a text back gives an equal plan. The text carries the
version of its form; a form this ashioto does not know is refused rather than guessed at.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, assert_never, cast

from ashioto.errors import InputError, UnsupportedError
from ashioto.logical.canonical import canonical
from ashioto.logical.nodes import (
    OPS,
    Agg,
    Col,
    Column,
    DataType,
    EmptyRule,
    Entity,
    Lit,
    Op,
    Output,
    Previous,
    Query,
    TimeFrame,
)
from ashioto.period import Period

if TYPE_CHECKING:
    from ashioto.logical.nodes import Expr

VERSION: Final = 1
"""The form that this module writes."""

Json = Any


def encode_query(query: Query) -> str:
    """Return the canonical JSON of a plan.

    >>> from ashioto.logical.nodes import Entity
    >>> text = encode_query(Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(), align="clock", continuous=False, grace_ms=0, retention_ms=0,
    ...     group_by=(), outputs=(), when_empty=()))
    >>> text[:30]
    '{"align":"clock","context":"tr'
    """
    plan = {
        "version": VERSION,
        "context": query.context,
        "name": query.name,
        "entity": _entity(query.entity),
        "where": [_expr(c) for c in query.where],
        "time_frame": None if query.time_frame is None else _time_frame(query.time_frame),
        "frames": [p.kind for p in query.frames],
        "align": query.align,
        "continuous": query.continuous,
        "grace_ms": query.grace_ms,
        "retention_ms": query.retention_ms,
        "group_by": list(query.group_by),
        "outputs": [{"name": o.name, "expr": _expr(o.expr)} for o in query.outputs],
        "when_empty": [{"name": r.name, "expr": _expr(r.expr)} for r in query.when_empty],
    }
    return json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def encode_expr(expr: Expr) -> str:
    """Return the canonical JSON of one expression.

    >>> encode_expr(Col(name="price"))
    '{"col":"price"}'
    """
    return json.dumps(_expr(expr), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def decode_query(text: str) -> Query:
    """Return the plan of a JSON text, however it is formatted.

    Raises:
        UnsupportedError: The text is of a version that this ashioto does not know.
        InputError: The text is no plan.

    >>> decode_query('{"version": 99}')
    Traceback (most recent call last):
    ...
    ashioto.errors.UnsupportedError: this plan is of version 99
    Hint: this ashioto reads version 1; use the release that wrote it, or register the query again
    """
    try:
        plan = json.loads(text)
    except ValueError as error:
        raise InputError(f"this is no plan: {error}", hint="a plan is JSON, as written by encode_query") from error
    if not isinstance(plan, dict) or "version" not in plan:
        raise InputError("this is no plan: it has no version", hint="a plan is JSON, as written by encode_query")
    if plan["version"] != VERSION or isinstance(plan["version"], bool):
        raise UnsupportedError(
            f"this plan is of version {plan['version']}",
            hint=f"this ashioto reads version {VERSION}; use the release that wrote it, or register the query again",
            version=plan["version"],
        )
    try:
        return _read_query(plan)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"this plan is damaged: {type(error).__name__} {error}", hint="register the query again"
        ) from error


def checksum(query: Query) -> str:
    """Return the SHA-256 of what a plan means: equal for equal meanings, whatever order frames and joins came in.

    >>> len(checksum(Query(context="trading", name="q", entity=Entity(name="Rate", kind="stream", columns=()),
    ...     where=(), time_frame=None, frames=(), align="clock", continuous=False, grace_ms=0, retention_ms=0,
    ...     group_by=(), outputs=(), when_empty=())))
    64
    """
    return hashlib.sha256(encode_query(canonical(query)).encode()).hexdigest()


def _type(kind: DataType) -> Json:
    return [kind.name, kind.precision, kind.scale] if kind.name == "decimal" else kind.name


def _lit(lit: Lit) -> Json:
    value = lit.value
    if lit.type.name == "float64" and value is not None:
        value = float(value)
    return {"lit": value, "type": _type(lit.type)}


def _expr(expr: Expr) -> Json:
    match expr:
        case Lit():
            return _lit(expr)
        case Col():
            return {"col": expr.name}
        case Previous():
            return {"previous": expr.output}
        case Agg():
            return {"agg": expr.func, "arg": None if expr.arg is None else _expr(expr.arg)}
        case Op():
            return {"op": expr.op, "args": [_expr(arg) for arg in expr.args]}
        case _:
            assert_never(expr)


def _entity(entity: Entity) -> Json:
    return {
        "name": entity.name,
        "kind": entity.kind,
        "columns": [
            {
                "name": c.name,
                "type": _type(c.type),
                "role": c.role,
                "default": None if c.default is None else _lit(c.default),
            }
            for c in entity.columns
        ],
    }


def _time_frame(frame: TimeFrame) -> Json:
    return {
        "schedule": _entity(frame.schedule),
        "join": [list(pair) for pair in frame.join],
        "open_column": frame.open_column,
        "close_column": frame.close_column,
        "day_column": frame.day_column,
    }


def _read_query(plan: dict[str, Json]) -> Query:
    return Query(
        context=plan["context"],
        name=plan["name"],
        entity=_read_entity(plan["entity"]),
        where=tuple(_read_expr(c) for c in plan["where"]),
        time_frame=None if plan["time_frame"] is None else _read_time_frame(plan["time_frame"]),
        frames=tuple(Period.parse(p) for p in plan["frames"]),
        align=plan["align"],
        continuous=plan["continuous"],
        grace_ms=plan["grace_ms"],
        retention_ms=plan["retention_ms"],
        group_by=tuple(plan["group_by"]),
        outputs=tuple(Output(name=o["name"], expr=_read_expr(o["expr"])) for o in plan["outputs"]),
        when_empty=tuple(
            EmptyRule(name=r["name"], expr=cast("Lit | Previous", _read_expr(r["expr"]))) for r in plan["when_empty"]
        ),
    )


def _read_type(kind: Json) -> DataType:
    if isinstance(kind, str):
        return DataType(name=cast("Any", kind))
    name, precision, scale = kind
    return DataType(name=name, precision=precision, scale=scale)


def _read_lit(lit: Json) -> Lit:
    return Lit(type=_read_type(lit["type"]), value=lit["lit"])


def _read_expr(expr: Json) -> Expr:
    if "lit" in expr:
        return _read_lit(expr)
    if "col" in expr:
        return Col(name=expr["col"])
    if "previous" in expr:
        return Previous(output=expr["previous"])
    if "agg" in expr:
        return Agg(func=expr["agg"], arg=None if expr["arg"] is None else _read_expr(expr["arg"]))
    if expr["op"] not in OPS:
        raise ValueError(f"unknown operator {expr['op']!r}")
    return Op(op=expr["op"], args=tuple(_read_expr(arg) for arg in expr["args"]))


def _read_entity(entity: Json) -> Entity:
    return Entity(
        name=entity["name"],
        kind=entity["kind"],
        columns=tuple(
            Column(
                name=c["name"],
                type=_read_type(c["type"]),
                role=c["role"],
                default=None if c["default"] is None else _read_lit(c["default"]),
            )
            for c in entity["columns"]
        ),
    )


def _read_time_frame(frame: Json) -> TimeFrame:
    return TimeFrame(
        schedule=_read_entity(frame["schedule"]),
        join=tuple((ours, theirs) for ours, theirs in frame["join"]),
        open_column=frame["open_column"],
        close_column=frame["close_column"],
        day_column=frame["day_column"],
    )
