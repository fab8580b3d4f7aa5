"""However a heartbeat is stepped, chunked, crashed and restarted, the log gets every marker of the plan once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_heartbeat import content, contents, create_topics, planned, records, session_batch
from tests.support_planning import START, Row, plans, schedules

from ashioto.control.specs import derive_spec
from ashioto.control.state import heartbeat_state
from ashioto.heartbeat.beat import Sender, SpecBeat
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Fence
from ashioto.testing.crashing_log import CrashError, CrashingLog
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.heartbeat.members import Key
    from ashioto.logical.nodes import Query

ENV = ("dev", "local")
BEGUN = START - 86_400_000
KEYS = [("FX", "EURUSD"), ("FX", "USDJPY"), ("EX", "A\\B")]


@dataclass(kw_only=True)
class Walk:
    """Steps heartbeats that end and crash over one log, each promoted where the one before stood."""

    plan: Query
    hours: dict[Key, list[Row]]
    max_rows: int
    log: MemoryLog = field(default_factory=MemoryLog)
    epoch: int = 0
    now: int = BEGUN

    def __post_init__(self) -> None:
        create_topics(self.log, self.plan)
        self.log.append([session_batch(self.hours)])
        self.spec = derive_spec(self.plan, version=1, updated_ms=BEGUN + 1)
        self.begin()

    def begin(self, *, crash_at: int = 0, when: str = "before") -> None:
        """Start another heartbeat, which may crash at an append."""
        log = CrashingLog(self.log, crash_at=crash_at, when="before" if when == "before" else "after")
        self.epoch += 1
        self.sender = Sender(fence=Fence(name="hb", epoch=self.epoch), holder="h", since_ms=self.now)
        self.beat = SpecBeat(log, ENV, self.spec, options=HeartbeatOptions(max_rows=self.max_rows), hold=None)
        self.beat.promote(self.now)

    def turn(self) -> None:
        """Send once; what crashes is started anew."""
        try:
            self.beat.send(self.now, self.sender)
        except CrashError:
            self.begin()

    def finish(self) -> None:
        """Send until nothing is due."""
        while self.beat.sent < self.now:
            self.turn()
        self.check()

    def check(self) -> None:
        """Whatever is recorded as sent is in the log, and nothing is there before its time."""
        state = heartbeat_state(self.log, self.spec.key(ENV))
        found = contents(self.log, self.plan)
        assert all(count == 1 for count in found.values())
        assert all(row[2] <= self.now and row[3] <= self.now for row in found)
        if state is not None:
            assert state.last_hb_ms <= self.now
            assert found == planned(self.plan, self.hours, after=BEGUN, until=state.last_hb_ms)


@st.composite
def walks(draw: st.DrawFn) -> Walk:
    """Draw a query, and three keys of which two may share a schedule."""
    plan, rows = draw(plans())
    others = draw(st.sampled_from([rows, None])) or draw(schedules())
    hours: dict[Key, list[Row]] = {KEYS[0]: rows, KEYS[1]: others, KEYS[2]: draw(schedules())}
    return Walk(plan=plan, hours=hours, max_rows=draw(st.sampled_from([1, 20, 20, 100_000])))


STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 999, 30_000, 60_000, 300_000, 7_200_000, 86_400_000])),
    st.tuples(st.just("turn"), st.integers(1, 4)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.sampled_from(["before", "after"]), st.integers(1, 4)),
)


@settings(max_examples=40, deadline=None)
@given(walks(), st.lists(STEP, max_size=14))
def test_every_marker_of_the_plan_is_sent_once(walk: Walk, steps: list[tuple[str, int]]) -> None:
    for what, size in [*steps, ("wait", 40 * 86_400_000)]:
        if what == "wait":
            walk.now += size
        elif what == "turn":
            for _ in range(size):
                walk.turn()
            walk.check()
        else:
            walk.begin(crash_at=size if what != "end" else 0, when=what)
    walk.finish()
    assert contents(walk.log, walk.plan) == planned(walk.plan, walk.hours, after=BEGUN, until=walk.now)
    for _, rows in records(walk.log, walk.plan):
        dues = [content(row)[2] for row in rows]
        assert dues == sorted(dues)


@settings(max_examples=50, deadline=None)
@given(walks())
def test_an_append_is_as_large_as_allowed_and_never_splits_what_is_due_together(walk: Walk) -> None:
    walk.now += 20 * 86_400_000
    dues = Counter(row[2] for row in planned(walk.plan, walk.hours, after=BEGUN, until=walk.now))
    while (before := walk.beat.sent) < walk.now:
        sent = walk.beat.send(walk.now, walk.sender)
        new = {due: count for due, count in dues.items() if before < due <= walk.beat.sent}
        assert sent.live + sent.final == sum(new.values())
        assert sent.first_due == min(new, default=None)
        assert sum(new.values()) <= walk.max_rows or len(new) == 1
