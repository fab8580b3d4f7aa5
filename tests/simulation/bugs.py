"""Bugs to plant: each changes a few lines of the real code, and the simulation must notice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ashioto.control.election import LeaseElection
from ashioto.deploy import plan as planning
from ashioto.deploy.actual import actual_state
from ashioto.deploy.stages import Record, WriteSpec, stages
from ashioto.engines.embedded import residency, versions
from ashioto.engines.embedded.beats import Beats
from ashioto.engines.embedded.runner import QueryRunner
from ashioto.engines.embedded.stream import PartitionRunner
from ashioto.engines.embedded.topics import OFFSETS
from ashioto.heartbeat import beat, portions
from ashioto.heartbeat.beat import SpecBeat
from ashioto.heartbeat.encoding import marker_batches
from ashioto.heartbeat.followed import Followed
from ashioto.heartbeat.orchestrator import Orchestrator
from ashioto.heartbeat.planner import plan_markers
from ashioto.testing import memory_log

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Plant = Callable[[pytest.MonkeyPatch], None]


class Apart:
    """A log that writes some topics in an append of their own, first or last.

    Args:
        inner: The log.
        is_apart: Says which topics.
        first: Whether they come first.
    """

    def __init__(self, inner: Any, is_apart: Callable[[str], bool], *, first: bool) -> None:
        self._inner, self._is_apart, self._first = inner, is_apart, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def append(self, batches: Any, *, fence: Any = None) -> None:
        """Append in two."""
        some = [b for b in batches if self._is_apart(b.topic)]
        others = [b for b in batches if not self._is_apart(b.topic)]
        for part in (some, others) if self._first else (others, some):
            if part:
                self._inner.append(part, fence=fence)


def log_keeps_no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(memory_log, "check_epoch", lambda *_: None)


def watermark_before_its_markers(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat._append

    def apart(self: Any, *args: Any) -> None:
        log = self._log
        self._log = Apart(log, lambda topic: topic == "rc.hb.state", first=True)
        try:
            known(self, *args)
        finally:
            self._log = log

    patch.setattr(SpecBeat, "_append", apart)


def bucket_off_by_one(patch: pytest.MonkeyPatch) -> None:
    known = plan_markers

    def wrong(query: Any, *args: Any, **options: Any) -> Any:
        step = query.base.millis
        return [replace(m, bucket_end=m.bucket_end + (step if m.closes else 0)) for m in known(query, *args, **options)]

    patch.setattr(portions, "plan_markers", wrong)


def sends_ahead_of_its_clock(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat.send
    patch.setattr(SpecBeat, "send", lambda self, now, sender: known(self, now + 700, sender))


def time_by_the_monotonic_clock(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat.send

    def wrong(self: Any, now: int, sender: Any) -> Any:
        return known(self, round((sender.since_ms // 60_000 + 1) * 60_000), sender) if now else None

    patch.setattr(SpecBeat, "send", wrong)


def epoch_stays_at_takeover(patch: pytest.MonkeyPatch) -> None:
    known = LeaseElection._taken

    def wrong(self: Any, lease: Any) -> Any:
        made = known(self, lease)
        return made if made is None or lease is None else replace(made, epoch=lease.epoch)

    patch.setattr(LeaseElection, "_taken", wrong)


def catch_up_begins_now(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat.promote

    def wrong(self: Any, now: int, **options: Any) -> None:
        known(self, now, **options)
        self.sent = max(self.sent, now)

    patch.setattr(SpecBeat, "promote", wrong)


def catch_up_begins_a_second_early(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat.promote

    def wrong(self: Any, now: int, **options: Any) -> None:
        known(self, now, **options)
        self.sent -= 1_000

    patch.setattr(SpecBeat, "promote", wrong)


def cut_is_zero(patch: pytest.MonkeyPatch) -> None:
    known = marker_batches
    patch.setattr(
        beat, "marker_batches", lambda spec, due, cuts, epoch: known(spec, due, dict.fromkeys(cuts, 0), epoch)
    )


def cut_is_that_of_the_markers_before(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat._cuts
    last: dict[int, Any] = {}

    def wrong(self: Any, *args: Any, **options: Any) -> Any:
        now = known(self, *args, **options)
        if not now:
            return now
        before, last[id(self)] = last.get(id(self), now), now
        return {partition: min(cut, now[partition]) for partition, cut in before.items()}

    patch.setattr(SpecBeat, "_cuts", wrong)


def engine_does_not_wait_for_the_cut(patch: pytest.MonkeyPatch) -> None:
    known = Beats.ready
    patch.setattr(Beats, "ready", lambda self, _: known(self, 1 << 60))


def edits_are_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    known = Followed.refresh
    patch.setattr(Followed, "refresh", lambda *args: None if known(*args) is None else [])


def edits_before_a_promotion_are_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Followed, "since", lambda *_: [])


def edits_are_sent_ahead_of_the_clock(patch: pytest.MonkeyPatch) -> None:
    known = SpecBeat._next

    def wrong(self: Any, now: int) -> Any:
        return known(self, max([now, *(stretch.until for stretch in self._again)]))

    patch.setattr(SpecBeat, "_next", wrong)


def shorter_grace_loses_markers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Followed, "all_after", lambda *_: [])


def renews_what_another_holds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LeaseElection, "_renewed", lambda self, known: replace(known, expires_ms=self._expiry()))


def resigns_without_a_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Orchestrator, "hand_over", lambda _: None)


def catch_up_closes_nothing(patch: pytest.MonkeyPatch) -> None:
    known = plan_markers

    def wrong(query: Any, sessions: Any, *, after: int, until: int) -> Any:
        made = known(query, sessions, after=after, until=until)
        return [replace(m, closes=()) for m in made] if until - after > 20_000 else made

    patch.setattr(portions, "plan_markers", wrong)


def apply_skips_the_intent(patch: pytest.MonkeyPatch) -> None:
    known = stages

    def wrong(changes: Any) -> Any:
        return [s for s in known(changes) if not (isinstance(s, Record) and s.registration.state == "intent")]

    patch.setattr(planning, "stages", wrong)


def spec_before_its_query(patch: pytest.MonkeyPatch) -> None:
    known = stages

    def wrong(changes: Any) -> Any:
        steps = known(changes)
        first = next((i for i, step in enumerate(steps) if isinstance(step, Record)), len(steps))
        early = [step for step in steps[first:] if isinstance(step, WriteSpec)]
        return [*steps[:first], *early, *(step for step in steps[first:] if not isinstance(step, WriteSpec))]

    patch.setattr(planning, "stages", wrong)


def plan_writes(patch: pytest.MonkeyPatch) -> None:
    known = actual_state

    def wrong(target: Any, *args: Any, **options: Any) -> Any:
        target.log.create([])
        return known(target, *args, **options)

    patch.setattr(planning, "actual_state", wrong)


def apply_always_has_something_to_do(patch: pytest.MonkeyPatch) -> None:
    known = stages

    def wrong(changes: Any) -> Any:
        runs = [c.runs for c in changes if getattr(c, "recorded", None) == "applied" and c.action == "keep"]
        return [*known(changes), *(Record(registration=r) for r in runs if r is not None)]

    patch.setattr(planning, "stages", wrong)


def bars_without_their_progress(patch: pytest.MonkeyPatch) -> None:
    known = PartitionRunner._append

    def apart(self: Any, batches: Any, *args: Any) -> None:
        log = self._log
        self._log = Apart(log, lambda topic: topic == OFFSETS, first=False)
        try:
            known(self, batches, *args)
        finally:
            self._log = log

    patch.setattr(PartitionRunner, "_append", apart)


def restart_skips_a_tick(patch: pytest.MonkeyPatch) -> None:
    known = PartitionRunner._restored

    def wrong(self: Any, *args: Any) -> Any:
        found = known(self, *args)
        return replace(found, source_offset=found.source_offset + 1) if found.source_offset else found

    patch.setattr(PartitionRunner, "_restored", wrong)


def ticks_by_an_old_schedule(patch: pytest.MonkeyPatch) -> None:
    known = QueryRunner._part

    def wrong(self: Any, number: int) -> PartitionRunner:
        part = known(self, number)
        part.before_ticks = lambda: None
        return part

    patch.setattr(QueryRunner, "_part", wrong)


def a_new_sender_sets_the_clock_back(patch: pytest.MonkeyPatch) -> None:
    known = PartitionRunner._new_epoch
    patch.setattr(PartitionRunner, "_new_epoch", lambda self, beat: known(self, replace(beat, sets=True)))


def bars_final_sooner_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(versions, "_grace_ms", lambda _: 0)


def a_lost_column_ends_the_engine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(residency, "LogError", lambda text, **_: KeyError(text))


BUGS: Final[list[Plant]] = [
    log_keeps_no_fence,
    watermark_before_its_markers,
    bucket_off_by_one,
    sends_ahead_of_its_clock,
    time_by_the_monotonic_clock,
    epoch_stays_at_takeover,
    catch_up_begins_now,
    catch_up_begins_a_second_early,
    cut_is_zero,
    cut_is_that_of_the_markers_before,
    engine_does_not_wait_for_the_cut,
    edits_are_not_sent_again,
    edits_before_a_promotion_are_not_sent_again,
    edits_are_sent_ahead_of_the_clock,
    shorter_grace_loses_markers,
    renews_what_another_holds,
    resigns_without_a_state,
    catch_up_closes_nothing,
    apply_skips_the_intent,
    spec_before_its_query,
    plan_writes,
    apply_always_has_something_to_do,
    bars_without_their_progress,
    restart_skips_a_tick,
    ticks_by_an_old_schedule,
    a_new_sender_sets_the_clock_back,
    bars_final_sooner_are_forgotten,
    a_lost_column_ends_the_engine,
]
