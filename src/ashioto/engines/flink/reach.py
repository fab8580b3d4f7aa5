"""How a Flink cluster reaches brokers and the registry, and the tables it sees them through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ashioto.engines.sql.statements import ColumnDef, Create
from ashioto.engines.sql.types import TEXT
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.engines.sql.statements import KeyRole, Option

RECORD_KEY: Final = "_key"
"""Column of the record's key; no column of a user begins with `_`."""

_WHOLE: Final[list[tuple[str, str | int]]] = [
    ("sink.buffer-flush.max-rows", "1000000000"),
    ("sink.buffer-flush.interval", "100 ms"),
]
"""A row that changes comes as its end and its new form, of which the first would be written as a deletion. Both come at
once, so where rows wait for a moment, and never for their number, only the second is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Says how the cluster reaches brokers and registry.

    Args:
        bootstrap: Brokers to ask first, as the cluster knows them.
        registry: URL of the schema registry, as the cluster knows it.
        prefix: Stands before the name of every topic.
        group: Group that offsets are committed under: how far the query has read.
        kafka: Further settings of Kafka's Java clients; may hold secrets.
        registry_options: Further options of the format `avro-confluent`; may hold secrets.
        schemas: Avro schemas of topics as they are registered, by name without prefix; those that are not here get the
            one that their columns imply.

    >>> Reach(bootstrap="kafka:9092", registry="http://registry:8081").prefix
    ''
    """

    bootstrap: str
    registry: str
    prefix: str = ""
    group: str = ""
    kafka: Mapping[str, str] = field(default_factory=dict, repr=False)
    registry_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def source(self, name: str, topic: str, columns: Sequence[ColumnDef]) -> Create:
        """Return a table whose rows are the records of a topic, all of them and those to come.

        Args:
            name: Of the table.
            topic: Its name without prefix.
            columns: Beside the key.
        """
        options: list[Option] = [*self._options("kafka", topic), ("key.fields", RECORD_KEY)]
        options += [("scan.startup.mode", "earliest-offset")]
        return Create(kind="stream", name=name, columns=(_key(), *columns), options=tuple(options))

    def latest(self, name: str, topic: str, key: str, columns: Sequence[ColumnDef]) -> Create:
        """Return a table that holds the newest record of each key of a topic."""
        held = (ColumnDef(name=key, type=TEXT, key="primary"), *columns)
        return Create(kind="stream", name=name, columns=held, options=self._options("upsert-kafka", topic))

    def sink(self, name: str, topic: str, columns: Sequence[ColumnDef], schema: str, *, keyed: bool) -> Create:
        """Return a table that writes into a topic.

        Args:
            name: Of the table.
            topic: Its name without prefix.
            columns: Beside the key; they are what the schema says.
            schema: Avro schema of its values, as JSON.
            keyed: Whether a record takes the place of the one of the same key.
        """
        options: list[Option] = [*self._options("upsert-kafka" if keyed else "kafka", topic)]
        options += [("value.avro-confluent.subject", subject(f"{self.prefix}{topic}"))]
        options += [("value.avro-confluent.schema", schema)]
        options += _WHOLE if keyed else [("key.fields", RECORD_KEY)]
        held = (_key("primary" if keyed else ""), *columns)
        return Create(kind="stream", name=name, columns=held, options=tuple(options))

    def _options(self, connector: str, topic: str) -> tuple[Option, ...]:
        kafka = {"bootstrap.servers": self.bootstrap, "isolation.level": "read_committed"}
        if self.group:
            kafka["group.id"] = self.group
        said = {"connector": connector, "topic": f"{self.prefix}{topic}"}
        said |= {f"properties.{name}": value for name, value in (kafka | dict(self.kafka)).items()}
        said |= {"key.format": "raw", "value.format": "avro-confluent", "value.fields-include": "EXCEPT_KEY"}
        said |= {"value.avro-confluent.url": self.registry}
        said |= {f"value.avro-confluent.{name}": value for name, value in self.registry_options.items()}
        return tuple(said.items())


def _key(role: KeyRole = "") -> ColumnDef:
    return ColumnDef(name=RECORD_KEY, type=TEXT, key=role)
