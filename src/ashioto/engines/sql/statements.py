"""Statements as frozen trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.types import SqlType

SourceKind = Literal["stream", "table"]
Option = tuple[str, str | int]
KeyRole = Literal["", "key", "primary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDef:
    """Declares a column of a source.

    Args:
        name: Its name.
        type: Its type.
        key: Whether it is the key of a stream, or the primary key of a table.
        metadata: What of the record it shows instead of a field of the value, where the engine does that by columns.
        computed: What it is computed from instead, where the engine does that.

    >>> from ashioto.engines.sql.types import TEXT
    >>> ColumnDef(name="k", type=TEXT, key="key").key
    'key'
    """

    name: str
    type: SqlType
    key: KeyRole = ""
    metadata: str = ""
    computed: Sql | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Declares a stream or table over a topic.

    Args:
        kind: Stream or table.
        name: Its name.
        columns: Its columns.
        options: Where it is and how it is read.

    >>> Create(kind="stream", name="ticks", columns=(), options=()).kind
    'stream'
    """

    kind: SourceKind
    name: str
    columns: tuple[ColumnDef, ...]
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """Reads a source under an alias.

    Args:
        source: Its name.
        alias: Its alias.
        kept_ms: How long the engine remembers its rows, where a query says that; None means as the engine is set.
        sliced: Column of when rows were read, and how much of that time is taken together, ms; the rows then have
            `window_start` and `window_end`. None means row by row.
        once: Whether rows stay as they came first, whatever becomes of them where they are read from.

    >>> From(source="ticks", alias="t").alias
    't'
    """

    source: str
    alias: str
    kept_ms: int | None = None
    sliced: tuple[str, int] | None = None
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftJoin:
    """Adds the row of a table that meets a condition, if there is one.

    >>> from ashioto.engines.sql.ast import Const
    >>> LeftJoin(to=From(source="sessions", alias="s"), on=Const(True)).to.alias
    's'
    """

    to: From
    on: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerJoin:
    """Adds every row of a table that meets a condition, and leaves out rows for which there is none.

    >>> from ashioto.engines.sql.ast import Const
    >>> InnerJoin(to=From(source="sessions", alias="s"), on=Const(True)).to.alias
    's'
    """

    to: From
    on: Sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnest:
    """Adds a row for every struct in an array.

    Args:
        array: The array.
        alias: Of the rows.
        fields: Names of their columns, in the order of the struct.

    >>> from ashioto.engines.sql.ast import column
    >>> Unnest(array=column("s", "sessions"), alias="x", fields=("open_ms",)).fields
    ('open_ms',)
    """

    array: Sql
    alias: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Groups by time.

    Args:
        size_ms: Length of a window.
        retention_ms: How long windows are kept, at least `size_ms + grace_ms`.
        grace_ms: How long after its end a window takes rows.

    >>> Window(size_ms=1, retention_ms=2, grace_ms=1).size_ms
    1
    """

    size_ms: int
    retention_ms: int
    grace_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """Says what is read, from where, and how it is grouped.

    Args:
        columns: Values and their names.
        source: What is read.
        join: What is beside it.
        where: What rows must meet.
        window: Groups by time as well.
        group_by: Groups by these.
        partition_by: What becomes the key.

    >>> Select(columns=(), source=From(source="ticks", alias="t")).where is None
    True
    """

    columns: tuple[tuple[Sql, str], ...]
    source: From
    join: LeftJoin | InnerJoin | Unnest | None = None
    where: Sql | None = None
    window: Window | None = None
    group_by: tuple[Sql, ...] = ()
    partition_by: Sql | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateView:
    """Gives the rows of several queries, one after the other, a name.

    >>> CreateView(name="stamped", selects=()).name
    'stamped'
    """

    name: str
    selects: tuple[Select, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAs:
    """Has a query write into a new stream or table, for as long as it runs.

    >>> query = Select(columns=(), source=From(source="ticks", alias="t"))
    >>> CreateAs(kind="stream", name="stamped", options=(), select=query).name
    'stamped'
    """

    kind: SourceKind
    name: str
    options: tuple[Option, ...]
    select: Select


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """Has a query write into a stream that exists.

    >>> Insert(into="stamped", select=Select(columns=(), source=From(source="hb", alias="h"))).into
    'stamped'
    """

    into: str
    select: Select


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSet:
    """Has several queries run as one job that reads each source once.

    >>> StatementSet(inserts=()).inserts
    ()
    """

    inserts: tuple[Insert, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Removes a stream or table.

    Args:
        kind: What it is.
        name: Its name.
        with_topic: Whether its topic is deleted as well.

    >>> Drop(kind="stream", name="stamped").kind
    'stream'
    """

    kind: SourceKind
    name: str
    with_topic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """Stops a query.

    >>> Terminate(query="CSAS_STAMPED_3").query
    'CSAS_STAMPED_3'
    """

    query: str


Statement = Create | CreateAs | CreateView | Insert | StatementSet | Drop | Terminate
