"""Records of finished bars, and how a class of bars is tied to its query by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ashioto.dsl.entity import is_class_of
from ashioto.dsl.values import check_value
from ashioto.errors import DefinitionError, InputError, PeriodError, UsageError
from ashioto.logical.nodes import BOOL, DATE, INT64, TEXT, TIMESTAMP, DataType
from ashioto.logical.outputs import output_types
from ashioto.naming import bar_name, bars_topic, parse_bar_name

if TYPE_CHECKING:
    from ashioto.dsl.context import Context
    from ashioto.logical.nodes import Query
    from ashioto.period import Period

_BEFORE: Final = {"bucket_start": TIMESTAMP, "bucket_end": TIMESTAMP, "market_date": DATE}
_AFTER: Final = {
    "final": BOOL,
    "synthetic": BOOL,
    "first_at": TIMESTAMP,
    "first_seq": INT64,
    "last_at": TIMESTAMP,
    "last_seq": INT64,
    "source_cut": INT64,
    "origin": TEXT,
}
_DEFAULTS: Final[dict[str, object]] = {
    **dict.fromkeys([*_BEFORE, *_AFTER]),
    "final": True,
    "synthetic": False,
    "origin": "history",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarBinding:
    """Ties a class of bars to the query that makes them.

    Args:
        context: Where the query is registered.
        query: What makes the bars.
        period: Which of its frames.
        columns: Every column of such a bar with its type, in order.
    """

    context: Context
    query: Query
    period: Period
    columns: dict[str, DataType]

    @classmethod
    def of(cls, context: Context, query: Query, period: Period) -> BarBinding:
        """Return the binding of one frame of a query."""
        keys = dict.fromkeys(query.group_by, TEXT)
        columns = {**keys, **_BEFORE, **output_types(query.outputs, query.entity), **_AFTER}
        return cls(context=context, query=query, period=period, columns=columns)

    @property
    def topic(self) -> str:
        """The topic that holds the bars."""
        return bars_topic(self.context.name, self.query.entity.name, self.period)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the selected columns."""
        return tuple(o.name for o in self.query.outputs)


class Bar:
    """Holds one bar: keys, bucket, selected columns, and the envelope that lets any two bars merge.

    Its classes come from `query.bar(period)`, or are declared empty: `class RateBar5m(ao.Bar): ...` says entity and
    period by its name, and is tied to its query at first use. Columns that were selected may be None, since
    `when_empty` may say so; keys and `bucket_start` may not.

    >>> Bar.__name__
    'Bar'
    """

    __binding__: ClassVar[BarBinding | None] = None

    def __init__(self, /, **values: Any) -> None:
        binding = self._bound()
        required = (*binding.query.group_by, "bucket_start")
        state = vars(self)
        for name, kind in binding.columns.items():
            if (name not in values and name not in _DEFAULTS) or (name in required and values.get(name) is None):
                raise InputError(f"{type(self).__name__}.{name} was not given", hint=f"add {name}=...", column=name)
            value = values.pop(name, _DEFAULTS.get(name))
            state[name] = None if value is None else check_value(value, kind, column=f"{type(self).__name__}.{name}")
        if values:
            name = next(iter(values))
            raise InputError(
                f"{type(self).__name__} has no column {name!r}",
                hint=f"its columns are {', '.join(binding.columns)}",
                column=name,
            )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no column {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise UsageError(f"{type(self).__name__}.{name} cannot be set: a bar does not change", hint="make a new bar")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in vars(self).items())})"

    @classmethod
    def _bound(cls) -> BarBinding:
        if cls.__binding__ is None:
            raise UsageError(
                f"{cls.__name__} is not tied to a query yet",
                hint="take it from query.bar(...), or hand it to TimeBucket.set(..., context=...) first",
            )
        return cls.__binding__


def bind_bar(bar: type[Bar], period: Period | None = None, *, context: Context | None = None) -> BarBinding:
    """Return the query behind a class of bars, and tie the class to it if its name was all that was known.

    Args:
        bar: From `query.bar(...)`, or a subclass of `Bar` whose name says entity and period.
        period: What the caller takes the period to be; checked against the class.
        context: Where to look for the query; not needed for classes made by a query.

    Raises:
        DefinitionError: The name does not parse, or the context has no such query.
        PeriodError: The period disagrees with the class.
        UsageError: Nothing says the context.

    >>> class RateBar5m(Bar): ...
    >>> bind_bar(RateBar5m)
    Traceback (most recent call last):
    ...
    ashioto.errors.UsageError: nothing says the context of RateBar5m
    Hint: add context=..., e.g. context=trading
    """
    if not is_class_of(bar, Bar):
        raise UsageError(f"{bar!r} is no class of bars", hint="e.g. rate_bars.bar(Period.minutes(5))")
    known = bar.__binding__
    binding = known if known is not None and context in {None, known.context} else _look_up(bar, context)
    if period is not None and period != binding.period:
        raise PeriodError(
            f"{bar.__name__} holds bars of {binding.period}, not of {period}",
            hint=f"use {bar_name(binding.query.entity.name, period)} or Period.parse({binding.period.kind!r})",
            bar=bar.__name__,
            period=period.kind,
        )
    if known is None:
        bar.__binding__ = binding
    return binding


def _look_up(bar: type[Bar], context: Context | None) -> BarBinding:
    entity, period = parse_bar_name(bar.__name__)
    if context is None:
        raise UsageError(f"nothing says the context of {bar.__name__}", hint="add context=..., e.g. context=trading")
    for query in context.queries.values():
        if query.plan.entity.name == entity and period in query.plan.frames:
            return query.binding(period)
    made = [bar_name(q.plan.entity.name, p) for q in context.queries.values() for p in q.plan.frames]
    raise DefinitionError(
        f"no query of {context.name} makes {bar.__name__}",
        hint=f"it makes {', '.join(made) or 'no bars yet'}",
        bar=bar.__name__,
    )
