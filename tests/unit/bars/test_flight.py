from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ashioto import BarAddOptions, BarAddReport
from ashioto.bars.flight import Flight
from ashioto.clock import ManualClock
from ashioto.errors import InputError, LogFullError

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = BarAddReport(written=1)
PATIENCE = 10.0


def keys(*names: str) -> pa.Array:
    return pa.array([name.encode() for name in names], pa.binary())


def full() -> BarAddReport:
    raise LogFullError("the disk of the log is full", hint="make room")


def after(event: threading.Event, report: BarAddReport = ONE) -> Callable[[], BarAddReport]:
    def job() -> BarAddReport:
        assert event.wait(PATIENCE)
        return report

    return job


def test_as_many_jobs_run_at_a_time_as_asked() -> None:
    together = threading.Barrier(3, timeout=PATIENCE)

    def job() -> BarAddReport:
        together.wait()
        return ONE

    done: list[int] = []
    with Flight(BarAddOptions(concurrency=3, progress=done.append), ManualClock()) as flight:
        for name in "abcdef":
            flight.send(job, keys=keys(name))
        assert flight.land() == BarAddReport(written=6)
    assert done == [1, 2, 3, 4, 5, 6]


def test_jobs_that_write_the_same_keys_wait_for_each_other() -> None:
    order: list[str] = []
    started = threading.Event()

    def first() -> BarAddReport:
        assert started.wait(PATIENCE)
        order.append("first")
        return ONE

    def second() -> BarAddReport:
        order.append("second")
        return ONE

    with Flight(BarAddOptions(concurrency=4), ManualClock()) as flight:
        flight.send(first, keys=keys("a", "b"))
        flight.send(after(started), keys=keys("c"))
        threading.Timer(0.01, started.set).start()
        flight.send(second, keys=keys("b"))
        assert flight.land() == BarAddReport(written=3)
    assert order == ["first", "second"]


def test_what_was_on_its_way_is_waited_for_and_counted() -> None:
    gate = threading.Event()

    def fly() -> None:
        with Flight(BarAddOptions(concurrency=3), ManualClock()) as flight:
            flight.send(after(gate, BarAddReport(written=1, skipped=1)))
            flight.send(full)
            flight.send(after(gate))
            gate.set()
            flight.land()

    with pytest.raises(LogFullError, match=r"of those before it, 2 bars were and 1 were there already") as caught:
        fly()
    assert caught.value.ids["report"] == BarAddReport(written=2, skipped=1)


def test_an_error_of_the_caller_says_what_was_written_too() -> None:
    def fly() -> None:
        with Flight(BarAddOptions(), ManualClock()) as flight:
            flight.send(lambda: ONE)
            raise InputError("row 7", hint="leave it out", row=7)

    with pytest.raises(InputError, match="row 7\nNothing of its batch was written") as caught:
        fly()
    assert caught.value.ids == {"row": 7, "report": ONE}
    assert str(caught.value).endswith("Hint: leave it out")


def test_before_anything_was_written_nothing_is_said_of_it() -> None:
    with pytest.raises(LogFullError) as caught, Flight(BarAddOptions(), ManualClock()) as flight:
        flight.send(full)
    assert caught.value.message == "the disk of the log is full"
    assert caught.value.ids["report"] == BarAddReport()


def test_a_rate_counts_what_was_written_and_not_what_was_there() -> None:
    clock = ManualClock()
    with Flight(BarAddOptions(max_rate=4), clock) as flight:
        flight.send(lambda: BarAddReport(written=2, skipped=100))
        flight.send(lambda: BarAddReport(skipped=100))
        assert clock.now_ms() == 500
        clock.advance(10_000)
        flight.send(lambda: BarAddReport(written=2))
        flight.send(lambda: ONE)
        assert clock.now_ms() == 10_500
