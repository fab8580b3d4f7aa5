"""`rc schedule show`: a week of sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ashioto.schedule.sessions import Sessions

_DAY: Final = timedelta(days=1)
_MINUTE_MS: Final = 60_000


def show(
    source: Annotated[
        str | None, typer.Argument(help="A file, or a calendar such as XNYS; without, the project's schedule.")
    ] = None,
    *,
    week: Annotated[str | None, typer.Option(help="Any date of the week, e.g. 2025-01-06; this week without.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="column=value: only these.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the schedule is declared.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the sessions of a week, times in UTC; keys with equal weeks stand together."""
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import moment, pairs
    from ashioto.cli.schedule_source import load_schedule
    from ashioto.clock import SystemClock
    from ashioto.errors import InputError

    said = moment(week, option="--week")
    today = (said or datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)).date()
    monday = today - today.weekday() * _DAY
    names, found = load_schedule(source, pairs(key or [], option="--key"), context, monday, monday + 6 * _DAY)
    if key and not found:
        raise InputError(f"the schedule has no sessions of {' '.join(key)}", hint="rc schedule check lists its keys")
    if said is None:
        monday = nearest_week(found, monday)
    rows = week_rows(found, monday)
    title = f"week of {monday.isoformat()}, by {', '.join(names)}" if names else f"week of {monday.isoformat()}"
    print_rows(rows, title=title, as_json=as_json, empty=f"no sessions in the week of {monday.isoformat()}")


def nearest_week(found: Mapping[tuple[str, ...], Sessions], monday: date) -> date:
    """Return the Monday of a week with sessions: the one asked for, else the last before it, else the first after."""
    days = sorted({int(day) for sessions in found.values() for day in sessions.days.tolist()})
    epoch = date(1970, 1, 1)
    mondays = sorted({(at := epoch + day * _DAY) - at.weekday() * _DAY for day in days})
    before = [one for one in mondays if one <= monday]
    return before[-1] if before else (mondays[0] if mondays else monday)


def week_rows(found: Mapping[tuple[str, ...], Sessions], monday: date) -> list[dict[str, object]]:
    """Return the sessions of the week that begins on a Monday, by market date; one block for each different week."""
    import numpy as np

    from ashioto.schedule.sessions import Sessions

    first = (monday - date(1970, 1, 1)).days
    blocks: dict[Sessions, list[str]] = {}
    for key, sessions in found.items():
        chosen = np.flatnonzero((sessions.days >= first) & (sessions.days < first + 7))
        part = Sessions(sessions.opens[chosen], sessions.closes[chosen], sessions.days[chosen])
        if len(part):
            blocks.setdefault(part, []).append(" ".join(key))
    return [row for part, keys in blocks.items() for row in _block(keys, part)]


def _block(keys: list[str], sessions: Sessions) -> list[dict[str, object]]:
    whose = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return [
        {
            "keys": whose,
            "market_date": session.market_date,
            "day": session.market_date.strftime("%a"),
            "open": _time(session.open_ms),
            "close": _time(session.close_ms),
            "length": _length(session.close_ms - session.open_ms),
        }
        for session in sessions
    ]


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _length(ms: int) -> str:
    hours, minutes = divmod(ms // _MINUTE_MS, 60)
    return f"{hours}h{minutes:02d}"
