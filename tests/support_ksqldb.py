"""Types of expressions by the rules of ksqlDB, which refuses what does not fit: every statement is checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.engines.ksqldb.dialect import KSQLDB
from ashioto.engines.sql.ast import (
    Call,
    Case,
    Cast,
    Const,
    Field,
    Infix,
    IsNull,
    Item,
    Lambda,
    Name,
    Negate,
    SoFar,
    Sql,
)
from ashioto.engines.sql.statements import Create, CreateAs, Insert, LeftJoin, Select
from ashioto.engines.sql.types import BIGINT, BOOL, DATE, DOUBLE, INT, TEXT, TIMESTAMP, SqlType, array, decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ashioto.engines.sql.statements import Statement

Columns = dict[str, SqlType]
KEY: Final = "_key"
_WIDTH: Final = {"int": 10, "bigint": 19}
_RETURNS: Final = {
    "UNIX_TIMESTAMP": BIGINT, "FROM_UNIXTIME": TIMESTAMP, "UNIX_DATE": INT, "FROM_DAYS": DATE, "FORMAT_DATE": TEXT,
    "PARSE_DATE": DATE, "CHR": TEXT, "CONCAT": TEXT, "CONCAT_WS": TEXT, "LPAD": TEXT, "REPLACE": TEXT,
    "SUBSTRING": TEXT, "ARRAY_CONTAINS": BOOL, "COUNT": BIGINT,
}  # fmt: skip
_TAKES: Final = {
    "UNIX_TIMESTAMP": [{"timestamp"}], "FROM_UNIXTIME": [{"bigint"}], "UNIX_DATE": [{"date"}], "FROM_DAYS": [{"int"}],
    "FORMAT_DATE": [{"date"}, {"text"}], "PARSE_DATE": [{"text"}, {"text"}], "CHR": [{"int"}],
    "LPAD": [{"text"}, {"int"}, {"text"}], "REPLACE": [{"text"}, {"text"}, {"text"}],
    "ARRAY_CONTAINS": [{"array"}, {"text"}],
}  # fmt: skip


class Types:
    """Types expressions over some columns.

    Args:
        columns: Types by alias and name; an alias may be empty.
    """

    def __init__(self, columns: Mapping[tuple[str, str], SqlType]) -> None:
        self.columns = dict(columns)

    def of(self, node: Sql) -> SqlType | None:
        """Return the type of an expression; None for a bare null."""
        match node:
            case Name():
                return self.columns[node.parts if len(node.parts) == 2 else ("", node.parts[0])]
            case Const():
                return _constant(node.value)
            case Case():
                return self._case(node)
            case Infix():
                return self._infix(node)
            case Call():
                return self._call(node)
            case SoFar():
                raise AssertionError("rows have no order here")
            case _:
                return self._around(node)

    def _around(self, node: Cast | IsNull | Negate | Lambda | Field | Item) -> SqlType | None:
        assert not isinstance(node, Lambda), "a function stands alone"
        inner = self.of(node.arg)
        if isinstance(node, Cast | IsNull):
            return node.type if isinstance(node, Cast) else BOOL
        return inner if isinstance(node, Negate) else self._inside(node)

    def _inside(self, node: Field | Item) -> SqlType:
        whole = self.of(node.arg)
        assert whole is not None
        if isinstance(node, Item):
            assert whole.item is not None
            return whole.item
        return dict(whole.fields)[node.name]

    def _case(self, node: Case) -> SqlType:
        kinds = [self.of(then) for _, then in node.whens]
        kinds += [] if node.otherwise is None else [self.of(node.otherwise)]
        assert all(self.of(when) == BOOL for when, _ in node.whens)
        known = {kind for kind in kinds if kind is not None}
        assert len(known) == 1, f"CASE wants one type, not {known}: {node}"
        return known.pop()

    def _infix(self, node: Infix) -> SqlType:
        kinds = [self.of(arg) for arg in node.args]
        held = [kind for kind in kinds if kind is not None]
        assert len(held) == len(kinds), f"null under {node.op}"
        if node.op in {"AND", "OR"}:
            assert set(held) == {BOOL}
            return BOOL
        if node.op in {"=", "<>", "<", "<=", ">", ">="}:
            _comparable(node.op, held[0], held[1])
            return BOOL
        found = held[0]
        for kind in held[1:]:
            found = _arithmetic(node.op, found, kind)
        return found

    def _call(self, node: Call) -> SqlType | None:
        rewrite = KSQLDB.rewrites.get(node.func)
        if rewrite is not None:
            return self.of(rewrite(*node.args))
        word = KSQLDB.functions[node.func]
        if word == "FILTER":
            return self._filter(node)
        kinds = [self.of(arg) for arg in node.args]
        for kind, wanted in zip(kinds, _TAKES.get(word, []), strict=False):
            assert kind is None or kind.word in wanted, f"{word} does not take {kind}"
        if word in _RETURNS:
            return _RETURNS[word]
        known = {kind for kind in kinds if kind is not None}
        assert len(known) == 1, f"{word} wants one type, not {known}"
        return known.pop()

    def _filter(self, node: Call) -> SqlType:
        held, body = self.of(node.args[0]), node.args[1]
        assert held is not None
        assert held.item is not None
        assert isinstance(body, Lambda)
        inner = Types({**self.columns, ("", body.arg): held.item})
        assert inner.of(body.body) == BOOL
        return array(held.item)


def check(statements: Sequence[Statement]) -> dict[str, Columns]:
    """Check that statements fit each other; returns the columns of every stream and table."""
    known: dict[str, Columns] = {}
    topics: dict[str, Columns] = {}
    for statement in statements:
        match statement:
            case Create():
                _check_create(statement, topics)
                known[statement.name] = {c.name: c.type for c in statement.columns}
            case CreateAs():
                assert statement.name not in known
                made = columns_of(statement.select, known)
                known[statement.name] = made
                topics[str(dict(statement.options)["KAFKA_TOPIC"])] = made
            case Insert():
                made = columns_of(statement.select, known)
                assert list(made.items()) == list(known[statement.into].items())
            case _:
                raise AssertionError(f"{statement} is not sent")
    return known


def _check_create(statement: Create, topics: Mapping[str, Columns]) -> None:
    options = dict(statement.options)
    declared = {c.name: c.type for c in statement.columns}
    written = topics.get(str(options["KAFKA_TOPIC"]))
    if written is not None:
        assert {n: written[n] for n in declared} == declared
    if "TIMESTAMP" in options:
        assert declared[str(options["TIMESTAMP"]).strip("`")] in {BIGINT, TIMESTAMP}


def columns_of(select: Select, known: Mapping[str, Columns]) -> Columns:
    """Return the columns of a query."""
    columns = {(select.source.alias, n): k for n, k in known[select.source.source].items()}
    columns |= {("", n): k for n, k in known[select.source.source].items()}
    columns |= {(select.source.alias, "ROWOFFSET"): BIGINT, ("", "WINDOWSTART"): BIGINT}
    assert select.join is None or isinstance(select.join, LeftJoin)
    if select.join is not None:
        columns |= {(select.join.to.alias, n): k for n, k in known[select.join.to.source].items()}
    types = Types(columns)
    for condition in (select.where, select.join.on if select.join else None):
        assert condition is None or types.of(condition) == BOOL
    if select.partition_by is not None:
        assert select.partition_by == select.columns[0][0]
    assert select.columns[0][1] == KEY
    found: Columns = {}
    for value, name in select.columns:
        kind = types.of(value)
        assert kind is not None, f"{name} has no type"
        assert name not in found, f"{name} twice"
        found[name] = kind
    return found


def _constant(value: object) -> SqlType | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT if -(2**31) <= value < 2**31 else BIGINT
    return TEXT if isinstance(value, str) else DOUBLE


def _comparable(op: str, left: SqlType, right: SqlType) -> None:
    numbers = {"int", "bigint", "double", "decimal"}
    assert left.word == right.word or {left.word, right.word} <= numbers
    if left.word in {"bool", "struct", "array"}:
        assert op in {"=", "<>"}


def _arithmetic(op: str, left: SqlType, right: SqlType) -> SqlType:
    words = {left.word, right.word}
    assert words <= {"int", "bigint", "double", "decimal"}
    if "double" in words:
        assert words == {"double"}, "doubles are mixed with other numbers"
        return DOUBLE
    if "decimal" not in words:
        return BIGINT if "bigint" in words else INT
    a, b = _wide(left), _wide(right)
    assert op != "/", "decimals are not divided"
    scale = a.scale + b.scale if op == "*" else max(a.scale, b.scale)
    whole = max(a.precision - a.scale, b.precision - b.scale)
    found = decimal(scale, a.precision + b.precision + 1 if op == "*" else whole + scale + 1)
    assert found.precision <= 40, f"{found.precision} digits: the server keeps one more than a product has"
    return found


def _wide(kind: SqlType) -> SqlType:
    return kind if kind.word == "decimal" else decimal(0, _WIDTH[kind.word])
