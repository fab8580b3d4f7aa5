"""What the Flink engine must be told, from the settings of a project."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ashioto.config.checking import is_secret
from ashioto.engines.flink.gateway import Gateway
from ashioto.engines.flink.jobs import Jobs
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.traces import explained
from ashioto.engines.rest import Access, Rest, access_of
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.clock import Clock
    from ashioto.config import Config, KafkaConfig, RegistryConfig

GATEWAY: Final = "Flink's SQL gateway"
JOBMANAGER: Final = "Flink's job manager"
_LOGINS: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_SECRET_OPTIONS: Final = frozenset({"basic-auth.user-info", "bearer-auth.token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkOptions:
    """Says how jobs are run.

    Args:
        reach: How the cluster reaches brokers and registry; its group is that of no query yet.
        checkpoints: Folder in which it keeps state, a URI.
        interval_ms: How often state is saved, ms.
        access: How gateway and job manager let this client in.
    """

    reach: Reach = field(repr=False)
    checkpoints: str
    interval_ms: int
    access: Access = field(default_factory=Access, repr=False)

    @property
    def savepoints(self) -> str:
        """Folder for the state of jobs that are ended on purpose.

        >>> FlinkOptions(reach=Reach(bootstrap="", registry=""), checkpoints="s3://b/f/", interval_ms=1).savepoints
        's3://b/f/savepoints'
        """
        return f"{self.checkpoints.rstrip('/')}/savepoints"

    @property
    def secrets(self) -> list[str]:
        """What must never be shown of what statements say; as it is, and as text of SQL."""
        reach = self.reach
        found = [value for name, value in reach.kafka.items() if is_secret(name)]
        found += [value for name, value in reach.registry_options.items() if name in _SECRET_OPTIONS or is_secret(name)]
        return sorted({form for one in found if one for form in (one, one.replace("'", "''"))}, key=len, reverse=True)

    def shown(self, text: str) -> str:
        """Return statements as people may see them."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def flink_options(config: Config) -> FlinkOptions:
    """Return the options of a project whose queries run in Flink.

    Args:
        config: Its settings.

    Raises:
        ConfigError: A file of a secret cannot be read.
        EngineError: A certificate cannot be used.
        UnsupportedError: The cluster cannot be told how Kafka lets it in.
    """
    engine = config.engine
    reach = Reach(
        bootstrap=engine.bootstrap or config.log.bootstrap,
        registry=engine.registry or config.schema_registry.url,
        prefix=config.log.prefix,
        kafka=_client(config.kafka, engine.settings) | engine.properties,
        registry_options=_registry(config.schema_registry),
    )
    made = FlinkOptions(
        reach=reach, checkpoints=engine.checkpoints, interval_ms=engine.checkpoint_interval_ms,
        access=access_of(engine),
    )  # fmt: skip
    return replace(made, access=replace(made.access, secrets=(*made.access.secrets, *made.secrets)))


def open_gateway(config: Config, options: FlinkOptions, clock: Clock) -> Gateway:
    """Return a client of the SQL gateway; it is not asked for anything yet."""
    rest = Rest(config.engine.url, name=GATEWAY, access=options.access, clock=clock, explain=explained)
    return Gateway(rest, clock=clock)


def open_jobs(config: Config, options: FlinkOptions, clock: Clock) -> Jobs:
    """Return a client of the job manager; it is not asked for anything yet."""
    rest = Rest(config.engine.jobmanager, name=JOBMANAGER, access=options.access, clock=clock, explain=explained)
    return Jobs(rest, clock=clock)


def _client(kafka: KafkaConfig, settings: Mapping[str, object]) -> dict[str, str]:
    """Return properties of Java's clients for how Kafka lets this client in; certificates as text, not as files."""
    made: dict[str, str] = {}
    if kafka.security_protocol != "PLAINTEXT":
        made["security.protocol"] = kafka.security_protocol
    if kafka.sasl_mechanism:
        made["sasl.mechanism"] = kafka.sasl_mechanism
        if "sasl.jaas.config" not in settings:
            made["sasl.jaas.config"] = _jaas(kafka)
    if kafka.ca is not None:
        made |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": kafka.ca.read_text(encoding="utf-8")}
    if kafka.cert is not None:
        key = kafka.key or kafka.cert
        made |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": kafka.cert.read_text(encoding="utf-8"),
            "ssl.keystore.key": key.read_text(encoding="utf-8"),
        }
    if kafka.key_password is not None:
        made["ssl.key.password"] = kafka.key_password.reveal()
    return made


def _jaas(kafka: KafkaConfig) -> str:
    module = _LOGINS.get(kafka.sasl_mechanism)
    if module is None:
        raise UnsupportedError(
            f'kafka.sasl_mechanism = "{kafka.sasl_mechanism}": how Flink logs in by it is not known',
            hint='set "sasl.jaas.config" and what else it needs in ASHIOTO_ENGINE__SETTINGS (JSON)',
        )
    password = "" if kafka.password is None else kafka.password.reveal()
    return f"{module} required username={_quoted(kafka.username)} password={_quoted(password)};"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _registry(registry: RegistryConfig) -> dict[str, str]:
    if not registry.user:
        return {}
    password = "" if registry.password is None else registry.password.reveal()
    return {"basic-auth.credentials-source": "USER_INFO", "basic-auth.user-info": f"{registry.user}:{password}"}
