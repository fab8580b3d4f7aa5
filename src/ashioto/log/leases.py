"""Leases: who holds a role, kept by a log beside its records, so that taking one over fences its former holder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

FENCES: Final = "rc.fences"
"""Where Kafka keeps leases, and the newest epoch of each fence."""
CLOCK: Final = "rc.clock"
"""Where Kafka dates records itself, so that clocks can be compared."""
FREE: Final = "free\x1f"
"""Ids of Kafka's transactions without a fence go on so: no fence begins so, and rights are given by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Names a process so that it cannot be taken for another.

    Args:
        name: For people, e.g. `host:4711`.
        pid: Its number, 0 where unknown.
        started: When it was started, in the system's own ticks: numbers are used again, this is not.
        boot: Which start of the machine it belongs to; another one means that it is gone.
        space: Whose process numbers these are: containers count for themselves.
    """

    name: str
    pid: int = 0
    started: int = 0
    boot: str = ""
    space: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Says who holds a role and until when.

    Args:
        name: Of the role; also the name of the fence that holders write under.
        epoch: Grows with every new holder, and never goes back.
        holder: Who; None when it was handed back.
        expires_ms: When it may be taken over unless it is renewed; machine-wide monotonic ms of its holder.
        renewed_ms: When it was written, ms of its writer's clock; None where the log is of one machine. Leases that
            differ in it alone are equal.
    """

    name: str
    epoch: int
    holder: Holder | None
    expires_ms: int
    renewed_ms: int | None = field(default=None, compare=False)


class Leases(Protocol):
    """Keeps leases."""

    def lease(self, name: str) -> Lease | None:
        """Return a lease, or None when there never was one. Does not wait for writers."""
        ...

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease in one transaction; a larger epoch shuts out every writer of the fence of that name.

        Args:
            name: Of the lease.
            change: Gets the lease as it is, returns it as it shall be, or None to leave it; called again where
                somebody else was quicker. Where a writer of the fence has a larger epoch than the lease, it gets a
                lease with that epoch that nobody holds.

        Returns:
            What `change` returned.

        Raises:
            LogBusyError: Somebody has held the log for too long; `ids["pid"]` is the process of this machine
                that does, where known: a candidate may end it.
            LogError: The lease that `change` returned has another name, or an epoch that goes back.
        """
        ...
