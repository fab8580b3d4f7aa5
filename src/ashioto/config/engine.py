"""Refuses settings of the engine that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ashioto.config.servers import of_login, of_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.config.models import Config, EngineConfig
    from ashioto.config.servers import Found

_EXAMPLES: Final = {"flink": "http://localhost:8083", "ksqldb": "http://localhost:8088"}
_OWN: Final = {"bootstrap.servers": "engine.bootstrap"}
_OURS: Final = frozenset({
    "auto.offset.reset", "enable.auto.commit", "group.id", "group.instance.id", "isolation.level",
    "key.deserializer", "key.serializer", "transactional.id", "value.deserializer", "value.serializer",
})  # fmt: skip


def of_engine(config: Config) -> Iterator[Found]:
    """Yield what is wrong with the settings of what runs the queries, and how they go with those of the log.

    Args:
        config: All settings.
    """
    engine = config.engine
    if engine.kind == "embedded":
        return
    if config.log.kind != "kafka":
        message = f'engine.kind = "{engine.kind}" reads from Kafka, but log.kind is "{config.log.kind}"'
        yield "log.kind", message, '[log] kind = "kafka", or [engine] kind = "embedded"'
    yield from _of_server(engine)
    if engine.kind == "flink":
        yield from _of_flink(engine)


def _of_server(engine: EngineConfig) -> Iterator[Found]:
    example = _EXAMPLES[engine.kind]
    if not engine.url:
        yield "engine.url", f'engine.kind = "{engine.kind}", but engine.url is not set', f'e.g. url = "{example}"'
        return
    yield from of_url("engine.url", engine.url, example)
    yield from of_login("engine", engine, [url for url in (engine.url, engine.jobmanager) if url])
    if engine.registry:
        yield from of_url("engine.registry", engine.registry, "http://registry:8081")
    if "@" in engine.bootstrap or "://" in engine.bootstrap:
        yield "engine.bootstrap", "engine.bootstrap is no list of host:port", 'e.g. bootstrap = "one:9092,two:9092"'
    for name in engine.settings:
        key = f"engine.settings.{name}"
        if name in _OWN:
            yield key, f"engine.settings: {name} has a key of its own", f"set {_OWN[name]}"
        if name in _OURS:
            yield key, f"engine.settings: {name} is not to be changed", "leave it out"


def _of_flink(engine: EngineConfig) -> Iterator[Found]:
    if not engine.jobmanager:
        message = 'engine.kind = "flink", but engine.jobmanager is not set'
        yield "engine.jobmanager", message, 'e.g. jobmanager = "http://localhost:8081"'
    else:
        yield from of_url("engine.jobmanager", engine.jobmanager, "http://localhost:8081")
    if not engine.checkpoints:
        message = (
            'engine.kind = "flink", but engine.checkpoints is not set: without it bars are lost with a job manager'
        )
        yield "engine.checkpoints", message, 'e.g. checkpoints = "s3://bucket/flink", or "file:///data/flink"'
    elif not _is_folder(engine.checkpoints):
        hint = 'e.g. checkpoints = "s3://bucket/flink", or "file:///data/flink"'
        yield "engine.checkpoints", f"engine.checkpoints is no URI of a folder: {engine.checkpoints}", hint


def _is_folder(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) and parts.path.startswith("/") and parts.password is None
