"""Finds `ashioto.toml`, and reads it together with the environment."""

from __future__ import annotations

import json
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from ashioto.config.checking import check_no_secrets, check_together, flat
from ashioto.config.models import (
    Config,
    EngineConfig,
    EngineKind,
    KafkaConfig,
    LogConfig,
    LogKind,
    ProjectConfig,
    RegistryConfig,
    SaslMechanism,
    SecurityProtocol,
)
from ashioto.config.secret import Secret
from ashioto.errors import ConfigError, PeriodError
from ashioto.period import Period

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic_settings import BaseSettings

FILE_NAME: Final = "ashioto.toml"
_PREFIX: Final = "ASHIOTO_"
_INIT: Final = "run `rc init` to make a project, or change into one"


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
        ConfigError: The file is missing or no TOML, has a secret in it, or a key or value is wrong, or values do not go
            together; names the file and the key.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "ashioto.toml").write_text('[project]\ncontexts = ["bars:trading"]')
    >>> load_config(folder).project.contexts
    ('bars:trading',)
    """
    file = _file_of(path)
    values = _read(file)
    check_no_secrets(file, values)
    config = _config(file, _validated(file, values))
    check_together(config)
    return config


def _config(file: Path, settings: dict[str, Any]) -> Config:
    log, project, kafka = settings["log"], settings["project"], settings["kafka"]
    here = _Here(file)
    return Config(
        file=file,
        project=ProjectConfig(contexts=tuple(project["contexts"]), env=project["env"], cluster=project["cluster"]),
        log=LogConfig(**(log | {"path": here.path(log["path"]), "cache": here.path(log["cache"])})),
        kafka=KafkaConfig(
            security_protocol=kafka["security_protocol"],
            sasl_mechanism=kafka["sasl_mechanism"],
            username=kafka["username"],
            settings=kafka["settings"],
            **here.credentials("kafka", kafka),
        ),
        schema_registry=RegistryConfig(
            url=settings["schema_registry"]["url"],
            user=settings["schema_registry"]["user"],
            **here.credentials("schema_registry", settings["schema_registry"]),
        ),
        engine=_engine(here, settings["engine"]),
    )


def _engine(here: _Here, said: Mapping[str, Any]) -> EngineConfig:
    plain = ("kind", "url", "jobmanager", "user", "checkpoints", "bootstrap", "registry", "settings")
    return EngineConfig(
        **{name: said[name] for name in plain},
        checkpoint_interval_ms=Period.parse(said["checkpoint_interval"]).millis,
        **here.credentials("engine", said),
    )


class _Here:
    """Knows paths as they are meant in a file: from its folder on."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def path(self, text: str) -> Path:
        return (self._file.parent / Path(text).expanduser()).resolve()

    def credentials(self, section: str, values: Mapping[str, str]) -> dict[str, Any]:
        """Return certificates and secrets of a section; what is not set is None."""
        found: dict[str, Any] = {n: self.path(values[n]) if values[n] else None for n in ("ca", "cert", "key")}
        for name in ("password", "key_password"):
            found[name] = self._secret(f"{section}.{name}", values[name], values[f"{name}_file"])
        return found

    def _secret(self, key: str, text: str, file: str) -> Secret | None:
        if text and file:
            raise ConfigError(
                f"{self._file}: {key} and {key}_file are both set", hint="leave one out", file=str(self._file), key=key
            )
        if file:
            return Secret(file=self.path(file))
        return Secret(text=text) if text else None


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
    except ValidationError as error:  # what it carries may hold secrets of the environment, so nobody is to see it
        first = error.errors(include_url=False, include_input=False)[0]
        raise _explain(file, [str(part) for part in first["loc"]], first["type"], first["msg"]) from None
    except SettingsError:  # what it carries may hold secrets as well
        name = _no_json(os.environ, tuple(model.model_fields))
        raise ConfigError(
            f"the environment variable {name} is no JSON",
            hint="a table is one, such as {" + '"name": "value"}',
            key=name,
        ) from None


def _no_json(environment: Mapping[str, str], sections: tuple[str, ...]) -> str:
    """Return the name of the first variable that should hold a table and does not."""
    tables = [f"{_PREFIX}{section}".upper() for section in sections]
    tables += [f"{table}__SETTINGS" for table in tables]
    for name in sorted(tables, key=len):
        try:
            json.loads(environment.get(name, "{}"))
        except ValueError:
            return name
    return f"{_PREFIX}..."


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
    """Return what is known of the file: sections, keys, types, defaults."""
    from pydantic import create_model
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

    class Read(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", hide_input_in_errors=True
        )

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

    made: dict[str, Any] = {name: (section, section()) for name, section in _sections().items()}
    return create_model("Settings", __base__=Read, **made)


def _sections() -> dict[str, type[BaseModel]]:
    from typing import Annotated

    from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model

    def section(name: str, **fields: Any) -> type[BaseModel]:
        found: type[BaseModel] = create_model(
            name, __config__=ConfigDict(extra="forbid", hide_input_in_errors=True), **fields
        )  # fmt: skip
        return found

    def listed(value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    def tabled(value: object) -> object:
        return flat(value) if isinstance(value, dict) else value

    def interval(value: str) -> str:
        try:
            _ = Period.parse(value).millis
        except PeriodError as error:
            raise ValueError("it is no interval, such as 2s or 1m") from error
        return value

    text = (str, "")
    files: dict[str, Any] = dict.fromkeys(
        ("password", "password_file", "ca", "cert", "key", "key_password", "key_password_file"), text
    )
    lists = Annotated[list[str] | str, BeforeValidator(listed)]  # text from the environment is split
    tables = Annotated[dict[str, str | int | float | bool], BeforeValidator(tabled)]
    return {
        "project": section("Project", contexts=(lists, []), env=(str, "dev"), cluster=(str, "local")),
        "log": section(
            "Log", kind=(LogKind, get_args(LogKind)[0]), path=(str, ".ashioto/log.db"),
            partitions=(Annotated[int, Field(ge=1)], 1), bootstrap=text, prefix=text,
            replication=(Annotated[int, Field(ge=-1)], -1), cache=(str, ".ashioto/cache"),
        ),
        "kafka": section(
            "Kafka", security_protocol=(SecurityProtocol, "PLAINTEXT"), sasl_mechanism=(SaslMechanism, ""),
            username=text, **files, settings=(tables, {}),
        ),
        "schema_registry": section("Registry", url=text, user=text, **files),
        "engine": section(
            "Engine", kind=(EngineKind, get_args(EngineKind)[0]), url=text, jobmanager=text, user=text, **files,
            checkpoints=text, checkpoint_interval=(Annotated[str, AfterValidator(interval)], "2s"), bootstrap=text,
            registry=text, settings=(tables, {}),
        ),
    }  # fmt: skip
