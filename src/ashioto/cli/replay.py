"""The clock that replays announce, so that a running `rc dev` follows them.

`rc.dev.clock` holds one line: what time it is in the market, when that was, and at what pace it goes on. Whoever runs
by it renews it every second, so a line that nobody renews belongs to nobody: the market stands where it was last
renewed. Each replay begins a line of its own; renewals of an older one are refused.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ashioto.clock import Clock, ReplayClock
from ashioto.errors import LogBusyError, StaleEpochError, UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.base import Log

RENEW_MS: Final = 1_000
LOST_MS: Final = 5_000
"""A replay that was not renewed for so long has ended without saying so."""
PAUSE_MS: Final = 600_000
"""After a longer pause than this at real pace the market stands where it was, so that no days are filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Says what time it is in the market.

    Args:
        event_ms: The time in the market, UTC milliseconds.
        wall_ms: When it was that time, UTC milliseconds.
        speed: Market milliseconds a real millisecond.
        began_ms: Which replay this is: when it was begun.

    >>> Line(event_ms=1_000, wall_ms=50, speed=60.0, began_ms=50).at(150)
    7000
    """

    event_ms: int
    wall_ms: int
    speed: float
    began_ms: int

    @property
    def is_wall(self) -> bool:
        """Whether this is the time of the wall clock."""
        return self.event_ms == self.wall_ms and self.speed == 1.0

    def at(self, wall_ms: int) -> int:
        """Return the time in the market at a time of the wall clock."""
        return self.event_ms + int((wall_ms - self.wall_ms) * self.speed)

    def clock(self, base: Clock) -> Clock:
        """Return the clock that runs along this line."""
        if self.is_wall:
            return base
        return ReplayClock(base=base, event_ms=self.event_ms, anchor_ms=self.wall_ms, speed=self.speed)

    def runs(self, wall_ms: int) -> bool:
        """Return whether somebody runs by this line, or did until a moment ago."""
        return wall_ms - self.wall_ms <= (PAUSE_MS if self.speed == 1.0 else LOST_MS)


def announced(log: Log, *, settled: bool = True) -> Line | None:
    """Return the line that was announced last, or None when nothing was ever played back.

    Args:
        log: Where the topic is.
        settled: Whether to wait for one that is hidden still.
    """
    from ashioto.engines.embedded.topics import DEV_CLOCK

    try:
        page = log.view(DEV_CLOCK, limit=1, settled=settled)
    except UnknownTopicError:
        return None
    if not page.keys:
        return None
    row = page.data.to_pylist()[0]
    return Line(**row, began_ms=int(page.timestamps[0]))


def begin(log: Log, base: Clock, *, event_ms: int, speed: float, lead_ms: int = 0) -> Line:
    """Announce a new line: the time jumps to `event_ms`.

    Args:
        log: Where the topic is.
        base: The clock that really runs.
        event_ms: The time in the market after the lead, UTC milliseconds.
        speed: Event milliseconds a real millisecond.
        lead_ms: Real time for others to set their clocks before `event_ms` comes.

    Raises:
        UnknownTopicError: The topic was never created.
    """
    now, known = base.now_ms(), announced(log)
    began = now if known is None else max(now, known.began_ms + 1)
    line = Line(event_ms=event_ms, wall_ms=now + lead_ms, speed=speed, began_ms=began)
    try:
        _append(log, line)
    except UnknownTopicError as error:
        raise UnknownTopicError(
            "the topics of this project do not exist yet", hint="start `rc dev` first, in another terminal"
        ) from error
    return line


def announce(log: Log, base: Clock, *, event_ms: int, speed: float, lead_ms: int = 0) -> Clock:
    """Announce a new line and return its clock; takes and raises what `begin` does."""
    return begin(log, base, event_ms=event_ms, speed=speed, lead_ms=lead_ms).clock(base)


def return_to_wall(log: Log, base: Clock) -> None:
    """Announce the time of the wall clock, if there is another line."""
    line = announced(log)
    if line is not None and not line.is_wall:
        begin(log, base, event_ms=base.now_ms(), speed=1.0)


def renew(log: Log, line: Line, wall_ms: int, *, speed: float | None = None) -> Line:
    """Say that somebody runs by a line at this moment, perhaps at another pace from now on.

    Raises:
        StaleEpochError: Another replay was begun since.
    """
    paced = line.speed if speed is None else speed
    renewed = replace(line, event_ms=line.at(wall_ms), wall_ms=wall_ms, speed=paced)
    _append(log, renewed)
    return renewed


def reached(log: Log, base: Clock | None = None) -> int | None:
    """Return the time in the market, UTC milliseconds, or None when it is the time of the wall clock."""
    from ashioto.clock import SystemClock

    line = announced(log)
    if line is None or line.is_wall:
        return None
    now = (base or SystemClock()).now_ms()
    return line.at(now) if line.runs(now) else line.event_ms


class SharedClock:
    """Tells the time in the market, whoever announces it, and keeps the line alive while it runs at real pace.

    Args:
        log: Where the line is.
        base: The clock that really runs.
    """

    def __init__(self, log: Log, base: Clock) -> None:
        self._log, self._base = log, base
        line = announced(log)
        if line is not None and not line.is_wall and not line.runs(base.now_ms()):
            line = begin(log, base, event_ms=line.event_ms, speed=1.0)
        self.line = line
        self._clock = base if line is None else line.clock(base)

    @property
    def replaying(self) -> bool:
        """Whether it is another time than that of the wall clock."""
        return self._clock is not self._base

    @property
    def speed(self) -> float:
        """Market seconds a real second."""
        return 1.0 if self.line is None else self.line.speed

    def follow(self) -> bool:
        """Look what was announced, and renew it when it is time to.

        Returns:
            Whether the time jumped: another replay was begun, or there is a return to the wall clock.
        """
        try:
            line = announced(self._log, settled=False)
        except LogBusyError:  # whoever uses the log says so
            return False
        if line is None:
            return False
        jumped = self.line is None or line.began_ms != self.line.began_ms
        if line != self.line:
            self._take(line)
        if not line.is_wall:
            self._keep(line)
        return jumped

    def now_ms(self) -> int:
        """Return the time in the market, UTC milliseconds."""
        return self._clock.now_ms()

    def monotonic(self) -> float:
        """Return real seconds that never go back."""
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait this many real seconds, then look what was announced."""
        self._base.sleep(seconds)
        self.follow()

    def _take(self, line: Line) -> None:
        self.line, self._clock = line, line.clock(self._base)

    def _keep(self, line: Line) -> None:
        now = self._base.now_ms()
        if now - line.wall_ms > (RENEW_MS if line.speed == 1.0 else LOST_MS):
            with suppress(StaleEpochError, LogBusyError):  # a replay was begun just now; the next look finds it
                self._take(renew(self._log, line, now, speed=1.0))


class PlaybackClock:
    """Runs a replay and renews its line while it sleeps.

    Args:
        log: Where the line is.
        base: The clock that really runs.
        line: The line of the replay.
    """

    def __init__(self, log: Log, base: Clock, line: Line) -> None:
        self._log, self._base, self._line = log, base, line
        self._renewed = line.wall_ms

    def now_ms(self) -> int:
        """Return the replayed UTC milliseconds."""
        return self._line.at(self._base.now_ms())

    def monotonic(self) -> float:
        """Return real seconds that never go back."""
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait this many real seconds."""
        while seconds > 0:
            self._base.sleep(min(seconds, RENEW_MS / 1000))
            seconds -= RENEW_MS / 1000
            if self._base.now_ms() - self._renewed >= RENEW_MS:
                self._renew(self._line.speed)

    def stand(self) -> None:
        """Go on at real pace from here, since the replay has ended."""
        self._renew(1.0)

    def _renew(self, speed: float) -> None:
        self._renewed = self._base.now_ms()
        with suppress(StaleEpochError):  # rc dev follows a newer replay; these ticks are sent all the same
            renew(self._log, self._line, self._renewed, speed=speed)


@contextmanager
def replay(log: Log, base: Clock, *, event_ms: int, speed: float, lead_ms: int = 0) -> Iterator[Clock]:
    """Announce a replay and give its clock; at the end, also when interrupted, the pace becomes real again.

    Args:
        log: Where the topic is.
        base: The clock that really runs.
        event_ms: When the replay begins, UTC milliseconds.
        speed: Event milliseconds a real millisecond.
        lead_ms: Real time for others to set their clocks before `event_ms` comes.

    Raises:
        UnknownTopicError: The topic was never created.
    """
    clock = PlaybackClock(log, base, begin(log, base, event_ms=event_ms, speed=speed, lead_ms=lead_ms))
    try:
        yield clock
    finally:
        clock.stand()


def _append(log: Log, line: Line) -> None:
    import numpy as np
    import pyarrow as pa

    from ashioto import keys
    from ashioto.engines.embedded.topics import CLOCK_SCHEMA, DEV_CLOCK
    from ashioto.log.base import Batch, Fence

    row = {"event_ms": [line.event_ms], "wall_ms": [line.wall_ms], "speed": [line.speed]}
    batch = Batch(
        topic=DEV_CLOCK,
        partition=0,
        keys=pa.array([keys.encode(["clock"])], pa.binary()),
        timestamps=np.array([line.began_ms], dtype=np.int64),
        data=pa.RecordBatch.from_pydict(row, schema=CLOCK_SCHEMA),
    )
    log.append([batch], fence=Fence(name=DEV_CLOCK, epoch=line.began_ms))
