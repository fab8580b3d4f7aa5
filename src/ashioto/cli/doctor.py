"""`rc doctor`: what is installed, what the project has, and what does not add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from ashioto.cli.doctor_finding import Finding, denied
from ashioto.errors import AshiotoError, LogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.cli.project import Project
    from ashioto.context import Context
    from ashioto.log.base import TopicInfo, TopicSpec
    from ashioto.schedule.sessions import Sessions

LIBRARIES: Final = ("ashioto", "pyarrow", "numpy", "numba", "apsw", "exchange-calendars", "tzdata")
SOON_DAYS: Final = 7
_DAY_MS: Final = 86_400_000
_COUNTERS: Final = {
    "out_of_session": ("were outside the sessions of their key", "rc schedule show"),
    "unknown_key": ("are of keys without a schedule", "rc schedule import ... --key ..."),
    "late": ("came later than the retention", "see the late topic"),
    "rejected": ("could not be used", "see rc.dlq"),
}


def doctor(
    *,
    role: Annotated[
        list[str] | None,
        typer.Option(help="On Kafka: this user plays it, and must have its rights; may be given again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check versions, settings, log, schedule and counters; exit code 1 if something is broken."""
    from ashioto.cli.output import print_rows

    findings = [*versions(), *_project_findings(role or ())]
    print_rows([finding.row() for finding in findings], title="doctor", as_json=as_json)
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)


def versions() -> Iterator[Finding]:
    """Yield what is installed."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield Finding(state="ok", check="python", detail=platform.python_version())
    for name in LIBRARIES:
        try:
            yield Finding(state="ok", check=name, detail=version(name))
        except PackageNotFoundError:
            yield Finding(state="error", check=name, detail="not installed", hint=f"pip install {name}")


def _project_findings(names: Sequence[str]) -> Iterator[Finding]:
    from ashioto.cli.infra_acls import kafka_of
    from ashioto.cli.project import open_project
    from ashioto.deploy.acls import checked
    from ashioto.errors import ConfigError

    roles = checked(names)
    try:
        project = open_project()
    except ConfigError as error:
        state: Literal["warning", "error"] = "warning" if "rc init" in error.hint else "error"
        yield Finding(state=state, check="project", detail=error.message, hint=error.hint)
        return
    except AshiotoError as error:
        yield Finding(state="error", check="log", detail=error.message, hint=error.hint)
        return
    if roles:
        kafka_of(project)
    contexts = ", ".join(context.name for context in project.contexts)
    yield Finding(state="ok", check="project", detail=f"{project.config.file}: {contexts}")
    if project.config.log.kind == "kafka":
        from ashioto.cli.doctor_engine import engine_findings
        from ashioto.cli.doctor_kafka import kafka_findings

        found = kafka_findings(project, roles)
        yield from found
        yield from engine_findings(project)
        if any(finding.state == "error" for finding in found):
            return
    try:
        yield from _log_findings(project, named=bool(roles))
    except LogError as error:
        yield Finding(state="error", check="log", detail=error.message, hint=error.hint)


def _log_findings(project: Project, *, named: bool) -> Iterator[Finding]:
    """Yield how the log is, as far as this user may see; what it may not see is no trouble where it plays a role."""
    unseen: list[str] = []
    looks = [("topics", _topics(project, unseen)), ("clock", _running(project))]
    looks += [(_schedule_of(context), _reach(project, context)) for context in project.contexts]
    for what, found in [*looks, ("counters", _counters(project))]:
        try:
            yield from found
        except LogError as error:
            if not denied(error):
                raise
            unseen.append(what)
    if unseen:
        detail = f"not seen by this user: {', '.join(unseen)}"
        hint = "" if named else "rc doctor --role ... for the user of a role"
        yield Finding(state="ok" if named else "warning", check="log", detail=detail, hint=hint)


def _topics(project: Project, unseen: list[str]) -> Iterator[Finding]:
    from ashioto.deploy.bootstrap import wanted_topics
    from ashioto.errors import UnknownTopicError

    missing, records = [], 0
    for spec in wanted_topics(project.contexts, partitions=project.config.log.partitions, in_sql=project.in_sql):
        try:
            found = project.log.describe(spec.name)
        except UnknownTopicError:
            missing.append(spec.name)
            continue
        except LogError as error:
            if not denied(error):
                raise
            unseen.append(spec.name)
            continue
        records += sum(found.end_offsets.values())
        yield from _topic(spec, found)
    if missing:
        detail = f"not made yet: {', '.join(missing)}"
        yield Finding(state="warning", check="topics", detail=detail, hint="rc infra apply, or rc dev")
    detail = f"{project.config.log.place}: {records:,} records were written"
    yield Finding(state="ok", check="log", detail=detail)


def _topic(wanted: TopicSpec, found: TopicInfo) -> Iterator[Finding]:
    """Say in what a topic is not as declared."""
    if found.drift:
        detail = f"is not set as declared: {'; '.join(found.drift)}"
        yield Finding(state="warning", check=wanted.name, detail=detail, hint="rc infra apply")
    there = found.spec.partitions
    if there != wanted.partitions:
        detail = f"has {there} partitions, not {wanted.partitions} as log.partitions says"
        yield Finding(state="warning", check=wanted.name, detail=detail, hint="rc infra plan says what can be done")
    if found.spec.schema != wanted.schema:
        detail = "the log holds other columns than are declared"
        yield Finding(state="error", check=wanted.name, detail=detail, hint="rc infra plan says what can be done")


def _running(project: Project) -> Iterator[Finding]:
    """Say whether `rc dev` runs, and by which clock when it is not that of the wall."""
    from ashioto.cli.dev_lock import running
    from ashioto.cli.replay import reached
    from ashioto.schedule.sessions import time_text

    process = running(project.config.log.local)
    yield Finding(state="ok", check="rc dev", detail=f"runs as process {process}" if process else "does not run")
    market = reached(project.log)
    if market is not None:
        detail = f"that of a replay, at {time_text(market)}"
        yield Finding(state="ok", check="clock", detail=detail, hint="rc dev --wall returns to today")


def _reach(project: Project, context: Context) -> Iterator[Finding]:
    from ashioto.cli.replay import reached
    from ashioto.clock import SystemClock
    from ashioto.errors import UnknownTopicError, UsageError
    from ashioto.schedule.sessions import time_text

    check, hint = _schedule_of(context), "rc schedule import ..."
    try:
        keys = _sessions(project, context)
    except UsageError:
        return
    except UnknownTopicError:
        keys = {}
    except AshiotoError as error:
        if isinstance(error, LogError) and denied(error):
            raise
        yield Finding(state="error", check=check, detail=error.message, hint=error.hint)
        return
    if not keys:
        yield Finding(state="warning", check=check, detail="no sessions, so no bars", hint=hint)
        return
    ends = {key: int(sessions.closes[-1]) for key, sessions in keys.items()}
    first = min(ends, key=lambda key: ends[key])
    market = reached(project.log)
    today = SystemClock().now_ms() if market is None else market
    soon = ends[first] < today + SOON_DAYS * _DAY_MS
    detail = f"{len(keys)} keys; the first to end is {' '.join(first)} at {time_text(ends[first])}"
    yield Finding(state="warning" if soon else "ok", check=check, detail=detail, hint=hint if soon else "")


def _schedule_of(context: Context) -> str:
    return f"schedule of {context.name}"


def _sessions(project: Project, context: Context) -> dict[tuple[str, ...], Sessions]:
    """Return the sessions of each key.

    Raises:
        UsageError: No query has a schedule of its own rows.
    """
    from ashioto.schema.sessions import sessions_by_key

    frame = project.schedule(context)
    rows = context.set(context.entities[frame.schedule.name], log=project.log).read()
    return sessions_by_key(frame, rows)


def _counters(project: Project) -> Iterator[Finding]:
    from ashioto import keys
    from ashioto.engines.embedded.topics import OFFSETS
    from ashioto.errors import UnknownTopicError

    try:
        page = project.log.view(OFFSETS)
    except UnknownTopicError:
        return
    for key, row in zip(page.keys, page.data.to_pylist(), strict=True):
        name = ".".join(keys.decode(key)[2:4])
        if row["problem"]:
            yield Finding(state="error", check=name, detail=f"does not run: {row['problem']}")
        if row["source_offset"] < 0:
            continue
        yield Finding(state="ok", check=name, detail=f"{row['ticks']:,} ticks counted")
        for counter, (meaning, hint) in _COUNTERS.items():
            if row[counter]:
                yield Finding(state="warning", check=name, detail=f"{row[counter]:,} ticks {meaning}", hint=hint)
