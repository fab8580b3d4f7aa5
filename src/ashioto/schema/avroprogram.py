"""Turns an Avro schema into the program of numbers that the kernels walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import SchemaError
from ashioto.schema import avrokernel as k
from ashioto.schema.arrow import is_rows, plain
from ashioto.schema.avro import column_type
from ashioto.schema.avrotypes import parse_record

if TYPE_CHECKING:
    from ashioto.schema.avrotypes import Field, Node, Record

    Ints = k.Ints

_OPS: Final = {
    "null": k.NULL,
    "boolean": k.BOOL,
    "int": k.INT,
    "long": k.LONG,
    "float": k.FLOAT,
    "double": k.DOUBLE,
    "enum": k.ENUM,
    "bytes": k.BYTES,
    "string": k.STRING,
    "fixed": k.FIXED,
    "array": k.ARRAY,
    "map": k.MAP,
    "record": k.RECORD,
    "union": k.UNION,
}
_ALSO: Final = {
    ("int", pa.float64()),
    ("long", pa.float64()),
    ("string", pa.binary()),
    ("bytes", pa.string()),
}
"""What Avro reads as another type, beside int as long and float as double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Says where the kernel puts a column.

    Args:
        name: Its name.
        op: What the kernel reads.
        first: Its row of the values.
        second: Its row of the lengths or high halves; -1 where it has none.
        step: Number of the field in the program.
        symbols: Symbols of an enum.
    """

    name: str
    op: int
    first: int
    second: int
    step: int
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Holds what the kernels need to know about a schema.

    Args:
        steps: A row for each field; shape (fields, WIDTH).
        nodes: Kind, first child or size, and number of children of every type; shape (types, 3).
        kids: The children of all types.
        columns: The columns that are read, by name.
        names: The fields in order.
    """

    steps: Ints
    nodes: Ints
    kids: Ints
    columns: dict[str, Column]
    names: list[str]

    @property
    def halves(self) -> int:
        """How many columns have lengths or high halves."""
        return sum(column.second >= 0 for column in self.columns.values())


def program(avro: object, columns: pa.Schema) -> Program:
    """Return the program that reads records of an Avro schema into columns.

    Args:
        avro: The schema in which the records were written.
        columns: The columns wanted. Those that the schema lacks, or that are always null, are not in the program.

    Raises:
        SchemaError: It is no schema of records, or a field is of another type than its column.

    >>> made = program({"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]}, pa.schema([]))
    >>> made.steps[:, k.OP].tolist() == [k.SKIP]
    True
    """
    record = parse_record(avro)
    wanted = {column.name: column.type for column in columns}
    maker = _Maker(record=record)
    for number, given in enumerate(record.fields):
        if given.name in wanted and record.nodes[record.option(given.node).node].kind != "null":
            _check_type(record, given, wanted[given.name])
            maker.add_column(number, given, wanted[given.name])
        else:
            maker.steps.append(_step(op=k.SKIP, size=given.node))
    nodes, kids = _nodes(record)
    steps = np.array(maker.steps, dtype=np.int64).reshape(len(maker.steps), k.WIDTH)
    names = [given.name for given in record.fields]
    return Program(steps=steps, nodes=nodes, kids=kids, columns=maker.columns, names=names)


@dataclass(slots=True, kw_only=True)
class _Maker:
    record: Record
    steps: list[list[int]] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    halves: int = 0

    def add_column(self, number: int, given: Field, wanted: pa.DataType) -> None:
        option = self.record.option(given.node)
        node = self.record.nodes[option.node]
        op = _op(node, plain(wanted))
        half = -1
        if op in {k.BYTES, k.STRING, k.FIXED, k.DECIMAL, k.WIDE, k.TEXTS, k.ROWS}:
            half, self.halves = self.halves, self.halves + 1
        first = len(self.columns)
        item = self.record.option(node.children[0]) if op == k.TEXTS else option
        self.columns[given.name] = Column(
            name=given.name, op=op, first=first, second=half, step=number, symbols=node.symbols
        )
        self.steps.append(
            _step(
                op=op, branches=option.branches, null=option.null, first=first, second=half, size=_size(node, wanted),
                item_branches=item.branches, item_null=item.null,
            )
        )  # fmt: skip


def _step(
    *, op: int, size: int, branches: int = 0, null: int = -1, first: int = -1, second: int = -1,
    item_branches: int = 0, item_null: int = -1,
) -> list[int]:  # fmt: skip
    return [op, branches, null, first, second, size, item_branches, item_null]


def _op(node: Node, wanted: pa.DataType) -> int:
    if pa.types.is_decimal(wanted):
        return k.WIDE if pa.types.is_decimal128(wanted) else k.DECIMAL
    if node.kind in {"bytes", "string"}:
        return k.STRING if pa.types.is_string(wanted) else k.BYTES
    if node.kind == "array":
        return k.ROWS if is_rows(wanted) else k.TEXTS
    return _OPS[node.kind]


def _size(node: Node, wanted: pa.DataType | None = None) -> int:
    if wanted is not None and is_rows(wanted):
        return int(wanted.value_type.num_fields)
    if node.kind == "enum":
        return len(node.symbols)
    return node.size if node.kind == "fixed" else -1


def _check_type(record: Record, given: Field, wanted: pa.DataType) -> None:
    node = record.nodes[record.option(given.node).node]
    if not node.logical and (node.kind, plain(wanted)) in _ALSO:
        return
    found = column_type(record, given.node, said=given.arrow)
    if found is not None and _same(plain(found), plain(wanted)):
        return
    kind = node.logical or node.kind if found is None else str(plain(found))
    raise SchemaError(
        f"the field {given.name} was written as {kind}, which cannot be read as {plain(wanted)}",
        hint="write it in its own type, or to a topic of its own",
        column=given.name,
    )


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Decimals differ by their scale only: how wide a value is shows when it is read."""
    if pa.types.is_decimal(found) and pa.types.is_decimal(wanted):
        return bool(found.scale == wanted.scale)
    return bool(found == wanted)


def _nodes(record: Record) -> tuple[Ints, Ints]:
    nodes, kids = np.zeros((len(record.nodes), 3), dtype=np.int64), list[int]()
    empty = _empty(record)
    for number, node in enumerate(record.nodes):
        kind = k.NULL if number in empty else _OPS[node.kind]
        nodes[number] = (kind, len(kids) if node.children else _size(node), len(node.children))
        kids += node.children
    return nodes, np.array(kids, dtype=np.int64)


def _empty(record: Record) -> set[int]:
    """Return the types whose values have no bytes, so that a block of any number of them is skipped at once."""
    found: set[int] = set()
    while True:
        more = {n for n, node in enumerate(record.nodes) if n not in found and _is_empty(node, found)}
        if not more:
            return found
        found |= more


def _is_empty(node: Node, empty: set[int]) -> bool:
    if node.kind == "fixed":
        return node.size == 0
    return node.kind == "null" or (node.kind == "record" and all(child in empty for child in node.children))
