"""Looks at a cluster for `rc doctor`: who answers, how far clocks are apart, and with which libraries."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

import confluent_kafka
import numpy as np
import pyarrow as pa
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from ashioto.log.base import TopicSpec
from ashioto.log.kafka.write import Outgoing
from ashioto.log.leases import CLOCK
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.producer import ColumnProducer
    from ashioto.log.kafka.topics import Topic, Topics
    from ashioto.schema.registry import SchemaRegistry

_VALUE: Final = subject("")
_PROTOCOL: Final = "inter.broker.protocol.version"
ANSWER_S: Final = 10.0
"""How long an answer is waited for, seconds."""
SPEC: Final = TopicSpec(
    name=CLOCK, cleanup="delete", schema=pa.schema({"asked_ms": pa.int64()}), retention_ms=3_600_000
)  # fmt: skip
"""A topic in which the cluster dates the records, and not who sends them; made with the fences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Describes a cluster that answers.

    Args:
        id: Its id.
        brokers: Its brokers, as `host:port`.
        protocol: The version that one of them speaks with the others, e.g. `3.6-IV2`; None where it is not told.
    """

    id: str
    brokers: tuple[str, ...]
    protocol: str | None = None


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
        protocol = self._protocol(min(found.brokers)) if found.brokers else None
        return Cluster(id=str(found.cluster_id), brokers=tuple(sorted(places)), protocol=protocol)

    def _protocol(self, broker: int) -> str | None:
        """Return what a broker says of its version: brokers of 4.0 and later do not, and others not to everybody."""
        resource = ConfigResource(ResourceType.BROKER, str(broker))
        admin = self._clients.admin  # kept until it has answered
        try:
            found = admin.describe_configs([resource], request_timeout=ANSWER_S)[resource].result()
        except confluent_kafka.KafkaException:
            return None
        return found[_PROTOCOL].value if _PROTOCOL in found else None

    def compatibility(self, name: str) -> str | None:
        """Return what the registry asks of the schemas of a topic; None where it does not say.

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
            UnknownTopicError: The topic that they are written to is not made yet.
            LogError: This client may not write them, or nobody answers.
        """
        topic = self._topics.find(CLOCK)
        with self._clients.errors(CLOCK):
            producer = self._clients.producer()
            self._dated(producer, topic)  # the first waits for connections, so it says little of when it was dated
            return self._dated(producer, topic)

    def _dated(self, producer: ColumnProducer, topic: Topic) -> int:
        """Return how far ahead of the middle between sending and answer a record is dated, ms."""
        asked_ms, begun = self._clock.now_ms(), self._clock.monotonic()
        one = Outgoing(
            topic=topic, partition=0, keys=pa.array([b"clock"], pa.binary()), values=pa.nulls(1, pa.large_binary()),
            times=np.array([asked_ms], dtype=np.int64),
        )  # fmt: skip
        producer.send(one, {})
        producer.flush(ANSWER_S)
        took_ms = (self._clock.monotonic() - begun) * 1000
        if not one.arrived:
            error = one.failed or confluent_kafka.KafkaError(confluent_kafka.KafkaError._TIMED_OUT)  # noqa: SLF001  # public, for all its name
            raise confluent_kafka.KafkaException(error)
        return round(int(one.dated[0]) - asked_ms - took_ms / 2)

    @staticmethod
    def libraries() -> dict[str, str]:
        """Return the versions of the libraries that talk to Kafka.

        >>> sorted(Checkup.libraries())
        ['confluent-kafka', 'librdkafka']
        """
        return {"confluent-kafka": metadata.version("confluent-kafka"), "librdkafka": confluent_kafka.libversion()[0]}
