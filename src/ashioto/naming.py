"""Names follow from names: entity → bar kind → topic, so that no map is needed."""

from __future__ import annotations

import re
from typing import Final

from ashioto.errors import DefinitionError, PeriodError
from ashioto.period import Period

_BAR: Final = re.compile(r"(?P<entity>[A-Z][A-Za-z0-9]*?)Bar(?P<kind>[1-9]\d*(?:s|m|h|d|w|mo))")
_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]*")


def snake(name: str) -> str:
    """Turn a class name into snake case.

    >>> snake("MarketSchedule"), snake("FXRate"), snake("L2Quote")
    ('market_schedule', 'fx_rate', 'l2_quote')
    """
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()


def check_context(name: str) -> str:
    """Return the name of a context if it is a lower-case identifier.

    Raises:
        DefinitionError: It is not.

    >>> check_context("trading")
    'trading'
    """
    if not _IDENTIFIER.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is no name for a context", hint="lower-case letters, digits and _, e.g. 'trading'", context=name
        )
    return name


def topic(context: str, entity: str) -> str:
    """Return the topic of a stream or table.

    >>> topic("trading", "MarketSchedule")
    'trading.market_schedule'
    """
    return f"{context}.{snake(entity)}"


def by_day_topic(context: str, schedule: str) -> str:
    """Return the topic of the schedule index.

    >>> by_day_topic("trading", "MarketSchedule")
    'trading.market_schedule_by_day'
    """
    return f"{topic(context, schedule)}_by_day"


def heartbeat_topic(context: str, entity: str) -> str:
    """Return the topic of an entity's heartbeats.

    >>> heartbeat_topic("trading", "Rate")
    'trading.rate_hb'
    """
    return f"{topic(context, entity)}_hb"


def bars_topic(context: str, entity: str, period: Period) -> str:
    """Return the topic of an entity's bars.

    >>> bars_topic("trading", "Rate", Period.minutes(5))
    'trading.rate_bars_5m'
    """
    return f"{topic(context, entity)}_bars_{period.kind}"


def late_topic(context: str, entity: str) -> str:
    """Return the topic of ticks that came too late for any bar.

    >>> late_topic("trading", "Rate")
    'trading.rate_late'
    """
    return f"{topic(context, entity)}_late"


def bar_name(entity: str, period: Period) -> str:
    """Return the class name of an entity's bars.

    >>> bar_name("Rate", Period.minutes(5))
    'RateBar5m'
    """
    return f"{entity}Bar{period.kind}"


def parse_bar_name(name: str) -> tuple[str, Period]:
    """Return the entity and the period that a bar's class name says.

    Raises:
        DefinitionError: The name is not `<Entity>Bar<kind>`.

    >>> parse_bar_name("RateBar5m")
    ('Rate', Period('5m'))
    """
    match = _BAR.fullmatch(name)
    if match is None:
        raise DefinitionError(
            f"{name!r} does not name a bar", hint="write <Entity>Bar<kind>, e.g. RateBar5m or RateBar1mo", bar=name
        )
    period = Period.parse(match["kind"])
    if period.kind != match["kind"]:
        raise PeriodError(
            f"{name!r} says {match['kind']}, which is the period {period.kind}",
            hint=f"call it {bar_name(match['entity'], period)}",
            bar=name,
        )
    return match["entity"], period
