"""The second half of `make demo`: real processes; the active heartbeat is killed, and no bar is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ashioto.cli.infra_target import deploy_log
from ashioto.cli.output import show, table_of
from ashioto.clock import SystemClock
from ashioto.config import load_config
from ashioto.control.roles import heartbeat_role
from ashioto.errors import AshiotoError
from ashioto.log.opening import open_log
from ashioto.naming import bars_topic
from ashioto.period import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ashioto.deploy.target import DeployLog
    from ashioto.log.leases import Lease

CLOCK: Final = SystemClock()
ENV: Final = ("dev", "local")
KEY: Final = ("--key", "broker=SIM", "--key", "symbol=BTCUSD")
BARS_BEFORE: Final = 6
"""How many bars are final before the active heartbeat is killed."""
BARS_AFTER: Final = 6
PATIENCE_S: Final = 60.0
SHOWN: Final = ("bucket_start", "open", "close", "ticks", "final", "synthetic")


class DemoError(AshiotoError):
    """Says that the demo did not show what it should."""


class LiveDemo:
    """A project in a folder, run by processes as an operator would.

    Args:
        folder: Where; it is made anew.
        kafka: Whether its log is on Kafka; the environment says where.
    """

    def __init__(self, folder: Path, *, kafka: bool = False) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        folder.mkdir(parents=True)
        self.rc("init", ".", *(["--kafka"] if kafka else []))
        declared = folder / "bars.py"
        text = declared.read_text("utf-8").replace(
            "Period.minutes(1),", "Period.seconds(1),\n        Period.minutes(1),", 1
        )
        declared.write_text(text.replace("timedelta(seconds=5)", "timedelta(milliseconds=300)"), "utf-8")

    def rc(self, *args: str) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            DemoError: It failed.
        """
        done = subprocess.run(
            _command(args), cwd=self.folder, env=_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"rc {' '.join(args)} failed: {done.stdout}{done.stderr}")
        return done.stdout

    def tell(self, *args: str, only: Callable[[str], bool] = bool) -> None:
        """Run a command and print it with its lines, those that are wanted."""
        print(f"$ rc {' '.join(args)}")
        print("\n".join(line.rstrip() for line in self.rc(*args).splitlines() if only(line)) + "\n")

    @contextmanager
    def running(self, *args: str) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a command running; it is asked to end afterwards, and its output is in a file."""
        with (self.folder / f"{args[0]}.log").open("ab") as out:
            process = subprocess.Popen(_command(args), cwd=self.folder, env=_environment(), stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def lease(self) -> Lease | None:
        """Return who is the active heartbeat."""
        with self._log() as log:
            return log.lease(heartbeat_role(ENV, "trading"))

    def bars(self) -> list[dict[str, Any]]:
        """Return the bars of one second as they stand."""
        with self._log() as log:
            page = log.view(bars_topic("trading", "Rate", Period.seconds(1)))
        found: list[dict[str, Any]] = page.data.select(SHOWN).to_pylist()
        return found

    @contextmanager
    def _log(self) -> Iterator[DeployLog]:
        """Open the log of the project for a look."""
        log = open_log(load_config(self.folder))
        with closing(log):  # type: ignore[type-var]  # both logs are closed so
            yield deploy_log(log)

    def finals(self) -> int:
        """Return how many of them are final."""
        return sum(bar["final"] for bar in self.bars())


def run_live(
    folder: Path, *, kafka: bool = False, served: bool = False, look: Callable[[LiveDemo], None] = lambda _: None
) -> None:
    """Show apply twice, two heartbeats, and what becomes of the bars when the active one is killed.

    Args:
        folder: Where the project is made anew.
        kafka: Whether its log is on Kafka; the environment says where.
        served: Whether a server runs the queries, and no process of ours; the environment says which.
        look: Shows more of the project while it runs.

    Raises:
        DemoError: Something did not become as it should.
    """
    print("\nNow with real processes, on the wall clock: declare once, register once, keep alive.\n")
    demo = LiveDemo(folder, kafka=kafka)
    demo.tell("infra", "apply", only=lambda line: ": " in line and "no engine" not in line)
    demo.tell("infra", "apply")
    today = datetime.now(UTC).date()
    demo.rc("schedule", "import", "24x7", "--from", _day(today, -1), "--to", _day(today, 30), *KEY)
    patience_s = 3 * PATIENCE_S if served else PATIENCE_S
    roles = [*([] if served else [("engine", "run")]), ("hb", "run"), ("hb", "run")]
    with ExitStack() as stack:
        for args in (*roles, ("ticks", "simulate", "--rate", "2")):
            stack.enter_context(demo.running(*args))
        print(f"$ {''.join(f'rc {what} {how} &  ' for what, how in roles)}rc ticks simulate --rate 2 &")
        _wait(lambda: demo.finals() >= BARS_BEFORE, patience_s)
        demo.tell("hb", "list")
        _kill_the_active(demo)
        so_far = demo.finals()
        _wait(lambda: demo.finals() >= so_far + BARS_AFTER, patience_s)
        demo.tell("hb", "list")
        look(demo)
        settled = _settled(demo, patience_s) if served else None
    _show_bars(demo.bars() if settled is None else settled)


def _kill_the_active(demo: LiveDemo) -> None:
    active = demo.lease()
    if active is None or active.holder is None:
        raise DemoError("no heartbeat is active")
    killed = CLOCK.monotonic()
    os.kill(active.holder.pid, 9)
    while True:
        now = demo.lease()
        if now is not None and now.epoch > active.epoch:
            break
        if CLOCK.monotonic() - killed > PATIENCE_S:
            raise DemoError("nobody took over")
        CLOCK.sleep(0.01)
    took = CLOCK.monotonic() - killed
    holder = "" if now.holder is None else now.holder.name
    print(f"$ kill -9 {active.holder.pid}     the active heartbeat")
    print(f"{holder} took over after {took * 1000:.0f} ms, under epoch {now.epoch}, and sent what was missed.\n")


def _show_bars(bars: Sequence[dict[str, Any]]) -> None:
    finals = [bar for bar in bars if bar["final"]]
    show(table_of(finals[-(BARS_BEFORE + BARS_AFTER) :], title="SIM BTCUSD 1s around the kill"))
    missing = _missing(bars)
    print(f"{missing + len(finals)} seconds passed, there are {len(finals)} final bars: {missing} missing.")
    if missing:
        raise DemoError(f"{missing} bars are missing")


def _settled(demo: LiveDemo, patience_s: float) -> list[dict[str, Any]]:
    """Return the bars once none is missing, or as they are when that takes too long: servers write some later."""
    end = CLOCK.monotonic() + patience_s
    while _missing(bars := demo.bars()) and CLOCK.monotonic() < end:
        CLOCK.sleep(0.2)
    return bars


def _missing(bars: Sequence[dict[str, Any]]) -> int:
    """Return how many seconds between the first and the last final bar have none."""
    starts: list[datetime] = [bar["bucket_start"] for bar in bars if bar["final"]]
    return round((starts[-1] - starts[0]) / timedelta(seconds=1)) + 1 - len(starts)


def _wait(true: Callable[[], bool], patience_s: float) -> None:
    end = CLOCK.monotonic() + patience_s
    while not true():
        if CLOCK.monotonic() > end:
            raise DemoError("the bars did not come")
        CLOCK.sleep(0.2)


def _day(day: date, later: int) -> str:
    return str(day + timedelta(days=later))


def _command(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "ashioto.cli.app", *args]


def _environment() -> dict[str, str]:
    return os.environ | {"COLUMNS": "160", "PYTHONUNBUFFERED": "1"}
