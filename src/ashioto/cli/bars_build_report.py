"""What `rc bars build` says when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.cli.bars_build import Targets
    from ashioto.engines.embedded.build.options import BuildReport


def tell(report: BuildReport, targets: Targets, seconds: float, *, as_json: bool) -> None:
    """Print the summary, and warnings on stderr; bars on stdout send it to stderr.

    Args:
        report: What became of the rows.
        targets: Where the bars went.
        seconds: How long it took.
        as_json: For programs.
    """
    from ashioto.cli.output import json_line

    err = targets.out is None
    for warning in warnings(report):
        typer.echo(warning, err=True)
    lines = [json_line(summary(report, targets, seconds))] if as_json else sentences(report, targets, seconds)
    for line in lines:
        typer.echo(line, err=err)


def summary(report: BuildReport, targets: Targets, seconds: float) -> dict[str, Any]:
    """Return what is said, for programs."""
    first, last = (None, None) if report.span_ms is None else map(_moment, report.span_ms)
    return {
        "out": str(targets.out or "-"),
        "rows": report.rows,
        "ticks": report.ticks,
        "out_of_session": report.out_of_session,
        "unknown_key": report.unknown_key,
        "rejected": report.bad,
        "rejected_by_reason": dict(report.rejected),
        "rounded": dict(report.rounded),
        "scale": report.scale,
        "size_scale": report.size_scale,
        "first_at": first,
        "last_at": last,
        "bars": {period.kind: count for period, count in report.bars.items()},
        "seconds": round(seconds, 3),
        "ticks_per_second": round(report.rows / seconds) if seconds else None,
    }


def sentences(report: BuildReport, targets: Targets, seconds: float) -> Iterator[str]:
    """Yield what is said, for people."""
    rate = f", {report.rows / seconds:,.0f} a second" if seconds else ""
    yield f"read            {report.rows:,} ticks in {seconds:,.2f} s{rate}"
    if report.span_ms is not None:
        yield f"from            {_moment(report.span_ms[0])} to {_moment(report.span_ms[1])}"
    yield f"out of session  {report.out_of_session:,}"
    if report.unknown_key:
        yield f"unknown key     {report.unknown_key:,}"
    yield f"rejected        {report.bad:,}"
    for reason, count in report.rejected.items():
        row = report.examples[reason]
        yield f"  {count:,} × {reason}, first {row.value!r} in row {row.row:,} of {row.file}"
    yield "bars            " + ", ".join(f"{period.kind} {count:,}" for period, count in report.bars.items())
    yield f"wrote           {targets.out or 'stdout'}"
    if targets.rejects is not None:
        yield f"rejected rows   {targets.rejects}"


def warnings(report: BuildReport) -> Iterator[str]:
    """Yield what people should look at."""
    for column, count in report.rounded.items():
        yield f"warning: {count:,} values of {column} have more digits than are kept, they were rounded"
    if report.rounded:
        sizes = "" if report.size_scale is None else f", of sizes {report.size_scale} (--size-scale)"
        yield f"Hint: prices have {report.scale} digits after the point (--scale){sizes}"
    if not report.ticks:
        yield "warning: no tick lies in a session\nHint: look at --sessions, --tz and --time-unit"


def _moment(ms: int) -> str:
    from ashioto.schedule.sessions import time_text

    return time_text(ms)
