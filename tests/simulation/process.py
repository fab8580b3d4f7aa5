"""A simulated process: started, turned over, stopped for a while, killed, ended, and started anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.clocks import ProcessClock
from tests.simulation.process_log import ProcessLog
from tests.simulation.world import SimCrashError

from ashioto.errors import AshiotoError
from ashioto.log.leases import Holder

if TYPE_CHECKING:
    from tests.simulation.process_log import Fault
    from tests.simulation.watch import Watch
    from tests.simulation.world import World

FEW: Final = (1 << 18, 1 << 18, 5, 25)
STOPS: Final = ((20, 900), (20, 900), (1_000, 3_500), (3_000, 8_000))
JUMPS_MS: Final = (-9_000, -4_000, -700, 700, 2_500, 4_900, 7_000)
WRITE_FAULTS: Final[tuple[Fault, ...]] = (
    "crash before", "crash before", "crash after", "crash after", "stop before", "stop before", "stop after",
    "stop inside", "busy", "full",
)  # fmt: skip
READ_FAULTS: Final[tuple[Fault, ...]] = ("crash before", "crash after", "stop before", "stop after")


class Process:
    """Runs a role, and starts it anew when it has ended.

    Args:
        world: Where.
        watch: Told of what it writes.
        role: What it is, e.g. `hb1`.
        number: Tells it from others.
    """

    kind = "process"

    def __init__(self, world: World, watch: Watch, role: str, number: int) -> None:
        self.world, self.watch, self.role, self._number = world, watch, role, number
        self.lives = 0
        self.writes = 0
        self.read_rows = FEW[0]
        self.runs = False
        self._killed = False
        self._next_fault = self._draw_fault()
        self.clock = ProcessClock(
            world, offset_ms=self._draw_offset(), ppm=world.random.randint(-15, 15), wait=self.wait
        )

    @property
    def name(self) -> str:
        """Name of the running process; another one each time it is started."""
        return f"{self.role}.{self.lives}"

    @property
    def pid(self) -> int:
        """Number of the running process."""
        return 1_000 * (self._number + 1) + self.lives

    @property
    def holder(self) -> Holder:
        """How it campaigns."""
        return Holder(name=self.name, pid=self.pid)

    def begin(self) -> None:
        """Make what runs."""

    def step(self) -> int | None:
        """Do one step; returns in how many ms there is another, or None when it has ended."""
        return None

    def end(self) -> None:
        """Hand over and end, as when it is asked to."""

    def turn(self) -> int | None:
        """Do one step, and see what becomes of it."""
        self.clock.turned()
        try:
            return self._turned()
        except SimCrashError:
            return self._died(certain=self.world.random.random() < 0.5)
        except AshiotoError as error:
            return self._failed(error)

    def stop_for_a_while(self, *, holding: bool = False) -> None:
        """Let all others run for a while before this one goes on.

        Args:
            holding: Whether it is stopped inside a write, so that nobody else can write.
        """
        low, high = self.world.random.choice(STOPS)
        self.world.blocker = self if holding else self.world.blocker
        try:
            self.wait(self.world.random.randint(low, high))
        finally:
            self.world.blocker = None if holding else self.world.blocker

    def wait(self, ms: int) -> None:
        """Let others run for some time; raises when this process was killed meanwhile."""
        self.world.run(self.world.now + ms)
        if self._killed:
            raise SimCrashError

    def kill(self) -> None:
        """End it wherever it is."""
        self._killed = True
        self.world.gone.add(self.name)
        self.world.counts["killed"] += 1

    def next_fault(self, *, writes: bool) -> Fault | None:
        """Return what goes wrong with this call of the log, mostly nothing."""
        self._next_fault -= 1
        if self._next_fault > 0 or not self.world.faulty:
            return None
        self._next_fault = self._draw_fault()
        fault = self.world.random.choice(WRITE_FAULTS if writes else READ_FAULTS)
        return None if fault == "stop inside" and self.world.blocker is not None else fault

    def _turned(self) -> int | None:
        world = self.world
        if self._killed:
            raise SimCrashError
        if not self.runs:
            self._start()
        elif world.faulty and world.scenario.options.calls and world.random.random() < 0.004:
            return self._asked_to_end()
        if world.faulty and world.scenario.options.jumps and world.random.random() < 0.01:
            self._jump()
        waits = self.step()
        return None if waits is None else world.now + waits

    def _jump(self) -> None:
        """Have the wall clock set, by somebody or something."""
        self.clock.offset_ms += self.world.random.choice(JUMPS_MS)
        self.world.counts["clock jumps"] += 1
        self.world.tell(self.name, "has its clock set", f"to {self.clock.error_ms():+} ms")

    def _start(self) -> None:
        self.lives += 1
        self.runs = True
        self.read_rows = self.world.random.choice(FEW)
        self.world.tell(self.name, "starts", f"clock {self.clock.error_ms():+} ms")
        self.begin()

    def _asked_to_end(self) -> int | None:
        self.world.counts["ended in peace"] += 1
        self.world.tell(self.name, "is asked to end")
        self.end()
        return self._died(certain=True)

    def _failed(self, error: AshiotoError) -> int | None:
        self.world.counts[f"ended by {type(error).__name__}"] += 1
        self.world.tell(self.name, f"ends by {type(error).__name__}", error.message)
        try:
            self.end()
        except (AshiotoError, SimCrashError) as second:
            self.world.tell(self.name, "failed while ending", second)
        return self._died(certain=True)

    def _died(self, *, certain: bool) -> int | None:
        self.world.counts["deaths"] += 1
        self.world.tell(self.name, "is dead", "for certain" if certain else "and nobody knows")
        if certain or self._killed:
            self.world.gone.add(self.name)
        self.runs = self._killed = False
        self.clock.offset_ms = self._draw_offset() if self.world.random.random() < 0.2 else self.clock.offset_ms
        return self.world.now + self.world.random.choice((50, 400, 1_500, 3_000))

    def _draw_fault(self) -> int:
        calls = self.world.scenario.options.calls
        return 1 + int(self.world.random.expovariate(1 / calls)) if calls else 1 << 60

    def _draw_offset(self) -> int:
        most = self.world.scenario.options.clock_ms
        return self.world.random.randint(-most, most)


def make_log(process: Process) -> ProcessLog:
    """Return the log as a process sees it."""
    return ProcessLog(process.world, process, process.watch)
