"""A completed query, and the bars it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.dsl.bar import Bar, BarBinding
from ashioto.dsl.chain import Step
from ashioto.errors import PeriodError
from ashioto.logical.render import render
from ashioto.naming import bar_name

if TYPE_CHECKING:
    from ashioto.dsl.context import Context
    from ashioto.logical.nodes import Query
    from ashioto.period import Period


class BarQuery(Step):
    """Names a registered query.

    Args:
        context: Where it is registered.
        plan: What it means.

    >>> BarQuery.legal
    ()
    """

    after = "to_query"

    def __init__(self, context: Context, plan: Query) -> None:
        self.context = context
        self.plan = plan
        self._bars: dict[Period, type[Bar]] = {}

    def __repr__(self) -> str:
        return f"<query {self.context.name}.{self.name}>"

    def __str__(self) -> str:
        return render(self.plan)

    @property
    def name(self) -> str:
        """Its name inside the context."""
        return self.plan.name

    @property
    def frames(self) -> tuple[Period, ...]:
        """Lengths of its bars, ascending."""
        return self.plan.frames

    def bar(self, period: Period) -> type[Bar]:
        """Return the class of its bars of one period, e.g. `RateBar5m`; always the same class.

        Raises:
            PeriodError: The query has no such period.
        """
        made = self._bars.get(period)
        if made is None:
            binding = self.binding(period)
            made = type(bar_name(self.plan.entity.name, period), (Bar,), {"__binding__": binding})
            self._bars[period] = made
        return made

    def binding(self, period: Period) -> BarBinding:
        """Return what ties a class of bars to this query.

        Raises:
            PeriodError: The query has no such period.
        """
        if period not in self.plan.frames:
            raise PeriodError(
                f"{self.context.name}.{self.name} makes no bars of {period}",
                hint=f"it makes {', '.join(map(str, self.plan.frames))}; add the period to tumbling(...)",
                period=period.kind,
            )
        return BarBinding.of(self.context, self.plan, period)
