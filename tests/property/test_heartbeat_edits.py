"""Whenever and by whichever heartbeat an edit of the schedule is seen, every marker of the new schedule is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support_heartbeat import HOURS_TOPIC, TrimmedLog, contents, create_topics, planned, session_batch
from tests.support_planning import FRAMES, START, START_DAY, Row, query

from ashioto.control.specs import derive_spec
from ashioto.control.state import heartbeat_state
from ashioto.heartbeat.beat import Sender, SpecBeat
from ashioto.heartbeat.options import HeartbeatOptions
from ashioto.log.base import Fence
from ashioto.testing.memory_log import MemoryLog

if TYPE_CHECKING:
    from ashioto.heartbeat.members import Key
    from ashioto.logical.nodes import Query

ENV = ("dev", "local")
DAY, SLOT, MINUTE = 86_400_000, 600_000, 60_000
BEGUN, SLOTS = START - DAY - 1, 4
KEYS = [("FX", "EURUSD"), ("FX", "USDJPY"), ("EX", "A\\B")]
Kept = Literal["all", "changes", "nothing"]
"""Which records of the schedule the log still has when a heartbeat is promoted."""


def row(day: int, slot: int, late: int, length: int) -> Row:
    """One of some sessions of a day that never overlap."""
    opened = START + day * DAY + slot * SLOT + late
    return opened, opened + length, START_DAY + day


@dataclass(kw_only=True)
class Edited:
    """A schedule that is edited while heartbeats come and go."""

    plan: Query
    kept: Kept
    max_rows: int
    log: MemoryLog = field(default_factory=MemoryLog)
    hours: dict[Key, dict[tuple[int, int], Row]] = field(default_factory=dict)
    touched: set[Key] = field(default_factory=set)
    beat: SpecBeat | None = None
    epoch: int = 0
    now: int = BEGUN + 2 * SLOT

    def __post_init__(self) -> None:
        create_topics(self.log, self.plan)
        whole = {(day, slot): row(day, slot, 0, 5 * MINUTE) for day in range(-1, 3) for slot in range(SLOTS - 1)}
        self.hours = {key: dict(whole) for key in KEYS}
        self.log.append([session_batch(self.rows())])
        self.spec = derive_spec(self.plan, version=1, updated_ms=BEGUN + 1)

    def rows(self) -> dict[Key, list[Row]]:
        """Every session as it is now."""
        return {key: sorted(found.values()) for key, found in self.hours.items()}

    def promote(self) -> None:
        """Let another heartbeat take over."""
        self.epoch += 1
        self.sender = Sender(fence=Fence(name="hb", epoch=self.epoch), holder="h", since_ms=self.now)
        known = heartbeat_state(self.log, self.spec.key(ENV))
        seen = 0 if known is None else known.schedule_offset
        ends = self.log.end_offsets(HOURS_TOPIC)[0]
        log = TrimmedLog(self.log, start={"all": 0, "changes": seen, "nothing": ends}[self.kept])
        self.beat = SpecBeat(log, ENV, self.spec, options=HeartbeatOptions(max_rows=self.max_rows), hold=None)
        self.beat.promote(self.now)

    def edit(self, key: Key, place: tuple[int, int], late: int, length: int) -> None:
        """Put a session into its place, or take it away."""
        gone = self.hours[key].pop(place, None)
        new = row(*place, late, length) if length else None
        if new is not None:
            self.hours[key][place] = new
        moved = [gone] if gone is not None and (new is None or new[0] != gone[0]) else []
        self.touched.add(key)
        if moved or new is not None:
            self.log.append([session_batch({key: [new]} if new else {}, removed={key: moved})])

    def turn(self, *, until_done: bool) -> None:
        """Send once, or until nothing is due."""
        if self.beat is None:
            self.promote()
        assert self.beat is not None
        self.beat.send(self.now, self.sender)
        while until_done and (self.beat.sent < self.now or self.beat.is_behind):
            self.beat.send(self.now, self.sender)


EDIT = st.tuples(
    st.sampled_from(KEYS[:2]), st.integers(-1, 1), st.integers(0, SLOTS - 1),
    st.sampled_from([0, 0, 30_000, MINUTE]), st.sampled_from([0, 1_000, 5 * MINUTE, 7 * MINUTE]),
)  # fmt: skip
"""Whose session, how many days from now, its place there, how late it begins and how long it is: 0 takes it away."""
ROUND = st.tuples(
    st.sampled_from([1, MINUTE, SLOT, SLOT + 7 * MINUTE, 3 * SLOT, DAY]),
    st.sampled_from(["rest", "once", "all", "all"]),
    st.lists(EDIT, max_size=3),
    st.booleans(),
)
"""How long time goes on, how much is sent then, what is edited after that, and whether the heartbeat ends."""
Round = tuple[int, str, list[tuple["Key", int, int, int, int]], bool]


@st.composite
def edited(draw: st.DrawFn, kept: Kept) -> Edited:
    """Draw a query over the schedule."""
    align = draw(st.sampled_from(["clock", "session"]))
    plan = query(*draw(FRAMES), align=align, grace_ms=draw(st.sampled_from([0, 5_000, 600_000])))
    return Edited(plan=plan, kept=kept, max_rows=draw(st.sampled_from([7, 60, 100_000])))


def play(world: Edited, rounds: list[Round]) -> None:
    """Take every round, then send what is due."""
    for wait, sends, edits, dies in [*rounds, (SLOT, "all", [], False)]:
        world.now += wait
        if sends != "rest":
            world.turn(until_done=sends == "all")
        for key, far, slot, late, length in edits:
            world.edit(key, (world.now // DAY - START_DAY + far, slot), late, length)
        world.beat = None if dies else world.beat


@settings(max_examples=200, deadline=None)
@given(edited("all"), st.lists(ROUND, min_size=1, max_size=6))
def test_every_marker_of_the_new_schedule_is_sent(world: Edited, rounds: list[Round]) -> None:
    play(world, rounds)
    found = contents(world.log, world.plan)
    assert not planned(world.plan, world.rows(), after=BEGUN, until=world.now) - found
    assert all(count == 1 for said, count in found.items() if said[0] not in world.touched)


@settings(max_examples=100, deadline=None)
@given(edited("changes"), st.lists(ROUND, min_size=1, max_size=6))
def test_the_same_where_the_log_keeps_only_what_is_new(world: Edited, rounds: list[Round]) -> None:
    play(world, rounds)
    found = contents(world.log, world.plan)
    assert not planned(world.plan, world.rows(), after=BEGUN, until=world.now) - found
    assert all(count == 1 for said, count in found.items() if said[0] not in world.touched)


@settings(max_examples=40, deadline=None)
@given(edited("nothing"), st.lists(ROUND, max_size=3))
def test_where_the_log_has_forgotten_the_changes_the_last_day_is_sent_again(world: Edited, rounds: list[Round]) -> None:
    play(world, rounds)
    world.beat = None
    sent = world.now
    for key in KEYS[:2]:
        world.edit(key, (0, 3), 0, 3 * MINUTE)
        world.edit(key, (sent // DAY - START_DAY, 2), 0, MINUTE)
    play(world, [])
    found = contents(world.log, world.plan)
    assert not planned(world.plan, world.rows(), after=sent - DAY, until=world.now) - found


@settings(max_examples=40, deadline=None)
@given(edited("all"), st.lists(ROUND, max_size=3), st.booleans())
def test_the_same_rows_again_send_nothing_again(world: Edited, rounds: list[Round], dies: bool) -> None:  # noqa: FBT001 (drawn)
    play(world, rounds)
    before = contents(world.log, world.plan)
    world.log.append([session_batch(world.rows())])
    world.beat = None if dies else world.beat
    world.turn(until_done=True)
    assert contents(world.log, world.plan) == before
