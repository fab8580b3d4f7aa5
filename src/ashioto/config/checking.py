"""Refuses settings that cannot be meant: secrets in the file, and values that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ashioto.config.engine import of_engine
from ashioto.config.servers import of_certificate, of_login, of_url
from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ashioto.config.models import Config, KafkaConfig, RegistryConfig
    from ashioto.config.servers import Found

_SECRET_KEYS: Final = ("password", "key_password")
_SECRET_PARTS: Final = (
    "password", "passphrase", "secret", "key.pem", "keystore.pem", "keystore.key", "oauthbearer.config", "jaas",
)  # fmt: skip
_WAYS_TO_TOKENS: Final = frozenset({"sasl.oauthbearer.method", "enable.sasl.oauthbearer.unsecure.jwt"})
"""Settings one of which says where tokens come from; without, librdkafka waits for one for ever."""
_KEYS_OF: Final = {
    "bootstrap.servers": "log.bootstrap",
    "metadata.broker.list": "log.bootstrap",
    "security.protocol": "kafka.security_protocol",
    "sasl.mechanism": "kafka.sasl_mechanism",
    "sasl.mechanisms": "kafka.sasl_mechanism",
    "sasl.username": "kafka.username",
    "sasl.password": "kafka.password",
    "ssl.ca.location": "kafka.ca",
    "ssl.certificate.location": "kafka.cert",
    "ssl.key.location": "kafka.key",
    "ssl.key.password": "kafka.key_password",
}
"""Settings of librdkafka that have a key of their own."""
_OURS: Final = frozenset({
    "acks", "auto.offset.reset", "check.crcs", "default.topic.config", "delivery.report.only.error",
    "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "enable.partition.eof", "error_cb",
    "group.id", "group.instance.id", "group.protocol", "isolation.level", "logger", "oauth_cb", "on_commit",
    "on_delivery", "partition.assignment.strategy", "partitioner", "request.required.acks", "stats_cb", "throttle_cb",
    "transactional.id",
})  # fmt: skip
"""Settings that nobody may change, as bars would be lost or doubled, or as they are code and no values."""


def check_no_secrets(file: Path, values: Mapping[str, Any]) -> None:
    """Refuse a file that has secrets in it, which would end up where files are shared.

    Args:
        file: The file.
        values: What it says.

    Raises:
        ConfigError: There is one; names its key, never what it is.
    """
    for section in ("kafka", "schema_registry", "engine"):
        found = _table(values, section)
        for key in _SECRET_KEYS:
            if key in found:
                variable = f"ASHIOTO_{section}__{key}".upper()
                raise ConfigError(
                    f"{file}: {section}.{key} does not belong into a file that is shared",
                    hint=f"set {variable}, or {section}.{key}_file = a file that only you can read",
                    file=str(file), key=f"{section}.{key}",
                )  # fmt: skip
    for section, owners in (("kafka", _KEYS_OF), ("engine", {})):
        for name in flat(_table(_table(values, section), "settings")):
            if is_secret(name):
                own = owners.get(name)
                variable = f"ASHIOTO_{section}__SETTINGS".upper() + " (JSON)"
                variable = f"ASHIOTO_{own.replace('.', '__')}".upper() if own else variable
                raise ConfigError(
                    f"{file}: {section}.settings: {name} does not belong into a file that is shared",
                    hint=f"set {variable} in the environment", file=str(file), key=f"{section}.settings.{name}",
                )  # fmt: skip


def is_secret(name: str) -> bool:
    """Return whether a setting of Kafka's clients holds a secret.

    >>> is_secret("sasl.jaas.config"), is_secret("client.id")
    (True, False)
    """
    return any(part in name for part in _SECRET_PARTS)


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested tables as one: TOML reads `a.b = 1` as a table in a table.

    >>> flat({"socket": {"timeout.ms": 5}})
    {'socket.timeout.ms': 5}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def check_together(config: Config) -> None:
    """Refuse values that do not go together.

    Raises:
        ConfigError: Some do not; names the keys.
    """
    if config.log.kind == "kafka":
        found = [*_of_log(config), *_of_kafka(config.kafka), *_of_registry(config.schema_registry)]
    else:
        found = [*_of_embedded(config)]
    found += [*of_engine(config)]
    for key, message, hint in found:
        raise ConfigError(f"{config.file}: {message}", hint=hint, file=str(config.file), key=key)


def _of_embedded(config: Config) -> Iterator[Found]:
    """Refuse what could be meant for Kafka, before records go into a file that nobody looks at."""
    if config.log.bootstrap:
        message = f"log.bootstrap is {config.log.bootstrap}, but log.kind is embedded: one file holds all records"
        hint = 'set kind = "kafka" (ASHIOTO_LOG__KIND), or leave bootstrap (ASHIOTO_LOG__BOOTSTRAP) out'
        yield "log.bootstrap", message, hint


def _of_log(config: Config) -> Iterator[Found]:
    log = config.log
    if not log.bootstrap:
        yield "log.bootstrap", 'log.kind = "kafka", but log.bootstrap is not set', 'e.g. bootstrap = "localhost:9092"'
    if "@" in log.bootstrap or "://" in log.bootstrap:
        yield "log.bootstrap", "log.bootstrap is no list of host:port", 'e.g. bootstrap = "one:9092,two:9092"'
    if log.replication == 0:
        yield "log.replication", "log.replication is 0", "at least 1; -1 leaves it to the broker"
    allowed = log.prefix.replace(".", "").replace("-", "").replace("_", "")
    if allowed and not (allowed.isascii() and allowed.isalnum()):
        yield "log.prefix", "log.prefix has letters that no topic may have", "a-z, A-Z, 0-9, dot, dash, underscore"


def _of_kafka(kafka: KafkaConfig) -> Iterator[Found]:
    protocol = kafka.security_protocol
    if protocol.startswith("SASL"):
        yield from _of_sasl(kafka)
    else:
        for key in ("sasl_mechanism", "username", "password"):
            if getattr(kafka, key):
                hint = f"SASL_SSL, or leave {key} out" if protocol == "SSL" else "SASL_SSL or SASL_PLAINTEXT"
                yield f"kafka.{key}", f'kafka.{key} is of no use with security_protocol = "{protocol}"', hint
    if not protocol.endswith("SSL"):
        for key in ("ca", "cert", "key", "key_password"):
            if getattr(kafka, key):
                hint = 'security_protocol = "SSL" or "SASL_SSL"'
                yield f"kafka.{key}", f'kafka.{key} is of no use with security_protocol = "{protocol}"', hint
    yield from of_certificate("kafka", kafka)
    for name in kafka.settings:
        if name in _KEYS_OF:
            yield f"kafka.settings.{name}", f"kafka.settings: {name} has a key of its own", f"set {_KEYS_OF[name]}"
        if name in _OURS:
            yield f"kafka.settings.{name}", f"kafka.settings: {name} is not to be changed", "leave it out"


def _of_sasl(kafka: KafkaConfig) -> Iterator[Found]:
    if not kafka.sasl_mechanism:
        message = f'security_protocol = "{kafka.security_protocol}", but kafka.sasl_mechanism is not set'
        yield "kafka.sasl_mechanism", message, 'e.g. sasl_mechanism = "SCRAM-SHA-512"'
    if kafka.sasl_mechanism == "OAUTHBEARER":
        if _WAYS_TO_TOKENS.isdisjoint(kafka.settings):
            hint = '[kafka.settings] "sasl.oauthbearer.method" = "oidc" and its further settings'
            yield "kafka.settings", 'sasl_mechanism = "OAUTHBEARER", but nothing says where tokens come from', hint
        return
    if not kafka.username:
        yield "kafka.username", "kafka.username is not set", "name who logs in"
    if kafka.password is None:
        hint = "set ASHIOTO_KAFKA__PASSWORD, or kafka.password_file"
        yield "kafka.password", f"there is no password of {kafka.username}", hint


def _of_registry(registry: RegistryConfig) -> Iterator[Found]:
    if not registry.url:
        message = 'log.kind = "kafka", but schema_registry.url is not set'
        yield "schema_registry.url", message, 'e.g. [schema_registry] url = "http://localhost:8081"'
        return
    yield from of_url("schema_registry.url", registry.url, "http://localhost:8081")
    yield from of_login("schema_registry", registry, [registry.url])
