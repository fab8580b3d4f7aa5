"""Reads files of finished bars part by part: as the bars of one kind, by a mapping, or not at all."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from ashioto.errors import InputError, PeriodError, UsageError
from ashioto.files.columns import READERS, constant, repeated
from ashioto.files.parsed import Parsed, plain, reasons
from ashioto.files.rejected import text_of
from ashioto.files.times import TimeReader
from ashioto.logical.nodes import INT64, TIMESTAMP, Column
from ashioto.migration.days import midnights, starts_of
from ashioto.migration.mapping import PERIOD, BarMap
from ashioto.period import Period
from ashioto.schema.arrow import TIME, arrow_type, from_numpy, int64_view, user_table
from ashioto.schema.defaults import default_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ashioto.dsl.bar import BarBinding
    from ashioto.files.parsed import Ints
    from ashioto.files.reading import Part, TableFile
    from ashioto.logical.nodes import DataType

START: Final = "bucket_start"
_NUMBER: Final = {"decimal", "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPart:
    """Holds the bars of a part of a file.

    Args:
        bars: Bars as `TimeBucket.read` gives them; of the columns only those that the file or the mapping has.
        part: Where they come from.
        kept: Which rows of the part they are; None means every one.
        other: How many rows are bars of other periods.
        rounded: How many values had more digits than are kept, by column of the file.
    """

    bars: pa.Table
    part: Part
    kept: Ints | None = None
    other: int = 0
    rounded: Mapping[str, int] = field(default_factory=dict)

    def number(self, row: int) -> int:
        """Return the row number in the file, from 1, of one of the bars."""
        return self.part.number(row if self.kept is None else int(self.kept[row]))

    def keep(self, rows: Ints) -> BarPart:
        """Return only these of the bars."""
        kept = rows if self.kept is None else self.kept[rows]
        return BarPart(
            bars=self.bars.take(pa.array(rows)), part=self.part, kept=kept, other=self.other, rounded=self.rounded
        )


class BarReader:
    """Reads the rows of files as bars of one kind.

    Args:
        binding: Which bars.
        mapping: How the files say them.
        whole: Whether every selected column must be there.

    Raises:
        ConfigError: The mapping names a column that these bars have not, or a constant cannot be read.
    """

    def __init__(self, binding: BarBinding, mapping: BarMap, *, whole: bool) -> None:
        mapping.check(binding)
        self.binding, self.mapping, self._whole = binding, mapping, whole
        self._times = {name: self._time_reader() for name, kind in binding.columns.items() if kind == TIMESTAMP}
        self._constants = {name: self._constant(name, text) for name, text in mapping.constants.items()}

    def columns(self, file: TableFile) -> list[str]:
        """Return the columns of the bars that a file and the mapping have, in the order of the bars.

        Raises:
            InputError: One that is needed is missing, there twice, or of a type that cannot be read; names the nearest.
        """
        found = [name for name in self.binding.columns if name in self._constants or self._check(file, name)]
        if START not in found:
            found.append(START)  # made of the market date
        return [name for name in self.binding.columns if name in found]

    def parts(self, file: TableFile) -> Iterator[BarPart]:
        """Yield the bars of a file.

        Raises:
            InputError: The file cannot be read, or a row is no bar; names file, row and rule.
        """
        columns = self.columns(file)
        wanted = [self._theirs(file, name) for name in columns if name not in self._constants]
        period = self.mapping.source(PERIOD)
        if file.schema.names.count(period) == 1:
            wanted.append(period)
        elif PERIOD in self.mapping.columns:
            raise self._missing(file, PERIOD)
        for part in file.parts(wanted):
            for line in part.broken:
                raise InputError(
                    f"row {line.row} of {part.file} has {line.cells} cells, not {line.wanted}: {line.text}",
                    hint="put text that holds the separator in quotes",
                    file=str(part.file),
                    row=line.row,
                )
            yield self._read(part, file, columns)

    def _read(self, part: Part, file: TableFile, columns: Sequence[str]) -> BarPart:
        kept = self._of_period(part)
        rows = part.rows if kept is None else part.rows.take(pa.array(kept))
        made, rounded = {}, {}
        for name in columns:
            parsed = self._column(name, rows, file)
            self._refuse(name, parsed, part, kept, file)
            if parsed.rounded:
                rounded[self._theirs(file, name)] = parsed.rounded
            made[name] = _with_nulls(parsed)
        bars = user_table(pa.table(made, schema=pa.schema([(n, made[n].type) for n in columns])))
        return BarPart(bars=bars, part=part, kept=kept, other=part.rows.num_rows - rows.num_rows, rounded=rounded)

    def _of_period(self, part: Part) -> Ints | None:
        """Return the rows that are bars of the wanted period, or None where every one is."""
        name = self.mapping.source(PERIOD)
        if name not in part.rows.schema.names:
            return None
        texts = plain(part.rows.column(name)).cast(pa.string()).dictionary_encode()
        right = [_is_period(text, self.binding.period) for text in texts.dictionary.to_pylist()]
        codes = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        kept = np.flatnonzero(np.isin(codes, np.flatnonzero(right)))
        return None if kept.shape[0] == part.rows.num_rows else kept

    def _column(self, name: str, rows: pa.RecordBatch, file: TableFile) -> Parsed:
        kind = self.binding.columns[name]
        if name in self._constants:
            return Parsed(values=repeated(self._constants[name], rows.num_rows), null=None)
        values = rows.column(self._theirs(file, name))
        if pa.types.is_null(values.type):
            values = pa.nulls(len(values), arrow_type(kind))
        if name in self.mapping.scale:
            return _unscaled(values, kind, self.mapping.scale[name])
        if name == START:
            return self._starts(READERS[TIMESTAMP.name].read(values, TIMESTAMP, self._times[name]))
        return READERS[kind.name].read(values, kind, self._times.get(name, TimeReader()))

    def _starts(self, parsed: Parsed) -> Parsed:
        """Turn times as files say them into bucket starts, by the convention and the zone of days."""
        at, bad = int64_view(parsed.values), parsed.bad
        if not self.binding.period.is_intraday:
            at, off = midnights(at, self.mapping.day_zone)
            off = off if parsed.null is None else off & ~parsed.null
            bad = reasons(*bad, (f"is not midnight in {self.mapping.day_zone}", off))
        if self.mapping.bucket == "end":
            at = starts_of(self.binding.period, at)
        return Parsed(values=from_numpy(at, TIME), null=parsed.null, bad=bad)

    def _refuse(self, name: str, parsed: Parsed, part: Part, kept: Ints | None, file: TableFile) -> None:
        needed = parsed.null is not None and name in (*self.binding.query.group_by, START)
        for reason, mask in (*parsed.bad, *([("is null", parsed.null)] if needed else [])):
            if mask is None or not mask.any():
                continue
            at = int(np.flatnonzero(mask)[0])
            row = at if kept is None else int(kept[at])
            theirs = self._theirs(file, name)
            number = part.number(row)
            raise InputError(
                f"row {number} of {part.file}: {theirs} {reason}: {text_of(part.rows.column(theirs)[row])!r}",
                hint=self._way_out(name, reason),
                file=str(part.file),
                row=number,
                column=theirs,
            )

    def _way_out(self, name: str, reason: str) -> str:
        if name in self.mapping.scale:
            return f"scale.{name} in the mapping is for whole numbers; leave it out where they have a point"
        if name == START and "midnight" in reason:
            return "say by day_zone in the mapping where these days begin"
        if name in self._times:
            return "say by time_zone and time_unit in the mapping how its times are meant"
        return f"{name} is {self.binding.columns[name]}; mend the row, or take another column in the mapping"

    def _theirs(self, file: TableFile, name: str) -> str:
        """Return the column of a file that a column of the bars is read from."""
        theirs = self.mapping.source(name)
        falls_back = name == START and theirs not in file.schema.names and START not in self.mapping.columns
        return self.mapping.source("market_date") if falls_back else theirs

    def _check(self, file: TableFile, name: str) -> bool:
        """Return whether a file has a column of the bars."""
        theirs, kind = self._theirs(file, name), self.binding.columns[name]
        count = file.schema.names.count(theirs)
        if not count and not self._needs(name):
            return False
        if not count or (name == START and theirs != self.mapping.source(START) and self.binding.period.is_intraday):
            raise self._missing(file, name)
        if count > 1:
            raise InputError(f"{file.path} has {count} columns {theirs!r}", hint="rename one of them", column=theirs)
        found, reader = file.schema.field(theirs).type, READERS[kind.name]
        if not (reader.takes(found) or pa.types.is_null(found)):
            raise InputError(
                f"column {theirs!r} of {file.path} is {found}, it should be {reader.wants}",
                hint="convert it, or take another column in the mapping",
                file=str(file.path),
                column=theirs,
            )
        return True

    def _needs(self, name: str) -> bool:
        query = self.binding.query
        if name in self.mapping.columns or name in query.group_by or name == START:
            return True
        return self._whole and name in self.binding.outputs

    def _missing(self, file: TableFile, name: str) -> InputError:
        theirs = self.mapping.source(name)
        near = difflib.get_close_matches(theirs, file.schema.names, 1)
        said = f"columns: {{{name}: {near[0] if near else '<one of them>'}}} in a mapping (--map)"
        hint = f"did you mean {said}?" if near else f"say {said}"
        if name in self.binding.query.group_by:
            hint += f", or --key {name}=..."
        elif name in self.binding.outputs:
            hint += f", or constants: {{{name}: 0}} where it is not known"
        have = ", ".join(file.schema.names)
        return InputError(
            f"{file.path} has no column {theirs!r}; it has {have}", hint=hint, file=str(file.path), column=theirs
        )

    def _constant(self, name: str, text: str | None) -> pa.Array:
        kind = self.binding.columns[name]
        if text is None:
            return default_of(Column(name=name, type=kind))
        found = constant(Column(name=name, type=kind), text, self._time_reader())
        for reason, _ in found.bad:
            raise self.mapping.error(f"constants.{name}: {text!r} {reason}", f"{name} is {kind}")
        return found.values

    def _time_reader(self) -> TimeReader:
        return TimeReader(unit=self.mapping.time_unit, zone=self.mapping.time_zone)


def key_constants(binding: BarBinding, key: Mapping[str, str], mapping: BarMap) -> BarMap:
    """Return a mapping with the key columns that were named on the command line.

    Raises:
        UsageError: One is no key column; names those there are.
    """
    for name in key:
        if name not in binding.query.group_by:
            near = difflib.get_close_matches(name, binding.query.group_by, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(binding.query.group_by)}"
            raise UsageError(f"--key: {binding.topic} has no key column {name!r}", hint=hint, column=name)
    return mapping.with_constants(key) if key else mapping


def _unscaled(values: pa.Array, kind: DataType, digits: int) -> Parsed:
    """Read whole numbers that have so many digits after the point."""
    whole = READERS[INT64.name].read(values, INT64, TimeReader())
    numbers = int64_view(whole.values)
    if kind.name == "float64":
        return Parsed(values=pa.array(numbers / 10.0**digits), null=whole.null, bad=whole.bad)
    limit, shift = 10**kind.precision, kind.scale - digits
    if shift >= 0:
        wide = np.abs(numbers) >= -(-limit // 10**shift)
        units = np.where(wide, 0, numbers) * 10**shift
        odd = None
    else:
        units, rest = np.divmod(numbers, 10**-shift)
        odd = rest != 0
        wide = np.abs(units) >= limit
    bad = reasons(
        *whole.bad, (f"has more than {kind.scale} digits after the point", odd), (f"does not fit {kind}", wide)
    )
    return Parsed(values=from_numpy(units, arrow_type(kind)), null=whole.null, bad=bad)


def _is_period(text: str, period: Period) -> bool:
    try:
        return Period.parse(text) == period
    except PeriodError:
        return False


def _with_nulls(parsed: Parsed) -> pa.Array:
    values = parsed.values
    if parsed.null is not None and parsed.null.any():
        values = values.take(pa.array(np.arange(len(values)), mask=parsed.null))
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
