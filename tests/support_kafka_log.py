"""Opens logs on the broker and the registry of the tests, each in a world of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ashioto.log.kafka import KafkaLog, KafkaOptions

if TYPE_CHECKING:
    from pathlib import Path


def kafka_options(kafka: str, registry: str, unique: str, folder: Path, **options: Any) -> KafkaOptions:
    """Return options of a log whose topics and transactions nobody else has."""
    own: dict[str, Any] = {"topic_ttl_s": 60.0, "request_timeout_s": 20.0, "replication": 1} | options
    return KafkaOptions(
        bootstrap=kafka, registry=registry, cache=folder / "views", prefix=f"{unique}.", **own
    )  # fmt: skip


def open_kafka_log(kafka: str, registry: str, unique: str, folder: Path, **options: Any) -> KafkaLog:
    """Open a log in a world that is known by `unique`."""
    return KafkaLog(kafka_options(kafka, registry, unique, folder, **options))
