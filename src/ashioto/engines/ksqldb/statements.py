"""The statements that make a ksqlDB server run a version of a query.

For each version: three sources (ticks, heartbeats, sessions), the stamped stream with inserts of markers and of what
bars hand on, and for each frame a stream over the stamped rows whose time is the frame's label, the fold of its
buckets, a keyless stream over the folded rows, and the bars. The time of a row is the start of its bucket, so that one
window of a millisecond is one bucket, of whatever length.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.control.topics import marker_schema
from ashioto.engines.ksqldb.dialect import KSQLDB, SYSTEM_COLUMNS
from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Field, IsNull, Item, Lambda, Sql, both, call, column, infix
from ashioto.engines.sql.pipeline import BEATS, FOLDED, TICKS, build_pipeline
from ashioto.engines.sql.printer import Printer, quoted
from ashioto.engines.sql.sessions import KEY, SESSION_TYPE, SESSIONS
from ashioto.engines.sql.stamp import TickSource, session_key, tick_column
from ashioto.engines.sql.statements import (
    ColumnDef,
    Create,
    CreateAs,
    Drop,
    From,
    Insert,
    LeftJoin,
    Select,
    Statement,
    Window,
)
from ashioto.engines.sql.types import BIGINT, DATE, TEXT, TIMESTAMP, array, column_type
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.applied import Registration
    from ashioto.engines.sql.fold import Fold
    from ashioto.engines.sql.layout import Grain, Layout, Value
    from ashioto.engines.sql.pipeline import Pipeline
    from ashioto.engines.sql.publish import Publication
    from ashioto.engines.sql.stamp import Stamp
    from ashioto.engines.sql.statements import Option
    from ashioto.logical.nodes import Query

FOR_EVER: Final = -1
"""Of topics that ashioto declares; what goes into one must say the same, or the server refuses it."""
FOLDED_KEPT_MS: Final = 100 * 365 * DAY_MS
"""Folded rows are compacted, and deleted by the time of their bucket: too late for anybody who sends old ticks."""
RECORD_KEY: Final = "_key"
"""Column of the record's key; no column of a user begins with `_`."""
_SESSION: Final = "s"
_HELD: Final = "X"
_KEYED: Final[tuple[Option, ...]] = (("KEY_FORMAT", "KAFKA"), ("VALUE_FORMAT", "AVRO"))
_KEYLESS: Final[tuple[Option, ...]] = (("KEY_FORMAT", "NONE"), ("VALUE_FORMAT", "AVRO"))
_MARKER_TYPES: Final = {
    "base": TEXT, "kind": TEXT, "at": TIMESTAMP, "closes": array(TEXT), "bucket_start": TIMESTAMP, "next_at": TIMESTAMP,
    "next_bucket_start": TIMESTAMP, "market_date": DATE, "next_market_date": DATE,
    cols.OPENED: TIMESTAMP, cols.NEXT_OPENED: TIMESTAMP,
}  # fmt: skip


def script(
    registration: Registration, *, schema_ids: Mapping[str, int] | None = None, prefix: str = ""
) -> list[str]:  # fmt: skip
    """Return the statements of a version as text, in the order in which they are sent.

    Args:
        registration: The version.
        schema_ids: Number of the registered schema of each bars topic; a topic without one gets the name of its record.
        prefix: Stands before the names of topics on the cluster.

    Raises:
        UnsupportedError: ksqlDB cannot run the query; says why, and the way out.
    """
    return texts(statements(registration, schema_ids=schema_ids, prefix=prefix))


def texts(made: Sequence[Statement]) -> list[str]:
    """Return statements as text."""
    printer = Printer(KSQLDB)
    return [printer.statement(statement) for statement in made]


def statements(
    registration: Registration,
    *,
    schema_ids: Mapping[str, int] | None = None,
    prefix: str = "",
) -> list[Statement]:
    """Return the statements of a version, in the order in which they are sent.

    Args:
        registration: The version.
        schema_ids: Number of the registered schema of each bars topic; a topic without one gets the name of its record.
        prefix: Stands before the names of topics on the cluster.

    Raises:
        UnsupportedError: ksqlDB cannot run the query; says why, and the way out.
    """
    line = build_pipeline(registration, KSQLDB, ticks=_ticks, beat_key=column(BEATS, RECORD_KEY))
    check_names(line.query)
    made: list[Statement] = [*_sources(line), _stamped(line)]
    if line.markers is not None:
        made.append(_insert(line, line.markers, From(source=f"{line.name}_hb", alias=BEATS)))
    made += [_labelled(line, grain) for grain in line.layout.grains]
    for fold in line.folds:
        made += _folding(line, fold)
    for name, rows in line.carries.items():
        made.append(_insert(line, rows, From(source=f"{line.name}_{name}_rows", alias=FOLDED), keyed=True))
    made += [_bars(line, each, schema_ids or {}) for each in line.publications]
    return [_prefixed(statement, prefix) for statement in made] if prefix else made


def rehearsed(made: Sequence[Statement], there: Mapping[str, int]) -> list[Statement]:
    """Return statements as they can be checked before the topics are there that they read.

    Args:
        made: Statements in the order in which they are sent.
        there: Topics that are there, and how many partitions each has.
    """
    own = {_topic(statement) for statement in made if isinstance(statement, CreateAs)}
    read = [_topic(statement) for statement in made if isinstance(statement, Create)]
    partitions = max((there[topic] for topic in read if topic in there), default=1)
    return [
        replace(s, options=(*s.options, ("PARTITIONS", partitions)))
        if isinstance(s, Create) and _topic(s) not in own and _topic(s) not in there
        else s
        for s in made
    ]


def _topic(statement: Create | CreateAs) -> str:
    return str(dict(statement.options)["KAFKA_TOPIC"])


def _prefixed(statement: Statement, prefix: str) -> Statement:
    if not isinstance(statement, Create | CreateAs):
        return statement
    options = tuple((n, f"{prefix}{v}" if n == "KAFKA_TOPIC" else v) for n, v in statement.options)
    return replace(statement, options=options)


def drops(made: Sequence[Statement]) -> list[Drop]:
    """Return the statements that remove what others made, what reads something before what is read.

    The queries must have been terminated before. Topics go that nobody but these queries has to do with.

    Args:
        made: Statements in the order in which they were sent.
    """
    return [
        Drop(kind=s.kind, name=s.name, with_topic=isinstance(s, CreateAs) and is_own(s.name))
        for s in reversed(made)
        if isinstance(s, Create | CreateAs)
    ]


def is_own(name: str) -> bool:
    """Return whether the topic of a stream or table is of a version alone.

    >>> is_own("t_bars_v1_5m_fold"), is_own("t_bars_v1_5m_bars")
    (True, False)
    """
    return name.endswith(("_stamped", "_fold"))


def check_names(query: Query) -> None:
    """Check that no column has a name that the server keeps for itself.

    Raises:
        UnsupportedError: One has.
    """
    for name in (*(c.name for c in query.entity.columns), *(o.name for o in query.outputs)):
        if name.upper() in SYSTEM_COLUMNS:
            KSQLDB.need("system_columns", f"{query.name}, column {name},")


def _held(layout: Layout) -> Sql:
    """Return the session that holds a tick, or null."""
    at = tick_column(layout, TICKS, layout.query.entity.timestamp or "").sql
    inside = both(infix(">=", at, Field(column(_HELD), "open_ms")), infix("<", at, Field(column(_HELD), "close_ms")))
    return Item(call("filter", column(_SESSION, SESSIONS), Lambda(_HELD, inside)), 1)


def _ticks(layout: Layout) -> TickSource:
    held = None if layout.join is None else _held(layout)
    return TickSource(
        alias=TICKS,
        offset=column(TICKS, "ROWOFFSET"),
        session=None if held is None else lambda name: Field(held, name),
        held=None if held is None else IsNull(held, negated=True),
        key=column(TICKS, RECORD_KEY) if layout.query.group_by == layout.query.entity.keys else None,
    )


def _sources(line: Pipeline) -> list[Statement]:
    query = line.query
    time = query.entity.timestamp or ""
    columns = [_key_column(), *(ColumnDef(name=c.name, type=column_type(c.type)) for c in query.entity.columns)]
    found: list[Statement] = [
        _source(f"{line.name}_ticks", naming.topic(query.context, query.entity.name), columns, time)
    ]
    if query.continuous:
        wanted = [name for name in marker_schema(()).names if name in _MARKER_TYPES]
        columns = [_key_column(), *(ColumnDef(name=name, type=TEXT) for name in query.group_by)]
        columns += [ColumnDef(name=name, type=_MARKER_TYPES[name]) for name in wanted]
        found.append(
            _source(f"{line.name}_hb", naming.heartbeat_topic(query.context, query.entity.name), columns, "at")
        )
    if line.layout.join is not None and query.time_frame is not None:
        topic = naming.by_day_topic(query.context, query.time_frame.schedule.name)
        index = (ColumnDef(name=KEY, type=TEXT, key="primary"), ColumnDef(name=SESSIONS, type=array(SESSION_TYPE)))
        name = f"{line.name}_sessions"
        options: tuple[Option, ...] = (("KAFKA_TOPIC", topic), *_KEYED, ("WRAP_SINGLE_VALUE", True))
        found.append(Create(kind="table", name=name, columns=index, options=options))
    return found


def _source(name: str, topic: str, columns: Sequence[ColumnDef], time: str) -> Create:
    options: tuple[Option, ...] = (("KAFKA_TOPIC", topic), *_KEYED, ("TIMESTAMP", quoted(time)))
    return Create(kind="stream", name=name, columns=tuple(columns), options=options)


def _stamped(line: Pipeline) -> CreateAs:
    layout, name = line.layout, f"{line.name}_stamped"
    join = None
    if layout.join is not None:
        found = infix("=", session_key(layout, TICKS), column(_SESSION, KEY))
        join = LeftJoin(to=From(source=f"{line.name}_sessions", alias=_SESSION), on=found)
    rekeyed = join is not None or layout.query.group_by != layout.query.entity.keys
    select = Select(
        columns=_keyed(line.ticks),
        source=From(source=f"{line.name}_ticks", alias=TICKS),
        join=join,
        where=line.ticks.where,
        partition_by=line.ticks.key if rekeyed else None,
    )
    return CreateAs(kind="stream", name=name, options=(("KAFKA_TOPIC", name), *_KEYED), select=select)


def _insert(line: Pipeline, rows: Stamp, source: From, *, keyed: bool = False) -> Insert:
    select = Select(
        columns=_keyed(rows), source=source, where=rows.where, partition_by=rows.key if keyed else None
    )  # fmt: skip
    return Insert(into=f"{line.name}_stamped", select=select)


def _labelled(line: Pipeline, grain: Grain) -> Create:
    """Return the stamped rows as a stream whose time is the label of a grain."""
    columns = [_key_column(), *(ColumnDef(name=name, type=kind) for name, kind in line.layout.read_by(grain))]
    return _source(f"{line.name}_{grain.name}_in", f"{line.name}_stamped", columns, grain.label)


def _folding(line: Pipeline, fold: Fold) -> list[Statement]:
    """Return the fold of the windows of a millisecond, and the folded rows without a key."""
    begin = f"{line.name}_{fold.name}"
    window = Window(size_ms=1, retention_ms=fold.late_ms + DAY_MS, grace_ms=fold.late_ms)
    key = column(RECORD_KEY)
    fixed: list[tuple[Sql, str]] = [
        (key, RECORD_KEY),
        (call("value_of", key), cols.KEY_TEXT),
        (column("WINDOWSTART"), cols.BUCKET),
    ]
    select = Select(
        columns=(*fixed, *((value.sql, value.name) for value in fold.values)),
        source=From(source=f"{line.name}_{fold.grain.name}_in", alias="i"),
        where=fold.where,
        window=window,
        group_by=(key,),
    )
    topic = f"{begin}_fold"
    rows = [ColumnDef(name=cols.KEY_TEXT, type=TEXT), ColumnDef(name=cols.BUCKET, type=BIGINT)]
    rows += [ColumnDef(name=value.name, type=value.type) for value in fold.values]
    return [
        CreateAs(
            kind="table",
            name=topic,
            select=select,
            options=(("KAFKA_TOPIC", topic), *_KEYED, ("RETENTION_MS", FOLDED_KEPT_MS)),
        ),
        Create(kind="stream", name=f"{begin}_rows", columns=tuple(rows), options=(("KAFKA_TOPIC", topic), *_KEYLESS)),
    ]


def _bars(line: Pipeline, bars: Publication, schema_ids: Mapping[str, int]) -> CreateAs:
    begin = f"{line.name}_{bars.period.kind}"
    schema: Option = ("VALUE_AVRO_SCHEMA_FULL_NAME", f"ashioto.{bars.topic}")
    if bars.topic in schema_ids:
        schema = ("VALUE_SCHEMA_ID", schema_ids[bars.topic])
    select = Select(
        columns=((bars.key, RECORD_KEY), *_columns(bars.values)),
        source=From(source=f"{begin}_rows", alias=FOLDED),
        where=bars.where,
        partition_by=bars.key,
    )
    options: tuple[Option, ...] = (
        ("KAFKA_TOPIC", bars.topic), *_KEYED, schema, ("TIMESTAMP", quoted("bucket_start")), ("RETENTION_MS", FOR_EVER),
    )  # fmt: skip
    return CreateAs(kind="stream", name=f"{begin}_bars", options=options, select=select)


def _key_column() -> ColumnDef:
    return ColumnDef(name=RECORD_KEY, type=TEXT, key="key")


def _keyed(rows: Stamp) -> tuple[tuple[Sql, str], ...]:
    return ((rows.key, RECORD_KEY), *_columns(rows.values))


def _columns(values: Sequence[Value]) -> tuple[tuple[Sql, str], ...]:
    return tuple((value.sql, value.name) for value in values)
