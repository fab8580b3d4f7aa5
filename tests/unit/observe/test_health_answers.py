"""What the endpoints say of a process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ashioto.errors import LogBusyError
from ashioto.observe.health import Health, Leader
from ashioto.observe.metrics import HeartbeatMetrics

if TYPE_CHECKING:
    from tests.support_health import Process


def test_a_process_whose_loop_turns_is_alive(process: Process) -> None:
    process.clock.advance(5_000)
    reply = process.ask("/livez")
    assert (reply.status, reply.json()) == (200, {"live": True, "reasons": []})


def test_a_process_whose_loop_stands_is_neither_alive_nor_ready(process: Process) -> None:
    process.clock.advance(5_100)
    reasons = ["the loop has not turned for 5.1 s"]
    live, ready = process.ask("/livez"), process.ask("/readyz")
    assert (live.status, live.json()) == (503, {"live": False, "reasons": reasons})
    assert (ready.status, ready.json()) == (503, {"ready": False, "reasons": reasons})


def test_a_loop_that_turns_again_is_alive_again(process: Process) -> None:
    process.clock.advance(60_000)
    assert process.ask("/livez").status == 503
    process.health = replace(process.health, turned_at=process.clock.monotonic())
    assert process.ask("/livez").status == 200


def test_a_process_that_does_its_work_is_ready(process: Process) -> None:
    reply = process.ask("/readyz")
    assert (reply.status, reply.json()) == (200, {"ready": True, "reasons": []})


def test_one_that_does_not_says_why_and_is_still_alive(process: Process) -> None:
    why = "trading.Rate.1m: 足音 has no column 'close'"
    process.health = replace(process.health, ready=False, reasons=(why,))
    reply = process.ask("/readyz")
    assert (reply.status, reply.json()) == (503, {"ready": False, "reasons": [why]})
    assert process.ask("/livez").status == 200


def test_reasons_of_both_kinds_are_told(process: Process) -> None:
    process.clock.advance(7_000)
    process.health = replace(process.health, ready=False, reasons=("no log",))
    assert process.ask("/readyz").json()["reasons"] == ["the loop has not turned for 7.0 s", "no log"]


def test_who_cannot_say_how_it_stands_is_unavailable(process: Process) -> None:
    process.error = LogBusyError("the log is held by process 7", hint="wait")
    for path in ("/livez", "/readyz", "/leader"):
        reply = process.ask(path)
        assert (reply.status, reply.json()) == (503, {"reasons": ["the log is held by process 7"]})


def test_leaders_are_told_by_context(process: Process) -> None:
    process.health = Health(
        turned_at=1_000.0,
        ready=True,
        leaders=(
            Leader(context="trading", holder="box:4711", epoch=3, is_this=True),
            Leader(context="analytics", holder=None, epoch=2, is_this=False),
        ),
    )
    reply = process.ask("/leader")
    assert reply.status == 200
    assert reply.json() == {
        "trading": {"leader": "box:4711", "epoch": 3, "this_process": True},
        "analytics": {"leader": None, "epoch": 2, "this_process": False},
    }


def test_without_leaders_there_is_an_empty_answer(process: Process) -> None:
    assert process.ask("/leader").json() == {}


def test_metrics_are_prometheus_text(process: Process) -> None:
    metrics = HeartbeatMetrics(process.registry)
    metrics.sent("trading.Rate.1m", live=2, final=1, delay_s=0.02)
    reply = process.ask("/metrics")
    lines = reply.body.decode().splitlines()
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE ashioto_hb_emitted_total counter" in lines
    assert 'ashioto_hb_emitted_total{kind="live",spec="trading.Rate.1m"} 2.0' in lines
    assert 'ashioto_hb_delay_seconds_bucket{le="0.025",spec="trading.Rate.1m"} 1.0' in lines
    assert not [line for line in lines if "_created" in line]


def test_metrics_are_there_while_the_process_is_stuck(process: Process) -> None:
    HeartbeatMetrics(process.registry).clock_offset(1.5)
    process.clock.advance(60_000)
    process.error = LogBusyError("the log is held")
    reply = process.ask("/metrics")
    assert reply.status == 200
    assert b"ashioto_hb_clock_offset_seconds 1.5\n" in reply.body
