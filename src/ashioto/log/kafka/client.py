"""Makes the clients of a cluster from the settings of a log."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from ashioto.log.kafka.errors import Trouble, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ashioto.log.kafka.options import KafkaOptions

LOGGER: Final = logging.getLogger("ashioto.kafka")
LOGGER.addFilter(lambda record: "fenced by a newer instance" not in record.getMessage())  # handled where it is met
MAX_MESSAGE_BYTES: Final = 1_000_000
"""What librdkafka sends in one request of one partition, and so the largest record."""
_RETRY_MS: Final = 200
_JITTER: Final = 0.8
"""librdkafka shortens each wait by up to a fifth."""
PRODUCER: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "batch.num.messages": 10_000,
    "batch.size": MAX_MESSAGE_BYTES,
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 262_144,
}
CONSUMER: Final[dict[str, Any]] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "check.crcs": False,
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 100,
    "fetch.message.max.bytes": 8_388_608,
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 65_536,
    "max.poll.interval.ms": 86_400_000,
}


class Clients:
    """Makes clients that share settings, and keeps the one that administers.

    Args:
        options: Of the log.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.trouble = Trouble()
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None

    @property
    def admin(self) -> AdminClient:
        """The client that administers; requests of one that is not kept fail."""
        with self._lock:
            if self._admin is None:
                with self.errors():
                    self._admin = AdminClient(self._settings({}))
            return self._admin

    def producer(self, transactional_id: str | None = None) -> Producer:
        """Return a new idempotent producer.

        Args:
            transactional_id: Of its transactions; None is for a producer without them.
        """
        own = dict(PRODUCER)
        timeout_ms = round(self.options.request_timeout_s * 1000)
        if transactional_id is None:
            own["message.timeout.ms"] = timeout_ms
            own["linger.ms"] = 0
        else:
            own["transactional.id"] = transactional_id
            own["retry.backoff.ms"] = _RETRY_MS
            own["transaction.timeout.ms"] = round(self.options.transaction_timeout_s * 1000)
            own["message.timeout.ms"] = min(timeout_ms, own["transaction.timeout.ms"])
        with self.errors():
            return Producer(self._settings(own))

    def consumer(self) -> Consumer:
        """Return a new consumer; partitions are assigned to it by hand, and it commits no offsets."""
        own = CONSUMER | {"group.id": f"{self.options.prefix}{self.options.transactions}.readers"}
        with self.errors():
            return Consumer(self._settings(own))

    def member(self, own: Mapping[str, Any]) -> Consumer:
        """Return a new consumer that takes part in a group.

        Args:
            own: Settings of librdkafka, the group's id among them.
        """
        with self.errors():
            return Consumer(self._settings(dict(own)))

    @property
    def resend_s(self) -> float:
        """How long a request in a transaction has been on its way at least when it is sent a second time, seconds."""
        return _JITTER * float(self.options.client.get("retry.backoff.ms", _RETRY_MS)) / 1000

    @contextmanager
    def errors(self, topic: str = "") -> Iterator[None]:
        """Raise errors of Kafka as those of a log; see `kafka_errors`."""
        with kafka_errors(self.options.bootstrap, topic=topic, trouble=self.trouble):
            try:
                yield
            except KafkaException:
                admin = self._admin
                if admin is not None:
                    admin.poll(0)  # what it was refused for is only told to who asks
                self.renew()
                raise

    def renew(self) -> None:
        """Administer by a new client from now on: the old one may believe in leaders that are gone."""
        self.close()

    def close(self) -> None:
        """Let go of the client that administers."""
        with self._lock:
            self._admin = None

    def _settings(self, own: dict[str, Any]) -> dict[str, Any]:
        options = self.options
        made: dict[str, Any] = {
            "bootstrap.servers": options.bootstrap,
            "client.id": "ashioto",
            "error_cb": self.trouble,
            "logger": LOGGER,
            "log_level": 2,  # what fails comes back from the calls; lost connections are made anew without a word
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.propagation.max.ms": 5000,
        }
        if options.statistics is not None:
            made |= {
                "stats_cb": options.statistics,
                "statistics.interval.ms": round(options.statistics_interval_s * 1000),
            }
        return made | own | dict(options.client)
