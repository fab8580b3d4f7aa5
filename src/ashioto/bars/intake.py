"""Turns bars as users hand them in into the columns that are stored, and refuses what is no bar of the table."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ashioto import keys
from ashioto.bars import rules
from ashioto.bars.keys import record_keys, series_keys
from ashioto.bars.places import BarPlaces
from ashioto.bars.rows import BarRows
from ashioto.bars.rules import Candidates
from ashioto.errors import InputError
from ashioto.logical.outputs import computed
from ashioto.schema.arrow import from_numpy, int64_view, key_column
from ashioto.schema.casting import Cells, cast_column, undictionaried

if TYPE_CHECKING:
    from ashioto.bars.options import BarAddOptions
    from ashioto.dsl.bar import BarBinding
    from ashioto.log.base import Log
    from ashioto.schedule.sessions import Ints

_DEFAULTS: Final = {"final": True, "synthetic": False, "origin": "history"}
_MOST_MS: Final = 10**keys.TIME_DIGITS
_INDEX: Final = "__index_level_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Holds bars as they will be stored.

    Args:
        rows: Their numbers, keys and buckets.
        data: Their columns, as the topic has them.
        given: Names of the columns that were handed in.
        record_keys: Key bytes of the records; shape (n,).
    """

    rows: BarRows
    data: pa.RecordBatch
    given: frozenset[str]
    record_keys: pa.Array

    def take(self, order: Ints) -> Taken:
        """Return some rows."""
        return Taken(
            rows=self.rows.take(order), data=self.data.take(order), given=self.given,
            record_keys=self.record_keys.take(order),
        )  # fmt: skip


class BarIntake:
    """Checks bars and lays them out.

    Args:
        binding: Whose bars.
        log: Where the schedule is.
        schema: The columns of their topic.
        options: What is checked.
        trusted: Whether the caller is ashioto itself: hidden columns, the envelope and market dates are taken as given.

    Raises:
        UnknownTopicError: The schedule does not exist, and must.
    """

    def __init__(
        self, binding: BarBinding, log: Log, schema: pa.Schema, options: BarAddOptions, *, trusted: bool = False
    ) -> None:
        self.binding, self._schema, self._trusted = binding, schema, trusted
        self._scheduled = options.validate_schedule
        self._places = BarPlaces(log, binding.query, binding.period, required=self._scheduled)
        self._wide = computed(binding.query.outputs)
        hidden = [name for name in schema.names if name.startswith("__")] if trusted else []
        self._known = frozenset([*binding.columns, *hidden])

    def check_names(self, names: list[str]) -> None:
        """Refuse columns that bars do not have, and missing ones.

        Raises:
            InputError: There is one; says which it may have been meant for.
        """
        for name in names:
            if name not in self._known:
                raise self._unknown(name)
        twice = [name for name in set(names) if names.count(name) > 1]
        if twice:
            raise InputError(f"the column {twice[0]} is there twice", hint="leave one out", column=twice[0])
        needed = (*self.binding.query.group_by, "bucket_start", *self.binding.outputs)
        for name in needed:
            if name not in names:
                raise InputError(
                    f"bars of {self.binding.topic} need a column {name}", hint=f"needed are {', '.join(needed)}",
                    column=name, rule="missing_column",
                )  # fmt: skip

    def read(self, raw: pa.RecordBatch, numbers: Ints, now_ms: int) -> Candidates:
        """Return bars in the types that are stored.

        Args:
            raw: Bars as they were handed in; their names were checked.
            numbers: Number of each row; shape (n,).
            now_ms: The time, ms.

        Raises:
            InputError: A key or a start is null, or a value does not fit its type.
        """
        columns = self._cast(raw, int(numbers[0]) if numbers.size else 0)
        rows = self._identity(raw, columns, numbers)
        places = self._places.find(rows.series, rows.start)
        return Candidates(binding=self.binding, rows=rows, columns=columns, places=places, now_ms=now_ms)

    def check(self, bars: Candidates) -> None:
        """Refuse bars that break a rule.

        Raises:
            InputError: A row breaks a rule; names it, the rule and the value.
            ScheduleError: The schedule does not have a row's key or bucket.
        """
        rules.check_buckets(bars)
        if self._scheduled:
            rules.check_scheduled(bars, self._places)
        rules.check_ends(bars, days=self._scheduled and not self._trusted)
        if not self._trusted:
            rules.check_envelope(bars)
        rules.check_over(bars)
        rules.check_times(bars, scheduled=self._scheduled)
        rules.check_numbers(bars)

    def lay_out(self, bars: Candidates) -> Taken:
        """Return bars as they will be stored."""
        made = {
            **bars.columns,
            "bucket_end": from_numpy(bars.places.end, self._schema.field("bucket_end").type),
            "market_date": self._dates(bars),
        }
        for name, default in _DEFAULTS.items():
            given = bars.columns.get(name)
            made[name] = (
                pa.repeat(default, len(bars.rows)) if given is None else undictionaried(given).fill_null(default)
            )
        columns = [
            _typed(made[field.name], field.type) if field.name in made else pa.nulls(len(bars.rows), field.type)
            for field in self._schema
        ]
        return Taken(
            rows=bars.rows, data=pa.RecordBatch.from_arrays(columns, schema=self._schema.remove_metadata()),
            given=frozenset(bars.columns), record_keys=record_keys(bars.rows.series, pa.array(bars.rows.start)),
        )  # fmt: skip

    def _cast(self, raw: pa.RecordBatch, first_row: int) -> dict[str, pa.Array]:
        made = {}
        for name, values in zip(raw.schema.names, raw.columns, strict=True):
            kind = self.binding.columns.get(name)
            if kind is None:
                made[name] = values.cast(self._schema.field(name).type)
                continue
            cells = Cells(where=f"{self.binding.topic}.{name}", first_row=first_row)
            wide = name in self._wide or self._trusted
            made[name] = cast_column(values, kind, cells, wide=wide)
            if name == "bucket_start" and values.type.unit in {"us", "ns"}:
                finer = pc.not_equal(made[name].cast(values.type), values)
                cells.refuse(finer.fill_null(False), values, "is not on a whole millisecond", "buckets start on one")
        return made

    def _identity(self, raw: pa.RecordBatch, columns: dict[str, pa.Array], numbers: Ints) -> BarRows:
        names = self.binding.query.group_by
        for name in (*names, "bucket_start"):
            cells = Cells(where=f"{self.binding.topic}.{name}", first_row=int(numbers[0]) if numbers.size else 0)
            cells.refuse(pc.is_null(columns[name]), raw[name], "is null", "every bar has a key and a start")
        start = int64_view(columns["bucket_start"])
        outside = (start < 0) | (start >= _MOST_MS)
        if outside.any():
            row = int(numbers[int(np.argmax(outside))])
            raise InputError(
                f"row {row} has the bucket_start {int(start[outside][0])} ms, which cannot stand in a key",
                hint="times in keys lie between 1970 and 2286; is the column in another unit?",
                row=row, rule="key_time", column="bucket_start",
            )  # fmt: skip
        series = series_keys([columns[name] for name in names]) if names else key_column([], raw)
        return BarRows(numbers, series, start)

    def _dates(self, bars: Candidates) -> pa.Array:
        kind = self._schema.field("market_date").type
        by_bucket = from_numpy(bars.places.day, kind)
        given = bars.columns.get("market_date")
        return by_bucket if given is None else pc.coalesce(given, by_bucket)

    def _unknown(self, name: str) -> InputError:
        if name.startswith(_INDEX):
            hint = "it is the index of the frame: reset_index(drop=True)"
        elif near := get_close_matches(name, self._known, n=1):
            hint = f"did you mean {near[0]}?"
        else:
            hint = f"its columns are {', '.join(self.binding.columns)}"
        return InputError(
            f"bars of {self.binding.topic} have no column {name!r}", hint=hint, column=name, rule="unknown_column"
        )


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return undictionaried(values).cast(kind) if pa.types.is_string(kind) else values
