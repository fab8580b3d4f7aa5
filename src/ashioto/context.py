"""The context that programs use: what is declared under one name, and the way to its streams and tables."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from ashioto import dsl
from ashioto.dsl.entity import Record, is_class_of
from ashioto.errors import ConfigError, UsageError
from ashioto.naming import parse_bar_name

if TYPE_CHECKING:
    from ashioto.config import Config
    from ashioto.log.base import Log
    from ashioto.tables import EntitySet

R = TypeVar("R", bound=Record)


class Context(dsl.Context):
    """Collects what is declared under one name, and writes and reads it.

    Args:
        name: A lower-case identifier; every topic and key carries it.

    Raises:
        DefinitionError: The name is none.

    >>> Context("trading").name
    'trading'
    """

    def set(self, entity: type[R], *, log: Log | None = None) -> EntitySet[R]:
        """Return the set of a plain stream or table, to add to and read from.

        Args:
            entity: A `Stream` or `Table` class.
            log: Where its topic is; the project's log when not given.

        Raises:
            UsageError: It is a class of bars, which a query makes; or no entity at all.
            ConfigError: No log was given and there is no project around.
        """
        if is_class_of(entity, dsl.Bar):
            _, period = parse_bar_name(entity.__name__)
            raise UsageError(
                f"{entity.__name__} is made by a query, so nothing is added to it here",
                hint=f"TimeBucket.set({entity.__name__}, Period.parse({period.kind!r}))",
            )
        if not is_class_of(entity, Record) or not hasattr(entity, "__entity__"):
            raise UsageError(f"set takes a Stream or Table class, not {entity!r}", hint="e.g. trading.set(Rate)")
        from ashioto.log.opening import default_log
        from ashioto.tables import EntitySet

        return EntitySet(self, entity, log if log is not None else default_log())


def load_contexts(config: Config) -> list[Context]:
    """Import the contexts of a project; its folder is put on the module path.

    Args:
        config: The project's settings.

    Raises:
        ConfigError: A module cannot be found, or holds no such context; names the file and the entry.
    """
    if not config.project.contexts:
        raise ConfigError(
            f"{config.file}: project.contexts is empty", hint='e.g. contexts = ["bars:trading"]', key="project.contexts"
        )
    root = str(config.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    return [_load(config, entry) for entry in config.project.contexts]


def _load(config: Config, entry: str) -> Context:
    module_name, separator, name = entry.partition(":")
    if not (module_name and separator and name):
        raise _wrong(config, f"{entry!r} is no module:object", 'e.g. "bars:trading"')
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise _wrong(config, f"there is no module {module_name!r}", f"looked in {config.root}") from error
        raise _wrong(
            config, f"{module_name} needs {error.name!r}, which is not there", f"install {error.name}"
        ) from error
    if not hasattr(module, name):
        found = [n for n, value in vars(module).items() if isinstance(value, dsl.Context)]
        raise _wrong(config, f"{module_name} has no {name!r}", f"its contexts are {', '.join(found) or 'none'}")
    value = getattr(module, name)
    if not isinstance(value, Context):
        raise _wrong(config, f"{entry} is {value!r}, no context", f'write {name} = ao.Context("{name}")')
    return value


def _wrong(config: Config, problem: str, hint: str) -> ConfigError:
    return ConfigError(
        f"{config.file}: project.contexts: {problem}", hint=hint, file=str(config.file), key="project.contexts"
    )
