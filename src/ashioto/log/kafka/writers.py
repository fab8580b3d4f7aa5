"""Writes without a fence: one record as it is, more of them in a transaction."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError

from ashioto.errors import LogBusyError, LogError
from ashioto.log.kafka.errors import MAYBE_WRITTEN, log_error
from ashioto.log.kafka.transactions import Transactor
from ashioto.log.kafka.write import send
from ashioto.log.leases import FREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.producer import ColumnProducer
    from ashioto.log.kafka.transactions import Probe
    from ashioto.log.kafka.write import Outgoing

TRIES: Final = 3


class Writers:
    """Writes for threads that need no fence; it holds two producers at most.

    Args:
        clients: Of the cluster.
        committed: Finds out whether a transaction was committed.
    """

    def __init__(self, clients: Clients, committed: Callable[[Probe], bool]) -> None:
        self._clients, self._committed = clients, committed
        self._plain: ColumnProducer | None = None
        self._making, self._writing = threading.Lock(), threading.Lock()
        name = f"{clients.options.prefix}{clients.options.transactions}.{FREE}{uuid.uuid4().hex}"
        self._transactor = Transactor(clients, name)

    def write(self, found: list[Outgoing]) -> bool:
        """Write records, all or none; returns whether in a transaction.

        Args:
            found: The records; their offsets are noted there.

        Raises:
            LogError: They were not written; where nobody can say whether they were, the message says so.
        """
        rows = sum(len(one.keys) for one in found)
        if rows == 1:
            self._write_one(next(one for one in found if len(one.keys)))
        elif rows:
            with self._writing:
                self._write_all(found)
        return rows > 1

    def close(self) -> None:
        """Let go of the producers."""
        with self._writing:
            self._transactor.drop()
        with self._making:
            self._plain = None  # it is gone with the last thread that uses it

    def _write_one(self, one: Outgoing) -> None:
        with self._making:
            if self._plain is None:
                self._plain = self._clients.producer()
            producer = self._plain
        options = self._clients.options
        with self._clients.errors(one.topic.spec.name):
            send(producer, [one], in_transaction=False)
            producer.flush(options.request_timeout_s)
        if one.arrived:
            return
        failed = producer.fatal or one.failed or KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001
        if failed.fatal():
            with self._making:
                self._plain = None
        if failed.code() in MAYBE_WRITTEN:
            raise unknown_outcome(one.topic.spec.name, options.bootstrap)
        raise log_error(failed, options.bootstrap, topic=one.topic.spec.name, trouble=self._clients.trouble)

    def _write_all(self, found: list[Outgoing]) -> None:
        for left in reversed(range(TRIES)):
            if self._transactor.wrote(found, self._is_committed, again=left > 0):
                return
            found[:] = [one.again() for one in found]

    def _is_committed(self, probe: Probe) -> bool:
        with finding_out(probe, self._clients.options.bootstrap):
            self._transactor.begin()
            return self._committed(probe)


@contextmanager
def finding_out(probe: Probe, bootstrap: str) -> Iterator[None]:
    """Find out in a block what became of a transaction.

    Raises:
        LogBusyError: The block could not: nobody can say whether the transaction was committed.
    """
    try:
        yield
    except LogError as error:
        raise unknown_outcome(probe.topic.spec.name, bootstrap) from error


def unknown_outcome(topic: str, bootstrap: str) -> LogBusyError:
    """Return the error for an append of which nobody can say whether it was written."""
    return LogBusyError(
        f"nobody can say whether an append to {topic} was written: Kafka at {bootstrap} does not answer",
        hint="look for it before it is written again",
        topic=topic,
    )
