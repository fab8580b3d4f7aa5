"""How the engines of a log share their work: by a group where the log has groups, else one runs all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.control.election import LeaseElection, LeaseOptions
from ashioto.control.group_shares import GroupOwners, Groups, GroupShares
from ashioto.control.processes import this_process
from ashioto.control.roles import engine_role
from ashioto.control.shares import LeaseOwners, LeaseShares

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.control.shares import Owners, Shares
    from ashioto.log.leases import Leases

ENGINE_EXPIRE_S: Final = 10.0
"""A pass over many ticks, and the first compilation of a query, may take seconds in which nothing is renewed."""


def engine_shares(log: Leases, *, env: tuple[str, ...], clock: Clock, holder: str = "") -> Shares:
    """Return what an engine of this process runs on a log.

    Args:
        log: Keeps leases, and groups where it has any.
        env: Environment and cluster.
        clock: The machine's clock.
        holder: Tells engines inside one process apart.
    """
    who = this_process(holder)
    if isinstance(log, Groups):
        member = log.group(engine_group(env), member=who.name)
        return GroupShares(member, log, env=env, holder=who, clock=clock)
    options = LeaseOptions(renew_s=1.0, expire_s=ENGINE_EXPIRE_S)
    return LeaseShares(LeaseElection(log, engine_role(env), holder=who, clock=clock, options=options), clock=clock)


def engine_owners(log: Leases, *, env: tuple[str, ...], clock: Clock) -> Owners:
    """Return what says who runs what on a log.

    Args:
        log: Keeps leases, and groups where it has any.
        env: Environment and cluster.
        clock: The machine's clock.
    """
    if isinstance(log, Groups):
        groups = log
        return GroupOwners(log, env=env, members=lambda: groups.members(engine_group(env)))
    return LeaseOwners(LeaseElection(log, engine_role(env), holder=this_process(), clock=clock).leader)


def engine_group(env: tuple[str, ...]) -> str:
    """Return the name of the group of an environment's engines.

    >>> engine_group(("dev", "local"))
    'engine.dev.local'
    """
    return ".".join(("engine", *env))
