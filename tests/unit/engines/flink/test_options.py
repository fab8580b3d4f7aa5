from __future__ import annotations

from pathlib import Path

import pytest

from ashioto.clock import ManualClock
from ashioto.config import Config, EngineConfig, KafkaConfig, LogConfig, RegistryConfig, Secret
from ashioto.engines.flink.options import flink_options, open_gateway, open_jobs
from ashioto.errors import EngineError, UnsupportedError

CANARY = "ca\"na\\ry's"
SASL = KafkaConfig(
    security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", username="me", password=Secret(text=CANARY)
)  # fmt: skip


def config(*, kafka: KafkaConfig | None = None, schemas: RegistryConfig | None = None, **engine: object) -> Config:
    own: dict[str, object] = {"url": "http://gateway:8083", "jobmanager": "http://jobs:8081", "checkpoints": "s3://b/f"}
    return Config(
        file=Path("ashioto.toml"),
        log=LogConfig(kind="kafka", bootstrap="outside:9092", prefix="p."),
        kafka=kafka or KafkaConfig(),
        schema_registry=schemas or RegistryConfig(url="http://outside:8081"),
        engine=EngineConfig(kind="flink", **(own | engine)),  # type: ignore[arg-type]  # as tests say
    )


def test_the_cluster_reaches_what_this_client_does_unless_it_is_told_otherwise() -> None:
    reach = flink_options(config()).reach
    assert (reach.bootstrap, reach.registry, reach.prefix) == ("outside:9092", "http://outside:8081", "p.")
    assert (dict(reach.kafka), dict(reach.registry_options)) == ({}, {})
    told = config(bootstrap="inside:9092", registry="http://inside:8081", settings={"client.rack": "a", "x": True})
    reach = flink_options(told).reach
    assert (reach.bootstrap, reach.registry) == ("inside:9092", "http://inside:8081")
    assert reach.kafka == {"client.rack": "a", "x": "true"}


def test_a_login_becomes_one_of_java_and_is_never_shown() -> None:
    registry = RegistryConfig(url="http://outside:8081", user="me", password=Secret(text="canary-2"))
    options = flink_options(config(kafka=SASL, schemas=registry))
    jaas = options.reach.kafka["sasl.jaas.config"]
    assert jaas.startswith('org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="')
    assert jaas.endswith('ca\\"na\\\\ry\'s";')
    assert options.reach.registry_options["basic-auth.user-info"] == "me:canary-2"
    quoted = jaas.replace("'", "''")
    assert options.shown(f"{jaas} | {quoted} | me:canary-2") == "*** | *** | ***"
    assert "ca\\" not in repr(options)
    assert "canary" not in repr(options)


def test_certificates_go_along_as_text(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(f"-- {name} --", encoding="utf-8")
    kafka = KafkaConfig(
        security_protocol="SSL", key_password=Secret(text="canary"), ca=tmp_path / "ca", cert=tmp_path / "cert",
        key=tmp_path / "key",
    )  # fmt: skip
    found = flink_options(config(kafka=kafka))
    assert found.reach.kafka == {
        "security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.certificates": "-- ca --",
        "ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": "-- cert --", "ssl.keystore.key": "-- key --",
        "ssl.key.password": "canary",
    }  # fmt: skip
    assert found.shown("-- key -- canary -- ca --") == "*** *** -- ca --"


def test_a_way_to_log_in_that_java_is_not_told_of_is_refused_with_the_way_out() -> None:
    kafka = KafkaConfig(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER")
    with pytest.raises(UnsupportedError, match="OAUTHBEARER") as caught:
        flink_options(config(kafka=kafka))
    assert "ASHIOTO_ENGINE__SETTINGS" in caught.value.hint
    told = flink_options(config(kafka=kafka, settings={"sasl.jaas.config": "canary"}))
    assert told.reach.kafka["sasl.jaas.config"] == "canary"
    assert "canary" in told.secrets


def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate", encoding="utf-8")
    with pytest.raises(EngineError, match="certificates for the servers of flink cannot be used"):
        flink_options(config(url="https://gateway:8083", ca=ca))


def test_clients_are_made_without_asking_anybody() -> None:
    made = config(user="me", password=Secret(text="canary"))
    options, clock = flink_options(made), ManualClock()
    gateway, jobs = open_gateway(made, options, clock), open_jobs(made, options, clock)
    assert (gateway.url, jobs.url) == ("http://gateway:8083", "http://jobs:8081")
    gateway.close()
    jobs.close()
