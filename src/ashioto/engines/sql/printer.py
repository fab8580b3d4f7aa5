"""Writes trees as text in a dialect: one visitor, which looks up in the dialect's tables whatever differs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, assert_never

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
from ashioto.engines.sql.statements import (
    Create,
    CreateAs,
    CreateView,
    Drop,
    InnerJoin,
    Insert,
    LeftJoin,
    Statement,
    StatementSet,
    Terminate,
    Unnest,
)
from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.engines.sql.dialect import Dialect
    from ashioto.engines.sql.statements import ColumnDef, From, Option, Select, Window

    Join = LeftJoin | InnerJoin | Unnest
    from ashioto.engines.sql.types import SqlType

_SO_FAR: Final = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
_LEAST: Final = -(2**63)
_UNITS: Final = ((86_400_000, "DAYS"), (3_600_000, "HOURS"), (60_000, "MINUTES"), (1_000, "SECONDS"))


def quoted(name: str, quote: str = "`") -> str:
    """Return a name in quotes, with quotes in it doubled.

    >>> quoted("size"), quoted("a`b")
    ('`size`', '`a``b`')
    """
    return quote + name.replace(quote, quote * 2) + quote


def text(value: str) -> str:
    """Return text in apostrophes, with apostrophes in it doubled.

    >>> text("o'clock")
    "'o''clock'"
    """
    return "'" + value.replace("'", "''") + "'"


class Printer:
    """Writes trees.

    Args:
        dialect: What the engine does differently.

    >>> from ashioto.engines.sql.ast import column, infix
    >>> from ashioto.engines.sql.dialect import Dialect
    >>> Printer(Dialect(name="any", types={}, functions={})).expression(infix("=", column("t", "size"), Const("a'b")))
    "`t`.`size` = 'a''b'"
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def name(self, name: str) -> str:
        """Return a name of a column, stream or table."""
        return quoted(name, self.dialect.quote)

    def expression(self, node: Sql) -> str:
        """Return an expression.

        Raises:
            UnsupportedError: The engine has no word for a function in it.
        """
        match node:
            case Name():
                return ".".join(map(self.name, node.parts))
            case Const():
                return self._constant(node.value)
            case Call():
                return self._call(node)
            case Infix():
                return f" {node.op} ".join(map(self._operand, node.args))
            case Case():
                return self._case(node)
            case _:
                return self._wrapped(node)

    def _wrapped(self, node: Cast | Lambda | SoFar | Negate | IsNull | Field | Item) -> str:
        if isinstance(node, Cast | SoFar):
            return self._worded(node)
        if isinstance(node, Lambda):
            return self.dialect.lambda_form.format(self.name(node.arg), self._operand(node.body))
        inner = self._operand(node.arg)
        match node:
            case Negate():
                return f"-({inner})"
            case IsNull():
                return f"{inner} IS NOT NULL" if node.negated else f"{inner} IS NULL"
            case Field():
                return f"{inner}{self.dialect.struct_field}{self.name(node.name)}"
            case Item():
                return f"{inner}[{node.number}]"
            case _:
                assert_never(node)

    def text(self, value: str) -> str:
        """Return text as a literal."""
        return text(value) if self.dialect.literal is None else self.dialect.literal(value)

    def _worded(self, node: Cast | SoFar) -> str:
        if isinstance(node, Cast):
            return f"CAST({self.expression(node.arg)} AS {self.type(node.type)})"
        by = f"PARTITION BY {self.expression(node.key)} ORDER BY {self.expression(node.order)}"
        return f"{self._call(node.arg)} OVER ({by} {_SO_FAR})"

    def type(self, kind: SqlType) -> str:
        """Return a type."""
        word = self.dialect.types[kind.word]
        if kind.word == "decimal":
            return f"{word}({kind.precision}, {kind.scale})"
        if kind.item is not None:
            return f"{word}<{self.type(kind.item)}>"
        if kind.fields:
            return f"{word}<{', '.join(f'{self.name(name)} {self.type(inner)}' for name, inner in kind.fields)}>"
        return word

    def statement(self, node: Statement) -> str:
        """Return a statement, ended by a semicolon."""
        match node:
            case Create() | CreateAs() | CreateView():
                return self._created(node)
            case Insert():
                return f"INSERT INTO {self.name(node.into)}\n{self.select(node.select)};"
            case StatementSet():
                inner = "\n".join(map(self.statement, node.inserts))
                return f"EXECUTE STATEMENT SET BEGIN\n{inner}\nEND;"
            case Drop():
                topic = " DELETE TOPIC" if node.with_topic else ""
                return f"DROP {self._kind(node.kind)} IF EXISTS {self.name(node.name)}{topic};"
            case Terminate():
                return f"TERMINATE {self.name(node.query)};"
            case _:
                assert_never(node)

    def _created(self, node: Create | CreateAs | CreateView) -> str:
        if isinstance(node, CreateView):
            inner = "\nUNION ALL\n".join(map(self.select, node.selects))
            return f"CREATE {self.dialect.view} {self.name(node.name)} AS\n{inner};"
        head = f"CREATE {self._kind(node.kind)} {self.name(node.name)}"
        if isinstance(node, Create):
            return f"{head} (\n{self._columns(node)}\n){self._options(node.options)};"
        return f"{head}{self._options(node.options)} AS\n{self.select(node.select)};"

    def select(self, node: Select) -> str:
        """Return a query."""
        columns = ",\n".join(f"  {self.expression(value)} AS {self.name(name)}" for value, name in node.columns)
        lines = [f"SELECT{self._hints(node)}\n{columns}"]
        lines.append(f"FROM {self._from(node.source)}")
        if node.join is not None:
            lines.append(self._join(node.join))
        if node.window is not None:
            lines.append(self._window(node.window))
        if node.where is not None:
            lines.append(f"WHERE {self._where(node.where)}")
        if node.group_by:
            lines.append(f"GROUP BY {', '.join(map(self.expression, node.group_by))}")
        if node.partition_by is not None:
            lines.append(f"PARTITION BY {self.expression(node.partition_by)}")
        return "\n".join([*lines, *([self.dialect.emit] if self.dialect.emit else [])])

    def _from(self, node: From) -> str:
        if node.once:  # by its uid its state is found again; without one Flink makes it up anew each time
            told = f"op_mapping => MAP['INSERT', 'INSERT'], uid => {text(node.source)}"
            return f"TABLE(TO_CHANGELOG(input => TABLE {self.name(node.source)}, {told})) {self.name(node.alias)}"
        if node.sliced is None:
            return f"{self.name(node.source)} {self.name(node.alias)}"
        by, size = self.name(node.sliced[0]), f"INTERVAL '{node.sliced[1] / 1000:.3f}' SECOND"
        slices = f"TUMBLE(TABLE {self.name(node.source)}, DESCRIPTOR({by}), {size})"
        return f"TABLE({slices}) {self.name(node.alias)}"

    def _join(self, node: Join) -> str:
        if isinstance(node, Unnest):
            fields = ", ".join(map(self.name, node.fields))
            return f"CROSS JOIN UNNEST({self.expression(node.array)}) AS {self.name(node.alias)} ({fields})"
        to = f"{self.name(node.to.source)} {self.name(node.to.alias)}"
        word = "LEFT JOIN" if isinstance(node, LeftJoin) else "JOIN"
        return f"{word} {to} ON {self.expression(node.on)}"

    def _hints(self, node: Select) -> str:
        """Return how long rows are remembered, of each source that says it."""
        sources = [node.source, *([node.join.to] if isinstance(node.join, LeftJoin | InnerJoin) else [])]
        kept = [(s.alias, s.kept_ms) for s in sources if s.kept_ms is not None]
        said = ", ".join(f"{text(alias)} = {text(f'{ms // 1000}s')}" for alias, ms in kept)
        return f" /*+ STATE_TTL({said}) */" if said else ""

    def _where(self, node: Sql) -> str:
        if isinstance(node, Infix) and node.op == "AND":
            return "\n  AND ".join(map(self._operand, node.args))
        return self.expression(node)

    def _operand(self, node: Sql) -> str:
        """Return an expression that stands beside others: in parentheses where it has parts of its own."""
        while isinstance(node, Call) and node.func in self.dialect.rewrites:
            node = self.dialect.rewrites[node.func](*node.args)
        inner = self.expression(node)
        return f"({inner})" if isinstance(node, Infix | IsNull | Lambda) else inner

    def _call(self, node: Call) -> str:
        rewrite = self.dialect.rewrites.get(node.func)
        if rewrite is not None:
            return self.expression(rewrite(*node.args))
        word = self.dialect.functions.get(node.func)
        if word is None:
            raise UnsupportedError(
                f"{self.dialect.name} has no function {node.func}", hint="use engine.kind = 'embedded'", name=node.func
            )
        args = ", ".join(map(self.expression, node.args))
        if not args and node.func == "count":
            args = "*"
        return f"{word}({args})"

    def _case(self, node: Case) -> str:
        whens = " ".join(f"WHEN {self.expression(when)} THEN {self.expression(then)}" for when, then in node.whens)
        otherwise = "" if node.otherwise is None else f" ELSE {self.expression(node.otherwise)}"
        return f"CASE {whens}{otherwise} END"

    def _constant(self, value: str | float | bool | None) -> str:  # noqa: FBT001  # a truth is one of the values
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, str):
            other = self.dialect.text(value) if self.dialect.text is not None else None
            return self.text(value) if other is None else self.expression(other)
        if isinstance(value, int):
            return f"({_LEAST + 1} - 1)" if value == _LEAST else str(value)
        return _float(value)

    def _kind(self, kind: str) -> str:
        return self.dialect.stream if kind == "stream" else "TABLE"

    def _columns(self, node: Create) -> str:
        lines = [f"  {self.name(c.name)} {self._about(c)}" for c in node.columns]
        keys = [self.name(c.name) for c in node.columns if c.key == "primary"]
        if keys and not self.dialect.inline_keys:
            lines.append(f"  PRIMARY KEY ({', '.join(keys)}) NOT ENFORCED")
        return ",\n".join(lines)

    def _about(self, column: ColumnDef) -> str:
        if column.computed is not None:
            return f"AS {self.expression(column.computed)}"
        return f"{self.type(column.type)}{self._role(column)}"

    def _role(self, column: ColumnDef) -> str:
        if column.metadata:
            return f" METADATA FROM {self.text(column.metadata)} VIRTUAL"
        if not column.key or not self.dialect.inline_keys:
            return ""
        return " PRIMARY KEY" if column.key == "primary" else " KEY"

    def _options(self, options: Sequence[Option]) -> str:
        if not options:
            return ""
        named = [(self.text(name) if self.dialect.quoted_options else name, value) for name, value in options]
        said = [f"  {name} = {self.text(v) if isinstance(v, str) else self._constant(v)}" for name, v in named]
        return " WITH (\n" + ",\n".join(said) + "\n)"

    def _window(self, window: Window) -> str:
        parts = (("SIZE", window.size_ms), ("RETENTION", window.retention_ms), ("GRACE PERIOD", window.grace_ms))
        return f"WINDOW TUMBLING ({', '.join(f'{word} {_duration(ms)}' for word, ms in parts)})"


def _duration(ms: int) -> str:
    for size, unit in _UNITS:
        if ms and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} MILLISECONDS"


def _float(value: float) -> str:
    """Return a float that reads back as itself, with an exponent, so that no dialect takes it for a decimal."""
    if not math.isfinite(value):
        raise UnsupportedError(f"{value} cannot be written in SQL", hint="use a finite number")
    said = repr(value).upper().replace("E+", "E")
    return said if "E" in said else f"{said}E0"
