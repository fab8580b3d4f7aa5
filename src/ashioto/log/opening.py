"""Opens the log that a project's settings name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ashioto.config import find_config, load_config
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.config import Config
    from ashioto.log.base import Log
    from ashioto.log.kafka import KafkaLog

EXTRA = 'pip install "ashioto[kafka]"'


def open_log(config: Config) -> Log:
    """Open the log of a project; the file of an embedded log is made if it is not there.

    Args:
        config: The project's settings.

    Raises:
        UnsupportedError: What the kind of log needs is not installed.
        ConfigError: A file of a secret cannot be read.
        LogError: The file is no log, or cannot be used.
    """
    if config.log.kind == "kafka":
        return open_kafka(config)
    from ashioto.log.embedded import EmbeddedLog

    config.log.path.parent.mkdir(parents=True, exist_ok=True)
    return EmbeddedLog(config.log.path)


def open_kafka(config: Config) -> KafkaLog:
    """Open the log of a project whose log is on Kafka; the cluster is not asked for anything yet.

    Raises:
        UnsupportedError: What it needs is not installed.
        ConfigError: A file of a secret cannot be read.
    """
    try:
        from ashioto.log.kafka import KafkaLog
        from ashioto.log.kafka.configured import kafka_options
    except ImportError as error:
        if (error.name or "").startswith("ashioto"):
            raise
        raise UnsupportedError(
            f'log.kind = "kafka", but {error.name or "a library of it"} is not installed', hint=EXTRA,
            file=str(config.file),
        ) from error  # fmt: skip
    return KafkaLog(kafka_options(config))


def default_log() -> Log:
    """Return the log of the project around the working directory; always the same one within a process.

    Raises:
        ConfigError: There is no project around.
    """
    return _opened(find_config())


@cache
def _opened(file: Path) -> Log:
    return open_log(load_config(file))
