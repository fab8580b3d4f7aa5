"""Reads values off folded rows: aggregates, selected columns, and what the bar before handed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Case, Cast, Const, IsNull, Sql, call, column, infix
from ashioto.engines.sql.expressions import Translator, quotient
from ashioto.engines.sql.numbers import Term, stored
from ashioto.engines.sql.packs import as_text, text_in, value_in
from ashioto.engines.sql.types import DOUBLE, TOTAL, column_type
from ashioto.logical.nodes import FLOAT64, INT64, Agg, Lit, Previous

if TYPE_CHECKING:
    from ashioto.engines.sql.layout import Layout
    from ashioto.logical.nodes import EmptyRule, Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedReader:
    """Reads folded rows.

    Args:
        layout: The query.
        alias: Of the rows.
    """

    layout: Layout
    alias: str

    @property
    def ticks(self) -> Sql:
        """How many ticks a row has."""
        return column(self.alias, cols.TICKS)

    @property
    def real(self) -> Sql:
        """The condition that a row has ticks."""
        return infix(">", self.ticks, Const(0))

    @property
    def exists(self) -> Sql:
        """The condition that a row is a bar: it has ticks, or a bar stands before it."""
        if not self.layout.query.continuous:
            return self.real
        return infix("OR", self.real, IsNull(self.handed(0), negated=True))

    def aggregate(self, agg: Agg) -> Term:
        """Return an aggregate of a row that has ticks."""
        if agg.func == "count":
            return Term(self.ticks, INT64)
        number = self.layout.compiled.slot_of(agg)
        if agg.func == "avg":
            return quotient(self.layout.dialect, self.slot(number), Term(Cast(self.ticks, DOUBLE), FLOAT64))
        return self.slot(number)

    def slot(self, number: int) -> Term:
        """Return what a slot of a row that has ticks holds."""
        kind = self.layout.compiled.slot_type(number)
        func = self.layout.compiled.slots[number].func
        held = column(self.alias, f"agg_{number}")
        if func in {"first", "last"}:
            return Term(value_in(held, column_type(kind)), kind)
        wide = func == "sum" and kind != FLOAT64
        return Term(held, kind, digits=TOTAL if wide else 0)

    def selected(self, name: str) -> Term:
        """Return a selected column of a row that has ticks."""
        return self._translator().value(self.layout.output(name).expr)

    def shown(self, name: str) -> Sql:
        """Return a selected column of a row, by the rule for bars without ticks where it has none."""
        own = self.selected(name)
        rule = next((r for r in self.layout.query.when_empty if r.name == name), None)
        if rule is None:
            return own.sql
        return Case(((self.real, own.sql),), self._empty(rule))

    def before(self, name: str) -> Term:
        """Return a selected column of the last bar with ticks before a row; null where there is none."""
        number = self.layout.carried.index(name)
        kind = self.layout.compiled.output_types[name]
        packed = self.handed(number)
        there: Sql = IsNull(packed, negated=True)
        if self.selected(name).nullable:
            there = infix("<>", text_in(packed), Const(""))
        return Term(Case(((there, value_in(packed, column_type(kind))),)), kind, nullable=True)

    def said(self, name: str) -> Sql:
        """Return the text that a row with ticks hands on; empty for null."""
        own = self.selected(name)
        text = as_text(own.sql)
        return call("coalesce", text, Const("")) if own.nullable else text

    def handed(self, number: int) -> Sql:
        """Return the pack that was handed to a row, null if none was."""
        return column(self.alias, f"before_{number}")

    def _empty(self, rule: EmptyRule) -> Sql:
        if isinstance(rule.expr, Lit):
            return stored(rule.expr)
        return self.before(rule.expr.output).sql

    def _translator(self) -> Translator:
        def leaf(expr: Expr) -> Term:
            match expr:
                case Agg():
                    return self.aggregate(expr)
                case Previous():
                    return self.before(expr.output)
                case _:
                    raise TypeError(f"{expr} is no aggregate")

        return Translator(dialect=self.layout.dialect, leaf=leaf, where=self.layout.query.name)
