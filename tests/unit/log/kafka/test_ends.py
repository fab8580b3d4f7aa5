"""Where partitions end while their leaders move: it is asked again, and no end that is none is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError
from tests.unit.log.kafka.fakes import FakeClients
from tests.unit.log.kafka.support import TOPIC

from ashioto.clock import ManualClock
from ashioto.errors import LogBusyError, LogError, UnknownTopicError
from ashioto.log.kafka.ends import Ends

if TYPE_CHECKING:
    from pathlib import Path

PARTITIONS = range(TOPIC.spec.partitions)


class Scene:
    """Ends of a cluster whose every answer takes all the time that it is given."""

    def __init__(self, folder: Path, *offsets: int | KafkaError) -> None:
        self.clock = ManualClock(0)
        self.clients = FakeClients(folder, request_timeout_s=10.0)
        self.asker = self.clients.fake_asker
        self.asker.offsets = list(offsets)
        self.ends = Ends(self.clients, self.clock)
        self.asked: list[float] = []
        self.asker.on_ask = self.asked.append

    def slow(self) -> None:
        def ask(timeout_s: float) -> None:
            self.asked.append(timeout_s)
            self.clock.advance(round(timeout_s * 1000))

        self.asker.on_ask = ask


def test_an_offset_below_zero_is_no_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path, -1, -1, 7)
    assert scene.ends.of(TOPIC) == dict.fromkeys(PARTITIONS, 7)
    assert len(scene.asked) == 3


def test_what_never_is_an_end_is_an_error_that_may_pass(tmp_path: Path) -> None:
    scene = Scene(tmp_path, -1)
    scene.slow()
    with pytest.raises(LogBusyError, match="is looking for a new leader"):
        scene.ends.of(TOPIC)


@pytest.mark.parametrize("code", [KafkaError._TIMED_OUT, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._NOENT])
def test_a_leader_that_is_gone_is_waited_for_bit_by_bit(tmp_path: Path, code: int) -> None:
    scene = Scene(tmp_path, KafkaError(code), KafkaError(code), 3)
    scene.slow()
    assert scene.ends.written(TOPIC) == dict.fromkeys(PARTITIONS, 3)
    assert scene.asked == [0.5, 1.0, 2.0]


def test_silence_ends_after_the_time_that_a_request_may_take(tmp_path: Path) -> None:
    scene = Scene(tmp_path, KafkaError(KafkaError._TIMED_OUT))
    scene.slow()
    with pytest.raises(LogBusyError, match="does not answer"):
        scene.ends.starts(TOPIC)
    assert 10_000 <= scene.clock.now_ms() <= 13_000


def test_other_refusals_are_final(tmp_path: Path) -> None:
    scene = Scene(tmp_path, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), 3)
    with pytest.raises(LogError, match="does not allow this"):
        scene.ends.of(TOPIC)


UNKNOWN = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


def test_a_topic_is_gone_once_that_was_said_for_a_while(tmp_path: Path) -> None:
    scene = Scene(tmp_path, UNKNOWN)
    scene.asker.topic = [UNKNOWN]
    with pytest.raises(UnknownTopicError):
        scene.ends.of(TOPIC)
    assert 1_000 <= scene.clock.now_ms() <= 2_000


def test_a_broker_that_has_just_come_back_is_asked_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, *[KafkaError(KafkaError._TIMED_OUT)] * 2, UNKNOWN, 5)
    scene.slow()
    scene.asker.topic = [None, None, UNKNOWN, None]
    assert scene.ends.of(TOPIC) == dict.fromkeys(PARTITIONS, 5)
    assert scene.clock.now_ms() > 2_000


def test_what_a_client_says_of_a_topic_by_itself_counts_for_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, KafkaError(KafkaError._UNKNOWN_PARTITION))
    scene.slow()
    scene.asker.away = True
    with pytest.raises(LogBusyError, match="does not answer"):
        scene.ends.of(TOPIC)
    assert scene.clock.now_ms() >= 10_000
    scene = Scene(tmp_path, KafkaError(KafkaError._UNKNOWN_PARTITION), 5)
    scene.asker.topic = [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(LogError, match="does not allow this"):
        scene.ends.of(TOPIC)
