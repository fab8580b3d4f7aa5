"""Writes in transactions, and finds out what became of one whose end nobody reported."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException

from ashioto.clock import SystemClock
from ashioto.log.kafka.errors import FENCED, log_error
from ashioto.log.kafka.write import send

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.producer import ColumnProducer
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.write import Outgoing

_ABORT_S: Final = 5.0
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Names a record of a transaction: where readers see it, all of it was committed.

    Args:
        topic: The topic.
        partition: Number of the partition.
        offset: Of the record.
    """

    topic: Topic
    partition: int
    offset: int


class NotCommittedError(Exception):
    """Says that a transaction was not committed, or that nobody knows yet.

    Args:
        error: What Kafka said.
        probe: How to find out; None where it is certain that it was not.
    """

    def __init__(self, error: KafkaError, probe: Probe | None) -> None:
        super().__init__(error.str())
        self.error, self.probe = error, probe

    @property
    def fenced(self) -> bool:
        """Whether another writer of the same id has begun."""
        return self.error.code() in FENCED


class Transactor:
    """Holds a producer under one id; not for several threads at once.

    Args:
        clients: Of the cluster.
        name: The id, which only one producer has at a time: a newer one shuts out the older.
    """

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients, self._name = clients, name
        self._producer: ColumnProducer | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a producer, which nobody has shut out as far as is known."""
        return self._producer is not None

    def begin(self) -> None:
        """Become the one producer of the id: what another has begun is aborted, what it has ended is waited for."""
        self.drop()
        producer = self._clients.producer(self._name)
        with self._clients.errors():
            producer.init_transactions(self._clients.options.request_timeout_s)
        self._producer = producer

    def drop(self) -> None:
        """Let go of the producer without another word to the cluster."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaException):  # one that was shut out says so at every call
                producer.purge()
            producer.close()

    def write(self, found: Sequence[Outgoing]) -> None:
        """Write records, all or none.

        Args:
            found: The records; their offsets are noted there.

        Raises:
            NotCommittedError: They were not written, or it is not known whether they were.
        """
        if self._producer is None:
            self.begin()
        producer, options = self._producer, self._clients.options
        assert producer is not None  # noqa: S101  # begun above
        try:
            producer.begin_transaction()
            send(producer, found, in_transaction=True)
            left = producer.flush(options.transaction_timeout_s)
        except KafkaException as error:
            self._give_up(producer)
            raise NotCommittedError(error.args[0], None) from error
        if left or not all(one.arrived for one in found):
            failed = next((one.failed for one in found if one.failed is not None), None)
            failed = producer.spoilt or failed
            self._give_up(producer)
            raise NotCommittedError(failed or KafkaError(KafkaError._TIMED_OUT), None)  # noqa: SLF001
        began = _CLOCK.monotonic()
        try:
            producer.commit_transaction(options.transaction_timeout_s + options.request_timeout_s)
        except KafkaException as error:
            self.drop()
            raise NotCommittedError(error.args[0], _probe(found)) from error
        if _CLOCK.monotonic() - began >= self._clients.resend_s:
            self.drop()  # it may have been sent twice: the one that comes late would end the next transaction

    def wrote(self, found: Sequence[Outgoing], committed: Callable[[Probe], bool], *, again: bool) -> bool:
        """Write records, all or none; returns False where it is certain that nothing was written.

        Args:
            found: The records; their offsets are noted there.
            committed: Finds out whether a transaction was committed.
            again: Whether the caller tries again where that may help.

        Raises:
            LogError: They were not written, and it is not to be tried again.
        """
        try:
            self.write(found)
        except NotCommittedError as error:
            if error.probe is not None and committed(error.probe):
                return True
            if again and (error.probe is not None or error.fenced or error.error.retriable()):
                return False  # a commit that meets a newer writer's beginning is refused with any of several errors
            raise log_error(
                error.error, self._clients.options.bootstrap, topic=found[0].topic.spec.name,
                trouble=self._clients.trouble,
            ) from error  # fmt: skip
        return True

    def _give_up(self, producer: ColumnProducer) -> None:
        """Abort, so that readers need not wait until the transaction times out."""
        with suppress(KafkaException):  # shut out, or out of reach: the cluster aborts it
            producer.purge()
            producer.abort_transaction(_ABORT_S)
        self.drop()


def _probe(found: Sequence[Outgoing]) -> Probe | None:
    for one in found:
        if len(one.offsets):
            return Probe(topic=one.topic, partition=one.partition, offset=int(one.offsets[-1]))
    return None
