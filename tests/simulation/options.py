"""What a simulation may do: drawn from the seed, or given to look at one thing alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random


@dataclass(frozen=True, kw_only=True)
class Options:
    """Says how large a world is and what goes wrong in it.

    Args:
        contexts: How many contexts there are.
        keys: How many symbols each has.
        heartbeats: How many heartbeat services run.
        engines: How many engine hosts run.
        partitions: Of ticks, heartbeats and bars.
        day_s: How long each of the two trading days is, seconds.
        night_s: How long nothing happens between them, seconds.
        edits: How often schedules are edited.
        changes: How often another definition, or the same again, is applied.
        ticks: About how many seconds lie between two ticks of a key, by ten.
        calls: After about how many calls of the log a process meets a fault; 0 is never.
        clock_ms: How far clocks are off, at most.
        jumps: Whether wall clocks jump.
        max_rows: Most markers of one append.
    """

    contexts: int = 1
    keys: int = 2
    heartbeats: int = 2
    engines: int = 1
    partitions: int = 1
    day_s: int = 18
    night_s: int = 600
    edits: int = 3
    changes: int = 2
    ticks: int = 20
    calls: int = 30
    clock_ms: int = 2_000
    jumps: bool = True
    max_rows: int = 100_000


def drawn(random: Random) -> Options:
    """Return options as a seed has them."""
    return Options(
        contexts=random.choice((1, 1, 2)),
        keys=random.choice((2, 2, 3, 4)),
        heartbeats=random.choice((2, 2, 3)),
        engines=random.choice((1, 1, 2)),
        partitions=random.choice((1, 1, 1, 2)),
        day_s=random.choice((12, 18, 25)),
        night_s=random.choice((0, 30, 600, 32_400)),
        edits=random.choice((0, 1, 3, 6)),
        changes=random.choice((0, 1, 2, 3)),
        ticks=random.choice((10, 20, 40)),
        calls=random.choice((0, 15, 30, 30, 60, 120)),
        clock_ms=random.choice((0, 200, 2_000, 3_500)),
        jumps=random.random() < 0.3,
        max_rows=random.choice((1, 5, 100_000, 100_000)),
    )


def changed(options: Options, texts: Sequence[str]) -> Options:
    """Return options with some changed, as the command line says it.

    >>> changed(Options(), ["keys=4", "jumps=0"]).keys
    4
    """
    known = {field.name: getattr(options, field.name) for field in fields(options)}
    made: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known or not value.isdigit():
            raise ValueError(f"{text}: give NAME=NUMBER with one of {', '.join(known)}")
        made[name] = type(known[name])(int(value))
    return replace(options, **made)


def text_of(options: Options) -> str:
    """Return options as the command line takes them.

    >>> text_of(Options()).split()[0]
    'contexts=1'
    """
    return " ".join(f"{field.name}={int(getattr(options, field.name))}" for field in fields(options))
