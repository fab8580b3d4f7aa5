"""What a job writes: bars and late ticks in the schema of their topic, and what bars hand on in a topic of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa

from ashioto import naming
from ashioto.engines.embedded.output import bar_schema
from ashioto.engines.embedded.topics import late_schema
from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Cast, Const, call, column
from ashioto.engines.sql.pipeline import TICKS
from ashioto.engines.sql.statements import ColumnDef
from ashioto.engines.sql.types import TEXT, column_type
from ashioto.log.base import TopicSpec
from ashioto.logical.nodes import DATE, TIMESTAMP
from ashioto.schema.avro import avro_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.engines.flink.reach import Reach
    from ashioto.engines.sql.layout import Value
    from ashioto.engines.sql.pipeline import Pipeline
    from ashioto.engines.sql.publish import Publication
    from ashioto.engines.sql.statements import Create

_OURS: Final = "ashioto"


def bars_sink(line: Pipeline, bars: Publication, reach: Reach) -> tuple[Create, tuple[Value, ...]]:
    """Return the table that writes bars of a frame, and its values in order.

    Args:
        line: The steps of the version.
        bars: What the bars hold.
        reach: How the cluster reaches brokers and registry.
    """
    schema = bar_schema(line.layout.compiled, bars.period)
    name = f"{line.name}_{bars.period.kind}_bars"
    return _sink(name, bars.topic, schema, {value.name: value for value in bars.values}, reach, keyed=True)


def late_sink(line: Pipeline, reach: Reach) -> tuple[Create, tuple[Value, ...]]:
    """Return the table that writes ticks that came too late, and its values in order.

    Args:
        line: The steps of the version.
        reach: How the cluster reaches brokers and registry.
    """
    query = line.query
    values = {}
    for declared in query.entity.columns:
        held = column(TICKS, declared.name)
        sql = call("time_of_ms", held) if declared.type == TIMESTAMP else held
        sql = call("date_of_days", held) if declared.type == DATE else sql
        values[declared.name] = cols.Value(name=declared.name, type=column_type(declared.type), sql=sql)
    why = f"older than the retention of {query.retention_ms // 1000} s"
    values["reason"] = cols.Value(name="reason", type=TEXT, sql=Const(why))
    topic = naming.late_topic(query.context, query.entity.name)
    return _sink(f"{line.name}_late", topic, late_schema(query), values, reach, keyed=False)


def carry_values(line: Pipeline) -> list[Value]:
    """Return the columns of what bars hand on: those of stamped rows that have a value there."""
    first = next(iter(line.carries.values()))
    known = {cols.KIND, cols.TICKS, cols.WEIGHT}
    held = [v for v in first.values if v.name not in known and v.sql != Cast(Const(None), v.type)]
    return [cols.Value(name=cols.KEY_TEXT, type=TEXT, sql=first.key), *held]


def carry_schema(line: Pipeline) -> str:
    """Return the Avro schema of what bars hand on, as JSON."""
    spec = carry_topic(line, 1)
    return json.dumps(avro_schema(spec.schema, name=spec.name))


def carry_topic(line: Pipeline, partitions: int) -> TopicSpec:
    """Return the topic through which bars hand on; it is needed for as long as ticks may change a bar.

    Args:
        line: The steps of the version.
        partitions: How many it gets.
    """
    types = {"text": pa.string(), "bigint": pa.int64()}
    fields = [(value.name, types[value.type.word]) for value in carry_values(line)]
    late = max(fold.late_ms for fold in line.folds)
    return TopicSpec(
        name=f"{line.name}_carry",
        partitions=partitions,
        cleanup="delete",
        schema=pa.schema(fields),
        retention_ms=2 * late,
    )


def _sink(
    name: str, topic: str, schema: pa.Schema, values: Mapping[str, Value], reach: Reach, *, keyed: bool
) -> tuple[Create, tuple[Value, ...]]:
    avro = reach.schemas.get(topic) or avro_schema(schema, name=topic)
    ours = cast("dict[str, Any]", avro.get(_OURS) or {})
    renamed = cast("dict[str, str]", ours.get("columns", {}))
    found = []
    for field in cast("list[dict[str, Any]]", avro["fields"]):
        value = values[renamed.get(field["name"], field["name"])]
        found.append(cols.Value(name=field["name"], type=value.type, sql=value.sql))
    columns = [ColumnDef(name=value.name, type=value.type) for value in found]
    return reach.sink(name, topic, columns, json.dumps(avro), keyed=keyed), tuple(found)
