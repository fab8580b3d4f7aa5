"""Declared record types: streams of events and tables."""

from __future__ import annotations

import builtins
import inspect
import sys
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform, get_type_hints

from ashioto.dsl.fields import Field, decimal, field, key, sequence, timestamp
from ashioto.errors import DefinitionError, InputError
from ashioto.logical.entities import check_entity
from ashioto.logical.nodes import Entity

if TYPE_CHECKING:
    from ashioto.logical.nodes import EntityKind

_NAMES = {"Field": Field, "Decimal": Decimal, "datetime": datetime, "date": date}


def _annotations(cls: type) -> dict[str, object]:
    texts = {n: a for n, a in inspect.get_annotations(cls).items() if not n.startswith("__")}
    module = sys.modules.get(cls.__module__)
    names = {**vars(builtins), **_NAMES, **(vars(module) if module else {})}
    try:
        hints: dict[str, object] = get_type_hints(SimpleNamespace(__annotations__=texts), names, {})
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise DefinitionError(
            f"the annotations of {cls.__name__} cannot be read: {error}",
            hint="import every name they use at the top of the module, outside TYPE_CHECKING",
        ) from error
    return hints


def is_class_of(value: object, base: type) -> bool:
    """Return whether a value is a class derived from `base`, and not `base` itself.

    >>> is_class_of(3, int), is_class_of(bool, int)
    (False, True)
    """
    return isinstance(value, type) and issubclass(value, base) and value is not base


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(key, field, timestamp, sequence, decimal, Field)
)
class Record:
    """Holds one event or row; made from keyword arguments, checked, and never changed.

    >>> Record.__name__
    'Record'
    """

    __entity__: ClassVar[Entity]
    __kind__: ClassVar[EntityKind]
    __fields__: ClassVar[dict[str, Field[Any]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if Record in cls.__bases__:
            return
        hints = _annotations(cls)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        for name in hints:
            if name not in own:
                raise DefinitionError(
                    f"{cls.__name__}.{name} is annotated but not declared",
                    hint=f"write {name}: Field[...] = ao.field()",
                )
        columns = {c.name: c for c in cls.__entity__.columns} if hasattr(cls, "__entity__") else {}
        for name, declared in own.items():
            columns[name] = declared.resolve(hints.get(name), where=f"{cls.__name__}.{name}")
        cls.__fields__ = {**cls.__fields__, **own}
        cls.__entity__ = check_entity(Entity(name=cls.__name__, kind=cls.__kind__, columns=tuple(columns.values())))

    if not TYPE_CHECKING:

        def __init__(self, /, **values: object) -> None:
            entity = type(self).__entity__
            state = vars(self)
            for name, declared in self.__fields__.items():
                state[name] = declared.take(values, entity=entity.name)
            if values:
                name = next(iter(values))
                raise InputError(
                    f"{entity.name} has no column {name!r}",
                    hint=f"its columns are {', '.join(self.__fields__)}",
                    column=name,
                    value=values[name],
                )

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in vars(self).items())})"


class Stream(Record):
    """Declares events: subclass it with one `ao.timestamp()` and any other columns.

    >>> from ashioto.dsl import Field, timestamp
    >>> class Tick(Stream):
    ...     at: Field[datetime] = timestamp()
    >>> Tick.at
    Column(at)
    """

    __kind__ = "stream"


class Table(Record):
    """Declares rows of which the latest a key counts: subclass it with at least one `ao.key()`.

    >>> from ashioto.dsl import Field, key
    >>> class Symbol(Table):
    ...     name: Field[str] = key()
    >>> Symbol(name="USDJPY")
    Symbol(name='USDJPY')
    """

    __kind__ = "table"


class AlwaysOpen(Table):
    """Names the ready-made schedule of markets that never close: one session a UTC day, for every key.

    Its rows follow from the calendar, so nobody writes them: `.time_frame(ao.AlwaysOpen)` is all.

    >>> from ashioto.logical.schedules import ALWAYS_OPEN
    >>> AlwaysOpen.__entity__ == ALWAYS_OPEN
    True
    """

    open: Field[datetime] = key()
    close: Field[datetime] = field()
    market_date: Field[date] = field()
