"""`rc hb list`: what the heartbeat shall do, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.target import DeployLog
    from ashioto.log.base import Log


def list_(
    *,
    context: Annotated[str | None, typer.Option(help="Only of this context.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every heartbeat: schedule, columns, last heartbeat, mode, holder, epoch, delay."""
    from ashioto.cli.infra_target import deploy_log
    from ashioto.cli.output import print_rows
    from ashioto.cli.project import open_project
    from ashioto.cli.replay import SharedClock
    from ashioto.clock import SystemClock

    project = open_project()
    names = [c.name for c in project.contexts] if context is None else [project.context(context).name]
    env = (project.config.project.env, project.config.project.cluster)
    now = SharedClock(project.log, SystemClock()).now_ms()
    rows = heartbeat_rows(deploy_log(project.log), env, names, now)
    print_rows(
        rows,
        title="heartbeats",
        as_json=as_json,
        empty="no heartbeats are specified: rc infra apply, if a query is continuous",
    )


def heartbeat_rows(log: DeployLog, env: tuple[str, ...], contexts: Sequence[str], now: int) -> list[dict[str, object]]:
    """Return specifications and states, joined.

    Args:
        log: Where both are; it also keeps the leases.
        env: Environment and cluster.
        contexts: Names of the contexts.
        now: The time, ms, that the delay is measured by.
    """
    from ashioto.clock import SystemClock
    from ashioto.control.election import LeaseElection
    from ashioto.control.processes import this_process
    from ashioto.control.roles import heartbeat_role
    from ashioto.control.specs import heartbeat_specs
    from ashioto.errors import UnknownTopicError

    found: list[dict[str, object]] = []
    for name in contexts:
        election = LeaseElection(log, heartbeat_role(env, name), holder=this_process(), clock=SystemClock())
        try:
            specs = heartbeat_specs(log, env, name)
        except UnknownTopicError:  # nothing was ever applied
            continue
        found += [heartbeat_row(log, env, spec, leader=election.leader(), now=now) for spec in specs]
    return found


def heartbeat_row(
    log: Log, env: tuple[str, ...], spec: HeartbeatSpec, *, leader: str | None, now: int
) -> dict[str, object]:
    """Return one specification and its state.

    Args:
        log: Where the state is.
        env: Environment and cluster.
        spec: The specification.
        leader: Who is active in its context now; None when nobody is.
        now: The time, ms.
    """
    from ashioto.control.state import heartbeat_state
    from ashioto.schedule.sessions import time_text

    state = heartbeat_state(log, spec.key(env))
    mode = "disabled" if not spec.enabled else "none" if leader is None else "active" if state else "starting"
    late = None if state is None or not spec.enabled else round(overdue_ms(log, spec, state.last_hb_ms, now) / 1000, 3)
    return {
        "context": spec.context,
        "entity": spec.entity,
        "kind": spec.kind,
        "schedule": spec.schedule_topic or "always open",
        "open": spec.open_column,
        "close": spec.close_column,
        "last_hb": None if state is None else time_text(state.last_hb_ms),
        "mode": mode,
        "holder": leader or (state.holder if state is not None and state.mode == "active" else None),
        "epoch": None if state is None else state.epoch,
        "delay_s": late,
        "version": spec.version,
    }


def overdue_ms(log: Log, spec: HeartbeatSpec, last: int, now: int) -> int:
    """Return for how long the next heartbeat has been due, ms; 0 when none is.

    Args:
        log: Where the schedule is.
        spec: The specification.
        last: Every heartbeat due at or before this moment was sent, ms.
        now: The time, ms.
    """
    from ashioto.control.schedules import LogSchedules
    from ashioto.errors import ScheduleError, UnknownTopicError
    from ashioto.heartbeat.planner import next_due

    try:
        followed = LogSchedules(log, spec).different()
    except (ScheduleError, UnknownTopicError):  # `rc infra status` tells it
        return 0
    due = [at for sessions in followed if (at := next_due(spec, sessions, after=last)) is not None]
    return max(now - min(due), 0) if due else 0
