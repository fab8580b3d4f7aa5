"""What a heartbeat says of itself becomes series with bounded labels."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from ashioto.observe.metrics import DELAY_BUCKETS, HeartbeatMetrics

SPEC = "trading.Rate.1m"


def value(metrics: HeartbeatMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"ashioto_hb_{name}", labels)


def series(metrics: HeartbeatMetrics, **labels: str) -> set[str]:
    found = (sample for metric in metrics.registry.collect() for sample in metric.samples)
    return {sample.name for sample in found if labels.items() <= sample.labels.items()}


def test_markers_are_counted_by_kind() -> None:
    metrics = HeartbeatMetrics()
    metrics.sent(SPEC, live=3, final=2, delay_s=0.01)
    metrics.sent(SPEC, live=0, final=4, delay_s=0.01)
    metrics.sent("trading.Quote.1s", live=1, final=0, delay_s=0.01)
    assert value(metrics, "emitted_total", spec=SPEC, kind="live") == 3
    assert value(metrics, "emitted_total", spec=SPEC, kind="final") == 6
    assert value(metrics, "emitted_total", spec="trading.Quote.1s", kind="live") == 1


def test_what_was_missed_is_counted_apart() -> None:
    metrics = HeartbeatMetrics()
    metrics.sent(SPEC, live=5, final=5, delay_s=90.0, catch_up=8)
    assert value(metrics, "catch_up_total", spec=SPEC) == 8
    assert value(metrics, "emitted_total", spec=SPEC, kind="live") == 5


@pytest.mark.parametrize(
    ("delay", "bound"),
    [(0.005, "0.005"), (0.006, "0.01"), (1.0, "1.0"), (59.9, "60.0"), (61.0, "+Inf"), (-0.4, "0.005")],
)
def test_a_delay_falls_into_the_smallest_bucket_that_holds_it(delay: float, bound: str) -> None:
    metrics = HeartbeatMetrics()
    metrics.sent(SPEC, live=1, final=0, delay_s=delay)
    bounds = [*(str(b) for b in DELAY_BUCKETS), "+Inf"]
    held = [b for b in bounds if value(metrics, "delay_seconds_bucket", spec=SPEC, le=b) == 1]
    assert held == bounds[bounds.index(bound) :]
    assert value(metrics, "delay_seconds_sum", spec=SPEC) == max(delay, 0.0)


def test_an_append_without_markers_has_no_delay() -> None:
    metrics = HeartbeatMetrics()
    metrics.sent(SPEC, live=0, final=0, delay_s=3.0)
    assert value(metrics, "delay_seconds_count", spec=SPEC) == 0


def test_holds_overruns_and_refused_writes_are_counted() -> None:
    metrics = HeartbeatMetrics()
    metrics.held(SPEC)
    metrics.held(SPEC)
    metrics.overrun(SPEC)
    metrics.fenced("trading")
    assert value(metrics, "held_total", spec=SPEC) == 2
    assert value(metrics, "hold_overruns_total", spec=SPEC) == 1
    assert value(metrics, "fenced_total", context="trading") == 1


def test_counters_of_a_spec_begin_at_zero_and_its_moments_do_not() -> None:
    metrics = HeartbeatMetrics()
    metrics.problem(SPEC, present=False)
    assert value(metrics, "emitted_total", spec=SPEC, kind="final") == 0
    assert value(metrics, "hold_overruns_total", spec=SPEC) == 0
    assert value(metrics, "last_heartbeat_timestamp_seconds", spec=SPEC) is None
    assert value(metrics, "schedule_ends_timestamp_seconds", spec=SPEC) is None


def test_a_mode_is_counted_when_it_changes() -> None:
    metrics = HeartbeatMetrics()
    for active, epoch in [(False, None), (False, None), (True, 3), (True, 4), (False, None), (True, 6)]:
        metrics.leading("trading", epoch=epoch, active=active)
    counted = {to: value(metrics, "transitions_total", context="trading", to=to) for to in ("active", "standby")}
    assert counted == {"active": 2, "standby": 2}
    assert value(metrics, "transitions_total", context="trading", to="stopped") == 0


def test_the_leader_is_one_and_others_are_zero() -> None:
    metrics = HeartbeatMetrics()
    metrics.leading("trading", epoch=3, active=True)
    metrics.leading("analytics", epoch=None, active=False)
    assert value(metrics, "leader", context="trading") == 1
    assert value(metrics, "leader", context="analytics") == 0
    assert value(metrics, "epoch", context="trading") == 3
    assert value(metrics, "epoch", context="analytics") is None


def test_a_former_leader_keeps_the_epoch_it_led_under() -> None:
    metrics = HeartbeatMetrics()
    metrics.leading("trading", epoch=3, active=True)
    metrics.leading("trading", epoch=None, active=False)
    assert (value(metrics, "leader", context="trading"), value(metrics, "epoch", context="trading")) == (0, 3)


def test_who_stops_leads_no_more() -> None:
    metrics = HeartbeatMetrics()
    metrics.leading("trading", epoch=3, active=True)
    metrics.stopped("trading")
    metrics.stopped("trading")
    assert value(metrics, "leader", context="trading") == 0
    assert value(metrics, "transitions_total", context="trading", to="stopped") == 1


def test_a_refused_write_is_no_change_of_mode() -> None:
    metrics = HeartbeatMetrics()
    metrics.fenced("trading")
    metrics.leading("trading", epoch=None, active=False)
    assert value(metrics, "transitions_total", context="trading", to="standby") == 1
    assert value(metrics, "fenced_total", context="trading") == 1


def test_moments_are_seconds() -> None:
    metrics = HeartbeatMetrics()
    metrics.watermark(SPEC, last_hb_ms=1_795_806_000_250)
    metrics.schedule_ends(SPEC, at_ms=1_795_900_000_000)
    assert value(metrics, "last_heartbeat_timestamp_seconds", spec=SPEC) == 1_795_806_000.25
    assert value(metrics, "schedule_ends_timestamp_seconds", spec=SPEC) == 1_795_900_000.0


def test_a_schedule_that_never_ends_has_no_end() -> None:
    metrics = HeartbeatMetrics()
    metrics.schedule_ends(SPEC, at_ms=None)
    assert value(metrics, "schedule_ends_timestamp_seconds", spec=SPEC) is None
    metrics.schedule_ends(SPEC, at_ms=1_000)
    metrics.schedule_ends(SPEC, at_ms=None)
    assert value(metrics, "schedule_ends_timestamp_seconds", spec=SPEC) is None


def test_a_problem_comes_and_goes() -> None:
    metrics = HeartbeatMetrics()
    metrics.problem(SPEC, present=True)
    assert value(metrics, "problem", spec=SPEC) == 1
    metrics.problem(SPEC, present=False)
    assert value(metrics, "problem", spec=SPEC) == 0


def test_the_clock_may_be_behind() -> None:
    metrics = HeartbeatMetrics()
    metrics.clock_offset(-0.75)
    assert value(metrics, "clock_offset_seconds") == -0.75


def fill(metrics: HeartbeatMetrics, spec: str) -> None:
    metrics.sent(spec, live=1, final=1, delay_s=0.1, catch_up=1)
    metrics.held(spec)
    metrics.overrun(spec)
    metrics.watermark(spec, last_hb_ms=1_000)
    metrics.schedule_ends(spec, at_ms=2_000)
    metrics.problem(spec, present=True)


def test_a_forgotten_spec_leaves_nothing_and_others_stay() -> None:
    metrics = HeartbeatMetrics()
    fill(metrics, SPEC)
    fill(metrics, "trading.Quote.1s")
    before = series(metrics, spec="trading.Quote.1s")
    metrics.forget(SPEC)
    assert series(metrics, spec=SPEC) == set()
    assert series(metrics, spec="trading.Quote.1s") == before


def test_a_forgotten_spec_may_come_back() -> None:
    metrics = HeartbeatMetrics()
    metrics.forget(SPEC)
    fill(metrics, SPEC)
    everything = series(metrics, spec=SPEC)
    metrics.forget(SPEC)
    metrics.forget(SPEC)
    fill(metrics, SPEC)
    assert series(metrics, spec=SPEC) == everything
    assert value(metrics, "held_total", spec=SPEC) == 1


def test_each_has_a_registry_of_its_own_unless_given_one() -> None:
    shared = CollectorRegistry()
    assert HeartbeatMetrics().registry is not HeartbeatMetrics().registry
    assert HeartbeatMetrics(shared).registry is shared


def test_no_label_is_anything_but_bounded() -> None:
    metrics = HeartbeatMetrics()
    fill(metrics, SPEC)
    metrics.leading("trading", epoch=1, active=True)
    names = {name for metric in metrics.registry.collect() for sample in metric.samples for name in sample.labels}
    assert names == {"spec", "kind", "context", "to", "le"}
