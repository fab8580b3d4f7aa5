"""A resident command ends when it is asked to, at once, also while it waits."""

from __future__ import annotations

import signal
import threading

import pytest

from ashioto.cli.stopping import SIGNALS, Stopping
from ashioto.clock import SystemClock


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_handler_before_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stopping() as stopping:
        assert not stopping
        signal.raise_signal(number)
        assert stopping
        assert stopping.wait(60) is True
    assert signal.getsignal(number) == before


def test_a_signal_ends_the_waiting_at_once() -> None:
    clock = SystemClock()
    with Stopping() as stopping:
        begun = clock.monotonic()
        sender = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM))
        sender.start()
        assert stopping.wait(30) is True
        assert clock.monotonic() - begun < 30
        sender.join()


def test_without_a_signal_it_waits_to_the_end() -> None:
    with Stopping() as stopping:
        assert stopping.wait(0.001) is False
        assert stopping.wait(0) is False


def test_one_inside_another_gives_the_wake_up_back() -> None:
    with Stopping() as outer:
        with Stopping() as inner:
            signal.raise_signal(signal.SIGTERM)
            assert inner.wait(30)
        assert not outer
        signal.raise_signal(signal.SIGINT)
        assert outer.wait(30)
