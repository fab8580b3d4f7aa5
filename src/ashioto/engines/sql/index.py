"""The topic of the schedule index: who has one, what its records are, and what must be written so that it is right.

It is written by the same call that writes the schedule, and only where it exists: `infra apply` creates it for engines
that speak SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto import keys, naming
from ashioto.engines.sql.sessions import (
    FIELDS,
    RECORD_MS,
    SESSIONS,
    DayRow,
    LabelledSession,
    changed_rows,
    day_rows,
    index_join,
    index_parts,
)
from ashioto.errors import DefinitionError, UnknownTopicError
from ashioto.log.base import Batch, TopicSpec
from ashioto.log.partition import partitions_of
from ashioto.logical.schedules import is_always_open
from ashioto.schema.arrow import numbers_of, rows_of_numbers, rows_type
from ashioto.schema.sessions import sessions_by_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ashioto.log.base import Log, ViewPage
    from ashioto.logical.nodes import Query, TimeFrame
    from ashioto.schedule.sessions import Sessions

INDEX_SCHEMA: Final = pa.schema({SESSIONS: rows_type(FIELDS)})
_SHOWN: Final = 3
_AFTER_SEPARATOR: Final = chr(ord(keys.SEPARATOR) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Names the index of a schedule.

    Args:
        topic: Where its rows are.
        schedule: The topic of the schedule.
        frame: How the schedule is read.
    """

    topic: str
    schedule: str
    frame: TimeFrame

    def spec(self, partitions: int) -> TopicSpec:
        """Return the topic to create.

        Args:
            partitions: How many the ticks have: engines join partition by partition.
        """
        return TopicSpec(name=self.topic, partitions=partitions, cleanup="compact", schema=INDEX_SCHEMA)


def index_of(context: str, frame: TimeFrame | None) -> Index | None:
    """Return the index of a schedule, or None where there can be none.

    Args:
        context: Where the schedule is declared.
        frame: How it is read.

    >>> from ashioto.logical.schedules import always_open
    >>> index_of("trading", always_open()) is None
    True
    """
    if frame is None or is_always_open(frame) or index_join(frame) is None:
        return None
    name = frame.schedule.name
    return Index(topic=naming.by_day_topic(context, name), schedule=naming.topic(context, name), frame=frame)


def indexes(plans: Iterable[Query]) -> list[Index]:
    """Return the indexes of the schedules that queries read, each once.

    Raises:
        DefinitionError: Two queries read one schedule by other columns, and an index is made by one of them.

    >>> indexes([])
    []
    """
    found: dict[str, Index] = {}
    for plan in plans:
        index = index_of(plan.context, plan.time_frame)
        if index is None:
            continue
        first = found.setdefault(index.topic, index)
        ours, theirs = (_columns(one.frame) for one in (index, first))
        if ours != theirs:
            raise DefinitionError(
                f"{plan.context}.{plan.name} reads {index.schedule} by {', '.join(ours)}, and another query by "
                f"{', '.join(theirs)}: an index holds one of them",
                hint="have both read the same columns, or give one a schedule of its own",
                topic=index.topic,
            )
    return list(found.values())


def _columns(frame: TimeFrame) -> tuple[str, str, str]:
    return frame.open_column, frame.close_column, frame.day_column


def index_partitions(log: Log, index: Index) -> int | None:
    """Return how many partitions an index has, or None where it does not exist."""
    try:
        return log.describe(index.topic).spec.partitions
    except UnknownTopicError:
        return None


def rows_of(index: Index, sessions: dict[tuple[str, ...], Sessions]) -> list[DayRow]:
    """Return the rows of an index.

    Args:
        index: The index.
        sessions: By key, as `schema.sessions.sessions_by_key` returns them.
    """
    return day_rows({index_parts(index.frame, parts): held for parts, held in sessions.items()})


def rows_in(log: Log, index: Index, owners: Iterable[tuple[str, ...]] | None = None) -> list[DayRow]:
    """Return the rows that an index has.

    Args:
        log: Where it is.
        index: The index.
        owners: Only those of these keys, by the parts that `sessions_by_key` has; None means all.
    """
    if owners is None:
        return _read(log.view(index.topic))
    found = []
    for parts in owners:
        prefix = keys.encode(index_parts(index.frame, parts)).decode()
        start, stop = ((prefix + after).encode() for after in (keys.SEPARATOR, _AFTER_SEPARATOR))
        found += _read(log.view(index.topic, start=start, stop=stop))
    return found


def index_changes(log: Log, index: Index, sessions: dict[tuple[str, ...], Sessions]) -> list[Batch]:
    """Return what must be written so that an index says of some keys what their schedule says.

    Args:
        log: Where it is; where it is not, nothing is to be written.
        index: The index.
        sessions: Those of the keys, as `sessions_by_key` returns them.
    """
    partitions = index_partitions(log, index)
    if partitions is None:
        return []
    changed = changed_rows(rows_in(log, index, sessions), rows_of(index, sessions))
    return index_batches(index, changed, partitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Says how an index differs from its schedule.

    Args:
        missing: Rows that it lacks.
        different: Rows as they should be, of those that have other sessions.
        extra: Rows that no session touches; without sessions.
    """

    missing: tuple[DayRow, ...] = ()
    different: tuple[DayRow, ...] = ()
    extra: tuple[DayRow, ...] = ()

    @property
    def rows(self) -> tuple[DayRow, ...]:
        """What must be written so that there is none.

        >>> Difference().rows
        ()
        """
        return (*self.missing, *self.different, *self.extra)

    @property
    def said(self) -> str:
        """What differs, for people, with the first few rows.

        >>> from ashioto.engines.sql.sessions import day_key
        >>> Difference(missing=(DayRow(key=day_key(["EURUSD"], 0), sessions=()),)).said
        '1 missing (EURUSD 1970-01-01)'
        """
        parts = {"missing": self.missing, "different": self.different, "extra": self.extra}
        return ", ".join(f"{len(rows):,} {what} ({_first(rows)})" for what, rows in parts.items() if rows)


def _first(rows: Sequence[DayRow]) -> str:
    shown = [_row_name(row) for row in rows[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(rows) > _SHOWN else "")


def _row_name(row: DayRow) -> str:
    *parts, day = keys.decode(row.key)
    return " ".join([*parts, f"{datetime.fromtimestamp(int(day) / 1000, UTC):%Y-%m-%d}"])


def difference(log: Log, index: Index) -> Difference:
    """Return how an index differs from its schedule; both exist.

    Raises:
        ScheduleError: The sessions of the schedule do not hold together.
    """
    wanted = rows_of(index, sessions_by_key(index.frame, log.view(index.schedule).data))
    there = rows_in(log, index)
    known = {row.key for row in there}
    changed = changed_rows(there, wanted)
    return Difference(
        missing=tuple(row for row in changed if row.key not in known),
        different=tuple(row for row in changed if row.key in known and row.sessions),
        extra=tuple(row for row in changed if not row.sessions),
    )


def index_repairs(log: Log, index: Index) -> list[Batch]:
    """Return what must be written so that an index says what its schedule says; both exist.

    Raises:
        ScheduleError: The sessions of the schedule do not hold together.
    """
    return index_batches(index, difference(log, index).rows, log.describe(index.topic).spec.partitions)


def index_batches(index: Index, rows: Sequence[DayRow], partitions: int) -> list[Batch]:
    """Return rows as records; those without sessions delete theirs.

    Args:
        index: Whose rows they are.
        rows: The rows.
        partitions: How many partitions the index has.
    """
    if not rows:
        return []
    made = pa.array([row.key for row in rows], pa.binary())
    dead = np.array([not row.sessions for row in rows], dtype=np.bool_)
    data = _batch(rows, dead)
    places = partitions_of(made, partitions)
    found = []
    for partition in np.unique(places).tolist():
        at = np.flatnonzero(places == partition)
        found.append(
            Batch(
                topic=index.topic,
                partition=partition,
                keys=made.take(pa.array(at)),
                timestamps=np.full(len(at), RECORD_MS, dtype=np.int64),
                data=data.take(pa.array(at)),
                tombstones=dead[at],
            )
        )
    return found


def _batch(rows: Sequence[DayRow], dead: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.RecordBatch:
    held = [[getattr(session, name) for name in FIELDS] for row in rows for session in row.sessions]
    numbers = np.array(held, dtype=np.int64).reshape(-1, len(FIELDS)).T
    bounds = np.concatenate([[0], np.cumsum([len(row.sessions) for row in rows])])
    kind = INDEX_SCHEMA.field(SESSIONS).type
    return pa.RecordBatch.from_arrays([rows_of_numbers(numbers, bounds, kind, null=dead)], schema=INDEX_SCHEMA)


def _read(page: ViewPage) -> list[DayRow]:
    numbers, bounds = numbers_of(page.data.column(SESSIONS))
    sessions = [LabelledSession(**dict(zip(FIELDS, row, strict=True))) for row in numbers.T.tolist()]
    edges = bounds.tolist()
    return [
        DayRow(key=key, sessions=tuple(sessions[start:stop]))
        for key, start, stop in zip(page.keys, edges[:-1], edges[1:], strict=True)
    ]
