from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from ashioto.cli.replay import Line, announce, announced, reached
from ashioto.cli.ticks_send import Playback, play, send_all
from ashioto.cli.ticks_simulate import run as simulate
from ashioto.clock import ManualClock, SystemClock
from ashioto.errors import UnknownTopicError
from ashioto.log.embedded import EmbeddedLog
from ashioto.schedule.sessions import Sessions
from ashioto.testing.ticks import TickSimulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project
    from ashioto.tables import EntitySet

AT = datetime(2025, 1, 6, 9, 0, tzinfo=UTC)
MS = int(AT.timestamp() * 1000)
MAPPING = ("--map", "at=ts", "--map", "price=bid", "--key", "broker=FX", "--key", "symbol=EURUSD")


def ticks(n: int = 5, *, at: datetime = AT) -> pa.Table:
    times = pa.array([at + timedelta(seconds=i) for i in range(n)], pa.timestamp("ms", tz="UTC"))
    return pa.table({"ts": times, "bid": [1.1 + i / 1000 for i in range(n)]})


def rates(n: int = 5) -> pa.Table:
    return ticks(n).rename_columns(["at", "price"]).append_column("broker", [["FX"] * n]).append_column(
        "symbol", [["EURUSD"] * n]
    )  # fmt: skip


@pytest.fixture
def target(project: Project) -> EntitySet[Any]:
    (trading,) = project.contexts
    return trading.set(trading.entities["Rate"], log=project.log)


def sent(target: EntitySet[Any]) -> list[dict[str, Any]]:
    part = target.log.read(target.topic, 0, 0)
    rows: list[dict[str, Any]] = [] if part is None else part.data.to_pylist()
    return rows


def test_a_file_is_sent_with_its_times(run: Callable[..., Result], target: EntitySet[Any], folder: Path) -> None:
    pyarrow.csv.write_csv(ticks(), folder / "a.csv")
    pyarrow.csv.write_csv(ticks(2), folder / "b.csv")
    said = json.loads(run("ticks", "send", "*.csv", *MAPPING, "--json").stdout)
    assert said == {"topic": "trading.rate", "ticks": 7, "too_old": 7, "rejected": 0}
    assert [row["at"] for row in sent(target)][:2] == [AT, AT + timedelta(seconds=1)]
    assert {(row["broker"], row["symbol"]) for row in sent(target)} == {("FX", "EURUSD")}


def test_ticks_older_than_the_retention_are_warned_of(
    run: Callable[..., Result], target: EntitySet[Any], folder: Path
) -> None:
    pyarrow.csv.write_csv(ticks(), folder / "old.csv")
    result = run("ticks", "send", "old.csv", *MAPPING)
    assert "5 ticks are older than the retention" in result.stderr
    assert "rc bars build" in result.stderr
    announce(target.log, SystemClock(), event_ms=MS, speed=1.0)
    assert run("ticks", "send", "old.csv", *MAPPING).stderr == ""
    assert len(sent(target)) == 10


def test_new_ticks_are_not_warned_of(run: Callable[..., Result], target: EntitySet[Any], folder: Path) -> None:
    pyarrow.csv.write_csv(ticks(at=datetime.now(UTC)), folder / "new.csv")
    assert run("ticks", "send", "new.csv", *MAPPING).stderr == ""
    assert len(sent(target)) == 5


def test_bad_rows_are_left_out_and_named(run: Callable[..., Result], target: EntitySet[Any], folder: Path) -> None:
    (folder / "odd.csv").write_text(
        "ts,bid\n2025-01-06T09:00Z,1.5\n2025-01-06T09:00Z,abc\n2025-01-06T09:00Z,1,2\nx,1\n2025-01-06T09:00Z,1.123456\n",
        encoding="utf-8",
    )
    result = run("ticks", "send", "odd.csv", *MAPPING)
    assert "warning: 1 rows left out: bid is no number, first 'abc' in row 2 of odd.csv" in result.stderr
    assert "the line has too many cells" in result.stderr
    assert "1 values of bid have more digits than the stream keeps" in result.stderr
    assert "sent 2 ticks to trading.rate, left 3 bad rows out" in result.stdout
    assert len(sent(target)) == 2
    assert json.loads(run("ticks", "send", "odd.csv", *MAPPING, "--json").stdout)["rejected"] == 3


def test_a_file_without_a_usable_row_is_an_error(
    run: Callable[..., Result], target: EntitySet[Any], folder: Path
) -> None:
    (folder / "bad.csv").write_text("ts,bid\n2025-01-06T09:00Z,abc\n", encoding="utf-8")
    said = run("ticks", "send", "bad.csv", *MAPPING, code=1).stderr
    assert "no row can be used; bid is no number in 1, e.g. 'abc' in row 1 of bad.csv" in said
    assert sent(target) == []


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("none.csv",), 1, "no such file"),
        (("t.csv",), 1, "--map broker=<one of them> or --key broker=..."),
        (("t.csv", *MAPPING[2:]), 1, "no column 'at'; it has ts, bid"),
        (("t.csv", *MAPPING, "--map", "prise=bid"), 1, "no column 'prise'"),
        (("t.csv", *MAPPING, "--entity", "Trade"), 2, "no stream 'Trade'"),
        (("t.csv", *MAPPING, "--map", "price"), 2, "no name=value"),
    ],
)
def test_what_cannot_be_sent_is_named(
    run: Callable[..., Result], project: Project, folder: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    assert project.log is not None
    pyarrow.csv.write_csv(ticks(), folder / "t.csv")
    assert message in run("ticks", "send", *args, code=code).stderr


def test_without_topics_the_way_out_is_named(run: Callable[..., Result], folder: Path) -> None:
    pyarrow.csv.write_csv(ticks(), folder / "t.csv")
    assert "rc dev" in run("ticks", "send", "t.csv", *MAPPING, code=1).stderr
    assert "rc dev" in run("ticks", "send", "t.csv", *MAPPING, "--speed", 1000, code=1).stderr


class Recorder(ManualClock):
    """Notes how many ticks had been sent at each sleep."""

    def __init__(self, target: EntitySet[Any]) -> None:
        super().__init__(1_000_000)
        self.target = target
        self.seen: list[tuple[float, int]] = []

    def sleep(self, seconds: float) -> None:
        self.seen.append((self.monotonic() - 1_000, len(sent(self.target))))
        super().sleep(seconds)


def test_playback_sends_each_tick_when_its_time_has_come(target: EntitySet[Any]) -> None:
    clock = Recorder(target)
    report = play(target, [rates(3).slice(1), rates(1)], Playback(speed=2.0, linger_ms=4_000), clock, lambda *_: None)
    assert report.ticks == 3
    assert [(round(at, 2), count) for at, count in clock.seen[:3]] == [(0.0, 0), (0.5, 1), (1.0, 2)]
    assert clock.monotonic() - 1_000 == pytest.approx(3.5, abs=0.06)
    assert [row["at"] for row in sent(target)] == [AT + timedelta(seconds=i) for i in range(3)]


def test_playback_announces_its_clock_before_the_first_tick(target: EntitySet[Any]) -> None:
    told: list[tuple[int, int]] = []
    lines: list[Line | None] = []

    def note(*done: int) -> None:
        told.append((done[0], done[1]))
        lines.append(announced(target.log))

    play(target, [rates(2)], Playback(speed=60.0, linger_ms=120_000), ManualClock(5), note)
    assert told == [(1, 2), (2, 2)]
    assert lines[0] == Line(event_ms=MS, wall_ms=505, speed=60.0, began_ms=5)


def test_after_playback_the_market_goes_on_at_real_pace(target: EntitySet[Any]) -> None:
    clock = ManualClock(5)
    play(target, [rates(2)], Playback(speed=60.0, linger_ms=120_000), clock, lambda *_: None)
    line = announced(target.log)
    assert line is not None
    assert (line.wall_ms, line.speed) == (clock.now_ms(), 1.0)
    assert MS + 121_000 <= line.event_ms <= MS + 125_000


def test_an_interrupted_playback_leaves_real_pace_behind(
    run: Callable[..., Result], target: EntitySet[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SystemClock, "sleep", interrupt)
    pyarrow.csv.write_csv(ticks(3), folder / "t.csv")
    run("ticks", "send", "t.csv", *MAPPING, "--speed", 60, code=130)
    line = announced(target.log)
    assert line is not None
    assert line.speed == 1.0


def test_nothing_to_play_announces_nothing(target: EntitySet[Any]) -> None:
    report = play(target, [rates(0)], Playback(speed=1.0, linger_ms=0), ManualClock(5), lambda *_: None)
    assert report.ticks == 0
    assert target.log.view("rc.dev.clock").keys == []


def test_playback_from_the_command_line(run: Callable[..., Result], target: EntitySet[Any], folder: Path) -> None:
    pyarrow.csv.write_csv(ticks(3), folder / "t.csv")
    said = run("ticks", "send", "t.csv", *MAPPING, "--speed", 100_000, "--linger", 0.001).stdout
    assert "sent 3 ticks to trading.rate" in said
    assert len(sent(target)) == 3


def test_without_a_query_nothing_is_too_old(target: EntitySet[Any]) -> None:
    assert send_all(target, [rates(2)], None, MS).too_old == 0


def test_the_replay_clock_is_where_the_engine_stands(project: Project, tmp_path: Path) -> None:
    assert reached(project.log) is None
    clock = announce(project.log, ManualClock(7), event_ms=MS, speed=3.0)
    assert clock.now_ms() == MS
    assert reached(project.log) == MS
    empty = EmbeddedLog(tmp_path / "empty.db")
    assert reached(empty) is None
    with pytest.raises(UnknownTopicError, match="not exist yet"):
        announce(empty, ManualClock(7), event_ms=MS, speed=3.0)
    empty.close()


def test_simulated_ticks_are_stamped_as_time_passes(target: EntitySet[Any]) -> None:
    simulator = TickSimulator(target.entity.__entity__, [("FX", "A"), ("FX", "B")])
    count = simulate(target, simulator, ManualClock(MS), 10.0, [None, None])
    rows = sent(target)
    assert count == len(rows)
    assert count == pytest.approx(100, abs=40)
    assert all(AT <= row["at"] < AT + timedelta(seconds=10.1) for row in rows)


def test_a_clock_that_was_set_makes_no_ticks_of_the_time_between(target: EntitySet[Any]) -> None:
    class Jumping(ManualClock):
        """Goes a year ahead, and back again."""

        slept = 0

        def sleep(self, seconds: float) -> None:
            self.slept += 1
            if self.slept == 100:
                raise KeyboardInterrupt
            super().sleep(seconds)
            self.advance({50: 365 * 86_400_000, 51: -365 * 86_400_000}.get(self.slept, 0))

    simulator = TickSimulator(target.entity.__entity__, [("FX", "A")])
    assert simulate(target, simulator, Jumping(MS), None, [None]) == pytest.approx(50, abs=30)
    assert all(row["at"].year == 2025 for row in sent(target))


def test_closed_markets_have_no_ticks(target: EntitySet[Any]) -> None:
    simulator = TickSimulator(target.entity.__entity__, [("FX", "A"), ("FX", "B")])
    later = Sessions.build(np.array([MS + 5_000]), np.array([MS + 9_000]), np.array([0]))
    simulate(target, simulator, ManualClock(MS), 20.0, [None, later])
    times = [row["at"] for row in sent(target) if row["symbol"] == "B"]
    assert times
    assert all(AT + timedelta(seconds=4.9) <= time < AT + timedelta(seconds=9) for time in times)


def test_an_interrupt_ends_the_simulation(target: EntitySet[Any]) -> None:
    class Interrupted(ManualClock):
        def sleep(self, seconds: float) -> None:
            if self.now_ms() > MS + 1_000:
                raise KeyboardInterrupt
            super().sleep(seconds)

    simulator = TickSimulator(target.entity.__entity__, [("FX", "A")])
    assert simulate(target, simulator, Interrupted(MS), None, [None]) == len(sent(target))


def test_every_key_of_the_schedule_is_simulated(run: Callable[..., Result], target: EntitySet[Any]) -> None:
    assert "has no keys yet" in run("ticks", "simulate", "--seconds", 0, code=2).stderr
    for symbol in ("BTCUSD", "ETHUSD"):
        key = ("--key", "broker=SIM", "--key", f"symbol={symbol}")
        run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2095-01-07", *key)
    result = run("ticks", "simulate", "--seconds", 0.05, "--rate", 1000, "--json")
    assert "2 keys, 2 of them open now" in result.stderr
    assert json.loads(result.stdout)["keys"] == 2
    assert {row["symbol"] for row in sent(target)} == {"BTCUSD", "ETHUSD"}
    assert "1 keys" in run("ticks", "simulate", "--seconds", 0, "--symbols", "ETHUSD").stderr
    said = run("ticks", "simulate", "--seconds", 0, "--symbols", "XRPUSD", code=2).stderr
    assert "has no XRPUSD\nHint: there are SIM BTCUSD, SIM ETHUSD" in said


def test_after_a_replay_simulation_goes_on_from_where_it_stood(
    run: Callable[..., Result], target: EntitySet[Any], project: Project
) -> None:
    key = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")
    run("schedule", "import", "24x7", "--from", "2025-01-06", "--to", "2025-01-07", *key)
    announce(project.log, SystemClock(), event_ms=MS, speed=60.0)
    run("ticks", "simulate", "--seconds", 0.05, "--rate", 1000)
    assert all(AT <= row["at"] < AT + timedelta(seconds=60) for row in sent(target))
