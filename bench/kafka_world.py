"""What the benchmarks on Kafka share: a broker and a registry from packages, logs on them, and a plain consumer."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, TopicPartition

from ashioto.log.kafka import KafkaLog, KafkaOptions
from ashioto.testing.stack import Broker, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, kw_only=True)
class World:
    """A broker of its own, with a registry."""

    bootstrap: str
    registry: str
    folder: Path

    def log(self, name: str = "mine", **options: Any) -> KafkaLog:
        """Open the log; processes of another name have views of their own."""
        return KafkaLog(KafkaOptions(
            bootstrap=self.bootstrap, registry=self.registry, cache=self.folder / name, replication=1, **options,
        ))  # fmt: skip

    def arguments(self) -> list[str]:
        """Return what another process of the same script finds it by."""
        return ["--world", self.bootstrap, self.registry, str(self.folder)]

    def environment(self) -> dict[str, str]:
        """Return what `rc` finds it by."""
        return {
            "ASHIOTO_LOG__KIND": "kafka",
            "ASHIOTO_LOG__BOOTSTRAP": self.bootstrap,
            "ASHIOTO_LOG__REPLICATION": "1",
            "ASHIOTO_SCHEMA_REGISTRY__URL": self.registry,
        }


@contextmanager
def world(*, settings: Mapping[str, str] | None = None, heap_mb: int = 1024) -> Iterator[World]:
    """Start a broker and a registry, and end them."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(settings=settings, heap_mb=heap_mb))
        registry = stack.enter_context(Registry())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        yield World(bootstrap=broker.bootstrap, registry=registry.url, folder=Path(folder))


def load() -> str:
    """Return how busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def consumed(
    bootstrap: str, topic: str, partitions: int, count: int, settings: Mapping[str, Any]
) -> tuple[float, float]:  # fmt: skip
    """Read so many records with a plain consumer, as messages; returns seconds, and seconds of the CPU."""
    consumer = Consumer({**settings, "bootstrap.servers": bootstrap, "group.id": f"bare-{time.time_ns()}"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    left = count
    wall, cpu = time.perf_counter(), time.process_time()
    while left > 0:
        left -= sum(message.error() is None for message in consumer.consume(65_536, 0.05))
    took = time.perf_counter() - wall, time.process_time() - cpu
    consumer.close()
    return took
