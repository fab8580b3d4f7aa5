from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.support_orchestrator import Stage

from ashioto.errors import SpecError
from ashioto.heartbeat.checks import check_spec
from ashioto.log.base import TopicSpec


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_one_whose_topics_are_there_is_served(stage: Stage) -> None:
    check_spec(stage.log, stage.spec())
    check_spec(stage.log, stage.spec(schedule_topic=None, join=()))


@pytest.mark.parametrize(("topic", "what"), [("t.rate", "ticks"), ("t.rate_hb", "heartbeats"), ("t.hours", "schedule")])
def test_a_topic_that_does_not_exist_is_named(stage: Stage, topic: str, what: str) -> None:
    spec = stage.spec()
    stage.log.delete([topic])
    with pytest.raises(SpecError, match=rf"t\.Rate\.1m: the topic {topic} of its {what} does not exist") as refused:
        check_spec(stage.log, spec)
    assert refused.value.ids == {"spec": "t.Rate.1m", "topic": topic}
    assert "rc infra apply" in refused.value.hint


@pytest.mark.parametrize(
    ("changes", "missing", "hint"),
    [
        ({"open_column": "opens"}, "opens", "did you mean 'open'?"),
        ({"close_column": "xyz"}, "xyz", "it has symbol, broker, open, close, market_date"),
        ({"day_column": "market_day"}, "market_day", "did you mean 'market_date'?"),
        ({"join": (("symbol", "symbols"), ("broker", "broker"))}, "symbols", "did you mean 'symbol'?"),
    ],
)
def test_a_column_that_does_not_exist_is_named(stage: Stage, changes: dict[str, Any], missing: str, hint: str) -> None:
    with pytest.raises(SpecError, match=f"has no column '{missing}'") as refused:
        check_spec(stage.log, stage.spec(**changes))
    assert (refused.value.hint, refused.value.ids["column"]) == (hint, missing)


def test_heartbeats_must_lie_beside_their_ticks(stage: Stage) -> None:
    stage.log.delete(["t.rate_hb"])
    stage.log.create([TopicSpec(name="t.rate_hb", partitions=3, schema=pa.schema({"x": pa.int64()}))])
    with pytest.raises(SpecError, match=r"t\.rate_hb has 3 partitions, t\.rate 2") as refused:
        check_spec(stage.log, stage.spec())
    assert "equal partitions" in refused.value.hint
