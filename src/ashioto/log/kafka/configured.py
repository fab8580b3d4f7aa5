"""Turns the settings of a project into the options of a log on Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ashioto.log.kafka.options import KafkaOptions

if TYPE_CHECKING:
    from ashioto.config import Config, KafkaConfig, RegistryConfig


def kafka_options(config: Config) -> KafkaOptions:
    """Return the options of the log that a project's settings name.

    Args:
        config: The project's settings; its log is on Kafka.

    Raises:
        ConfigError: A file of a secret cannot be read.

    >>> from pathlib import Path
    >>> from ashioto.config import LogConfig, RegistryConfig, Config
    >>> log = LogConfig(kind="kafka", bootstrap="kafka:9092", replication=3)
    >>> kafka_options(Config(file=Path("ashioto.toml"), log=log, schema_registry=RegistryConfig(url="http://r"))).replication
    3
    """
    log = config.log
    return KafkaOptions(
        bootstrap=log.bootstrap,
        registry=config.schema_registry.url,
        cache=log.cache,
        prefix=log.prefix,
        replication=log.replication,
        client=client_settings(config.kafka),
        registry_client=registry_settings(config.schema_registry),
    )


def client_settings(kafka: KafkaConfig) -> dict[str, str | int | float | bool]:
    """Return settings of librdkafka; there are secrets among them.

    Raises:
        ConfigError: A file of a secret cannot be read.

    >>> from ashioto.config import KafkaConfig
    >>> client_settings(KafkaConfig(security_protocol="SSL", settings={"socket.timeout.ms": 5000}))
    {'security.protocol': 'SSL', 'socket.timeout.ms': 5000}
    """
    said = {
        "security.protocol": kafka.security_protocol,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.username,
        "sasl.password": "" if kafka.password is None else kafka.password.reveal(),
        "ssl.ca.location": "" if kafka.ca is None else str(kafka.ca),
        "ssl.certificate.location": "" if kafka.cert is None else str(kafka.cert),
        "ssl.key.location": "" if kafka.key is None else str(kafka.key),
        "ssl.key.password": "" if kafka.key_password is None else kafka.key_password.reveal(),
    }
    if kafka.cert is not None and kafka.key is None:  # one file may hold both
        said["ssl.key.location"] = str(kafka.cert)
    return {name: value for name, value in said.items() if value} | dict(kafka.settings)


def registry_settings(registry: RegistryConfig) -> dict[str, Any]:
    """Return arguments of `SchemaRegistry`; there are secrets among them.

    Raises:
        ConfigError: A file of a secret cannot be read.
    """
    said: dict[str, Any] = {
        "user": registry.user or None,
        "password": None if registry.password is None else registry.password.reveal(),
        "ca": registry.ca,
        "cert": registry.cert,
        "key": registry.key,
        "key_password": None if registry.key_password is None else registry.key_password.reveal(),
    }
    return {name: value for name, value in said.items() if value is not None}
