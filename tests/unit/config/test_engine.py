from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ashioto.config import Config, load_config
from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-7f3a"
KAFKA = '[log]\nkind = "kafka"\nbootstrap = "one:9092"\n[schema_registry]\nurl = "http://registry:8081"\n'
KSQLDB = KAFKA + '[engine]\nkind = "ksqldb"\nurl = "http://ksqldb:8088"\n'
FLINK = KAFKA + (
    '[engine]\nkind = "flink"\nurl = "http://gateway:8083"\njobmanager = "http://jobs:8081"\n'
    'checkpoints = "s3://bucket/flink"\n'
)


def load(folder: Path, text: str) -> Config:
    (folder / "ashioto.toml").write_text(text, encoding="utf-8")
    return load_config(folder)


def without(key: str) -> str:
    """The settings of Flink without one of them."""
    return "".join(line for line in FLINK.splitlines(keepends=True) if not line.startswith(f"{key} ="))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[engine]\nkind = "flink"\n', 'reads from Kafka, but log.kind is "embedded"', 'kind = "kafka"'),
        ('[engine]\nkind = "ksqldb"\n', 'reads from Kafka, but log.kind is "embedded"', 'kind = "embedded"'),
        (KAFKA + '[engine]\nkind = "ksqldb"\n', "engine.url is not set", ":8088"),
        (KAFKA + '[engine]\nkind = "flink"\n', "engine.url is not set", ":8083"),
        (without("jobmanager"), "engine.jobmanager is not set", ":8081"),
        (without("checkpoints"), "engine.checkpoints is not set", "s3://"),
        (FLINK.replace("s3://bucket/flink", "/data"), "no URI of a folder: /data", "file:///"),
        (FLINK.replace("s3://bucket/flink", "http://[::1"), "no URI of a folder", "file:///"),
        (FLINK.replace("http://gateway", "ftp://gateway"), "engine.url is no URL", ":8083"),
        (FLINK.replace("http://jobs", f"http://me:{CANARY}@jobs"), "engine.jobmanager has a user", "ENGINE__PASSWORD"),
        (KSQLDB + 'user = "me"\n', "no password of me", "ASHIOTO_ENGINE__PASSWORD"),
        (KSQLDB + 'password_file = "pw"\n', "engine has a password, but no user", "engine.user"),
        (KSQLDB + 'ca = "ashioto.toml"\n', "engine.ca is of no use", "https://"),
        (KSQLDB.replace("http://ksqldb", "https://ksqldb") + 'key = "ashioto.toml"\n', "engine.cert is not", "too"),
        (FLINK + 'registry = "inside"\n', "engine.registry is no URL", "registry:8081"),
        (FLINK + 'bootstrap = "kafka://inside"\n', "engine.bootstrap is no list of host:port", "one:9092"),
        (FLINK + 'checkpoint_interval = "1d"\n', "it is no interval", "checkpoint_interval"),
        (FLINK + 'checkpoint_interval = "soon"\n', "it is no interval", "checkpoint_interval"),
        (FLINK + '[engine.settings]\nbootstrap.servers = "x"\n', "key of its own", "engine.bootstrap"),
        (FLINK + '[engine.settings]\ngroup.id = "x"\n', "group.id is not to be changed", "leave it out"),
        (FLINK + f'password = "{CANARY}"\n', "does not belong into a file", "ASHIOTO_ENGINE__PASSWORD"),
        (FLINK + f'[engine.settings]\nsasl.jaas.config = "{CANARY}"\n', "does not belong", "ENGINE__SETTINGS (JSON)"),
        (FLINK + f'[engine.settings]\nssl.keystore.key = "{CANARY}"\n', "does not belong", "ENGINE__SETTINGS (JSON)"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert CANARY not in str(caught.value)


def test_the_embedded_engine_does_not_care_about_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIOTO_ENGINE__KIND", "embedded")
    assert load(tmp_path, FLINK).engine.kind == "embedded"


def test_a_folder_of_an_account_is_one(tmp_path: Path) -> None:
    folder = "abfss://box@account.dfs.core.windows.net/flink"
    assert load(tmp_path, FLINK.replace("s3://bucket/flink", folder)).engine.checkpoints == folder


def test_secrets_come_from_the_environment_or_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pw").write_text(CANARY, encoding="utf-8")
    monkeypatch.setenv("ASHIOTO_ENGINE__SETTINGS", f'{{"sasl.jaas.config": "{CANARY}-jaas"}}')
    config = load(tmp_path, FLINK + 'user = "me"\npassword_file = "pw"\n')
    assert config.engine.password is not None
    assert config.engine.password.reveal() == CANARY
    assert config.engine.settings["sasl.jaas.config"] == f"{CANARY}-jaas"
    assert CANARY not in repr(config)
