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


def open_log(config: Config) -> Log:
    """Open the log of a project; the file of an embedded log is made if it is not there.

    Args:
        config: The project's settings.

    Raises:
        UnsupportedError: The kind of log cannot be opened by this version.
        LogError: The file is no log, or cannot be used.

    >>> from pathlib import Path
    >>> from ashioto.config import Config, LogConfig
    >>> open_log(Config(file=Path("ashioto.toml"), log=LogConfig(kind="kafka")))
    Traceback (most recent call last):
    ...
    ashioto.errors.UnsupportedError: log.kind = "kafka" is not supported by this version
    Hint: set kind = "embedded" in ashioto.toml
    """
    if config.log.kind != "embedded":
        raise UnsupportedError(
            f'log.kind = "{config.log.kind}" is not supported by this version',
            hint=f'set kind = "embedded" in {config.file}',
            file=str(config.file),
        )
    from ashioto.log.embedded import EmbeddedLog

    config.log.path.parent.mkdir(parents=True, exist_ok=True)
    return EmbeddedLog(config.log.path)


def default_log() -> Log:
    """Return the log of the project around the working directory; always the same one within a process.

    Raises:
        ConfigError: There is no project around.
    """
    return _opened(find_config())


@cache
def _opened(file: Path) -> Log:
    return open_log(load_config(file))
