"""Looks at a cluster for `rc doctor`: who answers, how far clocks are apart, and with which libraries."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

import confluent_kafka
import pyarrow as pa

from ashioto.log.base import TopicSpec
from ashioto.log.kafka.topics import ensure
from ashioto.log.leases import CLOCK
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from ashioto.clock import Clock
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.topics import Topic, Topics
    from ashioto.schema.registry import SchemaRegistry

_VALUE: Final = subject("")
ANSWER_S: Final = 10.0
"""How long an answer is waited for, seconds."""
SPEC: Final = TopicSpec(
    name=CLOCK, cleanup="delete", schema=pa.schema({"asked_ms": pa.int64()}), retention_ms=3_600_000
)  # fmt: skip
"""A topic in which the cluster dates the records, and not who sends them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Describes a cluster that answers.

    Args:
        id: Its id.
        brokers: Its brokers, as `host:port`.
    """

    id: str
    brokers: tuple[str, ...]


class Checkup:
    """Asks a cluster and its registry how they are.

    Args:
        clients: Of the cluster.
        topics: Of the cluster.
        registry: Keeps the schemas of the values.
        clock: Of this machine.
    """

    def __init__(self, clients: Clients, topics: Topics, registry: SchemaRegistry, clock: Clock) -> None:
        self._clients, self._topics, self._registry, self._clock = clients, topics, registry, clock

    def cluster(self) -> Cluster:
        """Return who answers.

        Raises:
            LogError: Nobody does, or this client is not let in.
        """
        with self._clients.errors():
            found = self._clients.admin.list_topics(timeout=ANSWER_S)
        places = [f"{broker.host}:{broker.port}" for broker in found.brokers.values()]
        return Cluster(id=str(found.cluster_id), brokers=tuple(sorted(places)))

    def compatibility(self, name: str) -> str | None:
        """Return what the registry asks of the schemas of a topic; None where nothing is set for it.

        Raises:
            RegistryError: It does not answer.
        """
        return self._registry.compatibility(subject(f"{self._clients.options.prefix}{name}"))

    def declared(self) -> set[str]:
        """Return the topics that the registry has schemas of, by their names on the cluster, whoever may see them.

        Raises:
            RegistryError: It does not answer.
        """
        prefix = self._clients.options.prefix
        found = {name.removesuffix(_VALUE) for name in self._registry.subjects() if name.endswith(_VALUE)}
        return {name for name in found if name.startswith(prefix)}

    def clock_offset_ms(self) -> int:
        """Return by how much a broker's clock is ahead of this machine's: records are written for it.

        Raises:
            LogError: This client may not write them, or nobody answers.
        """
        topic = ensure(self._topics, SPEC)
        with self._clients.errors(CLOCK):
            producer = self._clients.producer()
            self._dated(producer, topic)  # the first waits for connections, so it says little of when it was dated
            return self._dated(producer, topic)

    def _dated(self, producer: Producer, topic: Topic) -> int:
        """Return how far ahead of the middle between sending and answer a record is dated, ms."""
        found: list[tuple[confluent_kafka.KafkaError | None, int]] = []
        asked_ms, begun = self._clock.now_ms(), self._clock.monotonic()
        producer.produce(
            topic.real, key=b"clock", on_delivery=lambda error, said: found.append((error, said.timestamp()[1]))
        )  # fmt: skip
        producer.flush(ANSWER_S)
        took_ms = (self._clock.monotonic() - begun) * 1000
        error, dated_ms = found[0] if found else (confluent_kafka.KafkaError(confluent_kafka.KafkaError._TIMED_OUT), 0)  # noqa: SLF001  # public, for all its name
        if error is not None:
            raise confluent_kafka.KafkaException(error)
        return round(dated_ms - asked_ms - took_ms / 2)

    @staticmethod
    def libraries() -> dict[str, str]:
        """Return the versions of the libraries that talk to Kafka.

        >>> sorted(Checkup.libraries())
        ['confluent-kafka', 'librdkafka']
        """
        return {"confluent-kafka": metadata.version("confluent-kafka"), "librdkafka": confluent_kafka.libversion()[0]}
