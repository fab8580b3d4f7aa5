from __future__ import annotations

from pathlib import Path

import pytest

from ashioto.config import Config, KafkaConfig, LogConfig, RegistryConfig, Secret
from ashioto.errors import ConfigError
from ashioto.log.kafka.configured import client_settings, kafka_options, registry_settings

CANARY = "canary-7f3a"


def test_every_key_becomes_the_setting_that_librdkafka_knows() -> None:
    kafka = KafkaConfig(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        username="me",
        password=Secret(text=CANARY),
        ca=Path("/ca.pem"),
        cert=Path("/cert.pem"),
        key=Path("/key.pem"),
        key_password=Secret(text=f"{CANARY}-key"),
        settings={"socket.timeout.ms": 5},
    )
    assert client_settings(kafka) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": CANARY,
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/cert.pem",
        "ssl.key.location": "/key.pem",
        "ssl.key.password": f"{CANARY}-key",
        "socket.timeout.ms": 5,
    }


def test_one_file_may_hold_certificate_and_key() -> None:
    assert client_settings(KafkaConfig(security_protocol="SSL", cert=Path("/both.pem"))) == {
        "security.protocol": "SSL",
        "ssl.certificate.location": "/both.pem",
        "ssl.key.location": "/both.pem",
    }


def test_of_the_registry_only_what_is_set_is_said() -> None:
    assert registry_settings(RegistryConfig(url="http://r")) == {}
    said = registry_settings(RegistryConfig(url="https://r", user="me", password=Secret(text=CANARY), ca=Path("/ca")))
    assert said == {"user": "me", "password": CANARY, "ca": Path("/ca")}


def test_options_show_no_secret_and_a_missing_file_is_named(tmp_path: Path) -> None:
    log = LogConfig(kind="kafka", bootstrap="one:9092", prefix="w.", replication=3, cache=tmp_path)
    registry = RegistryConfig(url="http://r", user="me", password=Secret(text=CANARY))
    config = Config(file=tmp_path / "ashioto.toml", log=log, schema_registry=registry)
    options = kafka_options(config)
    assert (options.bootstrap, options.prefix, options.replication, options.cache) == ("one:9092", "w.", 3, tmp_path)
    assert CANARY not in repr(options)
    with pytest.raises(ConfigError, match="gone cannot be read"):
        client_settings(KafkaConfig(username="me", password=Secret(file=tmp_path / "gone")))
