"""How columns are declared: one descriptor, and one function for each role."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_args, get_origin, overload

from ashioto.dsl.columns import Column
from ashioto.dsl.values import check_value, to_stored
from ashioto.errors import DefinitionError, InputError, UsageError
from ashioto.logical import nodes
from ashioto.logical.nodes import BOOL, DATE, FLOAT64, INT64, TEXT, TIMESTAMP, Col, DataType, Lit

if TYPE_CHECKING:
    from ashioto.dsl.entity import Record
    from ashioto.logical.nodes import Role

T = TypeVar("T")

MISSING: Final[Any] = object()
"""Stands for a default that was not given."""

_TYPES: Final[dict[object, DataType]] = {
    str: TEXT,
    int: INT64,
    float: FLOAT64,
    datetime: TIMESTAMP,
    date: DATE,
    bool: BOOL,
}


class Field(Generic[T]):
    """Declares a column: the class gives a `Column[T]`, an instance gives the value.

    Args:
        role: What the column is for.
        decimal: Digits in all and after the point, for decimals.
        default: What stands in for a value that is not given.

    >>> from ashioto.dsl import Stream
    >>> Stream.__name__
    'Stream'
    """

    __slots__ = ("_decimal", "_default", "_name", "_role", "_type")

    def __init__(
        self, *, role: Role = "value", decimal: tuple[int, int] | None = None, default: object = MISSING
    ) -> None:
        self._role: Role = role
        self._decimal = decimal
        self._default = default
        self._name = ""
        self._type: DataType | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Column[T]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...
    def __get__(self, instance: Any, owner: type[Any]) -> Any:
        if instance is None:
            return Column(Col(name=self._name), type=self._type, entities=(owner.__entity__,))
        return vars(instance)[self._name]

    def __set__(self, instance: Record, value: T) -> None:
        raise UsageError(
            f"{type(instance).__name__}.{self._name} cannot be set: a record does not change",
            hint="make a new record",
            column=self._name,
        )

    def resolve(self, annotation: object, *, where: str) -> nodes.Column:
        """Return the column of the plan, once the annotation is known.

        Args:
            annotation: What stands behind the column's name, e.g. `Field[str]`.
            where: Entity and column, for messages.

        Raises:
            DefinitionError: The annotation is no `Field` of a known type, or the default does not fit.
        """
        args = get_args(annotation)
        if get_origin(annotation) is not Field or len(args) != 1:
            raise DefinitionError(f"{where} is annotated {annotation!r}", hint=f"write {self._name}: Field[...] = ...")
        self._type = self._resolve_type(args[0], where)
        default = None if self._default is MISSING else self._resolve_default(self._type, where)
        return nodes.Column(name=self._name, type=self._type, role=self._role, default=default)

    def take(self, given: dict[str, object], *, entity: str) -> object:
        """Remove this column's value from what the user gave, and return it checked.

        Raises:
            InputError: It is missing or does not fit.
        """
        value = given.pop(self._name, self._default)
        column = f"{entity}.{self._name}"
        if value is MISSING:
            raise InputError(
                f"{column} was not given", hint=f"add {self._name}=..., or declare a default", column=self._name
            )
        assert self._type is not None  # noqa: S101  # the class is complete
        try:
            return check_value(value, self._type, column=column)
        except InputError as error:
            error.ids["column"] = self._name
            raise

    def _resolve_type(self, python: object, where: str) -> DataType:
        if self._decimal is not None and python is not Decimal:
            raise DefinitionError(
                f"{where} is declared by ao.decimal", hint=f"annotate it {self._name}: Field[Decimal]"
            )
        if self._decimal is not None:
            return DataType(name="decimal", precision=self._decimal[0], scale=self._decimal[1])
        if python is Decimal:
            raise DefinitionError(
                f"{where} is a Decimal without digits", hint=f"write {self._name}: Field[Decimal] = ao.decimal(18, 5)"
            )
        found = _TYPES.get(python)
        if found is None:
            raise DefinitionError(
                f"{where} is of type {getattr(python, '__name__', python)}",
                hint="columns are str, int, float, Decimal, datetime, date or bool",
            )
        return found

    def _resolve_default(self, kind: DataType, where: str) -> Lit:
        try:
            return Lit(type=kind, value=to_stored(self._default, kind, column=where))
        except InputError as error:
            raise DefinitionError(f"the default of {error.message}", hint=error.hint) from error


@overload
def key() -> Any: ...
@overload
def key(*, default: T) -> Field[T]: ...
def key(*, default: Any = MISSING) -> Any:
    """Declare a key column; keys together say which series a record belongs to.

    >>> type(key()).__name__
    'Field'
    """
    return Field(role="key", default=default)


@overload
def field() -> Any: ...
@overload
def field(*, default: T) -> Field[T]: ...
def field(*, default: Any = MISSING) -> Any:
    """Declare a plain column.

    >>> type(field(default=1.0)).__name__
    'Field'
    """
    return Field(default=default)


def timestamp() -> Field[datetime]:
    """Declare the event time, in UTC to the millisecond.

    >>> type(timestamp()).__name__
    'Field'
    """
    return Field(role="timestamp")


def sequence() -> Field[int]:
    """Declare the number that orders events of one millisecond; without it the log's offset does.

    >>> type(sequence()).__name__
    'Field'
    """
    return Field(role="sequence")


def decimal(precision: int, scale: int, *, default: Decimal = MISSING) -> Field[Decimal]:
    """Declare an exact decimal.

    Args:
        precision: Digits in all, at most 18.
        scale: Digits after the point.
        default: What stands in for a value that is not given.

    >>> type(decimal(18, 5)).__name__
    'Field'
    """
    return Field(decimal=(precision, scale), default=default)
