"""The build itself: reads files part by part and folds them, then gives the bars frame by frame."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final

from ashioto.engines.embedded.batch import BatchBuilder
from ashioto.engines.embedded.build.finish import bar_columns, final_bars, laid_out
from ashioto.engines.embedded.build.limits import check_size, machine_memory
from ashioto.engines.embedded.build.options import BuildReport
from ashioto.engines.embedded.build.plan import query_of, sessions_of, source_of
from ashioto.errors import DecimalOverflowError, InputError
from ashioto.files.decimals import scale_of
from ashioto.files.reading import open_files
from ashioto.files.rows import RowReader
from ashioto.files.times import TimeReader
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from ashioto.engines.embedded.build.options import BuildOptions, Watcher
    from ashioto.engines.embedded.fold import FoldCounts
    from ashioto.engines.embedded.sessions import SessionSource
    from ashioto.files.reading import Part
    from ashioto.files.rejected import RejectedRow
    from ashioto.files.rows import Rows
    from ashioto.logical.nodes import Query
    from ashioto.period import Period

LOOK_AHEAD: Final = 1 << 20
"""How many rows are looked at to find how many digits prices have."""


class FileBuild:
    """Builds the bars of some files.

    Args:
        options: Which bars of which files; what is wrong with them is found at once, before rows are read.
        watcher: Is told how it gets on.

    Raises:
        InputError: A file is missing, empty or unreadable, or a column is missing or of a wrong type.
        UsageError: A key is named twice or like a column of the bars, or a zone is unknown.
        PeriodError: The periods do not nest.
        ScheduleError: Sessions overlap, or the calendar is unknown.
    """

    def __init__(self, options: BuildOptions, watcher: Watcher) -> None:
        self._options, self._watcher = options, watcher
        self._times = TimeReader(unit=options.time_unit, zone=options.zone)
        self._files = open_files(options.files)
        self._sessions = sessions_of(options)
        draft = query_of(options, self._sessions.frame, scale=options.scale or 0, size_scale=options.size_scale or 0)
        reader = RowReader(draft.entity, source_of(options))
        self._wanted = [reader.wanted(file) for file in self._files]
        sizes = [file.size for file in self._files]
        self._total = sum(sizes)
        self._before = {file.path: sum(sizes[:place]) for place, file in enumerate(self._files)}
        self._seen = _Seen(options.key_names)

    def run(self) -> BuiltBars:
        """Read the files and fold their ticks.

        Raises:
            InputError: A file cannot be read on, has no rows, or no row of all can be used.
            DecimalOverflowError: A sum leaves 64 bits.
        """
        options, parts = self._options, self._parts()
        known = options.scale is not None and (options.size is None or options.size_scale is not None)
        ahead = [] if known else _look_ahead(parts)
        scale = _digits(options.scale, options.price, ahead)
        size_scale = _digits(options.size_scale, options.size, ahead)
        query = query_of(options, self._sessions.frame, scale=scale, size_scale=size_scale)
        builder = BatchBuilder(query, self._sessions.source, threads=options.threads)
        reader = RowReader(query.entity, source_of(options), self._times)
        try:
            for part in chain(ahead, parts):
                self._fold(builder, part, reader.read(part))
            self._check(query)
            tables = builder.finish(now_ms=options.now_ms, trim=True)
        except DecimalOverflowError as error:
            fewer = f"keep fewer digits of sizes: --size-scale {max(size_scale - 3, 0)}"
            hint = fewer if size_scale else "give sizes in larger units"
            raise DecimalOverflowError(error.message, hint=hint, **error.ids) from None
        report = self._seen.report(self._options, builder.counts, scale, size_scale, tables)
        return BuiltBars(self._options, query, self._sessions.source, tables, report)

    def _parts(self) -> Iterator[Part]:
        for file, wanted in zip(self._files, self._wanted, strict=True):
            yield from file.parts(wanted)

    def _fold(self, builder: BatchBuilder, part: Part, rows: Rows) -> None:
        if rows.rejected is not None:
            self._watcher.rejected(rows.rejected)
        if rows.batch.num_rows:
            builder.add(rows.batch, first_seq=self._seen.good)
        self._seen.add(part, rows)
        self._watcher.read(self._before[part.file] + part.done, self._total, self._seen.rows)

    def _check(self, query: Query) -> None:
        seen, names = self._seen, ", ".join(self._options.files)
        if not seen.rows:
            raise InputError(f"{names} has no rows", hint="give files with ticks in them", file=names)
        if not seen.good:
            first = min(seen.examples.values(), key=lambda row: -seen.rejected[row.reason])
            raise InputError(
                f"none of the {seen.rows:,} rows of {names} can be used: {first.reason}, "
                f"e.g. {first.value!r} in row {first.row} of {first.file}",
                hint="look at --time, --price, --size, --tz and --time-unit",
                file=names,
            )
        sessions = self._sessions.source.sessions(seen.key)
        if sessions is not None and seen.span is not None:
            check_size(query, sessions, seen.span, machine_memory())


class _Seen:
    """Counts what has been read."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self.rows = self.good = 0
        self.rejected: Counter[str] = Counter()
        self.rounded: Counter[str] = Counter()
        self.examples: dict[str, RejectedRow] = {}
        self.key: tuple[str, ...] = ()
        self.span: tuple[int, int] | None = None

    def add(self, part: Part, rows: Rows) -> None:
        self.rows += part.rows.num_rows + len(part.broken)
        self.good += rows.batch.num_rows
        self.rounded.update(rows.rounded)
        if rows.rejected is not None:
            self.rejected.update(rows.rejected.counts())
            self.examples = {**rows.rejected.examples(), **self.examples}
        if rows.batch.num_rows:
            at = int64_view(rows.batch.column("at"))
            if self.span is None:
                self.key = tuple(rows.batch.column(name)[0].as_py() for name in self._keys)
            low, high = self.span or (int(at[0]), int(at[0]))
            self.span = min(low, int(at.min())), max(high, int(at.max()))

    def report(
        self, options: BuildOptions, counts: FoldCounts, scale: int, size_scale: int, tables: dict[Period, pa.Table]
    ) -> BuildReport:
        return BuildReport(
            rows=self.rows,
            rejected=dict(self.rejected.most_common()),
            examples=self.examples,
            out_of_session=counts.out_of_session,
            unknown_key=counts.unknown_key,
            rounded=dict(self.rounded),
            scale=scale,
            size_scale=None if options.size is None else size_scale,
            span_ms=self.span,
            bars={period: tables[period].num_rows for period in sorted(options.periods)},
        )


class BuiltBars:
    """Holds finished bars; each frame is laid out when it is asked for, and then forgotten."""

    def __init__(
        self,
        options: BuildOptions,
        query: Query,
        source: SessionSource,
        tables: dict[Period, pa.Table],
        report: BuildReport,
    ) -> None:
        self._options, self._query, self._source, self._tables = options, query, source, tables
        self.report = report
        self.schema = bar_columns(query, scale=report.scale, size_scale=report.size_scale or 0)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the bars of each frame, the shortest first, sorted by key and bucket start."""
        until = self._options.now_ms - self._options.grace_ms
        for period in sorted(self._tables):
            table = self._tables.pop(period)
            final = final_bars(table, period, self._query, self._source, until)
            yield laid_out(table, period, final, self.schema)


def _look_ahead(parts: Iterator[Part]) -> list[Part]:
    seen, rows = [], 0
    while rows < LOOK_AHEAD and (part := next(parts, None)) is not None:
        seen.append(part)
        rows += part.rows.num_rows
    return seen


def _digits(given: int | None, column: str | None, ahead: list[Part]) -> int:
    if given is not None or column is None:
        return given or 0
    return scale_of(part.rows.column(column) for part in ahead)
