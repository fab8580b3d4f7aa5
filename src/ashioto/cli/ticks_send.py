"""`rc ticks send`: ticks from files, at once or as if they happened now."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from ashioto.clock import Clock
    from ashioto.files.reading import TableFile
    from ashioto.files.rejected import RejectedRow
    from ashioto.files.rows import ColumnSource
    from ashioto.logical.nodes import Entity, Query
    from ashioto.tables import EntitySet

STEP_SECONDS: Final = 0.05
LEAD_MS: Final = 500
"""Real time between the announcement of a replay and its first tick, for `rc dev` to set its clock."""

_SPARE_MS: Final = 1_000


def send(
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files; globs are fine.")],
    *,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Play back so many times as fast as it was.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--map", help="column=column of the file.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, for columns the file has not.")] = None,
    linger: Annotated[
        float | None, typer.Option(min=0, help="Seconds of event time to wait at the end; base bar and grace without.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Where the stream is declared.")] = None,
    entity: Annotated[str | None, typer.Option(help="The stream, e.g. Rate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Send ticks from files into a stream; event times are kept."""
    from ashioto.cli.project import open_project, pairs
    from ashioto.cli.replay import reached
    from ashioto.clock import SystemClock
    from ashioto.files.reading import open_files
    from ashioto.files.rows import ColumnSource

    project = open_project()
    owner = project.context(context)
    stream = project.entity(owner, entity, kind="stream")
    query = project.query_of(owner, stream.__name__)
    plan = None if query is None else query.plan
    source = ColumnSource(columns=pairs(columns or [], option="--map"), constants=pairs(key or [], option="--key"))
    given = open_files(files)
    ticks = FileTicks(stream.__entity__, given, source)
    target = owner.set(stream, log=project.log)
    if speed is None:
        report = send_all(target, ticks, plan, reached(project.log) or SystemClock().now_ms())
    else:
        with _progress([file.path for file in given]) as tell:
            playback = Playback(speed=speed, linger_ms=_linger_ms(linger, plan))
            report = play(target, ticks, playback, SystemClock(), tell)
    ticks.check()
    _tell(target.topic, report, ticks, as_json=as_json)


def _tell(topic: str, report: SendReport, read: FileTicks, *, as_json: bool) -> None:
    from ashioto.cli.output import json_line

    for reason, count in read.rejected.most_common():
        row = read.examples[reason]
        typer.echo(
            f"warning: {count} rows left out: {reason}, first {row.value!r} in row {row.row} of {row.file}", err=True
        )
    for column, count in read.rounded.items():
        typer.echo(f"warning: {count} values of {column} have more digits than the stream keeps, rounded", err=True)
    if report.too_old:
        typer.echo(
            f"warning: {report.too_old} ticks are older than the retention, the engine sends them to {topic}_late\n"
            "Hint: history goes straight into bars: rc bars build",
            err=True,
        )
    rejected = read.rejected.total()
    said = {"topic": topic, "ticks": report.ticks, "too_old": report.too_old, "rejected": rejected}
    left_out = f", left {rejected:,} bad rows out" if rejected else ""
    typer.echo(json_line(said) if as_json else f"sent {report.ticks:,} ticks to {topic}{left_out}")


class FileTicks:
    """Yields the ticks of files as tables; bad rows are left out and counted.

    Args:
        entity: The stream they are sent to.
        files: Where they come from.
        source: Which column is which.

    Raises:
        InputError: A column is missing or of a wrong type.
        UsageError: A constant cannot be read as what it should be.
    """

    def __init__(self, entity: Entity, files: Sequence[TableFile], source: ColumnSource) -> None:
        from ashioto.files.rows import RowReader

        self._files = files
        self._reader = RowReader(entity, source)
        self._wanted = [self._reader.wanted(file) for file in files]
        self._good = 0
        self.rejected: Counter[str] = Counter()
        self.rounded: Counter[str] = Counter()
        self.examples: dict[str, RejectedRow] = {}

    def __iter__(self) -> Iterator[pa.Table]:
        import pyarrow as pa

        for file, wanted in zip(self._files, self._wanted, strict=True):
            for part in file.parts(wanted):
                rows = self._reader.read(part)
                self._good += rows.batch.num_rows
                self.rounded.update(rows.rounded)
                if rows.rejected is not None:
                    self.rejected.update(rows.rejected.counts())
                    self.examples = {**rows.rejected.examples(), **self.examples}
                if rows.batch.num_rows:
                    yield pa.Table.from_batches([rows.batch])

    def check(self) -> None:
        """Raise when there are rows but none can be used.

        Raises:
            InputError: Every row is bad.
        """
        from ashioto.errors import InputError

        if self.rejected and not self._good:
            (reason, count), *_ = self.rejected.most_common(1)
            row = self.examples[reason]
            raise InputError(
                f"no row can be used; {reason} in {count:,}, e.g. {row.value!r} in row {row.row} of {row.file}",
                hint="map another column, or clean the file",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """Says what was sent.

    Args:
        ticks: How many.
        too_old: How many of them no bar takes any more, since they are older than the retention.
    """

    ticks: int
    too_old: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """Says how ticks are played back.

    Args:
        speed: Event seconds a real second.
        linger_ms: Event time to wait after the last tick, so that its bars can end.
    """

    speed: float
    linger_ms: int


def send_all(target: EntitySet[Any], tables: Iterable[pa.Table], query: Query | None, now_ms: int) -> SendReport:
    """Send ticks as fast as the log takes them.

    Args:
        target: The stream.
        tables: The ticks.
        query: What makes bars of them, to tell which ticks are too old.
        now_ms: Where the engine's clock stands, UTC milliseconds.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    at = target.entity.__entity__.timestamp
    oldest = None if query is None else pa.scalar(now_ms - query.retention_ms, pa.int64())
    ticks = too_old = 0
    for table in tables:
        ticks += target.add_range(table)
        if oldest is not None and at is not None:
            too_old += pc.sum(pc.less(pc.cast(table[at], pa.int64()), oldest)).as_py() or 0
    return SendReport(ticks=ticks, too_old=too_old)


def play(
    target: EntitySet[Any],
    tables: Iterable[pa.Table],
    playback: Playback,
    base: Clock,
    tell: Callable[[int, int], None],
) -> SendReport:
    """Send each tick when a replay clock reaches it; the clock is announced before the first, and goes on at real pace.

    Args:
        target: The stream.
        tables: The ticks; all are held in memory and sorted by time.
        playback: How fast.
        base: The clock that really runs.
        tell: Is told how many ticks of how many have been sent.

    Raises:
        UnknownTopicError: A topic was never created.
    """
    import numpy as np
    import pyarrow as pa

    from ashioto.cli.replay import replay
    from ashioto.schema.arrow import int64_view

    at = target.entity.__entity__.timestamp
    parts = [table for table in tables if table.num_rows]
    if not parts or at is None:
        return SendReport(ticks=0)
    ticks = pa.concat_tables(parts).sort_by(at).combine_chunks()
    times = int64_view(ticks[at])
    sent = 0
    with replay(target.log, base, event_ms=int(times[0]), speed=playback.speed, lead_ms=LEAD_MS) as clock:
        while sent < ticks.num_rows:
            until = int(np.searchsorted(times, clock.now_ms(), side="right"))
            if until > sent:
                sent += target.add_range(ticks.slice(sent, until - sent))
                tell(sent, ticks.num_rows)
            if sent < ticks.num_rows:
                wait = (int(times[sent]) - clock.now_ms()) / 1000 / playback.speed
                clock.sleep(max(wait, STEP_SECONDS))
        while clock.now_ms() < int(times[-1]) + playback.linger_ms:
            clock.sleep(STEP_SECONDS)
    return SendReport(ticks=sent)


def _linger_ms(seconds: float | None, query: Query | None) -> int:
    if seconds is not None:
        return int(seconds * 1000)
    if query is None or not query.continuous or not query.base.is_intraday:
        return 0
    return query.base.millis + query.grace_ms + _SPARE_MS


@contextmanager
def _progress(files: list[Path]) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(", ".join(file.name for file in files[:3]), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
