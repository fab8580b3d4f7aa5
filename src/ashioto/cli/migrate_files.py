"""What the commands that read files of bars have in common: the mapping, the clock, how far they are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ashioto.clock import Clock
    from ashioto.dsl.bar import BarBinding
    from ashioto.log.base import Log
    from ashioto.migration.mapping import BarMap


def mapping_of(binding: BarBinding, name: str | None, key: Sequence[str], root: Path) -> BarMap:
    """Return the mapping of `--map` and `--key`; without either, columns keep their names.

    Args:
        binding: Of the bars.
        name: `--map`: a name of the project's, or a file.
        key: `--key` options.
        root: Folder of the project.

    Raises:
        UsageError: There is no such mapping, or a key column is unknown.
        ConfigError: The mapping says something that is not known.
    """
    from ashioto.cli.project import pairs
    from ashioto.migration.mapping import BarMap, find_map, load_map
    from ashioto.migration.reading import key_constants

    found = BarMap() if name is None else load_map(find_map(name, root))
    return key_constants(binding, pairs(key, option="--key"), found)


def market_clock(log: Log) -> Clock:
    """Return what says which buckets are over: the machine, or the replay that was announced, which is left as it is.

    Args:
        log: Where a replay is announced.
    """
    from ashioto.cli.replay import reached
    from ashioto.clock import ReplayClock, SystemClock

    base = SystemClock()
    market = reached(log, base)
    return base if market is None else ReplayClock(base=base, event_ms=market, anchor_ms=base.now_ms(), speed=1.0)


@contextmanager
def reading_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how much of some files has been read, where somebody watches; takes the bytes so far.

    >>> with reading_bar("adding bars", 10) as told:
    ...     told(10)
    """
    from ashioto.cli.output import file_progress

    with file_progress() as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
