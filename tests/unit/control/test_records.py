"""What roles tell one another comes back as it was written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support_planning import query

from ashioto.control.applied import Registration, registration_batch, registrations
from ashioto.control.specs import derive_spec, heartbeat_specs, spec_batch
from ashioto.control.state import HeartbeatState, heartbeat_state, state_batch
from ashioto.control.topics import below, control_key, control_parts, control_topics, marker_schema
from ashioto.errors import UnknownTopicError
from ashioto.logical.codec import encode_query
from ashioto.logical.outputs import MARKER_COLUMNS
from ashioto.testing.memory_log import MemoryLog

ENV = ("dev", "local")
TEXT = st.text(st.sampled_from("aZ\\\x1f\x1e _\u001fu001f"), max_size=4)


def test_heartbeats_have_the_columns_whose_names_are_taken() -> None:
    assert tuple(marker_schema(()).names) == MARKER_COLUMNS


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    made.create(control_topics())
    return made


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
def test_a_key_is_below_exactly_what_it_begins_with(key: list[str], above: list[str]) -> None:
    assert control_parts(control_key(*key)) == key
    start, stop = below(*above)
    assert (start <= control_key(*key) < stop) == (len(key) > len(above) and key[: len(above)] == above)


def test_specifications_come_back_by_environment_and_context(log: MemoryLog) -> None:
    plan = query("1m", "5m", "1d", align="session", grace_ms=7)
    spec = derive_spec(plan, version=3, updated_ms=1_700_000_000_123)
    always = derive_spec(replace(plan, context="u", time_frame=None), version=1, updated_ms=5, enabled=False)
    log.append([spec_batch(ENV, [spec, always]), spec_batch(("prod", "local"), [spec])])
    assert heartbeat_specs(log, ENV) == [spec, always]
    assert heartbeat_specs(log, ENV, "u") == [always]
    assert heartbeat_specs(log, ("prod", "x")) == []
    assert (spec.id, spec.interval_ms, spec.base) == ("t.Rate.1m", 60_000, plan.base)
    assert (always.time_frame, always.schedule_topic, always.enabled) == (None, None, False)
    assert spec.time_frame is not None
    assert spec.time_frame.join == plan.time_frame.join if plan.time_frame else False


@pytest.mark.parametrize(("base", "interval"), [("1s", 10_000), ("30s", 30_000), ("4h", 3_600_000), ("1w", 3_600_000)])
def test_the_watermark_moves_on_at_least_every_hour(base: str, interval: int) -> None:
    assert derive_spec(query(base), version=1, updated_ms=0).interval_ms == interval


def test_only_continuous_queries_want_heartbeats() -> None:
    assert not derive_spec(replace(query("1m"), continuous=False), version=1, updated_ms=0).enabled


def test_a_state_comes_back(log: MemoryLog) -> None:
    key = control_key(*ENV, "t", "Rate", "1m")
    assert heartbeat_state(log, key) is None
    state = HeartbeatState(
        last_hb_ms=1_700_000_000_123, mode="stopped", holder="h:1", epoch=4, updated_ms=1_700_000_000_124,
        schedule_offset=9,
    )  # fmt: skip
    log.append([state_batch(key, state), state_batch(key + b"0", replace(state, epoch=5))])
    assert heartbeat_state(log, key) == state


def test_registrations_come_back_in_order_of_their_versions(log: MemoryLog) -> None:
    plan = query("1m")
    one = Registration(
        context="t", query="q", version=2, state="applied", engine="embedded", checksum="c", plan=encode_query(plan),
        begins="start", updated_ms=1_700_000_000_123,
    )  # fmt: skip
    made = [one, replace(one, version=10, state="intent"), replace(one, context="u", version=1, state="stopped")]
    log.append([registration_batch(ENV, made)])
    assert registrations(log, ENV) == made
    assert registrations(log, ENV, "u") == made[2:]
    assert [r.runs for r in made] == [True, False, False]
    assert made[0].decoded() == plan


def test_a_log_on_which_nothing_was_applied_says_so() -> None:
    for read in (heartbeat_specs, registrations):
        with pytest.raises(UnknownTopicError):
            read(MemoryLog(), ENV)
