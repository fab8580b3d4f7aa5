"""Topics that are known, while nobody answers."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.log.kafka.support import TOPIC

from ashioto.clock import ManualClock, SystemClock
from ashioto.errors import LogBusyError, LogError, RegistryError, UnknownTopicError
from ashioto.log.kafka.known import Known

if TYPE_CHECKING:
    from ashioto.log.kafka.topics import Topic

NAME = TOPIC.spec.name
PATIENCE_S = 0.05


class Answers:
    """Says what a topic is, raises, or says nothing until it is told to."""

    def __init__(self) -> None:
        self.topic, self.error = TOPIC, None
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.has_answered = threading.Event()

    topic: Topic
    error: Exception | None

    def __call__(self, _: str) -> Topic:
        self.asked += 1
        self.has_answered.clear()
        topic, error = self.topic, self.error
        self.may_answer.wait()
        try:
            if error is not None:
                raise error
            return topic
        finally:
            self.has_answered.set()


class Scene:
    def __init__(self) -> None:
        self.answers, self.clock = Answers(), ManualClock(1_000_000)
        self.known = Known(self.answers, self.clock, 5.0, patience_s=PATIENCE_S)

    def later(self) -> Topic:
        self.clock.advance(5_000)
        return self.known.get(NAME)


@pytest.fixture
def scene() -> Scene:
    """A topic that was asked for once."""
    scene = Scene()
    assert scene.known.get(NAME) is TOPIC
    return scene


def until_heard(scene: Scene) -> None:
    """Wait until the thread that asks has ended."""
    scene.answers.may_answer.set()
    for thread in threading.enumerate():
        if thread.name == f"look at {NAME}":
            thread.join(10)


def test_a_topic_is_asked_for_again_after_a_while(scene: Scene) -> None:
    scene.answers.topic = replace(TOPIC, id="other")
    assert scene.known.get(NAME) is TOPIC
    assert scene.later().id == "other"
    assert scene.answers.asked == 2


@pytest.mark.parametrize("error", [RegistryError("down"), RegistryError("failed", status=503), LogBusyError("busy")])
def test_one_that_is_known_is_used_on_while_nobody_answers(
    scene: Scene, error: LogError, caplog: pytest.LogCaptureFixture
) -> None:
    scene.answers.error = error
    for _ in range(3):
        assert scene.later() is TOPIC
        assert scene.known.get(NAME, anew=True) is TOPIC
        until_heard(scene)
    assert [record.getMessage() for record in caplog.records] == [f"topics are used as they are known: {error.message}"]
    scene.answers.error, scene.answers.topic = None, replace(TOPIC, id="other")
    scene.later()
    until_heard(scene)
    assert scene.known.get(NAME).id == "other"


def test_one_that_is_not_known_is_not(scene: Scene) -> None:
    scene.answers.error = RegistryError("down")
    scene.known.forget(NAME)
    with pytest.raises(RegistryError, match="down"):
        scene.known.get(NAME)


def test_what_is_said_of_the_topic_itself_is_told(scene: Scene) -> None:
    scene.answers.error = LogError("has no schema")
    with pytest.raises(LogError, match="has no schema"):
        scene.later()
    scene.answers.error = UnknownTopicError("gone")
    with pytest.raises(UnknownTopicError):
        scene.later()


def test_silence_is_waited_for_once_and_not_for_long(scene: Scene) -> None:
    scene.answers.may_answer.clear()
    scene.answers.topic = replace(TOPIC, id="other")
    began = SystemClock().monotonic()
    for _ in range(50):
        assert scene.later() is TOPIC
    assert SystemClock().monotonic() - began < 20 * PATIENCE_S
    assert scene.answers.asked == 2
    until_heard(scene)
    assert scene.known.get(NAME).id == "other"


def test_an_old_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(scene: Scene) -> None:
    scene.answers.may_answer.clear()
    scene.answers.topic = replace(TOPIC, id="old")
    scene.later()
    late = scene.answers.may_answer
    scene.answers.may_answer, scene.answers.topic = threading.Event(), replace(TOPIC, id="new")
    scene.answers.may_answer.set()
    scene.clock.advance(1)
    assert scene.known.ask(NAME).id == "new"
    late.set()
    until_heard(scene)
    assert scene.known.get(NAME).id == "new"


def test_a_log_that_is_closed_meanwhile_is_no_error(scene: Scene) -> None:
    scene.answers.error = RuntimeError("the client has been closed")
    assert scene.later() is TOPIC
