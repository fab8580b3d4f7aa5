"""The part of `flink.py` that measures final bars: `rc infra apply` and `rc hb run` as people run them, ticks live."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from flink_world import PARTITIONS, by_partition, open_market
from kafka_world import load
from market import RC, declared, environment, tick_data

from ashioto.clock import SystemClock
from ashioto.period import Period
from ashioto.schema.arrow import int64_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flink_world import Cluster

    from ashioto.log.kafka import KafkaLog

PREFIX = "delay."
STEP_S = 0.1
WARM_UP = 2
"""So many deadlines are left out: the job has just begun."""


def settings(there: Cluster, interval_ms: int) -> dict[str, str]:
    """Return what `rc` finds broker, registry and Flink by."""
    return there.kafka.environment() | {
        "ASHIOTO_LOG__PREFIX": PREFIX,
        "ASHIOTO_LOG__PARTITIONS": str(PARTITIONS),
        "ASHIOTO_ENGINE__KIND": "flink",
        "ASHIOTO_ENGINE__URL": there.flink.gateway_url,
        "ASHIOTO_ENGINE__JOBMANAGER": there.flink.jobmanager_url,
        "ASHIOTO_ENGINE__CHECKPOINTS": there.flink.checkpoints.as_uri(),
        "ASHIOTO_ENGINE__CHECKPOINT_INTERVAL": f"{interval_ms // 1000}s",
    }


@contextmanager
def ticking(log: KafkaLog, symbols: int, rate: float) -> Iterator[list[int]]:
    """Send ticks of all symbols until the block ends; gives how many each time."""
    done, sent = threading.Event(), list[int]()

    def send() -> None:
        clock, number = SystemClock(), 0
        while not done.wait(STEP_S):
            number += 1
            at = np.full(max(1, round(symbols * rate * STEP_S)), clock.now_ms())
            log.append(by_partition(tick_data(number, at, symbols), at))
            sent.append(len(at))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


def finals(log: KafkaLog, topic: str, grace_ms: int, *, deadlines: int, patience_s: float) -> dict[int, list[int]]:
    """Return how late final bars could be read, ms, by deadline; each counts once."""
    clock, at = SystemClock(), dict.fromkeys(range(PARTITIONS), 0)
    until = clock.monotonic() + patience_s
    seen: set[tuple[str, int]] = set()
    found: dict[int, list[int]] = {}
    while clock.monotonic() < until and len(found) <= deadlines:
        clock.sleep(0.002)
        for partition in at:
            while (part := log.read(topic, partition, at[partition])) is not None:
                now, at[partition] = clock.now_ms(), part.next_offset
                data = part.data.filter(part.data.column("final"))
                ends = int64_view(data.column("bucket_end")).tolist()
                for bar in zip(data.column("symbol").to_pylist(), ends, strict=True):
                    if bar not in seen:
                        seen.add(bar)
                        found.setdefault(bar[1] + grace_ms, []).append(now - bar[1] - grace_ms)
    return found


def delay(there: Cluster, *, base: str, symbols: int, rate: float, interval_ms: int, deadlines: int) -> None:
    """Print how late final bars can be read."""
    grace = timedelta(seconds=1)
    _, plan = declared(frames=(base,), grace=grace)
    topic, today = f"bench.rate_bars_{Period.parse(base).kind}", datetime.now(UTC).date()
    with tempfile.TemporaryDirectory() as made, there.log(PREFIX, "ticks") as log, there.log(PREFIX, "bars") as reader:
        folder, known = Path(made), environment() | settings(there, interval_ms)
        said = (
            f"from datetime import timedelta\nfrom market import declared\ncontext, _ = declared(frames={(base,)!r}, "
        )
        (folder / "declared_here.py").write_text(f"{said}grace=timedelta(seconds=1))\n", "utf-8")
        (folder / "ashioto.toml").write_text('[project]\ncontexts = ["declared_here:context"]\n', "utf-8")
        subprocess.run([*RC, "infra", "apply"], cwd=folder, env=known, check=True, stdout=subprocess.DEVNULL)
        open_market(log, plan, symbols, today, days=3)
        with (folder / "hb.out").open("wb") as out:
            beating = subprocess.Popen([*RC, "hb", "run"], cwd=folder, env=known, stdout=out, stderr=out)
        try:
            with ticking(log, symbols, rate):
                wanted = deadlines + WARM_UP
                patience = 30 + (wanted + 2) * Period.parse(base).millis / 1000
                found = finals(reader, topic, 1_000, deadlines=wanted, patience_s=patience)
        finally:
            beating.terminate()
            beating.wait()
            there.cancel()
        assert found, (folder / "hb.out").read_text("utf-8")
    whole = sorted(found)[WARM_UP:-1]
    late = np.concatenate([found[deadline] for deadline in whole])
    p50, p99 = np.percentile(late, [50, 99])
    print(
        f"final bars of {base}, {symbols} symbols at {rate:g} ticks/s, checkpoints every {interval_ms} ms: {len(late)} "
        f"bars of {len(whole)} deadlines readable {p50:,.0f} ms after end and grace (p50), {p99:,.0f} ms (p99), "
        f"{late.max():,.0f} ms at most; {load()}",
        flush=True,
    )
