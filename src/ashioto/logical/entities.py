"""Checks of declared entities."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ashioto.errors import DefinitionError
from ashioto.logical.nodes import INT64, TEXT, TIMESTAMP
from ashioto.logical.types import MAX_PRECISION

if TYPE_CHECKING:
    from ashioto.logical.nodes import Column, Entity

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KEYS: Final = (TEXT, INT64, TIMESTAMP)
_CLASS: Final = re.compile(r"[A-Z][A-Za-z0-9]*")


def check_name(name: str, what: str) -> str:
    """Return the name if it is an identifier of ASCII letters, digits and `_` that begins with a letter.

    Raises:
        DefinitionError: It is not.

    >>> check_name("close", "column")
    'close'
    """
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is no name for a {what}", hint="letters, digits and _, a letter first", name=name
        )
    return name


def check_entity(entity: Entity) -> Entity:
    """Return the entity if its columns hold together.

    Raises:
        DefinitionError: A name is taken twice or is none, or a role is missing, twice or of the wrong type.

    >>> from ashioto.logical.nodes import Column, Entity
    >>> at = Column(name="at", type=TIMESTAMP, role="timestamp")
    >>> check_entity(Entity(name="Rate", kind="stream", columns=(at,))).timestamp
    'at'
    """
    if not _CLASS.fullmatch(entity.name):
        raise DefinitionError(
            f"{entity.name!r} is no name for an entity", hint="capital first, letters and digits, e.g. Rate or FXRate"
        )
    names = [check_name(c.name, f"column of {entity.name}") for c in entity.columns]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{entity.name} has two columns {name}", hint="rename one", column=name)
    for column in entity.columns:
        _check_column(entity, column)
    _check_roles(entity)
    return entity


def _check_column(entity: Entity, column: Column) -> None:
    kind, where = column.type, f"{entity.name}.{column.name}"
    if kind.name == "decimal" and not (1 <= kind.precision <= MAX_PRECISION and 0 <= kind.scale <= kind.precision):
        raise DefinitionError(
            f"{where} is {kind}",
            hint=f"a decimal has 1 to {MAX_PRECISION} digits, and 0 to that many after the point",
            column=column.name,
        )
    wanted = {"timestamp": TIMESTAMP, "sequence": INT64}.get(column.role)
    if column.role == "key" and kind not in _KEYS:
        raise DefinitionError(
            f"{where} is {kind}, which cannot be a key",
            hint="keys are text, whole numbers or times",
            column=column.name,
        )
    if wanted is not None and kind != wanted:
        raise DefinitionError(f"{where} is {kind}, a {column.role} is {wanted}", hint=f"make it {wanted}")


def _check_roles(entity: Entity) -> None:
    roles = [c.role for c in entity.columns]
    times, sequences = roles.count("timestamp"), roles.count("sequence")
    if entity.kind == "stream" and times == 0:
        raise DefinitionError(
            f"{entity.name} has no event time", hint="declare one, e.g. at: Field[datetime] = ao.timestamp()"
        )
    if times > 1:
        raise DefinitionError(f"{entity.name} has {times} event times", hint="keep one ao.timestamp()")
    if sequences > 1:
        raise DefinitionError(f"{entity.name} has {sequences} sequences", hint="keep one ao.sequence()")
    if entity.kind == "table" and "key" not in roles:
        raise DefinitionError(f"the table {entity.name} has no key", hint="declare at least one column with ao.key()")
