"""What the commands `rc migrate …` share that read ticks: which ticks, which query, where, and what is shown."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from ashioto.cli.project import Project
    from ashioto.logical.nodes import Query
    from ashioto.migration.running import Place
    from ashioto.migration.taken import TickCounts, TickSource, Watching


def query_of(project: Project, name: str | None, context: str | None) -> Query:
    """Return the plan of a query by its name; without one, the only one.

    Raises:
        UsageError: There is no such query, or several and none was named.
    """
    from ashioto.errors import UsageError

    owners = list(project.contexts) if context is None else [project.context(context)]
    known = [(owner.name, query) for owner in owners for query in owner.queries.values()]
    found = [(owner, query) for owner, query in known if name is None or query.plan.name == name]
    if len(found) == 1:
        return found[0][1].plan
    names = " or ".join(sorted({query.plan.name for _, query in known})) or "(none declared)"
    if not found:
        raise UsageError(f"no query {name!r}" if name else "no query is declared", hint=f"--query {names}")
    if name is None:
        raise UsageError(f"there are {len(found)} queries", hint=f"--query {names}")
    raise UsageError(f"several contexts have a query {name!r}", hint=f"--context {' or '.join(o for o, _ in found)}")


def place_of(project: Project) -> Place:
    """Return where migrations of a project take place.

    Raises:
        UnsupportedError: Its log keeps no leases.
    """
    from ashioto.cli.infra_target import deploy_log
    from ashioto.cli.replay import reached
    from ashioto.clock import SystemClock
    from ashioto.migration.running import Place

    clock, settings = SystemClock(), project.config.project
    now = reached(project.log, clock)
    return Place(
        log=deploy_log(project.log), env=(settings.env, settings.cluster), clock=clock,
        now_ms=clock.now_ms() if now is None else now,
    )  # fmt: skip


def source_of(
    files: Sequence[str],
    *,
    columns: Sequence[str] | None,
    key: Sequence[str] | None,
    span: tuple[str | None, str | None],
    threads: int,
) -> TickSource:
    """Return which ticks are meant.

    Args:
        files: Names and globs.
        columns: What `--map` says.
        key: What `--key` says.
        span: What `--from` and `--to` say.
        threads: How many threads fold.

    Raises:
        InputError: A file is missing, empty, or neither Parquet nor CSV.
        UsageError: A time is none, or nothing lies between both.
    """
    from ashioto.cli.project import pairs, time_range
    from ashioto.files.reading import open_files
    from ashioto.files.rows import ColumnSource
    from ashioto.migration.taken import TickSource

    first, last = (None if at is None else round(at.timestamp() * 1000) for at in time_range(*span))
    return TickSource(
        files=tuple(open_files(files)),
        source=ColumnSource(columns=pairs(columns or [], option="--map"), constants=pairs(key or [], option="--key")),
        start_ms=first,
        end_ms=last,
        threads=threads,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Is told how a migration gets on, and shows it.

    Args:
        watching: Is told of the reading and of bad rows.
        wrote: Is told how much of how much has been written.
        asking: Makes room for a question while it lasts.
    """

    watching: Watching
    wrote: Callable[[int, int], None]
    asking: Callable[[], AbstractContextManager[None]]


@contextmanager
def watching(source: TickSource, rejects: Path | None) -> Iterator[Shown]:
    """Show how the reading and the writing get on, and list bad rows.

    Args:
        source: The files that are read.
        rejects: Where bad rows are listed; None means nowhere.

    Raises:
        UsageError: The list is one of the files to read.
    """
    from contextlib import ExitStack

    from ashioto.cli.output import file_progress
    from ashioto.errors import UsageError
    from ashioto.files.rejected import REJECTS
    from ashioto.files.writing import TableWriter, check_target
    from ashioto.migration.taken import Watching

    if rejects is not None and check_target(rejects).resolve() in {file.path.resolve() for file in source.files}:
        raise UsageError(f"--rejects {rejects} is one of the files to read", hint="name another file")
    with ExitStack() as until:
        progress = until.enter_context(file_progress())
        writer = None if rejects is None else until.enter_context(TableWriter(rejects, REJECTS))
        reading, writing = progress.add_task("reading", total=None), progress.add_task("bars", total=None)

        def read(done: int, total: int, rows: int) -> None:
            progress.update(reading, completed=done, total=total, description=f"{rows:,} rows")

        def rejected(table: pa.Table) -> None:
            if writer is not None:
                writer.write(table)

        @contextmanager
        def asking() -> Iterator[None]:
            progress.stop()
            try:
                yield
            finally:
                progress.start()

        yield Shown(
            watching=Watching(read=read, rejected=rejected),
            wrote=lambda done, total: progress.update(writing, completed=done, total=total),
            asking=asking,
        )


def tell_ticks(ticks: TickCounts) -> Iterator[str]:
    """Yield what people should know of the rows that were read."""
    yield f"read            {ticks.rows:,} rows, {ticks.taken:,} ticks taken"
    if ticks.outside:
        yield f"outside         {ticks.outside:,} before --from or after --to"
    if ticks.in_stream:
        yield f"in the stream   {ticks.in_stream:,} from where the stream has them on, not taken"
    if ticks.filtered:
        yield f"filtered        {ticks.filtered:,} left out by the query"
    if ticks.out_of_session:
        yield f"out of session  {ticks.out_of_session:,}"
    if ticks.unknown_key:
        yield f"unknown key     {ticks.unknown_key:,} of keys without a schedule"
    for reason, count in ticks.rejected.most_common():
        row = ticks.examples[reason]
        yield f"rejected        {count:,} × {reason}, first {row.value!r} in row {row.row:,} of {row.file}"
    for column, count in ticks.rounded.items():
        yield f"rounded         {count:,} values of {column} have more digits than the stream keeps"


def ticks_json(ticks: TickCounts) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "rows": ticks.rows,
        "ticks": ticks.taken,
        "outside": ticks.outside,
        "in_stream": ticks.in_stream,
        "filtered": ticks.filtered,
        "out_of_session": ticks.out_of_session,
        "unknown_key": ticks.unknown_key,
        "rejected": dict(ticks.rejected),
        "rounded": dict(ticks.rounded),
    }
