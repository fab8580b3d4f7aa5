"""`rc ticks simulate`: a random walk for every key of the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from ashioto.cli.project import Project
    from ashioto.clock import Clock
    from ashioto.context import Context
    from ashioto.logical.nodes import TimeFrame
    from ashioto.schedule.sessions import Sessions
    from ashioto.tables import EntitySet
    from ashioto.testing.ticks import TickSimulator

STEP_SECONDS: Final = 0.1
MOST_MS: Final = 600_000
"""Ticks are made up for no longer stretch than this at once: the clock was set, or the machine slept."""


def simulate(
    *,
    rate: Annotated[float, typer.Option(min=0.001, help="Ticks a second of each key, on average.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal prices.")] = 1,
    symbols: Annotated[
        list[str] | None, typer.Option(help="Only keys with this part, e.g. USDJPY; may be given again.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long; without, at ^C.")] = None,
    context: Annotated[str | None, typer.Option(help="Where the stream is declared.")] = None,
    entity: Annotated[str | None, typer.Option(help="The stream, e.g. Rate.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Send simulated ticks stamped with the current time, for every key of the schedule that is open."""
    from ashioto.cli.output import json_line
    from ashioto.cli.project import open_project
    from ashioto.cli.replay import SharedClock
    from ashioto.clock import SystemClock
    from ashioto.schedule.sessions import time_text
    from ashioto.testing.ticks import SimulationOptions, TickSimulator

    project = open_project()
    owner = project.context(context)
    stream = project.entity(owner, entity, kind="stream")
    markets = _markets(project, owner, stream.__name__, symbols or [])
    simulator = TickSimulator(stream.__entity__, list(markets), SimulationOptions(rate=rate, seed=seed))
    target = owner.set(stream, log=project.log)
    clock = SharedClock(project.log, SystemClock())
    trading = int(open_now(markets.values(), clock.now_ms()).sum())
    typer.echo(
        f"{len(markets)} keys, {trading} of them open now ({time_text(clock.now_ms())}), "
        f"{rate:g} ticks a second each, into {target.topic}; ^C stops",
        err=True,
    )
    sent = run(target, simulator, clock, seconds, list(markets.values()))
    row = {"topic": target.topic, "keys": len(markets), "ticks": sent}
    typer.echo(json_line(row) if as_json else f"sent {sent:,} ticks to {target.topic}")


def run(
    target: EntitySet[Any],
    simulator: TickSimulator,
    clock: Clock,
    seconds: float | None,
    markets: Sequence[Sessions | None],
) -> int:
    """Send ticks of the open markets as time passes, and return how many.

    Args:
        target: The stream.
        simulator: Makes them.
        clock: Stamps them.
        seconds: How long, real time; None until interrupted.
        markets: Sessions of each of the simulator's keys; None is always open.
    """
    sent = 0
    end = None if seconds is None else clock.monotonic() + seconds
    before = clock.now_ms()
    while end is None or clock.monotonic() < end:
        try:
            clock.sleep(STEP_SECONDS)
            now = clock.now_ms()
            if 0 <= now - before <= MOST_MS:
                sent += target.add_range(simulator.batch(before, now, trading=open_now(markets, now)))
        except KeyboardInterrupt:
            break
        before = now
    return sent


def open_now(markets: Iterable[Sessions | None], now_ms: int) -> npt.NDArray[np.bool_]:
    """Return which markets are in a session.

    >>> open_now([None], 0).tolist()
    [True]
    """
    import numpy as np

    now = np.array([now_ms])
    return np.array([one is None or bool(one.index_of(now)[0] >= 0) for one in markets], dtype=np.bool_)


def _markets(
    project: Project, context: Context, stream: str, symbols: Sequence[str]
) -> dict[tuple[str, ...], Sessions | None]:
    from ashioto.errors import UsageError
    from ashioto.logical.schedules import is_always_open

    query = project.query_of(context, stream)
    frame = None if query is None else query.plan.time_frame
    names = context.entities[stream].__entity__.keys
    if frame is None or is_always_open(frame):
        if not symbols or len(names) != 1:
            raise UsageError(f"nothing says which keys of {stream} to simulate", hint="--symbols BTCUSD --symbols ...")
        return {(symbol,): None for symbol in symbols}
    if set(names) != {mine for mine, _ in frame.join}:
        raise UsageError(f"the schedule does not name whole keys of {stream}", hint="simulate with simulate_ticks(...)")
    found = _scheduled(project, context, frame, names)
    chosen = {key: sessions for key, sessions in found.items() if not symbols or set(symbols) & set(key)}
    if not chosen and found:
        raise UsageError(
            f"the schedule {frame.schedule.name} has no {' or '.join(symbols)}",
            hint=f"there are {', '.join(' '.join(key) for key in sorted(found)[:5])}{', ...' * (len(found) > 5)}",
        )
    if not chosen:
        options = " ".join(f"--key {name}=..." for name in names)
        raise UsageError(
            f"the schedule {frame.schedule.name} has no keys yet",
            hint=f"e.g. rc schedule import 24x7 --from 2025-01-01 --to 2027-12-31 {options}",
        )
    return chosen


def _scheduled(
    project: Project, context: Context, frame: TimeFrame, names: Sequence[str]
) -> dict[tuple[str, ...], Sessions | None]:
    from ashioto.schema.sessions import sessions_by_key

    schedule = context.set(context.entities[frame.schedule.name], log=project.log)
    place = {mine: at for at, (mine, _) in enumerate(frame.join)}
    found = sessions_by_key(frame, schedule.read())
    return {tuple(key[place[name]] for name in names): sessions for key, sessions in found.items()}
