from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ashioto.config import Config, find_config, load_config
from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def load(folder: Path, text: str) -> Config:
    (folder / "ashioto.toml").write_text(text, encoding="utf-8")
    return load_config(folder)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.project.contexts == ()
    assert (config.project.env, config.project.cluster) == ("dev", "local")
    assert (config.log.kind, config.engine.kind) == ("embedded", "embedded")
    assert config.log.path == tmp_path.resolve() / ".ashioto" / "log.db"
    assert config.root == tmp_path.resolve()


def test_every_value_is_read(tmp_path: Path) -> None:
    text = """
        [project]
        contexts = ["bars:trading", "more.bars:analytics"]
        env = "prod"
        cluster = "east"
        [log]
        kind = "kafka"
        path = "/data/log.db"
        partitions = 4
        bootstrap = "one:9092,two:9092"
        prefix = "test."
        replication = 3
        cache = "/data/cache"
        [schema_registry]
        url = "https://registry:8081"
        [engine]
        kind = "flink"
        url = "http://gateway:8083"
        jobmanager = "http://jobs:8081"
        checkpoints = "s3://bucket/flink"
        checkpoint_interval = "1m"
        bootstrap = "inside:9092"
        registry = "http://inside:8081"
        [engine.settings]
        client.rack = "a"
    """
    config = load(tmp_path, text)
    assert config.project.contexts == ("bars:trading", "more.bars:analytics")
    assert (config.project.env, config.project.cluster) == ("prod", "east")
    assert (config.log.kind, config.log.path.as_posix(), config.engine.kind) == ("kafka", "/data/log.db", "flink")
    assert (config.log.bootstrap, config.log.prefix) == ("one:9092,two:9092", "test.")
    assert (config.log.partitions, config.log.replication) == (4, 3)
    assert config.log.cache.as_posix() == "/data/cache"
    assert config.schema_registry.url == "https://registry:8081"
    engine = config.engine
    assert (engine.url, engine.jobmanager) == ("http://gateway:8083", "http://jobs:8081")
    assert (engine.checkpoints, engine.checkpoint_interval_ms) == ("s3://bucket/flink", 60_000)
    assert (engine.bootstrap, engine.registry) == ("inside:9092", "http://inside:8081")
    assert engine.settings == {"client.rack": "a"}


def test_the_nearest_file_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ashioto.toml").write_text("")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_config() == tmp_path.resolve() / "ashioto.toml"
    assert load_config().file == find_config()


def test_no_file_anywhere_is_an_error_that_names_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no ashioto\.toml") as caught:
        find_config(tmp_path)
    assert "rc init" in caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: .*else\.toml"):
        load_config(tmp_path / "else.toml")


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIOTO_LOG__PATH", "elsewhere/log.db")
    monkeypatch.setenv("ASHIOTO_PROJECT__ENV", "test")
    monkeypatch.setenv("ASHIOTO_LOG__PARTITIONS", "4")
    config = load(tmp_path, '[project]\nenv = "dev"\ncluster = "east"\n[log]\npath = "x.db"')
    assert config.log.path == tmp_path.resolve() / "elsewhere" / "log.db"
    assert config.log.partitions == 4
    assert (config.project.env, config.project.cluster) == ("test", "east")


@pytest.mark.parametrize("text", ["a:b,c:d", " a:b , c:d ", '["a:b", "c:d"]'])
def test_contexts_from_the_environment_are_json_or_commas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ASHIOTO_PROJECT__CONTEXTS", text)
    assert load(tmp_path, "").project.contexts == ("a:b", "c:d")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[log]\npaht = "x"', r"ashioto\.toml: unknown key log\.paht", "kind, path"),
        ('[lgo]\npath = "x"', r"ashioto\.toml: unknown key lgo", "project, log, kafka, schema_registry, engine"),
        ('[log]\nkind = "redis"', r"ashioto\.toml: log\.kind: .*'embedded' or 'kafka'", "correct log.kind"),
        ("[log]\npartitions = 0", r"ashioto\.toml: log\.partitions: .*greater than or equal to 1", "correct log.parti"),
        ("[log]\npartitions = 'x'", r"ashioto\.toml: log\.partitions: .*valid integer", "correct log.partitions"),
        ("[log]\npath = 3", r"ashioto\.toml: log\.path: .*string", "correct log.path"),
        ("[project]\ncontexts = [3]", r"ashioto\.toml: project\.contexts", "correct project.contexts"),
        ("[log", r"ashioto\.toml is no TOML", "toml.io"),
    ],
)
def test_a_wrong_file_says_which_key(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ASHIOTO_LOG__PAHT", "x", r"variable ASHIOTO_LOG__PAHT: unknown key log\.paht"),
        ("ASHIOTO_LGO__PATH", "x", "variable ASHIOTO_LGO__PATH names no section"),
        ("ASHIOTO_ENGINE__KIND", "x", r"variable ASHIOTO_ENGINE__KIND: engine\.kind"),
        ("ASHIOTO_PROJECT", "{", "variable ASHIOTO_PROJECT is no JSON"),
    ],
)
def test_a_wrong_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, "")


def test_importing_it_loads_no_heavy_library() -> None:
    code = "import sys, ashioto.config; print([m for m in ('pydantic', 'numpy', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
