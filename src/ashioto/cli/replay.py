"""The clock that replays announce, so that a running `rc dev` follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ashioto.clock import Clock, ReplayClock
    from ashioto.log.base import Log


def announce(log: Log, base: Clock, *, event_ms: int, speed: float, lead_ms: int = 0) -> ReplayClock:
    """Start a replay clock and write it to `rc.dev.clock`.

    Args:
        log: Where the topic is.
        base: The clock that really runs.
        event_ms: What the replay clock reads after the lead, UTC milliseconds.
        speed: Event milliseconds a real millisecond.
        lead_ms: Real time for others to set their clocks before `event_ms` comes.

    Raises:
        UnknownTopicError: The topic was never created.
    """
    import numpy as np
    import pyarrow as pa

    from ashioto import keys
    from ashioto.clock import ReplayClock
    from ashioto.engines.embedded.topics import CLOCK_SCHEMA, DEV_CLOCK
    from ashioto.errors import UnknownTopicError
    from ashioto.log.base import Batch

    wall = base.now_ms() + lead_ms
    row = {"event_ms": [event_ms], "wall_ms": [wall], "speed": [speed]}
    batch = Batch(
        topic=DEV_CLOCK,
        partition=0,
        keys=pa.array([keys.encode(["clock"])], pa.binary()),
        timestamps=np.array([wall], dtype=np.int64),
        data=pa.RecordBatch.from_pydict(row, schema=CLOCK_SCHEMA),
    )
    try:
        log.append([batch])
    except UnknownTopicError as error:
        raise UnknownTopicError(
            f"the topic {DEV_CLOCK} does not exist yet", hint="start `rc dev` first, in another terminal"
        ) from error
    return ReplayClock(base=base, event_ms=event_ms, anchor_ms=wall, speed=speed)


def reached(log: Log) -> int | None:
    """Return where the last replay stood, UTC milliseconds, or None when nothing was ever played back.

    That is the newest time the engine has worked off, or else the start of the replay.
    """
    from ashioto.engines.embedded.topics import DEV_CLOCK, OFFSETS
    from ashioto.errors import UnknownTopicError

    try:
        clocks = log.view(DEV_CLOCK).data.to_pylist()
        worked = log.view(OFFSETS).data.to_pylist()
    except UnknownTopicError:
        return None
    if not clocks:
        return None
    return max([int(clocks[0]["event_ms"]), *(int(row["now_ms"]) for row in worked)])
