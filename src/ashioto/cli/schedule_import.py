"""`rc schedule import`: sessions of an exchange, of markets that never close, of FX, or from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from ashioto.logical.nodes import Entity, TimeFrame
    from ashioto.schedule.sessions import Sessions


def import_(
    source: Annotated[
        str, typer.Argument(help="An exchange such as XNYS or XTKS, 24x7, fx, or a CSV or Parquet file.")
    ],
    *,
    start: Annotated[str | None, typer.Option("--from", help="First market date; calendars need it.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last market date; calendars need it.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value; once a key column.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the schedule is declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Write sessions into the project's schedule; one with the same open is replaced."""
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import day_range, open_project, pairs
    from ashioto.cli.schedule_source import read_source
    from ashioto.deploy.bootstrap import ensure_topics
    from ashioto.schema.sessions import session_columns

    project = open_project()
    owner = project.context(context)
    frame = project.schedule(owner)
    names = session_columns(frame)
    found = read_source(source, names, pairs(key or [], option="--key"), *day_range(start, end))
    if project.config.log.kind == "embedded":  # on a cluster, topics are the business of `rc infra apply` alone
        ensure_topics(project.log, [owner], partitions=project.config.log.partitions)
    target = owner.set(owner.entities[frame.schedule.name], log=project.log)
    rows = schedule_table(frame, found)
    new = without(rows, target.read())
    target.add_range(new)
    if new.num_rows < rows.num_rows:
        typer.echo(f"{rows.num_rows - new.num_rows:,} of {rows.num_rows:,} sessions were there already", err=True)
    print_rows([summary(names, one, sessions) for one, sessions in found.items()], title=target.topic, as_json=as_json)


def schedule_table(frame: TimeFrame, found: Mapping[tuple[str, ...], Sessions]) -> pa.Table:
    """Return sessions as rows of a schedule.

    Args:
        frame: Names the schedule's columns.
        found: Sessions by key, in the order of the join columns.
    """
    import pyarrow as pa

    from ashioto.schema.sessions import session_columns

    parts = []
    for key, sessions in found.items():
        table = sessions.to_table().rename_columns([frame.open_column, frame.close_column, frame.day_column])
        for name, value in zip(session_columns(frame), key, strict=True):
            table = table.append_column(name, _constant(frame.schedule, name, value, table.num_rows))
        parts.append(table)
    return pa.concat_tables(parts)


def without(rows: pa.Table, known: pa.Table) -> pa.Table:
    """Return the rows that another table does not have, so that a repeated import changes nothing.

    Args:
        rows: Some rows.
        known: Rows with the same columns, perhaps in another order.

    >>> import pyarrow as pa
    >>> without(pa.table({"a": [1, 2]}), pa.table({"a": [2]})).to_pylist()
    [{'a': 1}]
    """
    import pyarrow as pa

    names = rows.column_names
    there = set(zip(*(known[name].to_pylist() for name in names), strict=True))
    given = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return rows.filter(pa.array([row not in there for row in given], pa.bool_()))


def _constant(schedule: Entity, name: str, value: str, rows: int) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = schedule.find(name)
    text = pa.repeat(pa.scalar(value, pa.string()), rows)
    return pc.cast(text, pa.int64()) if column is not None and column.type.name == "int64" else text


def summary(names: tuple[str, ...], key: tuple[str, ...], sessions: Sessions) -> dict[str, object]:
    """Return what there is of one key: how many sessions, from when and until when.

    >>> import numpy as np
    >>> from ashioto.schedule.sessions import Sessions
    >>> one = Sessions.build(np.array([0]), np.array([1000]), np.array([0]))
    >>> summary(("symbol",), ("A",), one)["last_close"]
    '1970-01-01T00:00:01Z'
    """
    from ashioto.schedule.sessions import time_text

    empty = not len(sessions)
    return {
        **dict(zip(names, key, strict=True)),
        "sessions": len(sessions),
        "first_open": None if empty else time_text(int(sessions.opens[0])),
        "last_close": None if empty else time_text(int(sessions.closes[-1])),
    }
