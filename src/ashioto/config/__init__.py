"""Reads `ashioto.toml`: which contexts a project has, and where they run.

Every value can be overridden by an environment variable, `ASHIOTO_SECTION__NAME`: e.g.
`ASHIOTO_LOG__PATH=/data/log.db`.
"""

from __future__ import annotations

from ashioto.config.loading import FILE_NAME, find_config, load_config
from ashioto.config.models import (
    Config,
    EngineConfig,
    EngineKind,
    KafkaConfig,
    LogConfig,
    LogKind,
    ProjectConfig,
    RegistryConfig,
)
from ashioto.config.secret import Secret

__all__ = [
    "FILE_NAME",
    "Config",
    "EngineConfig",
    "EngineKind",
    "KafkaConfig",
    "LogConfig",
    "LogKind",
    "ProjectConfig",
    "RegistryConfig",
    "Secret",
    "find_config",
    "load_config",
]
