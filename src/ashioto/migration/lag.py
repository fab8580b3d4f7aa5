"""How far the engine is behind the ticks, for each query and partition, and when it will have caught up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ashioto.control.applied import registrations
from ashioto.engines.base import SQL_ENGINES
from ashioto.engines.embedded.core import BEGINNING
from ashioto.engines.embedded.progress import version_progress
from ashioto.errors import UnknownTopicError
from ashioto.naming import topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.clock import Clock
    from ashioto.control.applied import Registration
    from ashioto.engines.base import RunningQuery
    from ashioto.engines.embedded.progress import Progress
    from ashioto.log.base import Log
    from ashioto.logical.nodes import Query

Served = Callable[["Registration"], "RunningQuery | None"]
LagState = Literal["caught up", "behind", "not begun", "problem"]
_LOOKS_BACK: Final = (1, 2, 64, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Says how far one partition of one query is behind.

    Args:
        query: Name of the version inside the engine, e.g. `trading_rate_bars_v1`.
        partition: Number of the partition of the ticks.
        read: Offset of the next tick to read.
        end: Offset after the newest tick.
        seconds: From the time the engine has reached to the newest tick, in the time of the ticks; None where the
            engine has not begun.
        state: How it stands.
        detail: What is in the way, or still to be done.
        read_rate: Ticks read a second; None unless looked at twice.
        write_rate: Ticks that came a second; the same.

    >>> rates = {"read_rate": 25.0, "write_rate": 5.0}
    >>> lag = Lag(query="q_v1", partition=0, read=40, end=100, seconds=6.0, state="behind", **rates)
    >>> lag.records, lag.eta
    (60, 3.0)
    """

    query: str
    partition: int
    read: int
    end: int
    seconds: float | None
    state: LagState
    detail: str = ""
    read_rate: float | None = None
    write_rate: float | None = None

    @property
    def records(self) -> int:
        """How many ticks have not been read."""
        return max(self.end - self.read, 0)

    @property
    def eta(self) -> float | None:
        """Seconds until it has caught up, at this pace; None where that is not known, or never."""
        if not self.records:
            return 0.0
        if self.read_rate is None or self.write_rate is None or self.read_rate <= self.write_rate:
            return None
        return self.records / (self.read_rate - self.write_rate)

    def row(self) -> dict[str, Any]:
        """Return it for printing."""
        return {
            "query": self.query,
            "partition": self.partition,
            "read": self.read,
            "end": self.end,
            "records": self.records,
            "seconds": self.seconds,
            "per_second": None if self.read_rate is None else round(self.read_rate, 1),
            "eta_s": None if self.eta is None else round(self.eta, 1),
            "state": self.state,
            "detail": self.detail,
        }


def lags(
    log: Log, env: tuple[str, ...], contexts: Sequence[str], *, served: Served | None = None
) -> list[Lag]:  # fmt: skip
    """Return how far every registered query is behind, by query and partition.

    Args:
        log: Where ticks and progress are.
        env: Environment and cluster.
        contexts: Names of the contexts.
        served: Says how a version stands on a server; None where no query runs on one.
    """
    return [lag for name in contexts for one in _running(log, env, name) for lag in _of(log, env, one, served)]


def paced(before: Sequence[Lag], after: Sequence[Lag], seconds: float) -> list[Lag]:
    """Return the later of two looks, with the rates between them.

    Args:
        before: The first look.
        after: The second one.
        seconds: How long after it was.
    """
    known = {(lag.query, lag.partition): lag for lag in before}
    return [_paced(known.get((lag.query, lag.partition)), lag, seconds) for lag in after]


def look_twice(
    log: Log, env: tuple[str, ...], contexts: Sequence[str], clock: Clock, interval: float, *,
    served: Served | None = None,
) -> list[Lag]:  # fmt: skip
    """Return how far every registered query is behind and how fast it reads, by two looks.

    Args:
        log: Where ticks and progress are.
        env: Environment and cluster.
        contexts: Names of the contexts.
        clock: Waits between the looks.
        interval: Seconds between them; 0 looks once, without rates.
        served: Says how a version stands on a server; None where no query runs on one.
    """
    first = lags(log, env, contexts, served=served)
    if interval <= 0 or not first:
        return first
    begun = clock.monotonic()
    clock.sleep(interval)
    return paced(first, lags(log, env, contexts, served=served), clock.monotonic() - begun)


def follow(
    log: Log, env: tuple[str, ...], contexts: Sequence[str], clock: Clock, interval: float, *,
    served: Served | None = None,
) -> Iterator[list[Lag]]:  # fmt: skip
    """Yield how every registered query stands, again and again; rates are those since the look before.

    Args:
        log: Where ticks and progress are.
        env: Environment and cluster.
        contexts: Names of the contexts.
        clock: Waits between the looks.
        interval: Seconds between them.
        served: Says how a version stands on a server; None where no query runs on one.
    """
    before, at = lags(log, env, contexts, served=served), clock.monotonic()
    yield before
    while True:
        clock.sleep(interval)
        now = clock.monotonic()
        after = lags(log, env, contexts, served=served)
        yield paced(before, after, now - at)
        before, at = after, now


def _running(log: Log, env: tuple[str, ...], context: str) -> list[Registration]:
    try:
        return [one for one in registrations(log, env, context) if one.runs]
    except UnknownTopicError:  # nothing was ever applied
        return []


def _of(log: Log, env: tuple[str, ...], one: Registration, served: Served | None) -> list[Lag]:
    plan = one.decoded()
    source = topic(plan.context, plan.entity.name)
    try:
        ends = log.describe(source).end_offsets
    except UnknownTopicError:
        return []
    if one.engine in SQL_ENGINES:
        run = None if served is None else served(one)
        return [_served(log, one.name, source, (p, end), run) for p, end in sorted(ends.items())]
    try:
        known = version_progress(log, env, one.context, one.object)
    except UnknownTopicError:  # no engine ever ran
        known = {}
    return [_lag(log, plan, one.name, source, (p, end), known.get(p)) for p, end in sorted(ends.items())]


def _lag(log: Log, plan: Query, name: str, source: str, place: tuple[int, int], progress: Progress | None) -> Lag:
    partition, end = place
    if progress is None or progress.source_offset < 0:
        problem = progress.problem if progress is not None else None
        detail = problem or "no engine has read it yet: rc engine run, or rc dev"
        state: LagState = "problem" if problem else "not begun"
        start = log.describe(source).start_offsets[partition]
        return Lag(query=name, partition=partition, read=start, end=end, seconds=None, state=state, detail=detail)
    read = progress.source_offset
    seconds = _seconds(log, source, (partition, end), progress, continuous=plan.continuous)
    behind: LagState = "behind" if read < end else "caught up"
    return Lag(
        query=name,
        partition=partition,
        read=read,
        end=end,
        seconds=seconds,
        state="problem" if progress.problem else behind,
        detail=progress.problem or ("makes its bars anew from the ticks" if progress.rebuild else ""),
    )


def _served(log: Log, name: str, source: str, place: tuple[int, int], run: RunningQuery | None) -> Lag:
    """Return how far a query is behind that runs on a server."""
    partition, end = place
    problem = run.detail if run is not None and run.state in {"failed", "ended"} else ""
    if run is None or not run.cuts:
        start = log.describe(source).start_offsets[partition]
        detail = problem or "the engine has not begun to read it: rc infra status"
        state: LagState = "problem" if problem else "not begun"
        return Lag(query=name, partition=partition, read=start, end=end, seconds=None, state=state, detail=detail)
    read = run.cuts.get(partition, 0)
    newest, last = (_time_before(log, source, partition, at) for at in (end, read))
    behind = None if newest is None or last is None else max(newest - last, 0) / 1000
    stands: LagState = "behind" if read < end else "caught up"
    return Lag(
        query=name, partition=partition, read=read, end=end, seconds=0.0 if read >= end else behind,
        state="problem" if problem else stands, detail=problem,
    )  # fmt: skip


def _seconds(log: Log, source: str, place: tuple[int, int], progress: Progress, *, continuous: bool) -> float | None:
    """Return how long after the time that was reached the newest tick is, s."""
    partition, end = place
    read = progress.source_offset
    if read >= end:
        return 0.0
    newest, last = _time_before(log, source, partition, end), _time_before(log, source, partition, read)
    reached = [at for at in (last, progress.now_ms if continuous else None) if at is not None and at > BEGINNING]
    if newest is None or not reached:
        return None
    return max(newest - max(reached), 0) / 1000


def _time_before(log: Log, source: str, partition: int, offset: int) -> int | None:
    """Return the time of the last record before an offset, ms, or None where it is not kept; few offsets hold none."""
    for back in _LOOKS_BACK:
        at, last = max(offset - back, 0), None
        while at < offset and (found := log.read(source, partition, at, max_rows=offset - at)) is not None:
            rows = min(len(found.timestamps), offset - found.base_offset)
            last = int(found.timestamps[rows - 1]) if rows > 0 else last
            at = found.next_offset
        if last is not None:
            return last
    return None


def _paced(before: Lag | None, after: Lag, seconds: float) -> Lag:
    if before is None or seconds <= 0:
        return after
    read, write = (after.read - before.read) / seconds, (after.end - before.end) / seconds
    return replace(after, read_rate=max(read, 0.0), write_rate=max(write, 0.0))
