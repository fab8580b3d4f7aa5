"""The page about observing names every metric with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from ashioto.observe.metrics import DELAY_BUCKETS, EngineMetrics, HeartbeatMetrics

PAGE = (Path(__file__).parents[3] / "docs" / "operations" / "observing.md").read_text(encoding="utf-8")
SPEC, CONTEXT, QUERY = "trading.Rate.1m", "trading", "trading_rate_bars_v4"


def known() -> dict[str, tuple[str, set[str]]]:
    """Names of all metrics as Prometheus shows them, each with its type and labels."""
    beat = HeartbeatMetrics()
    beat.sent(SPEC, live=1, final=1, delay_s=0.1)
    beat.watermark(SPEC, last_hb_ms=1)
    beat.schedule_ends(SPEC, at_ms=1)
    beat.leading(CONTEXT, epoch=1, active=True)
    engine = EngineMetrics(beat.registry)
    engine.totals(QUERY, ticks=0, out_of_session=0, unknown_key=0, late=0, rejected=0)
    engine.written(QUERY, bars=0)
    engine.lag(QUERY, records=0)
    engine.running(QUERY, present=True)
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: (
            metric.type,
            {label for sample in metric.samples for label in sample.labels} - {"le"},
        )
        for metric in beat.registry.collect()
    }


def test_every_metric_is_in_the_tables_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(ashioto_\w+)` \| (\w+) \| ([^|]*)\|", PAGE, re.MULTILINE)
    assert {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == known()


def test_every_metric_in_an_example_exists() -> None:
    named = {name.removesuffix("_bucket") for name in re.findall(r"\bashioto_(?:hb|engine)_\w+", PAGE)}
    assert named <= known().keys()


def test_the_buckets_are_those_of_the_histogram() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("Buckets:"))
    assert tuple(float(number) for number in re.findall(r"[\d.]+\d|\d+", line)) == DELAY_BUCKETS
