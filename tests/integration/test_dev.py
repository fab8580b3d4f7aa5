"""A project from `rc init` to bars, as real processes: replay, kill, restart, interrupts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ashioto.cli.replay import Line, announced
from ashioto.clock import SystemClock
from ashioto.log.embedded import EmbeddedLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).resolve().parents[2] / "src"
RC = [sys.executable, "-m", "ashioto.cli.app"]
START = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
KEY = ("--key", "broker=FX", "--key", "symbol=EURUSD")
MAPPING = ("--map", "at=ts", "--map", "price=bid", *KEY)
CLOCK = SystemClock()
PATIENCE = 30.0


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE), "COLUMNS": "200"}


def rc(folder: Path, *args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `rc` in a project; it must leave with the code, and never with a traceback."""
    command = [*RC, *map(str, args)]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


class Running:
    """A command in the background, with what it has printed so far."""

    def __init__(self, folder: Path, *args: object) -> None:
        self.process = subprocess.Popen(
            [*RC, *map(str, args)], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            self.lines.extend(iter(out.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text or self.process.poll() is not None)
        assert text in self.text, self.text

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start commands in the background; they are gone when the test is over."""
    started: list[Running] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where it is ignored, children ignore it too

    def begin(folder: Path, *args: object) -> Running:
        started.append(Running(folder, *args))
        return started[-1]

    yield begin
    for one in started:
        one.end(signal.SIGKILL)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose schedule covers the ticks of `t.parquet`: two a second for four minutes."""
    rc(tmp_path, "init", "demo")
    made = tmp_path / "demo"
    rc(made, "schedule", "import", "fx", "--from", "2024-03-04", "--to", "2024-03-08", *KEY)
    times = [START + timedelta(milliseconds=500 * n) for n in range(480)]
    prices = [1.08 + (n % 40) / 10_000 for n in range(480)]
    pq.write_table(pa.table({"ts": pa.array(times, pa.timestamp("us", tz="UTC")), "bid": prices}), made / "t.parquet")
    return made


def wait_until(true: Callable[[], bool]) -> None:
    """Look again and again until something holds; after a while it never will."""
    end = CLOCK.monotonic() + PATIENCE
    while not true():
        assert CLOCK.monotonic() < end, "it never came"
        CLOCK.sleep(0.05)


def bars(folder: Path, *args: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        rc(folder, "bars", "read", "RateBar1m", "--from", "2024-03-04", "--json", *args).stdout
    )
    return found


def announced_in(folder: Path) -> Line:
    with EmbeddedLog(folder / ".ashioto" / "log.db") as log:
        line = announced(log)
    assert line is not None
    return line


def with_ticks(rows: list[dict[str, Any]]) -> list[tuple[str, int, str, str, bool]]:
    return [(r["bucket_start"][11:16], r["ticks"], r["open"], r["close"], r["final"]) for r in rows if r["ticks"]]


def counted(folder: Path) -> int:
    return sum(row["ticks"] for row in bars(folder))


EXPECTED = [(f"09:0{n}", 120, "1.08000", "1.08390", True) for n in range(4)]


def test_a_replay_becomes_live_bars_then_final_ones_and_the_market_goes_on_at_real_pace(
    folder: Path, start: Callable[..., Running]
) -> None:
    dev = start(folder, "dev")
    dev.wait_for("running; ^C stops")
    tail = start(folder, "bars", "tail", "--bar", "RateBar1m", "--json")
    tail.wait_for("waiting for bars")
    sent = rc(folder, "ticks", "send", "t.parquet", *MAPPING, "--speed", 60)
    assert "sent 480 ticks to trading.rate" in sent.stdout
    wait_until(lambda: with_ticks(bars(folder)) == EXPECTED)
    line = announced_in(folder)
    assert (line.is_wall, line.speed) == (False, 1.0)
    assert "that of a replay, at 2024-03-04T09:0" in rc(folder, "doctor", "--json").stdout
    assert dev.end(signal.SIGINT) == 0
    assert "stopped: 2024-03-04T09:0" in dev.text
    assert tail.end(signal.SIGINT) == 0
    rows = [json.loads(line) for line in tail.lines if line.startswith("{")]
    first = [(row["ticks"], row["final"]) for row in rows if row["bucket_start"] == "2024-03-04T09:01:00Z"]
    assert first[-1] == (120, True)
    assert len([one for one in first if not one[1]]) >= 1
    assert [ticks for ticks, _ in first] == sorted(ticks for ticks, _ in first)


def test_killed_in_the_middle_of_a_replay_and_started_again_it_loses_nothing(
    folder: Path, start: Callable[..., Running]
) -> None:
    dev = start(folder, "dev")
    dev.wait_for("running; ^C stops")
    sender = start(folder, "ticks", "send", "t.parquet", *MAPPING, "--speed", 40)
    wait_until(lambda: len(with_ticks(bars(folder))) >= 2)
    assert dev.end(signal.SIGKILL) == -signal.SIGKILL
    held = with_ticks(bars(folder))
    again = start(folder, "dev")
    again.wait_for("the clock is that of the last replay")
    assert sender.process.wait(PATIENCE) == 0
    wait_until(lambda: with_ticks(bars(folder)) == EXPECTED)
    assert len(held) < len(EXPECTED)
    assert "another rc dev" in rc(folder, "dev", code=5).stderr
    assert again.end(signal.SIGTERM) == 0


def test_an_interrupted_replay_leaves_the_market_at_real_pace(folder: Path, start: Callable[..., Running]) -> None:
    dev = start(folder, "dev")
    dev.wait_for("running; ^C stops")
    sender = start(folder, "ticks", "send", "t.parquet", *MAPPING, "--speed", 30)
    wait_until(lambda: len(with_ticks(bars(folder))) >= 1)
    assert sender.end(signal.SIGINT) == 130
    line, before = announced_in(folder), counted(folder)
    assert line.speed == 1.0
    assert START < datetime.fromtimestamp(line.event_ms / 1000, UTC) < START + timedelta(minutes=4)
    simulated = json.loads(rc(folder, "ticks", "simulate", "--rate", 50, "--seconds", 2, "--json").stdout)["ticks"]
    assert simulated > 20
    wait_until(lambda: counted(folder) >= before + simulated)
    assert announced_in(folder).began_ms == line.began_ms
    assert dev.end(signal.SIGINT) == 0


def test_simulated_ticks_of_today_become_bars_without_delay(folder: Path, start: Callable[..., Running]) -> None:
    today = datetime.now(UTC).date()
    days = ("--from", today - timedelta(days=1), "--to", today + timedelta(days=2))
    rc(folder, "schedule", "import", "24x7", *days, "--key", "broker=SIM", "--key", "symbol=BTCUSD")
    dev = start(folder, "dev")
    dev.wait_for("running; ^C stops")
    market = start(folder, "ticks", "simulate", "--symbols", "BTCUSD", "--rate", 20)
    market.wait_for("1 keys, 1 of them open now")
    tail = start(folder, "bars", "tail", "--bar", "RateBar1m", "--key", "symbol=BTCUSD")
    tail.wait_for("symbol=BTCUSD")
    tail.wait_for("live")
    assert market.end(signal.SIGINT) == 0
    assert re.search(r"sent [\d,]+ ticks to trading.rate", market.text)
    drawn = [f"b.{kind}" for kind in ("png", "html")]
    for name in drawn:
        rc(folder, "bars", "chart", "RateBar1m", "--key", "symbol=BTCUSD", "--out", name)
    assert (folder / "b.png").read_bytes()[:4] == b"\x89PNG"
    page = (folder / "b.html").read_text(encoding="utf-8")
    assert "SIM BTCUSD RateBar1m" in page
    assert re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"?https?:", page) == []
    assert tail.end(signal.SIGINT) == 0
    assert dev.end(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("dev",), 1, "rc init"),
        (("bars", "read", "RateBar1m"), 1, "rc init"),
        (("bars", "tail"), 1, "rc init"),
        (("bars", "chart", "RateBar1m", "--out", "a.gif"), 2, "--out"),
        (("schedule", "check", "nowhere.csv"), 1, "nowhere.csv"),
        (("schedule", "show", "NOWHERE"), 1, "no calendar 'NOWHERE'"),
        (("ticks", "simulate"), 1, "rc init"),
        (("bars", "read", "RateBar1m", "--from", "2025-02-01", "--to", "2025-01-01"), 2, "nothing lies between"),
    ],
)
def test_without_a_project_a_message_and_a_hint_say_what_to_do(
    tmp_path: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    said = rc(tmp_path, *args, code=code).stderr
    assert message in said
    assert "Hint: " in said
