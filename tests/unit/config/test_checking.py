from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ashioto.config import Config, load_config
from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-7f3a"
LOG = '[log]\nkind = "kafka"\nbootstrap = "one:9092"\n'
REGISTRY = '[schema_registry]\nurl = "http://registry:8081"\n'
SASL = '[kafka]\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "SCRAM-SHA-512"\nusername = "me"\n'


def load(folder: Path, text: str) -> Config:
    (folder / "ashioto.toml").write_text(text, encoding="utf-8")
    return load_config(folder)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[log]\nkind = "kafka"\n' + REGISTRY, "log.bootstrap is not set", "bootstrap = "),
        (LOG.replace("one:9092", "http://one:9092") + REGISTRY, "no list of host:port", "one:9092,two:9092"),
        (LOG.replace("one:9092", f"me:{CANARY}@one:9092") + REGISTRY, "no list of host:port", "one:9092"),
        (LOG + "replication = 0\n" + REGISTRY, "log.replication is 0", "-1"),
        (LOG + 'prefix = "a/b"\n' + REGISTRY, "log.prefix has letters", "dash"),
        (LOG, "schema_registry.url is not set", "url = "),
        (LOG + REGISTRY.replace("http", "ftp"), "schema_registry.url is no URL", "http://"),
        (LOG + REGISTRY.replace("//", f"//me:{CANARY}@"), "a user or a password in it", "__PASSWORD"),
        (LOG + REGISTRY + 'user = "me"\n', "no password of me", "ASHIOTO_SCHEMA_REGISTRY__PASSWORD"),
        (LOG + REGISTRY + 'password_file = "pw"\n', "a password, but no user", "schema_registry.user"),
        (LOG + REGISTRY + 'ca = "ashioto.toml"\n', "schema_registry.ca is of no use", "https://"),
        (LOG + REGISTRY + SASL, "no password of me", "ASHIOTO_KAFKA__PASSWORD"),
        (LOG + REGISTRY + '[kafka]\nsecurity_protocol = "SASL_SSL"\n', "sasl_mechanism is not set", "SCRAM"),
        (LOG + REGISTRY + SASL.replace('username = "me"', ""), "kafka.username is not set", "who logs in"),
        (LOG + REGISTRY + '[kafka]\nusername = "me"\n', "kafka.username is of no use", "SASL_SSL"),
        (LOG + REGISTRY + '[kafka]\nca = "ashioto.toml"\n', "kafka.ca is of no use", '"SSL"'),
        (LOG + REGISTRY + '[kafka]\nsecurity_protocol = "SSL"\nca = "no.pem"\n', "no such file: .*no.pem", "path"),
        (LOG + REGISTRY + '[kafka]\nsecurity_protocol = "SSL"\nkey = "ashioto.toml"\n', "kafka.cert is not", "too"),
        (LOG + REGISTRY + '[kafka]\nsecurity_protocol = "TLS"\n', "kafka.security_protocol: .*'SSL'", "correct"),
        (LOG + REGISTRY + '[kafka.settings]\n"group.id" = "g"\n', "group.id is not to be changed", "leave it out"),
        (LOG + REGISTRY + '[kafka.settings]\n"bootstrap.servers" = "x"\n', "key of its own", "log.bootstrap"),
        (LOG + REGISTRY + "[kafka.settings]\nsocket.timeout.ms = [1]\n", "kafka.settings", "correct"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert hint in caught.value.hint
    assert CANARY not in str(caught.value)


def test_a_log_in_a_file_does_not_care_about_kafka(tmp_path: Path) -> None:
    assert load(tmp_path, REGISTRY + SASL).log.kind == "embedded"


def test_brokers_of_a_log_in_a_file_are_not_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"log\.bootstrap is one:9092, but log\.kind is embedded") as caught:
        load(tmp_path, '[log]\nbootstrap = "one:9092"\n')
    assert 'kind = "kafka"' in caught.value.hint
    monkeypatch.setenv("ASHIOTO_LOG__BOOTSTRAP", "two:9092")
    with pytest.raises(ConfigError, match="two:9092"):
        load(tmp_path, "")


@pytest.mark.parametrize("url", ["http://[::1", "http://registry:port", "http://registry:99999", "//registry", "http:"])
def test_a_url_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"schema_registry\.url is no URL"):
        load(tmp_path, LOG + f'[schema_registry]\nurl = "{url}"\n')


@pytest.mark.parametrize("mechanism", ["GSSAPI", "scram-sha-512", "AWS_MSK_IAM"])
def test_a_mechanism_that_the_client_cannot_do_is_told_with_those_it_can(tmp_path: Path, mechanism: str) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.sasl_mechanism: .*'SCRAM-SHA-512' or 'OAUTHBEARER'"):
        load(tmp_path, LOG + REGISTRY + SASL.replace("SCRAM-SHA-512", mechanism))


def test_tokens_come_from_somewhere(tmp_path: Path) -> None:
    tokens = LOG + REGISTRY + '[kafka]\nsecurity_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\n'
    with pytest.raises(ConfigError, match="nothing says where tokens come from") as caught:
        load(tmp_path, tokens)
    assert "oidc" in caught.value.hint
    assert load(tmp_path, tokens + '[kafka.settings]\n"sasl.oauthbearer.method" = "oidc"\n').kafka.settings


@pytest.mark.parametrize(
    "name", ["error_cb", "stats_cb", "throttle_cb", "oauth_cb", "logger", "delivery.report.only.error", "on_commit"]
)
def test_what_is_code_or_loses_answers_is_no_setting(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is not to be changed"):
        load(tmp_path, LOG + REGISTRY + f'[kafka.settings]\n"{name}" = true\n')


@pytest.mark.parametrize("variable", ["ASHIOTO_KAFKA__SETTINGS", "ASHIOTO_KAFKA"])
def test_a_variable_that_is_no_json_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, f"{{{CANARY}")
    with pytest.raises(ConfigError, match=f"variable {variable} is no JSON") as caught:
        load(tmp_path, LOG + REGISTRY)
    assert "table" in caught.value.hint
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f'[kafka]\npassword = "{CANARY}"', "ASHIOTO_KAFKA__PASSWORD, or kafka.password_file"),
        (f'[kafka]\nkey_password = "{CANARY}"', "ASHIOTO_KAFKA__KEY_PASSWORD"),
        (f'[schema_registry]\npassword = "{CANARY}"', "ASHIOTO_SCHEMA_REGISTRY__PASSWORD"),
        (f'[kafka.settings]\n"sasl.password" = "{CANARY}"', "ASHIOTO_KAFKA__PASSWORD"),
        (f'[kafka.settings]\nsasl.oauthbearer.client.secret = "{CANARY}"', "ASHIOTO_KAFKA__SETTINGS"),
        (f'[kafka.settings]\n"ssl.key.pem" = "{CANARY}"', "ASHIOTO_KAFKA__SETTINGS"),
    ],
)
def test_secrets_in_the_file_are_refused_and_not_repeated(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="does not belong into a file that is shared") as caught:
        load(tmp_path, text)
    assert hint in caught.value.hint
    assert CANARY not in str(caught.value)


def test_secrets_come_from_the_environment_or_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pw").write_text(f"{CANARY}-file\n", encoding="utf-8")
    monkeypatch.setenv("ASHIOTO_KAFKA__PASSWORD", CANARY)
    monkeypatch.setenv("ASHIOTO_KAFKA__SETTINGS", f'{{"sasl.oauthbearer.client.secret": "{CANARY}-more"}}')
    config = load(tmp_path, LOG + REGISTRY + 'user = "me"\npassword_file = "pw"\n' + SASL)
    assert config.kafka.password is not None
    assert config.kafka.password.reveal() == CANARY
    assert config.schema_registry.password is not None
    assert config.schema_registry.password.reveal() == f"{CANARY}-file"
    assert config.kafka.settings["sasl.oauthbearer.client.secret"] == f"{CANARY}-more"
    assert CANARY not in repr(config)


def test_a_secret_is_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIOTO_KAFKA__PASSWORD", CANARY)
    with pytest.raises(ConfigError, match=r"kafka\.password and kafka\.password_file|are both set") as caught:
        load(tmp_path, LOG + REGISTRY + SASL + 'password_file = "pw"\n')
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("value", [f'{{"pasword": "{CANARY}"}}', f'["{CANARY}"]', f'{{"{CANARY}'])
def test_a_wrong_variable_with_a_secret_in_it_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ASHIOTO_KAFKA", value)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "")
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_setting_may_be_written_without_quotes(tmp_path: Path) -> None:
    config = load(tmp_path, LOG + REGISTRY + "[kafka.settings]\nsocket.timeout.ms = 5\n'debug' = 'broker'\n")
    assert config.kafka.settings == {"socket.timeout.ms": 5, "debug": "broker"}
