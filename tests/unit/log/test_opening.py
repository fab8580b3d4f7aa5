from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ashioto.config import Config, LogConfig, RegistryConfig
from ashioto.errors import UnsupportedError
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.opening import open_log

if TYPE_CHECKING:
    from pathlib import Path


def on_kafka(folder: Path) -> Config:
    log = LogConfig(kind="kafka", bootstrap="127.0.0.1:1", cache=folder / "cache")
    return Config(
        file=folder / "ashioto.toml", log=log, schema_registry=RegistryConfig(url="http://127.0.0.1:1")
    )  # fmt: skip


def test_the_file_of_an_embedded_log_is_made_with_its_folder(tmp_path: Path) -> None:
    log = open_log(Config(file=tmp_path / "ashioto.toml", log=LogConfig(path=tmp_path / "deep" / "log.db")))
    assert isinstance(log, EmbeddedLog)
    log.close()
    assert (tmp_path / "deep" / "log.db").is_file()


def test_without_the_extra_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("ashioto.log.kafka")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(UnsupportedError, match="confluent_kafka is not installed") as caught:
        open_log(on_kafka(tmp_path))
    assert caught.value.hint == 'pip install "ashioto[kafka]"'


def test_a_log_on_kafka_is_opened_without_asking_anybody(tmp_path: Path) -> None:
    from ashioto.log.kafka import KafkaLog

    log = open_log(on_kafka(tmp_path))
    assert isinstance(log, KafkaLog)
    assert log.options.bootstrap == "127.0.0.1:1"
    log.close()
