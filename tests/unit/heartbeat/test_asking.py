from __future__ import annotations

import pytest
from tests.support_orchestrator import ENV, PLAN, Stage

from ashioto.control.applied import Registration, registration_batch
from ashioto.control.specs import HeartbeatSpec, derive_spec
from ashioto.control.topics import control_topics
from ashioto.errors import EngineBusyError
from ashioto.heartbeat.asking import EngineProgress
from ashioto.logical.codec import checksum, encode_query
from ashioto.testing.memory_engine import MemoryEngine


class Asked(MemoryEngine):
    """An engine that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.down = False

    def progress(self, registration: Registration) -> dict[int, int] | None:
        """Return what is read, or fail."""
        self.asked += 1
        if self.down:
            raise EngineBusyError("no answer")
        found = super().progress(registration)
        return None if found is None else dict(found)


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.log.create(control_topics())
    return made


def spec_of(version: int) -> HeartbeatSpec:
    return derive_spec(PLAN, version=version, updated_ms=0)


def record(stage: Stage, version: int) -> Registration:
    made = Registration(
        context=PLAN.context, query=PLAN.name, version=version, state="registered", engine="memory",
        checksum=checksum(PLAN), plan=encode_query(PLAN), begins="start", updated_ms=0,
    )  # fmt: skip
    stage.log.append([registration_batch(ENV, [made])])
    return made


def test_the_version_of_a_specification_is_asked_for_and_rarely(stage: Stage) -> None:
    engine = Asked()
    progress = EngineProgress(engine, stage.log, env=ENV, clock=stage.clock)
    engine.register(record(stage, 2))
    assert progress(spec_of(2)) == {0: 0}
    assert progress(spec_of(2)) == {0: 0}
    assert engine.asked == 1
    stage.clock.advance(200)
    engine.stuck = True
    assert progress(spec_of(2)) is None
    assert engine.asked == 2


def test_a_version_that_is_recorded_later_is_found(stage: Stage) -> None:
    engine = Asked()
    progress = EngineProgress(engine, stage.log, env=ENV, clock=stage.clock)
    assert progress(spec_of(1)) is None
    engine.register(record(stage, 1))
    assert progress(spec_of(1)) is None
    stage.clock.advance(5_000)
    assert progress(spec_of(1)) == {0: 0}


def test_an_engine_that_does_not_answer_is_asked_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    engine = Asked()
    progress = EngineProgress(engine, stage.log, env=ENV, clock=stage.clock)
    engine.register(record(stage, 1))
    engine.down = True
    assert progress(spec_of(1)) is None
    assert "no answer" in caplog.text
    engine.down = False
    stage.clock.advance(200)
    assert progress(spec_of(1)) == {0: 0}
