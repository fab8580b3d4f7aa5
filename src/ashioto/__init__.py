"""Turns ticks into session-aligned, gap-free OHLC bars.

Everything a program needs is here; it is loaded when it is first used, so that importing costs little.

>>> import ashioto as ao
>>> ao.Period.minutes(5)
Period('5m')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ashioto.bars.options import BarAddOptions, BarAddReport
    from ashioto.bars.timebucket import TimeBucket
    from ashioto.context import Context
    from ashioto.dsl import (
        AlwaysOpen,
        Bar,
        BarQuery,
        Column,
        Field,
        Stream,
        Table,
        avg,
        coalesce,
        count,
        decimal,
        field,
        first,
        greatest,
        key,
        last,
        least,
        max,  # noqa: A004  # users write ao.max
        min,  # noqa: A004  # users write ao.min
        ohlcv,
        previous,
        sequence,
        sum,  # noqa: A004  # users write ao.sum
        timestamp,
    )
    from ashioto.errors import (
        AshiotoError,
        ChainError,
        ConfigError,
        DefinitionError,
        InputError,
        LogError,
        PeriodError,
        ScheduleError,
        UnsupportedError,
        UsageError,
    )
    from ashioto.migration.verify import BarsVerifier
    from ashioto.period import Period

__all__ = [
    "AlwaysOpen",
    "AshiotoError",
    "Bar",
    "BarAddOptions",
    "BarAddReport",
    "BarQuery",
    "BarsVerifier",
    "ChainError",
    "Column",
    "ConfigError",
    "Context",
    "DefinitionError",
    "Field",
    "InputError",
    "LogError",
    "Period",
    "PeriodError",
    "ScheduleError",
    "Stream",
    "Table",
    "TimeBucket",
    "UnsupportedError",
    "UsageError",
    "avg",
    "coalesce",
    "count",
    "decimal",
    "field",
    "first",
    "greatest",
    "key",
    "last",
    "least",
    "max",
    "min",
    "ohlcv",
    "previous",
    "sequence",
    "sum",
    "timestamp",
]

_HOMES = {
    "BarAddOptions": "ashioto.bars.options",
    "BarAddReport": "ashioto.bars.options",
    "BarsVerifier": "ashioto.migration.verify",
    "Context": "ashioto.context",
    "Period": "ashioto.period",
    "TimeBucket": "ashioto.bars.timebucket",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'ashioto' has no attribute {name!r}")
        home = _HOMES.get(name) or ("ashioto.errors" if name.endswith("Error") else "ashioto.dsl")
        value: object = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
