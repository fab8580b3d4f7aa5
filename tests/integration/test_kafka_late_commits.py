"""Commits that a slow network holds back until the next transaction of the same writer is open: they end nothing."""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.log_contract import rows_at
from tests.integration.kafka_log_processes import FENCE, STATE, TICKS, batches
from tests.support_kafka_log import open_kafka_log
from tests.support_proxy import INIT_PRODUCER_ID, Proxy

from ashioto.errors import StaleEpochError
from ashioto.log.base import Fence
from ashioto.log.kafka import transactions
from ashioto.log.kafka.client import Clients
from ashioto.testing.crashing_log import CrashError
from ashioto.testing.stack import Broker
from ashioto.testing.stack.settings import free_ports, place_of_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog

ONE, TWO = (Fence(name=FENCE, epoch=epoch) for epoch in (1, 2))
INVALID_PRODUCER_EPOCH, PRODUCER_FENCED = 47, 90
FENCED = {INVALID_PRODUCER_EPOCH, PRODUCER_FENCED}


@pytest.fixture(scope="module")
def network(java: None) -> Iterator[tuple[Broker, Proxy]]:
    """A broker, and a second way to it that is slow when it is told to be."""
    del java
    place = place_of_one()
    client, controller = place.ports[place.node]
    behind, proxy = free_ports(2)
    settings = {
        "listeners": f"CLIENT://127.0.0.1:{client},SLOW://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"CLIENT://127.0.0.1:{client},SLOW://127.0.0.1:{proxy}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,SLOW:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    with Broker(place=place, settings=settings) as broker, Proxy(proxy, behind) as slow:
        yield broker, slow


@pytest.fixture
def proxy(network: tuple[Broker, Proxy]) -> Proxy:
    return network[1]


@pytest.fixture
def log(proxy: Proxy, registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    """The log by way of the slow network."""
    bootstrap, times = f"127.0.0.1:{proxy.port}", {"transaction_timeout_s": 2.0, "request_timeout_s": 4.0}
    with open_kafka_log(bootstrap, registry, unique, tmp_path, **times) as log:
        log.create([TICKS, STATE])
        yield log


@pytest.fixture
def other(network: tuple[Broker, Proxy], registry: str, unique: str, tmp_path: Path) -> Iterator[KafkaLog]:
    """The same log by a network of its own."""
    with open_kafka_log(network[0].bootstrap, registry, unique, tmp_path / "other") as other:
        yield other


def codes(answers: list[bytes]) -> list[int]:
    """Return the error codes of answers to ends of transactions."""
    return [struct.unpack(">h", answer[8:10])[0] for answer in answers]


def contents(log: KafkaLog) -> Counter[tuple[str, int, int]]:
    """Return what can be read, and how often: topic, epoch of the writer, number of the append."""
    return Counter(
        (topic, row["epoch"], row["x"]) for topic in ("t.ticks", "t.state") for row in rows_at(log, topic).values()
    )


def whole(*written: tuple[int, int]) -> Counter[tuple[str, int, int]]:
    """Return what appends must have written, by epoch and number."""
    return Counter({(topic, *one): rows for one in written for topic, rows in (("t.ticks", 3), ("t.state", 1))})


class Meddler:
    """Does something in the middle of the next append: after its ticks have arrived, before its state is sent."""

    def __init__(self, patch: pytest.MonkeyPatch, what: Any) -> None:
        self._inner, self._what = vars(transactions)["send"], what
        self.calls = 0
        patch.setattr(transactions, "send", self)

    def __call__(self, producer: Any, found: Any, *, in_transaction: bool) -> None:
        first, *rest = found
        if self.calls or not rest:
            self._inner(producer, found, in_transaction=in_transaction)
            return
        self.calls += 1
        self._inner(producer, [first], in_transaction=in_transaction)
        assert producer.flush(20) == 0
        self._what()
        self._inner(producer, rest, in_transaction=in_transaction)


def test_a_commit_that_comes_late_does_not_end_the_next_transaction(
    log: KafkaLog, other: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(batches(1, 0), fence=ONE)
    answers: list[int] = []
    for x in range(1, 6, 2):
        proxy.hold_next()
        log.append(batches(1, x), fence=ONE)
        proxy.await_held()
        meddler = Meddler(monkeypatch, lambda: answers.extend(codes(proxy.deliver())))
        log.append(batches(1, x + 1), fence=ONE)
        assert meddler.calls == 1
        monkeypatch.undo()
    assert len(answers) == 3
    assert set(answers) <= FENCED
    assert contents(other) == whole(*((1, x) for x in range(7)))


def dying_after_a_late_commit(log: KafkaLog, proxy: Proxy, patch: pytest.MonkeyPatch) -> list[int]:
    """Append with a late commit, then die inside the next append, just when the late one arrives."""
    log.append(batches(1, 0), fence=ONE)
    proxy.hold_next()
    log.append(batches(1, 1), fence=ONE)
    proxy.await_held()
    answers: list[int] = []

    def die() -> None:
        answers.extend(codes(proxy.deliver()))
        raise CrashError

    Meddler(patch, die)
    with pytest.raises(CrashError):
        log.append(batches(1, 2), fence=ONE)
    patch.undo()
    return answers


def test_whoever_dies_meanwhile_leaves_no_half_of_an_append(
    log: KafkaLog, other: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(dying_after_a_late_commit(log, proxy, monkeypatch)) <= FENCED
    other.append(batches(2, 3), fence=TWO)
    assert contents(other) == whole((1, 0), (1, 1), (2, 3))


def test_without_a_new_producer_half_of_an_append_would_be_left(
    log: KafkaLog, other: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Clients, "resend_s", math.inf)
        assert dying_after_a_late_commit(log, proxy, patch) == [0]
    other.append(batches(2, 3), fence=TWO)
    assert contents(other) == whole((1, 0), (1, 1), (2, 3)) + Counter({("t.ticks", 1, 2): 3})


def test_a_commit_that_never_came_is_written_again_and_once(log: KafkaLog, other: KafkaLog, proxy: Proxy) -> None:
    log.append(batches(1, 0), fence=ONE)
    proxy.hold_until(INIT_PRODUCER_ID)
    log.append(batches(1, 1), fence=ONE)
    late = codes(proxy.deliver())
    assert late
    assert set(late) <= FENCED
    log.append(batches(1, 2), fence=ONE)
    assert contents(other) == whole((1, 0), (1, 1), (1, 2))


def test_a_commit_of_a_writer_that_was_replaced_meanwhile_is_refused(
    log: KafkaLog, other: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(batches(1, 0), fence=ONE)
    Meddler(monkeypatch, lambda: other.append(batches(2, 1), fence=TWO))
    with pytest.raises(StaleEpochError):
        log.append(batches(1, 2), fence=ONE)
    monkeypatch.undo()
    other.append(batches(2, 3), fence=TWO)
    assert contents(other) == whole((1, 0), (2, 1), (2, 3))
    assert proxy.held == []
