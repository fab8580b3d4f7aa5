"""The query that options come down to, and the sessions its keys follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ashioto.errors import DefinitionError, UsageError
from ashioto.files.decimals import PRECISION
from ashioto.files.rows import ColumnSource
from ashioto.files.schedules import FileSchedule, frame_of, is_file
from ashioto.logical.entities import check_name
from ashioto.logical.nodes import TEXT, TIMESTAMP, Agg, Col, Column, DataType, Entity, Output, Query
from ashioto.logical.outputs import RESERVED
from ashioto.logical.validate import check_query
from ashioto.schedule.calendars import widest
from ashioto.schedule.sessions import Schedule

if TYPE_CHECKING:
    from ashioto.engines.embedded.build.options import BuildOptions
    from ashioto.engines.embedded.sessions import SessionSource
    from ashioto.logical.nodes import AggName, TimeFrame

_PRICES: Final[dict[str, AggName]] = {"open": "first", "high": "max", "low": "min", "close": "last"}
_TAKEN: Final = RESERVED | {"at", "price", "size", "volume", "ticks", *_PRICES}
_RETENTION_MS: Final = 0
"""Nothing is late for a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSessions:
    """Holds who knows the sessions, and how the query joins them."""

    source: SessionSource
    frame: TimeFrame


def sessions_of(options: BuildOptions) -> BuildSessions:
    """Return the sessions the options name.

    Raises:
        InputError: The schedule file cannot be read.
        UsageError: The schedule file has a column that is no key.
        ScheduleError: Sessions are empty or overlap, or there is no such calendar.
    """
    if is_file(options.sessions):
        schedule = FileSchedule(options.sessions, options.key_names)
        return BuildSessions(source=schedule, frame=frame_of(schedule.names))
    return BuildSessions(source=Schedule.of({}, default=widest(options.sessions)), frame=frame_of(()))


def query_of(options: BuildOptions, frame: TimeFrame, *, scale: int, size_scale: int) -> Query:
    """Return the query.

    Args:
        options: What to build.
        frame: How ticks join their sessions.
        scale: Digits of prices after the point.
        size_scale: Digits of sizes after the point.

    Raises:
        UsageError: A key is named twice, or as a column that every bar has.
        PeriodError: The periods do not nest.
    """
    _check_keys(options)
    price, volume = Col(name="price"), Agg(func="sum", arg=Col(name="size"))
    outputs = [Output(name=name, expr=Agg(func=func, arg=price)) for name, func in _PRICES.items()]
    if options.size is not None:
        outputs.append(Output(name="volume", expr=volume))
    outputs.append(Output(name="ticks", expr=Agg(func="count", arg=None)))
    query = Query(
        context="files",
        name="bars",
        entity=_entity(options, scale, size_scale),
        where=(),
        time_frame=frame,
        frames=options.periods,
        align=options.align,
        continuous=options.fill,
        grace_ms=options.grace_ms,
        retention_ms=_RETENTION_MS,
        group_by=options.key_names,
        outputs=tuple(outputs),
        when_empty=(),
    )
    return check_query(query)


def source_of(options: BuildOptions) -> ColumnSource:
    """Return where the columns of the ticks come from."""
    columns = {**options.key_columns, "at": options.time, "price": options.price}
    named = {**dict.fromkeys(options.key_columns, "--key-column "), "at": "--time ", "price": "--price "}
    if options.size is not None:
        columns["size"], named["size"] = options.size, "--size "
    return ColumnSource(columns=columns, constants=options.keys, options=named)


def _entity(options: BuildOptions, scale: int, size_scale: int) -> Entity:
    def decimal(digits: int) -> DataType:
        return DataType(name="decimal", precision=PRECISION, scale=digits)

    columns = [Column(name=name, type=TEXT, role="key") for name in options.key_names]
    columns += [Column(name="at", type=TIMESTAMP, role="timestamp"), Column(name="price", type=decimal(scale))]
    if options.size is not None:
        columns.append(Column(name="size", type=decimal(size_scale)))
    return Entity(name="Tick", kind="stream", columns=tuple(columns))


def _check_keys(options: BuildOptions) -> None:
    for name in options.key_names:
        if options.key_names.count(name) > 1:
            raise UsageError(f"the key {name!r} is named twice", hint="once --key or --key-column is enough", key=name)
        if name in _TAKEN:
            raise UsageError(
                f"no key can be called {name!r}: bars and ticks have a column of that name",
                hint="give it another name; --key-column name=column renames a column",
                key=name,
            )
        try:
            check_name(name, "key column")
        except DefinitionError as error:
            raise UsageError(
                error.message, hint=f"{error.hint}; --key-column name=column renames one", key=name
            ) from error
