"""Writes of which nobody can say whether they were made: told as such, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.contract.log_contract import batch
from tests.unit.log.kafka.fakes import FakeClients
from tests.unit.log.kafka.support import TOPIC, Schemas

from ashioto.errors import LogBusyError, LogError
from ashioto.log.base import Fence
from ashioto.log.kafka.fences import FenceState
from ashioto.log.kafka.leases import Fenced
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.write import Outgoing, prepared
from ashioto.log.kafka.writers import Writers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ashioto.log.kafka.leases import FenceBook
    from ashioto.log.kafka.transactions import Probe
    from ashioto.schema.registry import SchemaRegistry

VALUES = Values(cast("SchemaRegistry", Schemas()))
UNKNOWN = "nobody can say whether an append to t.ticks was written"
FENCE = Fence(name="hb", epoch=3)


class FakeProducer:
    """Fails where it is told to: `sends`, `commits` and `begins` are codes of errors, or None."""

    def __init__(self, *, sends: int | None = None, commits: int | None = None, begins: int | None = None) -> None:
        self.sends, self.commits, self.begins = sends, commits, begins
        self.sent: list[Outgoing] = []
        self.silent = False

    def send(self, one: Outgoing, _: Any) -> None:
        self.sent.append(one)

    def flush(self, _: float) -> int:
        if self.silent:
            return len(self.sent)
        for one in self.sent:
            one.failed = None if self.sends is None else KafkaError(self.sends)
            if self.sends is None:
                one.take(np.arange(len(one.keys)), one.times)
        self.sent.clear()
        return 0

    def init_transactions(self, _: float) -> None:
        self._fail(self.begins)

    def commit_transaction(self, _: float) -> None:
        self._fail(self.commits)

    def begin_transaction(self) -> None: ...
    def abort_transaction(self, _: float) -> None: ...
    def purge(self) -> None: ...
    def close(self) -> None: ...

    fatal = spoilt = None

    @staticmethod
    def _fail(code: int | None) -> None:
        if code is not None:
            raise KafkaException(KafkaError(code))


class FakeBook:
    """Knows of nobody who has written under a fence."""

    def state(self, _: str) -> FenceState:
        return FenceState()

    def settled(self, _: str, __: float) -> bool:
        return True

    def await_seen(self, _: Sequence[Outgoing], __: float) -> None: ...

    def record(self, name: str, _: FenceState) -> Outgoing:
        return Outgoing(
            topic=TOPIC, partition=0, keys=pa.array([name.encode()]), values=pa.array([b""], pa.large_binary()),
            times=np.array([5]),
        )  # fmt: skip


def made(rows: int) -> list[Outgoing]:
    return [prepared(TOPIC, batch("t.ticks", [("k", x) for x in range(rows)]), VALUES, 10_000)]


def is_committed(_: Probe) -> bool:
    return True


def is_not_told(_: Probe) -> bool:
    message = "Kafka does not answer"
    raise LogBusyError(message)


@pytest.fixture
def clients(tmp_path: Path) -> FakeClients:
    return FakeClients(tmp_path)


@pytest.mark.parametrize("code", [None, KafkaError._MSG_TIMED_OUT, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
def test_a_record_whose_answer_was_lost_may_be_written(clients: FakeClients, code: int | None) -> None:
    producer = FakeProducer(sends=code)
    producer.silent = code is None
    clients.producers = [producer]
    with pytest.raises(LogBusyError, match=UNKNOWN) as caught:
        Writers(clients, is_committed).write(made(1))
    assert "before it is written again" in caught.value.hint


def test_a_record_that_was_refused_is_not(clients: FakeClients) -> None:
    clients.producers = [FakeProducer(sends=KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(LogError, match=r"does not allow this on t\.ticks"):
        Writers(clients, is_committed).write(made(1))


UNCERTAIN = FakeProducer(commits=KafkaError._TIMED_OUT)
AWAY = FakeProducer(begins=KafkaError._TIMED_OUT)


@pytest.mark.parametrize("fenced", [True, False])
@pytest.mark.parametrize(("then", "committed"), [(AWAY, is_committed), (FakeProducer(), is_not_told)])
def test_a_commit_nobody_could_find_out_about_may_be_made(
    clients: FakeClients, then: FakeProducer, committed: Any, *, fenced: bool
) -> None:
    clients.producers = [UNCERTAIN, then]
    with pytest.raises(LogBusyError, match=UNKNOWN) as caught:
        write(clients, committed, fenced=fenced)
    assert isinstance(caught.value.__cause__, LogBusyError)
    assert "does not answer" in caught.value.__cause__.message


@pytest.mark.parametrize("fenced", [True, False])
def test_a_commit_that_was_found_is_no_error(clients: FakeClients, *, fenced: bool) -> None:
    clients.producers = [UNCERTAIN, FakeProducer()]
    write(clients, is_committed, fenced=fenced)


@pytest.mark.parametrize("fenced", [True, False])
def test_what_never_began_is_told_as_such(clients: FakeClients, *, fenced: bool) -> None:
    clients.producers = [AWAY]
    with pytest.raises(LogBusyError, match="Kafka at kafka:9092 does not answer"):
        write(clients, is_committed, fenced=fenced)


def write(clients: FakeClients, committed: Any, *, fenced: bool) -> None:
    if fenced:
        Fenced(clients, "hb", cast("FenceBook", FakeBook()), committed).append(made(2), FENCE)
    else:
        Writers(clients, committed).write(made(2))
