"""The settings of a project as they are once read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.config.secret import Secret

LogKind = Literal["embedded", "kafka"]
EngineKind = Literal["embedded", "ksqldb", "flink"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
"""Those that the wheels of confluent-kafka can do; GSSAPI (Kerberos) is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig:
    """Names the contexts of a project.

    Args:
        contexts: Where they are declared, each `module:object`.
        env: First part of every control key, e.g. `dev`.
        cluster: Second part of every control key.
    """

    contexts: tuple[str, ...] = ()
    env: str = "dev"
    cluster: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Says where records live.

    Args:
        kind: `embedded` (one file) or `kafka`.
        path: The file of an embedded log, absolute.
        partitions: How many partitions new topics of ticks, heartbeats and bars get, >= 1.
        bootstrap: Kafka's brokers to ask first, `host:port,host:port`.
        prefix: Stands before the name of every topic on Kafka.
        replication: Copies of each new topic on Kafka; -1 leaves it to the broker.
        cache: Folder of what is kept on this machine of a log on Kafka, absolute; it may be deleted.
    """

    kind: LogKind = "embedded"
    path: Path = Path(".ashioto/log.db")
    partitions: int = 1
    bootstrap: str = ""
    prefix: str = ""
    replication: int = -1
    cache: Path = Path(".ashioto/cache")

    @property
    def place(self) -> str:
        """Where records are, for people.

        >>> LogConfig(kind="kafka", bootstrap="kafka:9092", prefix="test.").place
        'Kafka at kafka:9092, topics test.*'
        """
        if self.kind == "embedded":
            return str(self.path)
        return f"Kafka at {self.bootstrap}" + (f", topics {self.prefix}*" if self.prefix else "")

    @property
    def local(self) -> Path:
        """What stands on this machine for the log: beside it are locks between processes."""
        return self.path if self.kind == "embedded" else self.cache / "kafka"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """Says how Kafka lets this client in.

    Args:
        security_protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        sasl_mechanism: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; empty without SASL.
        username: Who logs in.
        password: Its password.
        ca: File of certificates to trust, instead of the system's.
        cert: File of this client's certificate.
        key: File of the key of that certificate.
        key_password: Password of that file.
        settings: Further settings of librdkafka, by their names.
    """

    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = ""
    username: str = ""
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: Secret | None = None
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """Says where the schema registry is, and how it lets this client in.

    Args:
        url: Where it is, without a password.
        user: Who logs in.
        password: Its password.
        ca: File of certificates to trust, instead of the system's.
        cert: File of this client's certificate.
        key: File of the key of that certificate.
        key_password: Password of that file.
    """

    url: str = ""
    user: str = ""
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Says what runs the queries, and where a server that does is.

    Args:
        kind: `embedded`, `ksqldb` or `flink`.
        url: Flink's SQL gateway, or the ksqlDB server, without a password.
        jobmanager: Flink's job manager.
        user: Who logs in there.
        password: Its password.
        ca: File of certificates to trust, instead of the system's.
        cert: File of this client's certificate.
        key: File of the key of that certificate.
        key_password: Password of that file.
        checkpoints: Folder in which Flink keeps its state, a URI.
        checkpoint_interval_ms: How often Flink saves its state, and tells how far it has read.
        bootstrap: Kafka's brokers as the server reaches them; empty where it is as this client does.
        registry: URL of the schema registry as the server reaches it; empty where it is as this client does.
        settings: Further properties of the server's Kafka clients, by their names in Java.
    """

    kind: EngineKind = "embedded"
    url: str = ""
    jobmanager: str = ""
    user: str = ""
    password: Secret | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    key_password: Secret | None = None
    checkpoints: str = ""
    checkpoint_interval_ms: int = 2_000
    bootstrap: str = ""
    registry: str = ""
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)

    @property
    def properties(self) -> dict[str, str]:
        """Those further properties as Java reads them.

        >>> EngineConfig(settings={"ssl.enabled": True, "retries": 3}).properties
        {'ssl.enabled': 'true', 'retries': '3'}
        """
        return {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in self.settings.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Holds the settings of a project.

    Args:
        file: The `ashioto.toml` they come from.
        project: Its contexts.
        log: Where records live.
        kafka: How Kafka lets this client in.
        schema_registry: Where schemas live, for a log on Kafka.
        engine: What runs the queries.

    >>> Config(file=Path("/p/ashioto.toml")).root.as_posix()
    '/p'
    """

    file: Path
    project: ProjectConfig = ProjectConfig()
    log: LogConfig = LogConfig()
    kafka: KafkaConfig = KafkaConfig()
    schema_registry: RegistryConfig = RegistryConfig()
    engine: EngineConfig = EngineConfig()

    @property
    def root(self) -> Path:
        """The folder of the project; relative paths and modules are looked up from it."""
        return self.file.parent
