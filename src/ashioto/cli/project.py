"""What commands need of a project: its settings, its contexts, its log, and what options name in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ashioto.errors import AshiotoError, ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ashioto.config import Config
    from ashioto.context import Context
    from ashioto.dsl import Bar, BarQuery, Record
    from ashioto.log.base import Log
    from ashioto.logical.nodes import TimeFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Holds an opened project.

    Args:
        config: Its settings.
        contexts: What it declares.
        log: Where its records live.
    """

    config: Config
    contexts: Sequence[Context]
    log: Log

    def context(self, name: str | None) -> Context:
        """Return the context of a name; without one, the only one.

        Raises:
            UsageError: There is no such context, or several and none was named.
        """
        known = {context.name: context for context in self.contexts}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name is None or name not in known:
            problem = "several contexts" if name is None else f"no context {name!r}"
            raise UsageError(f"{self.config.file}: {problem}", hint=f"--context {' or '.join(known)}")
        return known[name]

    def entity(self, context: Context, name: str | None, *, kind: str) -> type[Record]:
        """Return the stream or table of a class name; without one, the only one.

        Raises:
            UsageError: There is no such entity, or several and none was named.
        """
        known = {n: e for n, e in context.entities.items() if e.__entity__.kind == kind}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name is None or name not in known:
            problem = f"{len(known)} {kind}s" if name is None else f"no {kind} {name!r}"
            raise UsageError(
                f"{context.name} has {problem}", hint=f"--entity {' or '.join(known) or '(none declared)'}"
            )
        return known[name]

    def bars(self, names: Sequence[str], context: str | None = None) -> list[tuple[Context, type[Bar]]]:
        """Return the classes of bars of these names; every one when there are no names.

        Raises:
            UsageError: A name is unknown, or that of bars in several contexts; names those there are.
        """
        chosen = self.contexts if context is None else [self.context(context)]
        known: dict[str, list[tuple[Context, type[Bar]]]] = {}
        for owner in chosen:
            for query in owner.queries.values():
                for period in query.frames:
                    kind = query.bar(period)
                    known.setdefault(kind.__name__, []).append((owner, kind))
        if not names:
            return [one for found in known.values() for one in found]
        for name in names:
            if name not in known:
                raise UsageError(f"no bars {name!r}", hint=f"there are {', '.join(known) or 'none'}")
            owners = [owner.name for owner, _ in known[name]]
            if len(owners) > 1:
                raise UsageError(f"several contexts have bars {name!r}", hint=f"--context {' or '.join(owners)}")
        return [known[name][0] for name in names]

    def schedule(self, context: Context) -> TimeFrame:
        """Return how the context's queries read their schedule.

        Raises:
            UsageError: No query has a schedule of its own rows.
        """
        from ashioto.logical.schedules import is_always_open

        for query in context.queries.values():
            if query.plan.time_frame is not None and not is_always_open(query.plan.time_frame):
                return query.plan.time_frame
        raise UsageError(f"no query of {context.name} has a schedule with rows", hint="see .time_frame(...)")

    @property
    def in_sql(self) -> bool:
        """Whether its engine is told what to do in SQL, so that schedules have an index."""
        from ashioto.engines.base import SQL_ENGINES

        return self.config.engine.kind in SQL_ENGINES

    def query_of(self, context: Context, entity: str) -> BarQuery | None:
        """Return the first query over an entity, or None."""
        return next((q for q in context.queries.values() if q.plan.entity.name == entity), None)


def open_project() -> Project:
    """Open the project around the working directory.

    Raises:
        ConfigError: There is none, or its settings are wrong.
        LogError: Its log cannot be used.
    """
    from ashioto.config import load_config
    from ashioto.log.opening import open_log

    config = load_config()
    return Project(config=config, contexts=declared(config), log=open_log(config))


def declared(config: Config) -> list[Context]:
    """Import what a project declares.

    Args:
        config: Its settings.

    Raises:
        ConfigError: A module is missing, or raises an error; names its line.
    """
    from ashioto.context import load_contexts

    try:
        return load_contexts(config)
    except ConfigError:
        raise
    except Exception as error:
        place, line = _place(config.root, error)
        if isinstance(error, AshiotoError):
            raise ConfigError(f"{place}: {error.message}", hint=error.hint or line) from error
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigError(f"{place}: {type(error).__name__}: {what}", hint=f"look at: {line}") from error


def _place(root: Path, error: Exception) -> tuple[str, str]:
    """Return the last line of the project's own files that an error passed through, and its text."""
    from traceback import extract_tb

    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}", (error.text or "").strip()
    frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return (f"{frames[-1].filename}:{frames[-1].lineno}", frames[-1].line or "") if frames else (str(root), "")


def pairs(texts: Sequence[str], *, option: str) -> dict[str, str]:
    """Return `name=value` options as a mapping.

    Raises:
        UsageError: One has no `=`.

    >>> pairs(["symbol=EURUSD"], option="--key")
    {'symbol': 'EURUSD'}
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"{option} {text}: no name=value", hint=f"e.g. {option} symbol=EURUSD")
        found[name.strip()] = value
    return found


def moment(text: str | None, *, option: str) -> datetime | None:
    """Return an ISO date or time in UTC; without a zone it is taken as UTC.

    Raises:
        UsageError: It is neither.

    >>> moment("2025-01-06", option="--from")
    datetime.datetime(2025, 1, 6, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: no time", hint="ISO 8601: 2025-01-06 or 2025-01-06T09:30:00Z") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def time_range(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the moments of `--from` and `--to`.

    Raises:
        UsageError: One is no time, or nothing lies between them.

    >>> time_range(None, "2025-01-06")
    (None, datetime.datetime(2025, 1, 6, 0, 0, tzinfo=datetime.timezone.utc))
    """
    first, last = moment(start, option="--from"), moment(end, option="--to")
    if first is not None and last is not None and last <= first:
        raise UsageError(f"nothing lies between --from {start} and --to {end}", hint="--to is later, and not included")
    return first, last


def day_range(start: str | None, end: str | None) -> tuple[date | None, date | None]:
    """Return the dates of `--from` and `--to`.

    Raises:
        UsageError: One is no date, or the last lies before the first.

    >>> day_range("2025-01-06", None)
    (datetime.date(2025, 1, 6), None)
    """
    first, last = (
        found.date() if (found := moment(text, option=option)) else None
        for text, option in ((start, "--from"), (end, "--to"))
    )
    if first is not None and last is not None and last < first:
        raise UsageError(f"--to {end} lies before --from {start}", hint="turn them round")
    return first, last
