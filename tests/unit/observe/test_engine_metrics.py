"""What an engine has counted shows as it is, by query."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from ashioto.observe.metrics import EngineMetrics, HeartbeatMetrics

QUERY = "trading_rate_bars_v4"


def value(metrics: EngineMetrics, name: str, query: str = QUERY) -> float | None:
    return metrics.registry.get_sample_value(f"ashioto_engine_{name}", {"query": query})


def test_totals_are_counters_that_are_set() -> None:
    metrics = EngineMetrics()
    metrics.totals(QUERY, ticks=10, out_of_session=1, unknown_key=2, late=3, rejected=4)
    metrics.totals(QUERY, ticks=20, out_of_session=1, unknown_key=2, late=3, rejected=5)
    names = ("ticks", "out_of_session", "unknown_key", "late", "rejected")
    assert [value(metrics, f"{name}_total") for name in names] == [20, 1, 2, 3, 5]
    assert {m.name: m.type for m in metrics.collect()}["ashioto_engine_ticks"] == "counter"


def test_bars_lag_and_running_are_told_apart() -> None:
    metrics = EngineMetrics()
    metrics.written(QUERY, bars=600)
    metrics.lag(QUERY, records=12)
    metrics.running(QUERY, present=True)
    assert value(metrics, "bars_written_total") == 600
    assert value(metrics, "lag_records") == 12
    assert value(metrics, "running") == 1
    metrics.running(QUERY, present=False)
    metrics.lag(QUERY, records=0)
    assert (value(metrics, "lag_records"), value(metrics, "running")) == (0, 0)


def test_queries_do_not_mix() -> None:
    metrics = EngineMetrics()
    metrics.written(QUERY, bars=1)
    metrics.written("analytics_rate_bars_v1", bars=2)
    assert value(metrics, "bars_written_total") == 1
    assert value(metrics, "bars_written_total", "analytics_rate_bars_v1") == 2


def test_a_forgotten_query_leaves_nothing() -> None:
    metrics = EngineMetrics()
    metrics.totals(QUERY, ticks=10, out_of_session=1, unknown_key=2, late=3, rejected=4)
    metrics.running(QUERY, present=True)
    metrics.running("analytics_rate_bars_v1", present=True)
    metrics.forget(QUERY)
    metrics.forget("never_seen_v1")
    left = [sample.labels["query"] for metric in metrics.collect() for sample in metric.samples]
    assert left == ["analytics_rate_bars_v1"]


def test_heartbeat_and_engine_share_a_registry() -> None:
    registry = CollectorRegistry()
    HeartbeatMetrics(registry).held("trading.Rate.1m")
    EngineMetrics(registry).running(QUERY, present=True)
    names = {metric.name for metric in registry.collect()}
    assert {"ashioto_hb_held", "ashioto_engine_running"} <= names


def test_a_registry_takes_one_engine() -> None:
    metrics = EngineMetrics()
    with pytest.raises(ValueError, match="ashioto_engine_ticks"):
        EngineMetrics(metrics.registry)
