"""Atoms: ticks folded by the second before their session is known, for engines whose joins keep what they join.

Such a join remembers its rows for a while. What it is given are therefore the ticks of a key and a second, folded: few
rows, each of which belongs to one session, as sessions begin and end on whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.engines.sql import layout as cols
from ashioto.engines.sql.ast import Cast, Const, call, column
from ashioto.engines.sql.fold import before_sessions
from ashioto.engines.sql.labels import floored
from ashioto.engines.sql.stamp import Stamp, counted_ticks, escaped, grain_label, key_of, laid_out, tick_moment
from ashioto.engines.sql.types import TEXT
from ashioto.period import DAY_MS

if TYPE_CHECKING:
    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.layout import Layout, Value
    from ashioto.engines.sql.stamp import Session, TickSource

SECOND_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """Says how ticks become atoms.

    Args:
        ticks: The ticks that count, of any time.
        values: What the ticks of an atom come to, an aggregate each.
    """

    ticks: Stamp
    values: tuple[Value, ...]


def atoms(layout: Layout, source: TickSource) -> Atoms:
    """Return how the ticks of a query become atoms."""
    return Atoms(ticks=counted_ticks(layout, source), values=before_sessions(layout))


def atom_at(at: Sql) -> Sql:
    """Return the start of the atom that holds a moment, ms.

    Args:
        at: The moment, ms.

    >>> atom_at(column("at")).op
    '*'
    """
    return floored(at, SECOND_MS)


def stamped_atoms(layout: Layout, alias: str, key: Sql, session: Session | None) -> Stamp:
    """Return the rows of atoms that a session holds.

    Args:
        layout: The query.
        alias: Of the atoms.
        key: Text of their key.
        session: Gives a field of the session that holds an atom; None where the market is always open.
    """
    at = column(alias, cols.ATOM)
    moment = tick_moment(at, session)
    values: dict[str, Sql] = {name: column(alias, name) for name, _ in layout.groups()}
    values |= {name: column(alias, name) for name, _ in layout.partials()}
    values |= {cols.AT: at, cols.DAY: moment.date, cols.KIND: Const(cols.TICK), cols.WEIGHT: column(alias, cols.TICKS)}
    values |= {grain.label: grain_label(layout, grain, moment) for grain in layout.grains}
    return Stamp(values=laid_out(layout, values), where=Const(value=True), key=key)


def atom_session_key(layout: Layout, alias: str) -> Sql:
    """Return the key of the row of the index that holds the sessions of an atom's day."""
    own = {name: column(alias, held) for held, name in layout.groups()}
    day = call("lpad", Cast(floored(column(alias, cols.ATOM), DAY_MS), TEXT), Const(13), Const("0"))
    return key_of([*(escaped(own[name]) for name in layout.join or ()), day])


def counted_beside(stamp: Stamp) -> Stamp:
    """Return rows that are no ticks with the counts that folds add up: no ticks, and one row."""
    counts = {cols.TICKS: Const(0), cols.WEIGHT: Const(1)}
    values = tuple(
        cols.Value(name=v.name, type=v.type, sql=Cast(counts[v.name], v.type) if v.name in counts else v.sql)
        for v in stamp.values
    )
    return Stamp(values=values, where=stamp.where, key=stamp.key)
