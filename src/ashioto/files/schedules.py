"""Reads schedules: files with one row a session, or with one row a day and its break."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto.errors import InputError, UsageError
from ashioto.files.columns import READERS
from ashioto.files.reading import open_files
from ashioto.files.rejected import text_of
from ashioto.files.times import TimeReader
from ashioto.logical.nodes import DATE, TEXT, TIMESTAMP, Column, Entity, TimeFrame
from ashioto.schema.arrow import arrow_type
from ashioto.schema.sessions import sessions_by_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.files.parsed import Mask, Parsed
    from ashioto.files.reading import Part, TableFile
    from ashioto.schedule.sessions import Sessions

COLUMNS: Final = ("open", "close", "market_date")
"""Columns that say a session; all others of a schedule are keys."""

_BREAK: Final = ("break_start", "break_end")
_TYPES: Final = {**dict.fromkeys((*COLUMNS[:2], *_BREAK), TIMESTAMP), "market_date": DATE}
_HINT: Final = "one row a session: open and close in UTC, market_date"


def is_file(source: str) -> bool:
    """Return whether a source of sessions is a file; else it is the name of a calendar.

    >>> is_file("hours.csv"), is_file("XNYS")
    (True, False)
    """
    return Path(source).suffix.lower() in {".csv", ".parquet"} or "/" in source


def read_schedule(source: str) -> pa.Table:
    """Return the rows of schedule files: key columns as text, then `COLUMNS`.

    Args:
        source: A CSV or Parquet file, or a glob. Times without a zone are UTC; the market date may be called `session`;
            `break_start` and `break_end`, where they are given, cut a session in two.

    Raises:
        InputError: It cannot be read, lacks a column, or a row says no session; names file and row.
    """
    tables = [_sessions(part) for file in open_files([source]) for part in _parts(file)]
    if not sum(table.num_rows for table in tables):
        raise InputError(f"{source} has no rows", hint=_HINT, file=source)
    try:
        return pa.concat_tables(tables).unify_dictionaries()
    except pa.ArrowInvalid as error:
        raise InputError(f"the files of {source} have different columns", hint=_HINT, file=source) from error


def _parts(file: TableFile) -> Iterator[Part]:
    names = _renamed(file.schema.names)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        have = ", ".join(file.schema.names)
        raise InputError(f"{file.path} has no {', '.join(missing)}; it has {have}", hint=_HINT, file=str(file.path))
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{file.path} has two columns {name!r}", hint="drop or rename one", column=name)
    for part in file.parts(file.schema.names):
        for line in part.broken:
            raise InputError(
                f"row {line.row} of {file.path} has {line.cells} cells, not {line.wanted}: {line.text}", hint=_HINT
            )
        yield part


def _renamed(names: list[str]) -> list[str]:
    return names if "market_date" in names else ["market_date" if name == "session" else name for name in names]


def _sessions(part: Part) -> pa.Table:
    names = _renamed(part.rows.schema.names)
    found = {name: _column(part, number, name) for number, name in enumerate(names)}
    keys = {name: column.values.cast(pa.string()) for name, column in found.items() if name not in _TYPES}
    typed = {name: found[name].values for name in COLUMNS}
    whole = pa.table({**keys, **typed})
    if not set(_BREAK) <= set(names):
        return whole
    start, end = (found[name] for name in _BREAK)
    halved = _given(start) & _given(end)
    close = pc.if_else(pa.array(halved), start.values, typed["close"])
    morning = whole.set_column(whole.column_names.index("close"), "close", close)
    afternoon = whole.set_column(whole.column_names.index("open"), "open", end.values).filter(pa.array(halved))
    return pa.concat_tables([morning, afternoon])


def _given(column: Parsed) -> Mask:
    return np.ones(len(column.values), dtype=np.bool_) if column.null is None else ~column.null


def _column(part: Part, number: int, name: str) -> Parsed:
    """Read a column, of which every cell must be right; breaks may be missing."""
    values, kind = part.rows.column(number), _TYPES.get(name, TEXT)
    if pa.types.is_null(values.type):
        values = pa.nulls(len(values), arrow_type(kind))
    reader = READERS[kind.name]
    theirs = part.rows.schema.names[number]
    if not reader.takes(values.type):
        raise InputError(
            f"column {theirs!r} of {part.file} is {values.type}, it should be {reader.wants}", hint=_HINT, column=theirs
        )
    found = reader.read(values, kind, TimeReader())
    wrong = found.bad if name in _BREAK or found.null is None else (*found.bad, ("is null", found.null))
    for reason, mask in wrong:
        row = int(mask.argmax())
        raise InputError(
            f"row {part.number(row)} of {part.file}: {theirs} {reason}: {text_of(values[row])!r}",
            hint=_HINT,
            column=theirs,
        )
    return found


class FileSchedule:
    """Knows the sessions of every key, as a file says.

    Args:
        source: A CSV or Parquet file, or a glob.
        names: The key columns of the bars. The file may have any of them: what it has not holds for all.

    Raises:
        InputError: The file cannot be read.
        UsageError: The file has a column that is no key of the bars.
        ScheduleError: A session is empty, or two overlap; names key and market dates.
    """

    def __init__(self, source: str, names: Sequence[str]) -> None:
        rows = read_schedule(source)
        self.names = tuple(name for name in names if name in rows.column_names)
        for name in rows.column_names:
            if name not in {*COLUMNS, *names}:
                have = f"its keys are {', '.join(names)}" if names else "it has no keys"
                raise UsageError(
                    f"{source} has a column {name!r}, which is no key of the bars; {have}",
                    hint=f"--key {name}=... or --key-column {name}, or drop the column",
                    column=name,
                )
        self._places = [list(names).index(name) for name in self.names]
        self._sessions = sessions_by_key(frame_of(self.names), rows)

    def sessions(self, key: tuple[str, ...]) -> Sessions | None:
        """Return the sessions of a key of the bars, or None when the file does not name it."""
        return self._sessions.get(tuple(key[place] for place in self._places))


def frame_of(names: Sequence[str]) -> TimeFrame:
    """Return how rows of `COLUMNS` and these key columns are read as a schedule.

    >>> frame_of(["symbol"]).schedule.keys
    ('symbol', 'open')
    """
    columns = [Column(name=name, type=TEXT, role="key") for name in names]
    columns += [Column(name="open", type=TIMESTAMP, role="key"), Column(name="close", type=TIMESTAMP)]
    schedule = Entity(name="Schedule", kind="table", columns=(*columns, Column(name="market_date", type=DATE)))
    join = tuple((name, name) for name in names)
    return TimeFrame(schedule=schedule, join=join, open_column="open", close_column="close", day_column="market_date")
