"""What a log on Kafka must be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OLDEST_BROKER: Final = "3.6"
"""The first version of Kafka that knows `message.timestamp.after.max.ms`, which heartbeats need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Says where a cluster and its registry are, and how they are used.

    Args:
        bootstrap: Brokers to ask first, `host:port,host:port`.
        registry: URL of the schema registry.
        cache: Folder for the views of compact topics; processes may share it, on a local disk. It may be deleted.
        prefix: Stands before the name of every topic, fence and transaction on the cluster, and nowhere else: so one
            cluster can hold several worlds that know nothing of each other.
        client: Further settings of librdkafka, security above all; never shown.
        registry_client: Further arguments of `SchemaRegistry`, such as user and password; never shown.
        transactions: What the ids of transactions begin with, after `prefix`; rights can be given by it.
        replication: Copies of each topic that is created; -1 leaves it to the broker.
        request_timeout_s: How long one request may take, seconds.
        transaction_timeout_s: After how long the cluster ends a transaction whose writer is silent, seconds: so long
            readers may wait for a writer that was cut off.
        visible_timeout_s: How long an append waits until readers see it, seconds. What holds it up is the open
            transaction of somebody else in the same partition; it is durable all the same. Well below how long a lease
            lasts, or whoever appends under one loses it.
        session_timeout_s: After how long the partitions of a silent engine go to others, seconds; the brokers'
            `group.min.session.timeout.ms` must allow it.
        topic_ttl_s: How long a topic is remembered before the cluster is asked again whether it was changed, seconds.
        dead_letters: Whether records that cannot be read are sent to `rc.dlq`.
        statistics: Gets librdkafka's statistics as JSON, every `statistics_interval_s` seconds.
        statistics_interval_s: How often.

    >>> from pathlib import Path
    >>> secret = {"sasl.password": "secret"}
    >>> "secret" in repr(KafkaOptions(bootstrap="kafka:9092", registry="http://r", cache=Path("views"), client=secret))
    False
    """

    bootstrap: str
    registry: str = field(repr=False)
    cache: Path
    prefix: str = ""
    client: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    registry_client: Mapping[str, Any] = field(default_factory=dict, repr=False)
    transactions: str = "ashioto"
    replication: int = -1
    request_timeout_s: float = 30.0
    transaction_timeout_s: float = 15.0
    visible_timeout_s: float = 1.0
    session_timeout_s: float = 6.0
    topic_ttl_s: float = 5.0
    dead_letters: bool = True
    statistics: Callable[[str], None] | None = field(default=None, repr=False)
    statistics_interval_s: float = 10.0
