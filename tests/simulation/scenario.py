"""What happens in a world, apart from faults: sessions and their edits, ticks, and what is applied when.

All of it is decided before the world begins to turn, so that what must be in the log in the end is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tests.simulation.declared import CONTEXTS, Variant
from tests.simulation.market import Market, Row, Tick, draw_edits, draw_sessions, draw_ticks

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.options import Options

DAY_MS: Final = 86_400_000
MONDAY: Final = 1_710_115_200_000
"""2024-03-11, midnight UTC."""
LEAD_MS: Final = 9_000
"""How long before the first session everything is started and applied."""
GRACES: Final = (0, 1_000, 3_000, 5_000)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Says what is applied when.

    Args:
        at: True time, ms.
        variants: Of each context.
    """

    at: int
    variants: dict[str, Variant]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Holds the times of a world, ms.

    Args:
        begin: When processes are started.
        open: When the first day begins.
        night: When the night begins.
        morning: When it ends.
        calm: When faults end.
    """

    begin: int
    open: int
    night: int
    morning: int
    calm: int

    @property
    def days(self) -> list[tuple[int, int]]:
        """The two trading days: first and last moment, ms."""
        return [(self.open, self.night - 2_000), (self.morning, self.calm - 2_000)]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Holds what happens.

    Args:
        options: What it was drawn by.
        span: When.
        markets: Sessions, edits and ticks of each context.
        deployments: What is applied, in order; the first before anything else.
    """

    options: Options
    span: Span
    markets: dict[str, Market]
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def contexts(self) -> list[str]:
        """Names of the contexts."""
        return list(self.markets)

    @property
    def last(self) -> dict[str, Variant]:
        """What is declared in the end."""
        return self.deployments[-1].variants

    def graces(self, context: str) -> list[int]:
        """Return every grace that was ever declared, in order."""
        return [at.variants[context].grace_ms for at in self.deployments]


def draw_scenario(random: Random, options: Options) -> Scenario:
    """Return what happens in the world of a seed."""
    span = _span(random, options)
    markets = {name: _market(random, options, span) for name in CONTEXTS[: options.contexts]}
    return Scenario(
        options=options, span=span, markets=markets, deployments=_deployments(random, options, span, markets)
    )


def _span(random: Random, options: Options) -> Span:
    opened = MONDAY + random.choice((0, 9 * 3_600_000, DAY_MS - 40_000)) + random.choice((0, 1, 2_500, 60_000))
    night = opened + options.day_s * 1000
    morning = night + options.night_s * 1000
    return Span(
        begin=opened - LEAD_MS, open=opened, night=night, morning=morning, calm=morning + options.day_s * 1000 + 4_000
    )


def _market(random: Random, options: Options, span: Span) -> Market:
    symbols = [f"K{number}" for number in range(options.keys)]
    first: dict[str, list[Row]] = {}
    for number, symbol in enumerate(symbols):
        shared = number and random.random() < 0.6
        first[symbol] = list(first[symbols[0]]) if shared else draw_sessions(random, span.days, span.open // DAY_MS)
    market = Market(first=first)
    draw_edits(random, market, span.days, options.edits)
    ticks: list[Tick] = []
    for symbol in symbols:
        ticks += draw_ticks(random, market, symbol, options.ticks * 100, span.calm)
    if random.random() < 0.3:
        ticks.append(Tick(arrives=span.night - 1_000, symbol="UNKNOWN", at=span.open, price=1, size=1))
    return replace(market, ticks=sorted(ticks, key=lambda tick: tick.arrives))


def _deployments(random: Random, options: Options, span: Span, markets: dict[str, Market]) -> list[Deployment]:
    variants = {name: Variant(grace_ms=random.choice(GRACES), wide=random.random() < 0.5) for name in markets}
    found = [Deployment(at=span.begin + random.randint(0, 3_000), variants=variants)]
    times = sorted(random.randint(*random.choice(span.days)) for _ in range(options.changes))
    for at in times:
        variants = dict(variants)
        name, kind = random.choice(list(markets)), random.choice(("same", "grace", "select"))
        if kind == "grace":
            variants[name] = replace(variants[name], grace_ms=random.choice(GRACES))
        elif kind == "select":
            variants[name] = replace(variants[name], wide=not variants[name].wide)
        found.append(Deployment(at=at, variants=variants))
    return found
