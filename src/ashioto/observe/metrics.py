"""What a heartbeat and an engine count, as Prometheus metrics; nothing else in ashioto knows of Prometheus.

Labels stay bounded: a spec (`trading.Rate.1m`), a context or a query, never a symbol.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

DELAY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the delay histogram, seconds."""

_MODES: Final = ("active", "standby", "stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpecSeries:
    """Holds the series of one spec, which are there from the first time it is named."""

    live: Counter
    final: Counter
    catch_up: Counter
    held: Counter
    overruns: Counter
    delay: Histogram
    problem: Gauge


class HeartbeatMetrics:
    """Counts what a heartbeat does.

    Methods may be called from one thread while others read the registry.

    Args:
        registry: Where the metrics are registered; by default one of its own.

    >>> metrics = HeartbeatMetrics()
    >>> metrics.sent("trading.Rate.1m", live=2, final=1, delay_s=0.012)
    >>> metrics.registry.get_sample_value("ashioto_hb_emitted_total", {"spec": "trading.Rate.1m", "kind": "live"})
    2.0
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = own = CollectorRegistry() if registry is None else registry
        counter, gauge = partial(Counter, registry=own), partial(Gauge, registry=own)
        spec, context = ["spec"], ["context"]
        self._emitted = counter("ashioto_hb_emitted", "Markers sent", ["spec", "kind"])
        self._catch_up = counter("ashioto_hb_catch_up", "Markers that were due over a second before the takeover", spec)
        self._held = counter("ashioto_hb_held", "Times final markers were held for the engine", spec)
        self._overruns = counter("ashioto_hb_hold_overruns", "Times markers were held up to the limit", spec)
        self._fenced = counter("ashioto_hb_fenced", "Times somebody else was found to have taken over", context)
        delay = "Seconds from the deadline of a marker until the log had it"
        self._delay = Histogram("ashioto_hb_delay_seconds", delay, spec, buckets=DELAY_BUCKETS, registry=own)
        last = "Every marker due until then has been sent, seconds since the epoch"
        self._last = gauge("ashioto_hb_last_heartbeat_timestamp_seconds", last, spec)
        ends = "When the first schedule runs out, seconds since the epoch"
        self._ends = gauge("ashioto_hb_schedule_ends_timestamp_seconds", ends, spec)
        self._problem = gauge("ashioto_hb_problem", "1 while the spec cannot be served", spec)
        self._leader = gauge("ashioto_hb_leader", "1 while this process is active", context)
        self._epoch = gauge("ashioto_hb_epoch", "Epoch under which this process last led, 0 if never", context)
        self._transitions = counter("ashioto_hb_transitions", "Changes of mode of this process", ["context", "to"])
        self._clock_offset = gauge(
            "ashioto_hb_clock_offset_seconds", "How far the wall clock ran ahead since the start"
        )
        self._specs: dict[str, _SpecSeries] = {}
        self._modes: dict[str, str] = {}
        self._dated: dict[Gauge, set[str]] = {self._last: set(), self._ends: set()}

    def sent(self, spec: str, *, live: int, final: int, delay_s: float, catch_up: int = 0) -> None:
        """Count markers that the log has acknowledged in one append.

        Args:
            spec: Whose markers, e.g. `trading.Rate.1m`.
            live: How many said that a segment has begun.
            final: How many said that one has ended.
            delay_s: Seconds from the earliest deadline among them to the acknowledgement.
            catch_up: How many of them were due more than a second before this process took over.
        """
        series = self._series(spec)
        series.live.inc(live)
        series.final.inc(final)
        series.catch_up.inc(catch_up)
        if live or final:
            series.delay.observe(max(delay_s, 0.0))

    def held(self, spec: str) -> None:
        """Count that final markers were held until the engine has read as far as their cut."""
        self._series(spec).held.inc()

    def overrun(self, spec: str) -> None:
        """Count that held markers were sent because the hold limit had passed."""
        self._series(spec).overruns.inc()

    def fenced(self, context: str) -> None:
        """Count that a write was refused or a lease lost, because somebody else has taken over."""
        self._know_context(context)
        self._fenced.labels(context).inc()

    def leading(self, context: str, *, epoch: int | None, active: bool) -> None:
        """Say in which mode this process is; counted when it is another than before.

        Args:
            context: Of the role.
            epoch: Under which it leads or last led; None leaves what was said before.
            active: Whether it leads, else it stands by.
        """
        self._turn(context, "active" if active else "standby")
        if epoch is not None:
            self._epoch.labels(context).set(epoch)

    def stopped(self, context: str) -> None:
        """Say that this process neither leads nor stands by any more."""
        self._turn(context, "stopped")

    def watermark(self, spec: str, *, last_hb_ms: int) -> None:
        """Say up to which moment every marker has been sent, ms."""
        self._date(self._last, spec, last_hb_ms)

    def clock_offset(self, seconds: float) -> None:
        """Say how far the wall clock ran ahead of the monotonic one since the start; negative when behind."""
        self._clock_offset.set(seconds)

    def schedule_ends(self, spec: str, *, at_ms: int | None) -> None:
        """Say when the first schedule of its keys runs out, ms; None when there is none that could."""
        self._date(self._ends, spec, at_ms)

    def problem(self, spec: str, *, present: bool) -> None:
        """Say whether something keeps the spec from being served."""
        self._series(spec).problem.set(present)

    def forget(self, spec: str) -> None:
        """Take all series of a spec away: it is gone, or this process serves it no more."""
        if self._specs.pop(spec, None) is None:
            return
        for kind in ("live", "final"):
            self._emitted.remove(spec, kind)
        for metric in (self._catch_up, self._held, self._overruns, self._delay, self._problem):
            metric.remove(spec)
        for gauge in self._dated:
            self._date(gauge, spec, None)

    def _series(self, spec: str) -> _SpecSeries:
        """Return the series of a spec; counters begin at 0, so that their first step shows as an increase."""
        found = self._specs.get(spec)
        if found is None:
            found = self._specs[spec] = _SpecSeries(
                live=self._emitted.labels(spec, "live"),
                final=self._emitted.labels(spec, "final"),
                catch_up=self._catch_up.labels(spec),
                held=self._held.labels(spec),
                overruns=self._overruns.labels(spec),
                delay=self._delay.labels(spec),
                problem=self._problem.labels(spec),
            )
        return found

    def _date(self, gauge: Gauge, spec: str, at_ms: int | None) -> None:
        """Set a moment, or take it away: one that was never said would read as 1970."""
        dated = self._dated[gauge]
        if at_ms is not None:
            self._series(spec)
            dated.add(spec)
            gauge.labels(spec).set(at_ms / 1000)
        elif spec in dated:
            dated.remove(spec)
            gauge.remove(spec)

    def _know_context(self, context: str) -> None:
        if context not in self._modes:
            self._modes[context] = ""
            self._fenced.labels(context)
            self._leader.labels(context)
            for mode in _MODES:
                self._transitions.labels(context, mode)

    def _turn(self, context: str, mode: str) -> None:
        self._know_context(context)
        if self._modes[context] != mode:
            self._modes[context] = mode
            self._transitions.labels(context, mode).inc()
            self._leader.labels(context).set(mode == "active")


_TOTALS: Final = {
    "ticks": "Ticks read",
    "out_of_session": "Ticks outside the sessions of their key",
    "unknown_key": "Ticks of keys without sessions",
    "late": "Ticks older than grace and retention",
    "rejected": "Records that could not be used",
    "bars_written": "Bars written, each revision of a bar counted",
}
_STATES: Final = {
    "lag_records": "Records of the source that are not read yet",
    "running": "1 while the query runs",
}


class EngineMetrics(Collector):
    """Shows what an engine has counted itself.

    The engine's totals outlive its process, so they are set, not added to.

    Args:
        registry: Where the metrics are registered; by default one of its own.

    >>> metrics = EngineMetrics()
    >>> metrics.totals("trading_rate_bars_v4", ticks=7, out_of_session=1, unknown_key=0, late=0, rejected=0)
    >>> metrics.registry.get_sample_value("ashioto_engine_ticks_total", {"query": "trading_rate_bars_v4"})
    7
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._lock = Lock()
        self._values: dict[str, dict[str, float]] = {name: {} for name in _TOTALS | _STATES}
        self.registry = CollectorRegistry() if registry is None else registry
        self.registry.register(self)

    def totals(
        self, query: str, *, ticks: int, out_of_session: int, unknown_key: int, late: int, rejected: int
    ) -> None:
        """Say what became of the ticks of a query, all partitions together.

        Args:
            query: Its registered name, e.g. `trading_rate_bars_v4`.
            ticks: How many were read.
            out_of_session: Of these, outside the sessions of their key.
            unknown_key: Of keys without sessions.
            late: Older than grace and retention.
            rejected: That could not be used.
        """
        self._set(
            query,
            ticks=ticks,
            out_of_session=out_of_session,
            unknown_key=unknown_key,
            late=late,
            rejected=rejected,
        )

    def written(self, query: str, *, bars: int) -> None:
        """Say how many bars were written for a query since the engine started."""
        self._set(query, bars_written=bars)

    def lag(self, query: str, *, records: int) -> None:
        """Say how many records of its source are not read yet."""
        self._set(query, lag_records=records)

    def running(self, query: str, *, present: bool) -> None:
        """Say whether a query runs."""
        self._set(query, running=present)

    def forget(self, query: str) -> None:
        """Take all series of a query away."""
        with self._lock:
            for values in self._values.values():
                values.pop(query, None)

    def describe(self) -> Iterator[Metric]:
        """Return the metrics as the registry wants them, which refuses a second one of the same name."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        with self._lock:
            values = {name: dict(of_query) for name, of_query in self._values.items()}
        for name, text in _TOTALS.items():
            yield _filled(CounterMetricFamily(f"ashioto_engine_{name}", text, labels=["query"]), values[name])
        for name, text in _STATES.items():
            yield _filled(GaugeMetricFamily(f"ashioto_engine_{name}", text, labels=["query"]), values[name])

    def _set(self, query: str, **values: float) -> None:
        with self._lock:
            for name, value in values.items():
                self._values[name][query] = value


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: dict[str, float]) -> Metric:
    for query, value in values.items():
        family.add_metric([query], value)
    return family
