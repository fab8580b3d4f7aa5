"""What SQL engines do differently, as tables: words for types and functions, and what each cannot do, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ashioto.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ashioto.engines.sql.ast import Sql
    from ashioto.engines.sql.types import TypeWord

Capability = Literal[
    "text_order", "months", "previous_of_frames", "previous_alone", "schedule_columns",
    "system_columns"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Says why an engine cannot do something, and the way out.

    >>> GAPS["months"].hint.startswith("select 1mo")
    True
    """

    what: str
    reason: str
    hint: str


GAPS: Final[Mapping[Capability, Gap]] = {
    "months": Gap(
        what="bars of several months",
        reason="sessions carry the labels of one day, one week and one month, and SQL does no calendar arithmetic",
        hint="select 1mo, and roll it up where it is read; or use engine.kind = 'embedded'",
    ),
    "previous_of_frames": Gap(
        what="previous() of a column that is not made of last values, with more than one period",
        reason="what a bar hands on comes from bars of the smallest period, and only last values are the same in all",
        hint="use previous() of a last(...), declare one query a period, or use engine.kind = 'embedded'",
    ),
    "previous_alone": Gap(
        what="previous() without ensure_continuous",
        reason="bars hand values on by heartbeats, and such a query has none",
        hint="add ensure_continuous=True to tumbling(...), or use engine.kind = 'embedded'",
    ),
    "schedule_columns": Gap(
        what="a schedule joined by a column that is not one of its keys",
        reason="the index of sessions is found by the keys of the schedule",
        hint="declare the column with ao.key(), or use engine.kind = 'embedded'",
    ),
}
"""What no engine that speaks SQL can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Says how one engine writes SQL.

    Args:
        name: Kind of the engine.
        types: Its words for types.
        functions: Its words for functions.
        rewrites: Functions that it says by other expressions.
        text: Puts text with characters that need care into other expressions; None where quoting is enough.
        literal: Writes text that is left as it is; None where it stands between apostrophes, with those in it doubled.
        quote: What stands around names; doubled inside them.
        lambda_form: How a function of one argument is written: its argument, then its body.
        struct_field: What stands between a struct and its field.
        stream: Its word for a stream.
        view: Its word for a named query.
        inline_keys: Whether a key is marked at its column, and not in a clause behind the columns.
        quoted_options: Whether names of options are quoted.
        emit: What ends a query that never ends.
        null_arithmetic: Whether arithmetic with null is null, and no error.
        casts_fail: Whether a decimal that does not fit the type it is cast to makes the whole value of a column null,
            and a condition not hold.
        greatest_skips_null: Whether `greatest` and `least` pass over null.
        prefolds: Whether ticks are folded by the second before their session is known, so that what a join keeps, and
            takes back when a session changes, are seconds and not ticks.
        times_as_numbers: Whether times and dates of ticks are read as milliseconds and days.
        sums_widen: Whether a sum of decimals is of a wider type than they.
        gaps: What it cannot do beside `GAPS`.

    >>> Dialect(name="any", types={}, functions={}).null_arithmetic
    True
    """

    name: str
    types: Mapping[TypeWord, str]
    functions: Mapping[str, str]
    rewrites: Mapping[str, Callable[..., Sql]] = field(default_factory=dict)
    text: Callable[[str], Sql | None] | None = None
    literal: Callable[[str], str] | None = None
    quote: str = "`"
    lambda_form: str = "{} => {}"
    struct_field: str = "."
    stream: str = "TABLE"
    view: str = "VIEW"
    inline_keys: bool = False
    quoted_options: bool = True
    emit: str = ""
    null_arithmetic: bool = True
    casts_fail: bool = False
    greatest_skips_null: bool = False
    prefolds: bool = False
    times_as_numbers: bool = False
    sums_widen: bool = False
    gaps: Mapping[Capability, Gap] = field(default_factory=dict)

    def gap(self, capability: Capability) -> Gap | None:
        """Return why the engine cannot do something, or None when it can."""
        return self.gaps.get(capability) or GAPS.get(capability)

    def need(self, capability: Capability, where: str) -> None:
        """Go on if the engine can do something.

        Args:
            capability: What is needed.
            where: Who needs it, for the message.

        Raises:
            UnsupportedError: It cannot; says why, and the way out.
        """
        found = self.gap(capability)
        if found is not None:
            raise UnsupportedError(
                f"{where} needs {found.what}, which {self.name} cannot do: {found.reason}",
                hint=found.hint,
                capability=capability,
                engine=self.name,
            )
