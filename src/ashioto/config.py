"""Reads `ashioto.toml`: which contexts a project has, and where they run.

Every value can be overridden by an environment variable, `ASHIOTO_SECTION__NAME`: e.g.
`ASHIOTO_LOG__PATH=/data/log.db`.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import BaseSettings

FILE_NAME: Final = "ashioto.toml"
_PREFIX: Final = "ASHIOTO_"
_INIT: Final = "run `rc init` to make a project, or change into one"

LogKind = Literal["embedded", "kafka"]
EngineKind = Literal["embedded", "ksqldb", "flink"]


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
    """

    kind: LogKind = "embedded"
    path: Path = Path(".ashioto/log.db")
    partitions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Says what runs the queries."""

    kind: EngineKind = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Holds the settings of a project.

    Args:
        file: The `ashioto.toml` they come from.
        project: Its contexts.
        log: Where records live.
        engine: What runs the queries.

    >>> Config(file=Path("/p/ashioto.toml")).root.as_posix()
    '/p'
    """

    file: Path
    project: ProjectConfig = ProjectConfig()
    log: LogConfig = LogConfig()
    engine: EngineConfig = EngineConfig()

    @property
    def root(self) -> Path:
        """The folder of the project; relative paths and modules are looked up from it."""
        return self.file.parent


def find_config(start: Path | None = None) -> Path:
    """Return the nearest `ashioto.toml`, in a folder or any above it.

    Args:
        start: Where to begin; the working directory when not given.

    Raises:
        ConfigError: There is none.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "ashioto.toml").write_text("")
    >>> find_config(folder).name
    'ashioto.toml'
    """
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise ConfigError(f"no {FILE_NAME} in {begin} or any folder above it", hint=_INIT, file=FILE_NAME)


def load_config(path: Path | None = None) -> Config:
    r"""Read the settings of a project.

    Args:
        path: An `ashioto.toml` or its folder; the nearest one when not given.

    Raises:
        ConfigError: The file is missing or no TOML, or a key or value is wrong; names the file and the key.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "ashioto.toml").write_text('[project]\ncontexts = ["bars:trading"]')
    >>> load_config(folder).project.contexts
    ('bars:trading',)
    """
    file = _file_of(path)
    settings = _validated(file, _read(file))
    log, project = settings["log"], settings["project"]
    return Config(
        file=file,
        project=ProjectConfig(contexts=tuple(project["contexts"]), env=project["env"], cluster=project["cluster"]),
        log=LogConfig(
            kind=log["kind"],
            path=(file.parent / Path(log["path"]).expanduser()).resolve(),
            partitions=log["partitions"],
        ),
        engine=EngineConfig(kind=settings["engine"]["kind"]),
    )


def _file_of(path: Path | None) -> Path:
    if path is None:
        return find_config()
    file = (path / FILE_NAME if path.is_dir() else path).resolve()
    if not file.is_file():
        raise ConfigError(f"no such file: {file}", hint=_INIT, file=str(file))
    return file


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no TOML: {error}", hint="see https://toml.io", file=str(file)) from error


def _validated(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    model = _settings_class()
    _check_environment(os.environ, tuple(model.model_fields))
    try:
        return model(**values).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _explain(file, [str(part) for part in first["loc"]], first["type"], first["msg"]) from error
    except SettingsError as error:
        raise ConfigError(f"an {_PREFIX} variable cannot be read: {error}", hint="lists are JSON or a,b") from error


def _explain(file: Path, where: list[str], kind: str, message: str) -> ConfigError:
    variable = _PREFIX + "__".join(where[:2]).upper()
    source = f"the environment variable {variable}" if variable in os.environ else str(file)
    key = ".".join(where)
    if kind == "extra_forbidden":
        known = _known_keys(where[:-1])
        return ConfigError(f"{source}: unknown key {key}", hint=f"known here: {known}", file=str(file), key=key)
    return ConfigError(f"{source}: {key}: {message}", hint=f"correct {key}", file=str(file), key=key)


def _known_keys(section: list[str]) -> str:
    fields: Mapping[str, Any] = _settings_class().model_fields
    for name in section:
        fields = fields[name].annotation.model_fields
    return ", ".join(fields)


def _check_environment(environment: Mapping[str, str], sections: tuple[str, ...]) -> None:
    for name in environment:
        section, nested, _ = name.removeprefix(_PREFIX).partition("__")
        if name.startswith(_PREFIX) and nested and section.lower() not in sections:
            raise ConfigError(
                f"the environment variable {name} names no section",
                hint=f"sections are {', '.join(sections)}",
                key=name,
            )


@cache
def _settings_class() -> type[BaseSettings]:
    from pydantic import BaseModel, ConfigDict, Field, field_validator
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

    strict = ConfigDict(extra="forbid")

    class Project(BaseModel):
        model_config = strict
        contexts: list[str] | str = Field(default_factory=list)  # text from the environment is split below
        env: str = "dev"
        cluster: str = "local"

        @field_validator("contexts", mode="before")
        @classmethod
        def _split(cls, value: object) -> object:
            return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    class Log(BaseModel):
        model_config = strict
        kind: LogKind = "embedded"
        path: str = ".ashioto/log.db"
        partitions: int = Field(default=1, ge=1)

    class Engine(BaseModel):
        model_config = strict
        kind: EngineKind = "embedded"

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid")
        project: Project = Field(default_factory=Project)
        log: Log = Field(default_factory=Log)
        engine: Engine = Field(default_factory=Engine)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's signature
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, init_settings

    for made in (Project, Log, Engine, Settings):
        made.model_rebuild(_types_namespace={"LogKind": LogKind, "EngineKind": EngineKind, **locals()})
    return Settings
