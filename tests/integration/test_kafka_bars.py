"""The same market on the embedded log and on Kafka, whatever happens in it: the same bars, bit for bit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.support_engine import DAY, MINUTE, Market
from tests.support_history import Foreign, foreign_batch
from tests.support_kafka_bars import HOURS, PARTITIONS, QUERY, SYMBOLS, ancient_trades, some_trades, stand
from tests.support_kafka_log import open_kafka_log

from ashioto import keys
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.partition import partition_of
from ashioto.testing.crashing_log import CrashError, CrashingLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ashioto.log.base import Log

Step = tuple[str, Any]
SEEDS = (1, 2, 3)
STEPS = 24


@dataclass
class Play:
    """A market on a log, acted upon step by step."""

    market: Market

    @classmethod
    def on(cls, log: Log) -> Play:
        return cls(Market.of(QUERY, hours=HOURS, partitions=PARTITIONS, log=log))

    def act(self, step: Step) -> None:
        name, what = step
        getattr(self, name)(what)

    def send(self, rows: Any) -> None:
        self.market.send(*rows)

    def beat(self, at: int) -> None:
        self.market.beat(at)

    def poll(self, _: None) -> None:
        self.market.engine.poll()

    def run(self, _: None) -> None:
        self.market.run()

    def restart(self, _: None) -> None:
        self.market.restart()

    def crash(self, what: tuple[int, Literal["before", "after"]]) -> None:
        crash_at, when = what
        self.market.restart(engine_log=CrashingLog(self.market.log, crash_at=crash_at, when=when))
        try:
            self.market.run()
        except CrashError:
            self.market.clock.advance(1)
        self.market.restart(engine_log=self.market.log)

    def open(self, session: tuple[str, int, int]) -> None:
        self.market.open(session)

    def close(self, session: tuple[str, int]) -> None:
        self.market.close(*session)

    def write(self, what: tuple[str, str, dict[int, Foreign]]) -> None:
        """Import bars: what stands in them depends on which ticks were in bars before, so all are."""
        self.market.run()
        period, symbol, found = what
        partition = partition_of(keys.encode(["V", symbol]), PARTITIONS)
        self.market.log.append([foreign_batch(QUERY, period, symbol, found, partition=partition)])
        self.market.run()


def steps(seed: int) -> Iterator[Step]:
    """What happens: ticks in disorder, time, crashes, edits of the schedule, imported bars, and ticks from long ago."""
    draw = random.Random(seed)  # noqa: S311  # no secret is drawn
    now = 0
    kinds = ["send", "send", "send", "beat", "beat", "poll", "run", "restart", "crash", "schedule", "write"]
    for number in range(STEPS):
        day = number * 3 // STEPS
        match kinds[number] if number < len(kinds) else draw.choice(kinds):
            case "send":
                yield "send", some_trades(draw, draw.randint(1, 60), day)
            case "beat":
                now = max(now, day * DAY + draw.randrange(40) * MINUTE)
                yield "beat", now
            case "crash":
                yield "crash", (draw.randint(1, 4), draw.choice(("before", "after")))
            case "schedule":
                symbol = draw.choice(SYMBOLS)
                yield draw.choice((
                    ("open", (symbol, day * DAY + 31 * MINUTE, day * DAY + 39 * MINUTE)),
                    ("open", (symbol, day * DAY, day * DAY + draw.randint(3, 16) * MINUTE)),
                    ("close", (symbol, day * DAY + 17 * MINUTE)),
                ))  # fmt: skip
            case "write":
                yield "write", imported(draw, day)
            case name:
                yield name, None
    yield from (("run", None), ("beat", 9 * DAY), ("run", None))
    yield from (("send", ancient_trades(draw, 5)), ("run", None))


def imported(draw: random.Random, day: int) -> tuple[str, str, dict[int, Foreign]]:
    """Bars that somebody else has made."""
    found = {}
    for minute in draw.sample(range(11), 3):
        start = day * DAY + minute * MINUTE
        low, high = sorted((draw.randint(1, 20), draw.randint(1, 20)))
        kind: Any = draw.choice(("partial", "opaque", "deleted"))
        times = {"first": (start + 1, 10**6), "last": (start + 500, 10**6 + 1)}
        found[start] = Foreign(kind=kind, open=low, high=high, low=low, close=high, volume=5, ticks=2, **times)
    return "1m", draw.choice(SYMBOLS), found


@pytest.fixture
def markets(kafka: str, registry: str, unique: str, tmp_path: Path) -> Iterator[tuple[Play, Play]]:
    with EmbeddedLog(tmp_path / "log.db") as mine, open_kafka_log(kafka, registry, unique, tmp_path) as theirs:
        yield Play.on(mine), Play.on(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_streams_give_the_same_bars_on_both_logs(markets: tuple[Play, Play], seed: int) -> None:
    done = list(steps(seed))
    for step in done:
        for play in markets:
            play.act(step)
    mine, theirs = (stand(play.market) for play in markets)
    for name, wanted in mine.items():
        assert theirs[name] == wanted, name
    assert all(mine["bars"].values())
    assert mine["late"]
    assert mine["dead"]


def test_the_plays_have_everything_in_them() -> None:
    met = {name for seed in SEEDS for name, _ in steps(seed)}
    assert met >= {"send", "beat", "poll", "run", "restart", "crash", "open", "write"}
