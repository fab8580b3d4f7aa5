"""`rc bars build`: bars of the user's own files, without a project."""

from __future__ import annotations

from typing import Annotated

import typer


def build(
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files of ticks; globs are fine.")],
    *,
    period: Annotated[str, typer.Option(help="Lengths of the bars, e.g. 1m,5m,1h,1d.")],
    time: Annotated[str, typer.Option(help="Column of the event time.")],
    price: Annotated[str, typer.Option(help="Column of the price.")],
    out: Annotated[str, typer.Option(help="BARS.parquet, BARS.csv, or - for CSV on stdout.")],
) -> None:
    """Build bars from files of ticks."""
    import pyarrow as pa
    import pyarrow.parquet

    from ashioto.cli.tick_files import ColumnSource, expand, map_columns, read_batches
    from ashioto.clock import SystemClock
    from ashioto.engines.embedded.batch import BatchBuilder
    from ashioto.engines.embedded.schedules import open_always
    from ashioto.logical.nodes import TIMESTAMP, Agg, Col, Column, DataType, Entity, Output, Query
    from ashioto.logical.schedules import always_open
    from ashioto.logical.validate import check_query
    from ashioto.period import Period
    from ashioto.schedule.sessions import Schedule
    from ashioto.schema.arrow import user_table
    from ashioto.tables.convert import batch_of_arrow

    decimal = DataType(name="decimal", precision=18, scale=5)
    entity = Entity(
        name="Tick",
        kind="stream",
        columns=(Column(name="at", type=TIMESTAMP, role="timestamp"), Column(name="price", type=decimal)),
    )
    funcs = {"open": "first", "high": "max", "low": "min", "close": "last"}
    outputs = [Output(name=n, expr=Agg(func=f, arg=Col(name="price"))) for n, f in funcs.items()]  # type: ignore[arg-type]  # names of aggregates
    query = check_query(
        Query(
            context="files", name="bars", entity=entity, where=(), time_frame=always_open(),
            frames=tuple(Period.parse(p) for p in period.split(",")), align="clock", continuous=True, grace_ms=0,
            retention_ms=0, group_by=(), outputs=(*outputs, Output(name="ticks", expr=Agg(func="count", arg=None))),
            when_empty=(),
        )
    )  # fmt: skip
    builder = BatchBuilder(query, Schedule.of({}, default=open_always()))
    source, seq = ColumnSource(columns={"at": time, "price": price}), 0
    for file in expand(files):
        for part in read_batches(file):
            builder.add(batch_of_arrow(entity, map_columns(entity, part, source)), first_seq=seq)
            seq += part.num_rows
    tables = builder.finish(now_ms=SystemClock().now_ms(), trim=True)
    parts = [user_table(t).add_column(0, "period", [[p.kind] * t.num_rows]) for p, t in tables.items()]
    pyarrow.parquet.write_table(pa.concat_tables(parts), out)
    typer.echo(f"{seq:,} ticks, {sum(map(len, parts)):,} bars")
