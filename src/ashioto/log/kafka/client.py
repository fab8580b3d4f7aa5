"""Makes the clients of a cluster from the settings of a log."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ashioto.errors import ConfigError
from ashioto.log.kafka.consumer import ColumnConsumer
from ashioto.log.kafka.errors import Trouble, kafka_errors
from ashioto.log.kafka.producer import ColumnProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ashioto.log.kafka.options import KafkaOptions

LOGGER: Final = logging.getLogger("ashioto.kafka")
LOGGER.addFilter(lambda record: "fenced by a newer instance" not in record.getMessage())  # handled where it is met
_Client = TypeVar("_Client")
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
    """Makes clients that share settings, and keeps those that ask and administer.

    Args:
        options: Of the log.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.options = options
        self.trouble = Trouble()
        self._lock = threading.Lock()
        self._admin: AdminClient | None = None
        self._askers: dict[bool, Consumer] = {}

    @property
    def admin(self) -> AdminClient:
        """The client that administers; requests of one that is not kept fail.

        Raises:
            ConfigError: The client refuses a setting.
        """
        with self._lock:
            if self._admin is None:
                self._admin = self._made(AdminClient, {})
            return self._admin

    def asker(self, *, committed: bool) -> Consumer:
        """Return the consumer that is asked where partitions begin and end; it reads nothing.

        The client that administers could be asked as well, but waits for a leader that is gone without ever sleeping.

        Args:
            committed: Whether a partition ends for it before transactions that are open.

        Raises:
            ConfigError: The client refuses a setting.
        """
        with self._lock:
            if committed not in self._askers:
                level = "read_committed" if committed else "read_uncommitted"
                self._askers[committed] = self.member({"group.id": self._readers, "isolation.level": level})
            return self._askers[committed]

    def producer(self, transactional_id: str | None = None) -> ColumnProducer:
        """Return a new idempotent producer.

        Args:
            transactional_id: Of its transactions; None is for a producer without them.

        Raises:
            ConfigError: The client refuses a setting.
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
        return self._made(ColumnProducer, own)

    def consumer(self) -> ColumnConsumer:
        """Return a new consumer; partitions are assigned to it by hand, and it commits no offsets."""
        return self._made(ColumnConsumer, CONSUMER | {"group.id": self._readers})

    def member(self, own: Mapping[str, Any]) -> Consumer:
        """Return a new consumer that takes part in a group.

        Args:
            own: Settings of librdkafka, the group's id among them.
        """
        return self._made(Consumer, own)

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
                self._listen()
                self._admin = None  # it may believe in a controller that is gone
                raise

    def renew(self) -> None:
        """Ask and administer by new clients from now on: the old ones may believe in leaders that are gone."""
        self.close()

    def close(self) -> None:
        """Let go of the clients that ask and administer."""
        with self._lock:
            self._admin, self._askers = None, {}

    @property
    def _readers(self) -> str:
        return f"{self.options.prefix}{self.options.transactions}.readers"

    def _listen(self) -> None:
        """Have the clients that are kept tell what they were refused for: they tell it only to who asks."""
        with self._lock:
            kept = [self._admin, *self._askers.values()]
        for client in kept:
            if client is not None:
                client.poll(0)

    def _made(self, kind: Callable[[dict[str, Any]], _Client], own: Mapping[str, Any]) -> _Client:
        """Return a new client; the cluster is not asked for anything by that, so all that can be wrong are settings."""
        try:
            return kind(self._settings(own))
        except KafkaException as error:
            said: KafkaError = error.args[0]
            raise refused_setting(said, self.options.client) from error

    def _settings(self, own: Mapping[str, Any]) -> dict[str, Any]:
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
        return made | dict(own) | dict(options.client)


def refused_setting(error: KafkaError, settings: Mapping[str, object]) -> ConfigError:
    """Return the error for settings that librdkafka refuses, before it asks any broker.

    Args:
        error: What it says; it repeats no secret.
        settings: What was set, by librdkafka's names; the one that it speaks of is named.

    >>> said = KafkaError(KafkaError._INVALID_ARG, 'No such configuration property: "linger"')
    >>> print(refused_setting(said, {"linger": 5}))
    Kafka's client refuses linger: No such configuration property: "linger"
    Hint: correct it in [kafka] or [kafka.settings] of ashioto.toml, or in ASHIOTO_KAFKA__...
    """
    text = error.str().strip()
    about = {"SASL mechanism": "sasl.mechanism"}
    named = [name for name in settings if name in text] + [name for words, name in about.items() if words in text]
    what = max(named, key=len, default="a setting")
    return ConfigError(
        f"Kafka's client refuses {what}: {text}",
        hint="correct it in [kafka] or [kafka.settings] of ashioto.toml, or in ASHIOTO_KAFKA__...",
        key=what,
    )
