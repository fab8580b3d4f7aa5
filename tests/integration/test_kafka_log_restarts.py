"""A broker that is killed and comes back while the log reads and writes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.contract.log_contract import rows_at, xs_of
from tests.integration.kafka_log_processes import FENCE, STATE, TICKS, batches
from tests.support_kafka_log import open_kafka_log

from ashioto.errors import LogError
from ashioto.log.base import Fence
from ashioto.testing.stack import Broker

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.log.kafka import KafkaLog


class Writing(threading.Thread):
    """Appends until told to stop, and notes which appends were acknowledged."""

    def __init__(self, log: KafkaLog, fence: Fence | None) -> None:
        super().__init__()
        self._log, self._fence = log, fence
        self.stopped = threading.Event()
        self.acked: list[int] = []
        self.tried = 0
        self.news = threading.Condition()

    def run(self) -> None:
        while not self.stopped.is_set():
            x, self.tried = self.tried, self.tried + 1
            try:
                self._log.append(batches(1, x), fence=self._fence)
            except LogError:
                continue
            with self.news:
                self.acked.append(x)
                self.news.notify_all()

    def await_acks(self, count: int) -> None:
        with self.news:
            wanted = len(self.acked) + count
            assert self.news.wait_for(lambda: len(self.acked) >= wanted, 120)


@pytest.mark.parametrize("fence", [None, Fence(name=FENCE, epoch=1)])
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    java: None, registry: str, unique: str, tmp_path: Path, fence: Fence | None
) -> None:
    del java
    with (
        Broker() as broker,
        open_kafka_log(broker.bootstrap, registry, unique, tmp_path, transaction_timeout_s=10.0) as log,
        open_kafka_log(broker.bootstrap, registry, unique, tmp_path / "reader") as reader,
    ):
        log.create([TICKS, STATE])
        seen: list[int] = []
        at = 0
        writing = Writing(log, fence)
        writing.start()
        try:
            for _ in range(2):
                writing.await_acks(10)
                broker.kill()
                broker.start()
                writing.await_acks(5)
                while (part := reader.read("t.ticks", 0, at)) is not None:
                    seen += part.data.column("x").to_pylist()
                    at = part.next_offset
        finally:
            writing.stopped.set()
            writing.join()
        whole = xs_of(reader, "t.ticks")
        assert whole[: len(seen)] == seen
        assert whole == sorted(whole)
        assert {whole.count(x) for x in set(whole)} == {3}
        assert set(writing.acked) <= set(whole)
        assert set(whole) == set(xs_of(reader, "t.state"))
        newest = max(whole)
        assert reader.view("t.state").data.column("x").to_pylist() == [newest]
        assert len(rows_at(reader, "t.state")) == len(set(whole))
