from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support_flink_server import GroupLog

from ashioto.cli.hb_run import engine_hold
from ashioto.clock import ManualClock
from ashioto.config import Config, EngineConfig, LogConfig, RegistryConfig
from ashioto.engines.flink.registry import FlinkEngine
from ashioto.engines.opening import open_engine
from ashioto.errors import UnsupportedError
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.config import EngineKind

ENV = ("dev", "local")


def config(kind: EngineKind) -> Config:
    engine = EngineConfig(kind=kind, url="http://g:1", jobmanager="http://j:1", checkpoints="s3://b/f")
    log = LogConfig(kind="kafka", bootstrap="kafka:9092")
    return Config(file=Path("ashioto.toml"), log=log, schema_registry=RegistryConfig(url="http://r:1"), engine=engine)


@pytest.mark.parametrize("kind", ["embedded", "flink", "ksqldb"])
def test_the_engine_of_a_project_is_opened_without_asking_it(kind: EngineKind) -> None:
    engine = open_engine(config(kind), GroupLog(), ENV, ManualClock())
    assert engine.kind == kind
    if isinstance(engine, FlinkEngine):
        engine.close()


def test_a_log_that_knows_no_groups_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="needs a log on Kafka"):
        open_engine(config("flink"), MemoryLog(), ENV, ManualClock())


def test_markers_are_held_for_engines_that_cannot_wait_themselves() -> None:
    assert engine_hold(config("embedded"), GroupLog(), env=ENV, clock=ManualClock()) is None
    assert engine_hold(config("flink"), GroupLog(), env=ENV, clock=ManualClock()) is not None
