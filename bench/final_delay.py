"""Measures how long after its deadline a final bar can be read, in real time, through the embedded log.

Run as `python bench/final_delay.py [--symbols 1000 10000] [--base 1m] [--deadlines 5] [--folder FOLDER]`. After
`rc infra apply`, `rc engine run` and `rc hb run` run as processes of their own, another one sends ticks of every
symbol, and this one looks for new bars as fast as it can. A bar's deadline is its end and the grace; all symbols share
it. Beside the delay stands where it went, by the times at which the log began to write the markers and the bars, and
one bare durable append of as many bars, since a final bar costs two commits: one of the heartbeats, one of the bars.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import numpy as np
import pyarrow as pa
from market import Rate, declared, environment, make_project, schedule_batch, start_role, symbol_names

from ashioto import Period
from ashioto.cli.ticks_simulate import run as simulate
from ashioto.clock import SystemClock
from ashioto.log.base import Batch
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.calendars import calendar_sessions
from ashioto.schema.arrow import int64_view
from ashioto.testing.ticks import SimulationOptions, TickSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ashioto.log.base import Ints

WARM_UP = 8
"""Seconds until everything runs and is compiled."""
WRITES = "SELECT base_offset, ts FROM batches JOIN topics USING (topic_id) WHERE name = ? ORDER BY base_offset"


def send(path: Path, symbols: int, rate: float) -> None:
    """Send ticks of every symbol until stopped."""
    with EmbeddedLog(path) as log:
        keys = [(name,) for name in symbol_names(symbols)]
        simulator = TickSimulator(Rate.__entity__, keys, SimulationOptions(rate=rate))
        simulate(declared()[0].set(Rate, log=log), simulator, SystemClock(), None, [None] * symbols)


class Watch:
    """Sees final bars appear, and finds out later where their delay went.

    Args:
        log: Where they are.
        period: Their frame.
        grace_ms: How long after its end a bar waits.
    """

    def __init__(self, log: EmbeddedLog, period: Period, grace_ms: int) -> None:
        self._log, self._grace = log, grace_ms
        self.topic = f"bench.rate_bars_{period.kind}"
        self._offset = log.end_offsets(self.topic)[0]
        self.seen: list[tuple[int, int, int, int]] = []
        """Deadline, ms; when it was seen, ms; offset in the topic; how many bars."""
        self._newest: dict[str, int] = {}

    def watch(self, deadlines: int, patience_s: float) -> None:
        """Look until so many deadlines and a moment more have passed."""
        clock = SystemClock()
        end = clock.monotonic() + patience_s
        while clock.monotonic() < end and len({deadline for deadline, *_ in self.seen}) <= deadlines:
            part = self._log.read(self.topic, 0, self._offset)
            now = clock.now_ms()
            if part is None:
                clock.sleep(0.001)
                continue
            self._note(part.data, now, self._offset)
            self._offset = part.next_offset

    def _note(self, data: pa.RecordBatch, now: int, offset: int) -> None:
        final = data.filter(data.column("final"))
        fresh: dict[int, int] = {}
        ends = int64_view(final.column("bucket_end")).tolist()
        for symbol, until in zip(final.column("symbol").to_pylist(), ends, strict=True):
            if until > self._newest.get(symbol, 0):  # a final bar that is revised counts once
                self._newest[symbol] = until
                fresh[until] = fresh.get(until, 0) + 1
        self.seen += [(until + self._grace, now, offset, count) for until, count in fresh.items()]

    def delays(self) -> Ints:
        """Return the delay of every bar, ms."""
        return np.concatenate([np.full(count, now - deadline) for deadline, now, _, count in self.whole()])

    def whole(self) -> list[tuple[int, int, int, int]]:
        """Return what was seen, without the first and the last deadline: the watch may have cut into them."""
        cut = {min(self.seen)[0], max(self.seen)[0]}
        return [one for one in self.seen if one[0] not in cut]

    def shares(self, path: Path) -> tuple[float, float, float]:
        """Return the medians of where the delay of the last bar went, ms.

        That is from the deadline until the markers began to be written, from then until the bars were, and from then
        until they were seen.
        """
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        bars = dict(connection.execute(WRITES, (self.topic,)))
        beats = {}
        for base, ts in connection.execute(WRITES, ("bench.rate_hb",)):
            part = self._log.read("bench.rate_hb", 0, base, max_rows=1)
            assert part is not None
            if part.data.column("kind")[0].as_py() == "final":
                beats[int(int64_view(part.data.column("due"))[0])] = ts
        found = []
        for deadline in sorted({one[0] for one in self.whole()}):
            seen, offset = max((now, offset) for due, now, offset, _ in self.whole() if due == deadline)
            written = bars[max(base for base in bars if base <= offset)]
            found.append((beats[deadline] - deadline, written - beats[deadline], seen - written))
        connection.close()
        first, second, third = np.median(np.array(found), axis=0).tolist()
        return first, second, third


def bare_append(path: Path, topic: str, symbols: int) -> float:
    """Return how long one durable append of a bar of every symbol takes, ms, the median of twenty."""
    took = []
    with EmbeddedLog(path) as log:
        part = log.read(topic, 0, 0, max_rows=symbols)
        assert part is not None
        spec = log.describe(topic).spec
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, EmbeddedLog(Path(folder, "bare.db")) as log:
        log.create([spec])
        batch = Batch(topic=topic, partition=0, keys=part.keys, timestamps=part.timestamps, data=part.data)
        for _ in range(20):
            start = time.perf_counter()
            log.append([batch])
            took.append(time.perf_counter() - start)
    return float(np.median(took)) * 1000


@contextmanager
def running(folder: Path, path: Path, symbols: int, rate: float) -> Iterator[None]:
    """Run engine, heartbeat and ticks until the block ends."""
    sender = [sys.executable, __file__, "--log", str(path), "--symbols", str(symbols), "--rate", str(rate)]
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(start_role(folder, "engine", "run"))
        started.append(start_role(folder, "hb", "run"))
        started.append(subprocess.Popen(sender, env=environment()))
        yield
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def measure(folder: Path, symbols: int, options: argparse.Namespace) -> None:
    period, grace = Period.parse(options.base), timedelta(milliseconds=options.grace_ms)
    path = make_project(folder, (period.kind,), grace)
    today = datetime.now(UTC).date()
    with EmbeddedLog(path) as log:
        log.append([schedule_batch(symbols, calendar_sessions("24x7", today, today + timedelta(days=10)))])
        rate = options.rate or max(min(2.0, 12_000 / period.millis), 0.1)
        with running(folder, path, symbols, rate):
            time.sleep(WARM_UP)
            watch = Watch(log, period, options.grace_ms)
            watch.watch(options.deadlines + 1, (options.deadlines + 3) * period.millis / 1000)
        delays, (sent, made, read) = watch.delays(), watch.shares(path)
    bare = bare_append(path, watch.topic, symbols)
    p50, p99 = np.percentile(delays, [50, 99])
    print(
        f"{symbols:6,} symbols, {len(delays):7,} final bars of {period.kind} ({rate:g} ticks a second each, grace "
        f"{options.grace_ms} ms): readable {p50:.0f} ms after the deadline (p50), {p99:.0f} ms (p99), "
        f"{delays.max():.0f} ms at most; to reach: p99 50 ms.\n    of which (medians, last bar) {sent:.0f} ms until "
        f"the markers are written, {made:.0f} ms until the bars are, {read:.0f} ms until they are read. A bare durable "
        f"append of {symbols:,} bars: {bare:.1f} ms, so p50 is {p50 / bare:.1f} times that",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--base", default="1m", help="Frame of the bars.")
    parser.add_argument("--deadlines", type=int, default=5)
    parser.add_argument("--grace-ms", type=int, default=2_000)
    parser.add_argument("--rate", type=float, help="Ticks a second of each symbol; by default about twelve a bar.")
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.log:
        send(options.log, options.symbols[0], options.rate)
        return
    for symbols in options.symbols:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(Path(folder), symbols, options)


if __name__ == "__main__":
    main()
