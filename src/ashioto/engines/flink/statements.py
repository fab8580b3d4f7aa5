"""The job that makes a Flink cluster run a version of a query.

Everything is one job. Ticks are folded by the second (*atoms*) and meet the sessions of their day, or wait a while for
them. A row that has met them stays as it is, whatever becomes of the sessions: nothing behind the join is taken back,
and a fold keeps one value an aggregate. Atoms, markers and what bars hand on are the stamped rows; each fold groups
them by the finished key of its bars, so that a row of a fold is a record of the topic. What bars hand on leaves by a
topic of the version's own and comes back in from there. Ticks older than the retention go to the late topic before
anything is made of them, and all state is kept for as long as ticks may still change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto import naming
from ashioto.control.topics import marker_schema
from ashioto.engines.flink.dialect import FLINK
from ashioto.engines.flink.reach import RECORD_KEY, Reach
from ashioto.engines.flink.sinks import bars_sink, carry_schema, carry_topic, carry_values, late_sink
from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Call, Cast, Const, SoFar, Sql, both, call, column, infix
from ashioto.engines.sql.atoms import atom_at, atom_session_key, counted_beside, stamped_atoms
from ashioto.engines.sql.pipeline import BEATS, FOLDED, TICKS, Pipeline, build_pipeline
from ashioto.engines.sql.printer import Printer, text
from ashioto.engines.sql.sessions import KEY, SESSION_TYPE, SESSIONS
from ashioto.engines.sql.stamp import Stamp, TickSource, tick_column
from ashioto.engines.sql.statements import (
    ColumnDef,
    CreateView,
    From,
    InnerJoin,
    Insert,
    Select,
    Statement,
    StatementSet,
    Unnest,
)
from ashioto.engines.sql.types import BIGINT, INT, TEXT, array, column_type
from ashioto.engines.sql.types import TIMESTAMP as TIMESTAMP_TYPE
from ashioto.keys import TIME_DIGITS
from ashioto.logical.nodes import DATE, TIMESTAMP
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.control.applied import Registration
    from ashioto.engines.sql.ast import InfixOp
    from ashioto.engines.sql.fold import Fold
    from ashioto.engines.sql.layout import Layout, Value
    from ashioto.engines.sql.types import SqlType
    from ashioto.log.base import TopicSpec
    from ashioto.logical.nodes import DataType

OFFSET: Final = "_offset"
NEWEST: Final = "_newest"
"""Column of the ticks: the newest time of a tick of the key so far, ms; never ahead of the clock."""
_READ: Final = "_read"
SLICE_MS: Final = 500
"""Ticks that are read within so much time are folded before anything else is done with them, ms."""
WAIT_MS: Final = 300_000
"""So long do ticks wait for the sessions of their day, where nothing is known of it when they are read, ms."""
_SESSION: Final = "s"
_ATOM: Final = "a"
_ROW: Final = "i"
_BAR_KEY: Final = "bar_key"
_OVERLAP: Final = TIME_DIGITS + 1
SETTINGS: Final[Mapping[str, str]] = {
    "execution.runtime-mode": "streaming",
    "table.local-time-zone": "UTC",
    "table.exec.state.ttl": "0",
}
"""Settings of the session that starts the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Holds what starts a job.

    Args:
        settings: Of the session.
        definitions: Statements that name tables and views, in order.
        job: The statement that runs.
        topics: Topics that must be there beside those of the project: the version's own.
    """

    settings: Mapping[str, str]
    definitions: tuple[str, ...]
    job: str
    topics: tuple[TopicSpec, ...]

    def text(self) -> str:
        """Return everything as one script."""
        said = [f"SET {text(name)} = {text(value)};" for name, value in self.settings.items()]
        return "\n\n".join(["\n".join(said), *self.definitions, self.job])


def script(registration: Registration, reach: Reach, *, since_ms: int | None = None, partitions: int = 1) -> Script:
    """Return what starts the job of a version.

    Args:
        registration: The version.
        reach: How the cluster reaches brokers and registry.
        since_ms: Buckets that begin before are left as they are, since not all of their ticks are there any more, ms.
        partitions: How many partitions the version's own topic gets.

    Raises:
        UnsupportedError: Flink cannot run the query; says why, and the way out.
    """
    line = build_pipeline(registration, FLINK, ticks=_ticks, beat_key=column(BEATS, RECORD_KEY))
    printer = Printer(FLINK)
    definitions, job = _definitions(line, reach), _job(line, reach, since_ms)
    topics = (carry_topic(line, partitions),) if line.carries else ()
    return Script(
        settings=dict(SETTINGS),
        definitions=tuple(printer.statement(statement) for statement in definitions + job[0]),
        job=printer.statement(job[1]),
        topics=topics,
    )


def _definitions(line: Pipeline, reach: Reach) -> list[Statement]:
    layout, name = line.layout, line.name
    made = [*_tick_tables(line, reach), _counted(line), _atoms(line)]
    if layout.join is not None:
        made += _session_tables(line, reach)
    stamped = [_of_atoms(line)]
    if line.markers is not None:
        made += [_beat_table(line, reach), reach.source(f"{name}_carry", f"{name}_carry", _carry_columns(line))]
        stamped.append(_rows(line.markers, From(source=f"{name}_hb", alias=BEATS)))
        stamped.append(_carried(line))
    made.append(CreateView(name=f"{name}_stamped", selects=tuple(stamped)))
    return made + [_folding(line, fold) for fold in line.folds]


def _ticks(layout: Layout) -> TickSource:
    key = column(TICKS, RECORD_KEY) if layout.query.group_by == layout.query.entity.keys else None
    return TickSource(alias=TICKS, offset=column(TICKS, OFFSET), session=None, held=None, key=key)


def _read_as(kind: DataType) -> SqlType:
    """Return the type in which a column of ticks is read: times and dates as the numbers that they are in Avro."""
    return {TIMESTAMP: BIGINT, DATE: INT}.get(kind) or column_type(kind)


def _tick_tables(line: Pipeline, reach: Reach) -> list[Statement]:
    """Name the ticks, and beside each what time the ticks of its key have said it is, never ahead of the clock."""
    query, name = line.query, line.name
    columns = [ColumnDef(name=c.name, type=_read_as(c.type)) for c in query.entity.columns]
    columns.append(ColumnDef(name=OFFSET, type=BIGINT, metadata="offset"))
    columns.append(ColumnDef(name=_READ, type=TIMESTAMP_TYPE, computed=Call("when_read", ())))
    now = infix("*", Call("now_s", ()), Const(1000))
    said = call("max", call("least", column(TICKS, query.entity.timestamp or ""), now))
    so_far = SoFar(said, key=column(TICKS, RECORD_KEY), order=column(TICKS, _READ))
    held = [RECORD_KEY, OFFSET, _READ, *(c.name for c in query.entity.columns)]
    select = Select(
        columns=(*((column(TICKS, own), own) for own in held), (so_far, NEWEST)),
        source=From(source=f"{name}_read", alias=TICKS),
    )
    return [
        reach.source(f"{name}_read", naming.topic(query.context, query.entity.name), columns),
        CreateView(name=f"{name}_ticks", selects=(select,)),
    ]


def _aged(line: Pipeline, op: InfixOp) -> Sql:
    """Return how a tick stands to the oldest time that is still kept, by the newest tick of its key: `<` is late."""
    oldest = infix("-", column(TICKS, NEWEST), Const(line.query.retention_ms))
    return infix(op, column(TICKS, line.query.entity.timestamp or ""), oldest)


def _beat_table(line: Pipeline, reach: Reach) -> Statement:
    query = line.query
    types = {field.name: field.type for field in marker_schema(())}
    columns = [ColumnDef(name=name, type=TEXT) for name in query.group_by]
    columns += [ColumnDef(name=name, type=_beat_type(str(kind))) for name, kind in types.items()]
    return reach.source(f"{line.name}_hb", naming.heartbeat_topic(query.context, query.entity.name), columns)


def _beat_type(kind: str) -> SqlType:
    if kind.startswith("list"):
        return array(TEXT)
    return TEXT if kind == "string" else INT if kind.startswith("date") else BIGINT


def _session_tables(line: Pipeline, reach: Reach) -> list[Statement]:
    """Name the days of the schedule, and atoms beside the day that they are of."""
    frame = line.query.time_frame
    topic = naming.by_day_topic(line.query.context, "" if frame is None else frame.schedule.name)
    held = ColumnDef(name=SESSIONS, type=array(SESSION_TYPE))
    found = infix("=", atom_session_key(line.layout, _ATOM), column("d", KEY))
    names = [RECORD_KEY, cols.ATOM, *(name for name, _ in line.layout.groups())]
    names += [name for name, _ in line.layout.partials()]
    select = Select(
        columns=(*((column(_ATOM, name), name) for name in names), (column("d", SESSIONS), SESSIONS)),
        source=From(source=f"{line.name}_atoms", alias=_ATOM, kept_ms=WAIT_MS),
        join=InnerJoin(to=From(source=f"{line.name}_days", alias="d", kept_ms=0), on=found),
    )
    return [
        reach.latest(f"{line.name}_days", topic, KEY, [held]),
        CreateView(name=f"{line.name}_dated", selects=(select,)),
    ]


def _counted(line: Pipeline) -> Statement:
    """Name the ticks that count, each with its atom."""
    at = tick_column(line.layout, TICKS, line.query.entity.timestamp or "").sql
    columns = [(line.ticks.key, RECORD_KEY), (atom_at(at), cols.ATOM), (column(TICKS, _READ), _READ)]
    columns += _columns(line.ticks.values)
    where = both(_aged(line, ">="), line.ticks.where)
    source = From(source=f"{line.name}_ticks", alias=TICKS)
    return CreateView(
        name=f"{line.name}_counted", selects=(Select(columns=tuple(columns), source=source, where=where),)
    )


def _atoms(line: Pipeline) -> Statement:
    """Fold the ticks of an atom that are read within a slice of time: rows that never change any more."""
    if line.atoms is None:
        raise TypeError(f"{line.name} has no atoms")
    group = (column(_ROW, RECORD_KEY), column(_ROW, cols.ATOM))
    columns = ((group[0], RECORD_KEY), (group[1], cols.ATOM), *_columns(line.atoms.values))
    select = Select(
        columns=columns,
        source=From(source=f"{line.name}_counted", alias=_ROW, sliced=(_READ, SLICE_MS)),
        group_by=(column(_ROW, "window_start"), column(_ROW, "window_end"), *group),
    )
    return CreateView(name=f"{line.name}_atoms", selects=(select,))


def _of_atoms(line: Pipeline) -> Select:
    """Return the atoms that a session of their day holds; all where the market is always open."""
    layout = line.layout
    key, at = column(_ATOM, RECORD_KEY), column(_ATOM, cols.ATOM)
    if layout.join is None:
        rows = stamped_atoms(layout, _ATOM, key, None)
        return _rows(rows, From(source=f"{line.name}_atoms", alias=_ATOM, once=True))
    rows = stamped_atoms(layout, _ATOM, key, lambda name: column(_SESSION, name))
    fields = tuple(name for name, _ in SESSION_TYPE.fields)
    inside = both(infix(">=", at, column(_SESSION, "open_ms")), infix("<", at, column(_SESSION, "close_ms")))
    return Select(
        columns=((rows.key, RECORD_KEY), *_columns(rows.values)),
        source=From(source=f"{line.name}_dated", alias=_ATOM, once=True),
        join=Unnest(array=column(_ATOM, SESSIONS), alias=_SESSION, fields=fields),
        where=inside,
    )


def _rows(rows: Stamp, source: From) -> Select:
    where = None if rows.where == Const(value=True) else rows.where
    return Select(columns=((rows.key, RECORD_KEY), *_columns(rows.values)), source=source, where=where)


def _carry_columns(line: Pipeline) -> list[ColumnDef]:
    return [ColumnDef(name=value.name, type=value.type) for value in carry_values(line)]


def _carried(line: Pipeline) -> Select:
    """Return what comes back in of what bars handed on."""
    held: dict[str, Sql] = {value.name: column("c", value.name) for value in carry_values(line)}
    held[cols.KIND] = Const(cols.CARRY)
    values = tuple(
        cols.Value(name=name, type=kind, sql=held.get(name, Cast(Const(None), kind)))
        for name, kind in line.layout.stamped()
    )
    rows = Stamp(values=values, where=Const(value=True), key=column("c", cols.KEY_TEXT))
    return _rows(counted_beside(rows), From(source=f"{line.name}_carry", alias="c"))


def _folding(line: Pipeline, fold: Fold) -> Statement:
    """Name the rows of a fold: grouped by the key of its bars, out of which the parts of that key are read again."""
    start = call("lpad", Cast(column(_ROW, fold.grain.label), TEXT), Const(TIME_DIGITS), Const("0"))
    key = call("concat_ws", call("char", Const(31)), column(_ROW, RECORD_KEY), start)
    length = Call("length", (key,))
    series = call("substring", key, Const(1), infix("-", length, Const(_OVERLAP)))
    label = Cast(call("substring", key, infix("-", length, Const(TIME_DIGITS - 1))), BIGINT)
    fixed: list[tuple[Sql, str]] = [(key, _BAR_KEY), (series, cols.KEY_TEXT), (label, cols.BUCKET)]
    source = From(source=f"{line.name}_stamped", alias=_ROW, kept_ms=fold.late_ms + DAY_MS)
    select = Select(columns=(*fixed, *_columns(fold.values)), source=source, where=fold.where, group_by=(key,))
    return CreateView(name=f"{line.name}_{fold.name}_fold", selects=(select,))


def _job(line: Pipeline, reach: Reach, since_ms: int | None) -> tuple[list[Statement], StatementSet]:
    """Return the tables that are written, and what writes them."""
    name = line.name
    made: list[Statement] = []
    inserts = []
    for bars in line.publications:
        sink, values = bars_sink(line, bars, reach)
        begins = [] if since_ms is None else [infix(">=", column(FOLDED, cols.BUCKET), Const(since_ms))]
        made.append(sink)
        columns = ((column(FOLDED, _BAR_KEY), RECORD_KEY), *_columns(values))
        source = From(source=f"{name}_{bars.period.kind}_fold", alias=FOLDED)
        inserts.append(
            Insert(into=sink.name, select=Select(columns=columns, source=source, where=both(bars.where, *begins)))
        )
    for which, rows in line.carries.items():
        made.append(_carry_sink(line, reach, which))
        inserts.append(_handing(line, which, rows))
    sink, values = late_sink(line, reach)
    made.append(sink)
    select = Select(
        columns=((column(TICKS, RECORD_KEY), RECORD_KEY), *_columns(values)),
        source=From(source=f"{name}_ticks", alias=TICKS),
        where=_aged(line, "<"),
    )
    inserts.append(Insert(into=sink.name, select=select))
    return made, StatementSet(inserts=tuple(inserts))


def _carry_sink(line: Pipeline, reach: Reach, which: str) -> Statement:
    """Name the topic of what bars hand on, for one of the folds.

    Each has its own: rows of one key wait in a sink until the last of them is written, and both folds have a row of the
    same bar.
    """
    topic = f"{line.name}_carry"
    return reach.sink(f"{line.name}_{which}_out", topic, _carry_columns(line), carry_schema(line), keyed=True)


def _handing(line: Pipeline, which: str, rows: Stamp) -> Insert:
    held = {value.name: value for value in rows.values}
    values: list[tuple[Sql, str]] = [(column(FOLDED, _BAR_KEY), RECORD_KEY)]
    for value in carry_values(line):
        sql = rows.key if value.name == cols.KEY_TEXT else held[value.name].sql
        values.append((sql, value.name))
    source = From(source=f"{line.name}_{which}_fold", alias=FOLDED)
    return Insert(
        into=f"{line.name}_{which}_out", select=Select(columns=tuple(values), source=source, where=rows.where)
    )


def _columns(values: Sequence[Value]) -> tuple[tuple[Sql, str], ...]:
    return tuple((Cast(v.sql, v.type) if isinstance(v.sql, Const) else v.sql, v.name) for v in values)
