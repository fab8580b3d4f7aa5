"""`rc bars build`: bars of the user's own files, without a project."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from ashioto.engines.embedded.build.options import BuildOptions
    from ashioto.engines.embedded.build.run import BuiltBars
    from ashioto.files.rejected import Rejected

Align = Literal["clock", "session"]
Unit = Literal["s", "ms", "us", "ns"]
STDOUT = "-"


def build(
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files of ticks, sorted or not; globs are fine.")],
    *,
    period: Annotated[str, typer.Option(help="Lengths of the bars, e.g. 1m,5m,1h,1d; all must fit the smallest.")],
    time: Annotated[str, typer.Option(help="Column of the event time.")],
    price: Annotated[str, typer.Option(help="Column of the price.")],
    out: Annotated[str, typer.Option(help="BARS.parquet, BARS.csv, or - for CSV on stdout.")],
    size: Annotated[str | None, typer.Option(help="Column of the size; without it the volume is 0.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value, the same for all ticks.")] = None,
    key_column: Annotated[
        list[str] | None, typer.Option(help="Column whose values are keys, e.g. symbol; name=column renames it.")
    ] = None,
    sessions: Annotated[str, typer.Option(help="24x7, fx, an exchange such as XNYS, or a schedule file.")] = "24x7",
    align: Annotated[Align, typer.Option(help="What bars of seconds to hours count from.")] = "clock",
    scale: Annotated[
        int | None, typer.Option(min=0, max=18, help="Digits of prices after the point; else found.")
    ] = None,
    size_scale: Annotated[int | None, typer.Option(min=0, max=18, help="The same for sizes.")] = None,
    fill: Annotated[bool, typer.Option(help="Whether buckets without ticks get flat bars.")] = True,
    now: Annotated[str | None, typer.Option(help="The time, ISO, that says which bars are final.")] = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds a bar waits after its end until it is final.")] = 0.0,
    time_unit: Annotated[
        Unit | None, typer.Option(help="Unit of times that are numbers; else told by the first.")
    ] = None,
    tz: Annotated[str, typer.Option(help="Time zone of times that name none.")] = "UTC",
    rejects: Annotated[Path | None, typer.Option(help="Where to list bad rows, .csv or .parquet.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that fold ticks.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Summary for programs.")] = False,
) -> None:
    """Build bars from files of ticks, without a project.

    Bars have the key columns, then period, bucket_start, bucket_end, market_date, open, high, low, close, volume,
    ticks, final, synthetic, first_at and last_at; the shortest period comes first, then they go by key and time.
    """
    from ashioto.cli.bars_build_report import tell
    from ashioto.cli.project import moment
    from ashioto.clock import SystemClock
    from ashioto.engines.embedded.build.options import BuildOptions
    from ashioto.engines.embedded.build.run import FileBuild
    from ashioto.period import Period

    clock = SystemClock()
    begun = clock.monotonic()
    at = moment(now, option="--now")
    options = BuildOptions(
        files=tuple(files),
        periods=tuple(Period.parse(one) for one in period.split(",")),
        time=time,
        price=price,
        size=size,
        keys=_pairs(key or [], option="--key"),
        key_columns=_pairs([one if "=" in one else f"{one}={one}" for one in key_column or []], option="--key-column"),
        sessions=sessions,
        align=align,
        scale=scale,
        size_scale=size_scale,
        fill=fill,
        now_ms=clock.now_ms() if at is None else round(at.timestamp() * 1000),
        grace_ms=round(grace * 1000),
        time_unit=time_unit,
        zone=tz,
        threads=threads,
    )
    targets = Targets(out=None if out == STDOUT else Path(out), rejects=rejects)
    targets.check(options)
    with ExitStack() as until:
        screen = Screen(until, targets)
        built = FileBuild(options, screen).run()
        screen.write(built, targets.out or typer.get_binary_stream("stdout"))
    tell(built.report, targets, clock.monotonic() - begun, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Says where the results go.

    Args:
        out: File of the bars; None is stdout.
        rejects: File of the bad rows; None is nowhere.
    """

    out: Path | None
    rejects: Path | None

    def check(self, options: BuildOptions) -> None:
        """Raise unless both can be written without harm.

        Raises:
            UsageError: One is an input, both are the same, or one is neither .parquet nor .csv.
            InputError: A folder is not there.
        """
        from ashioto.errors import UsageError
        from ashioto.files.reading import expand
        from ashioto.files.schedules import is_file
        from ashioto.files.writing import check_target

        read = {file.resolve() for file in expand(options.files)}
        if is_file(options.sessions):
            read |= {file.resolve() for file in expand([options.sessions])}
        named = {"--out": self.out, "--rejects": self.rejects}
        for option, target in named.items():
            if target is not None and check_target(target).resolve() in read:
                raise UsageError(f"{option} {target} is one of the files to read", hint="name another file")
        if self.out is not None and self.rejects is not None and self.out.resolve() == self.rejects.resolve():
            raise UsageError(f"--out and --rejects are both {self.out}", hint="name two files")


class Screen:
    """Shows how a build gets on, and writes bad rows as they are met.

    Args:
        until: Closes what was opened.
        targets: Where results go.
    """

    def __init__(self, until: ExitStack, targets: Targets) -> None:
        from ashioto.cli.output import file_progress
        from ashioto.files.rejected import REJECTS
        from ashioto.files.writing import TableWriter

        self._progress = until.enter_context(file_progress())
        self._task = self._progress.add_task("reading", total=None)
        self._rejects = targets.rejects and until.enter_context(TableWriter(targets.rejects, REJECTS))

    def read(self, done: int, total: int, rows: int) -> None:
        """Show how much has been read."""
        self._progress.update(self._task, completed=done, total=total, description=f"{rows:,} ticks")

    def rejected(self, rows: Rejected) -> None:
        """Write bad rows."""
        if self._rejects:
            self._rejects.write(rows.to_table())

    def write(self, built: BuiltBars, target: Path | BinaryIO) -> None:
        """Write the bars, frame by frame."""
        from ashioto.files.writing import TableWriter

        total, done = sum(built.report.bars.values()), 0
        with TableWriter(target, built.schema) as writer:
            for table in built.tables():
                self._progress.update(self._task, completed=done, total=total, description="writing bars")
                writer.write(table)
                done += table.num_rows


def _pairs(texts: Sequence[str], *, option: str) -> dict[str, str]:
    from ashioto.cli.project import pairs
    from ashioto.errors import UsageError

    found = pairs(texts, option=option)
    if len(found) < len(texts):
        raise UsageError(f"{option} names a column twice: {', '.join(texts)}", hint="name each column once")
    return found
