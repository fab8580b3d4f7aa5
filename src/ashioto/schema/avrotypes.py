"""Reads Avro schemas, also those that others have written, into a flat list of types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ashioto.errors import SchemaError

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED: Final = frozenset({"record", "error", "enum", "fixed"})
_INSIDE: Final = {"array": "items", "map": "values"}
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Describes one type of an Avro schema.

    Args:
        kind: `null`, `boolean`, `int`, `long`, `float`, `double`, `bytes`, `string`, `fixed`, `enum`, `array`, `map`,
            `record` or `union`.
        logical: Its logical type, empty if there is none.
        size: Bytes of a `fixed`.
        precision: Digits of a decimal.
        scale: Digits behind the point of a decimal.
        symbols: Symbols of an `enum`.
        children: Numbers of the types inside: items, values, fields or branches.
        names: Of the fields of a `record`.
    """

    kind: str
    logical: str = ""
    size: int = 0
    precision: int = 0
    scale: int = 0
    symbols: tuple[str, ...] = ()
    children: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Describes one field of the outermost record.

    Args:
        name: Its name.
        node: Number of its type.
        arrow: What ashioto says about its column beyond Avro; empty if it says nothing.
    """

    name: str
    node: int
    arrow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Describes a type that may be missing.

    Args:
        node: Number of the type of what is there; that of `null` where there is never anything.
        branches: How many branches the union has; 0 where there is no union.
        null: Which branch is null; -1 where there is none.
    """

    node: int
    branches: int
    null: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Holds a schema whose values are records.

    Args:
        nodes: Every type in it.
        fields: The fields of the outermost record, in order.
    """

    nodes: tuple[Node, ...]
    fields: tuple[Field, ...]

    def option(self, number: int) -> Option:
        """Return a type without the null that may stand beside it; larger unions stay as they are."""
        node = self.nodes[number]
        if node.kind != "union" or len(node.children) not in {1, 2}:
            return Option(node=number, branches=0, null=-1)
        kinds = [self.nodes[child].kind for child in node.children]
        if len(kinds) == 1:
            return Option(node=node.children[0], branches=1, null=-1)
        if kinds.count("null") != 1:
            return Option(node=number, branches=0, null=-1)
        null = kinds.index("null")
        return Option(node=node.children[1 - null], branches=2, null=null)


def parse_record(avro: object) -> Record:
    """Return the types of an Avro schema, given as JSON values.

    Raises:
        SchemaError: It is no Avro schema, or no record, or its types nest too deep.

    >>> parsed = parse_record({"type": "record", "name": "r", "fields": [{"name": "x", "type": ["null", "int"]}]})
    >>> parsed.nodes[parsed.option(parsed.fields[0].node).node].kind
    'int'
    """
    if not isinstance(avro, Mapping) or str(avro.get("type")) not in {"record", "error"}:
        raise SchemaError("the values are no records", hint="only Avro schemas of the type record have columns")
    parser = _Parser()
    number = parser.number(avro, "", 0)
    numbers = parser.nodes[number].children
    fields = tuple(
        Field(name=str(given["name"]), node=node, arrow=str(given.get("arrow", "")))
        for given, node in zip(avro["fields"], numbers, strict=True)
    )
    return Record(nodes=tuple(parser.nodes), fields=fields)


class _Parser:
    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._named: dict[str, int] = {}

    def number(self, avro: object, namespace: str, depth: int) -> int:
        """Return the number of a type, which is added to the nodes unless it is named and there already."""
        if depth > _DEEPEST:
            raise SchemaError(f"the types of the Avro schema nest more than {_DEEPEST} deep")
        if isinstance(avro, str):
            return self._by_name(avro, namespace)
        if isinstance(avro, Mapping):
            return self._of_mapping(avro, namespace, depth)
        if isinstance(avro, Sequence) and not isinstance(avro, bytes):
            children = tuple(self.number(branch, namespace, depth + 1) for branch in avro)
            if not children:
                raise SchemaError("the Avro schema has a union without branches")
            return self._add(Node(kind="union", children=children))
        raise _no_type(avro)

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _by_name(self, name: str, namespace: str) -> int:
        if name in PRIMITIVES:
            return self._add(Node(kind=name))
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        known = self._named.get(full, self._named.get(name))
        if known is None:
            raise _no_type(name)
        return known

    def _of_mapping(self, avro: Mapping[str, object], namespace: str, depth: int) -> int:
        kind = avro.get("type")
        if not isinstance(kind, str):
            return self.number(kind, namespace, depth + 1)
        if kind in NAMED:
            return self._of_named(avro, kind, namespace, depth)
        if kind in _INSIDE:
            child = self.number(avro.get(_INSIDE[kind]), namespace, depth + 1)
            return self._add(Node(kind=kind, children=(child,)))
        if kind in PRIMITIVES:
            return self._add(_with_logical(Node(kind=kind), avro))
        return self._by_name(kind, namespace)

    def _of_named(self, avro: Mapping[str, object], kind: str, namespace: str, depth: int) -> int:
        full, inner = _full_name(avro, namespace)
        if full in self._named:
            raise SchemaError(f"the Avro schema has two types {full}")
        self._named[full] = number = self._add(Node(kind="null"))
        if kind == "fixed":
            size = _whole(avro, "size")
            self.nodes[number] = _with_logical(Node(kind="fixed", size=size), avro)
        elif kind == "enum":
            self.nodes[number] = Node(kind="enum", symbols=tuple(_texts(avro.get("symbols"), full)))
        else:
            fields = list(_fields(avro.get("fields"), full))
            children = tuple(self.number(field.get("type"), inner, depth + 1) for field in fields)
            self.nodes[number] = Node(kind="record", children=children, names=tuple(str(f["name"]) for f in fields))
        return number


def _no_type(avro: object) -> SchemaError:
    return SchemaError(f"the Avro schema names a type {str(avro)[:80]!r}, which does not exist")


def _full_name(avro: Mapping[str, object], namespace: str) -> tuple[str, str]:
    """Return the full name of a named type, and the namespace inside it."""
    name = avro.get("name")
    if not isinstance(name, str) or not name:
        raise SchemaError("a type of the Avro schema has no name")
    if "." in name:
        return name, name.rpartition(".")[0]
    own = avro.get("namespace", namespace)
    space = own if isinstance(own, str) else ""
    return (f"{space}.{name}" if space else name), space


def _fields(given: object, record: str) -> Iterator[Mapping[str, object]]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise SchemaError(f"the Avro record {record} has no fields")
    seen: set[str] = set()
    for field in given:
        name = field.get("name") if isinstance(field, Mapping) else None
        if not isinstance(name, str) or name in seen:
            raise SchemaError(f"a field of the Avro record {record} has no name of its own")
        seen.add(name)
        yield field


def _texts(given: object, enum: str) -> Iterator[str]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise SchemaError(f"the Avro enum {enum} has no symbols")
    for symbol in given:
        if not isinstance(symbol, str):
            raise SchemaError(f"the Avro enum {enum} has a symbol that is no text")
        yield symbol


def _whole(avro: Mapping[str, object], name: str, *, default: int | None = None) -> int:
    value = avro.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise SchemaError(f"a type of the Avro schema has {name} = {str(value)[:40]}")
    return value


def _with_logical(node: Node, avro: Mapping[str, object]) -> Node:
    """Return a type with its logical type; one that is unknown or does not fit is ignored, as Avro wants it."""
    logical = avro.get("logicalType")
    if logical == "decimal" and node.kind in {"bytes", "fixed"}:
        try:
            precision, scale = _whole(avro, "precision"), _whole(avro, "scale", default=0)
        except SchemaError:
            return node
        if not scale <= precision or not precision:
            return node
        return Node(kind=node.kind, logical="decimal", size=node.size, precision=precision, scale=scale)
    fits = {"date": "int", "timestamp-millis": "long", "timestamp-micros": "long"}
    if isinstance(logical, str) and fits.get(logical) == node.kind:
        return Node(kind=node.kind, logical=logical)
    return node
