"""Election: who may act in a role, under an epoch that only grows.

Every write of a role carries its epoch as a fence, so a former holder that wakes up is refused by the log. The lease
only decides who tries; that nobody else can write is the work of the fence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from ashioto.control.processes import MachineProcesses
from ashioto.errors import LeaseLostError, LogBusyError
from ashioto.log.leases import Lease

if TYPE_CHECKING:
    from ashioto.clock import Clock
    from ashioto.control.processes import Processes
    from ashioto.log.leases import Holder, Leases

CAMPAIGN_S: Final = 0.1
"""How often one that stands by looks whether the role is free."""
RENEW_S: Final = 0.5
EXPIRE_S: Final = 2.0
CLOCKS_S: Final = 60.0
"""How far apart the clocks of two machines may be."""


class Election(Protocol):
    """Decides who acts in a role."""

    @property
    def name(self) -> str:
        """Name of the role, and of the fence its holders write under."""
        ...

    def campaign(self) -> int | None:
        """Try to get the role: return its new epoch, or None while somebody else has it.

        Whoever has it already gets a new epoch.
        """
        ...

    def renew(self) -> None:
        """Keep the role.

        Raises:
            LeaseLostError: Somebody else has it.
        """
        ...

    def resign(self) -> None:
        """Hand the role back, so that another gets it at once; without it nothing happens."""
        ...

    def leader(self) -> str | None:
        """Return who has the role, for people; None when nobody has."""
        ...

    def newest(self) -> int:
        """Return the newest epoch there is; 0 when nobody ever had the role."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """Says how long a lease holds.

    Args:
        renew_s: How often holders should renew it, seconds.
        expire_s: After how long without that others may take it over, seconds.
    """

    renew_s: float = RENEW_S
    expire_s: float = EXPIRE_S


class LeaseElection:
    """Elects by a lease in the log.

    A lease that has expired, or whose holder is certainly gone, may be taken. That of a holder on another machine,
    whose clock says nothing here, has expired once it has not changed for so long under the eyes of this process, or
    was written very long ago. Where the log says that the former holder blocks it, as one that is paused inside a write
    does, that holder is ended; where it names another process or none, nobody is.

    Args:
        leases: The log that keeps the lease.
        name: Of the role.
        holder: Who campaigns.
        clock: Its monotonic reading is the same for all processes of the machine.
        processes: Who runs on this machine.
        options: How long a lease holds.
    """

    def __init__(
        self,
        leases: Leases,
        name: str,
        *,
        holder: Holder,
        clock: Clock,
        processes: Processes | None = None,
        options: LeaseOptions | None = None,
    ) -> None:
        self._leases, self._name, self._holder, self._clock = leases, name, holder, clock
        self._processes = MachineProcesses() if processes is None else processes
        self.options = LeaseOptions() if options is None else options
        self._epoch: int | None = None
        self._watched: tuple[int, int] | None = None
        self._since = 0.0

    @property
    def name(self) -> str:
        """Name of the role, and of the fence its holders write under."""
        return self._name

    def campaign(self) -> int | None:
        """Try to get the role: return its new epoch, or None while somebody else has it."""
        if self._held_by_another(self._leases.lease(self._name)):
            return None
        busy = self._take()
        if busy is not None and self._end_blocking(busy):
            busy = self._take()
        return self._epoch if busy is None else None

    def renew(self) -> None:
        """Keep the role.

        Raises:
            LeaseLostError: Somebody else has it.
            LogBusyError: The log is held by somebody else for too long; the role may still be kept.
        """
        if self._leases.change_lease(self._name, self._renewed) is None:
            leader = self.leader()
            self._epoch = None
            raise LeaseLostError(
                f"{leader or 'another process'} has taken over {self._name.replace(chr(31), '/')}",
                hint="this process was paused or cut off for too long; start it again, it will stand by",
                role=self._name,
            )

    def resign(self) -> None:
        """Hand the role back, so that another gets it at once; without it nothing happens.

        Raises:
            LogBusyError: The log is held by somebody else for too long; the role is kept until it expires.
        """
        if self._epoch is not None:
            self._leases.change_lease(self._name, self._resigned)
            self._epoch = None

    def leader(self) -> str | None:
        """Return who has the role, for people; None when nobody has."""
        known = self._leases.lease(self._name)
        if known is None or known.holder is None or not self._is_live(known):
            return None
        return known.holder.name

    def _take(self) -> LogBusyError | None:
        """Take the lease where it is free; returns why that could not be found out."""
        try:
            got = self._leases.change_lease(self._name, self._taken)
        except LogBusyError as error:
            return error
        self._epoch = None if got is None else got.epoch
        return None

    def _end_blocking(self, busy: LogBusyError) -> bool:
        known = self._leases.lease(self._name)  # asked again: it may have been renewed while the log was waited for
        if known is None or known.holder is None or self._held_by_another(known):
            return False
        return busy.ids.get("pid") == known.holder.pid and self._processes.end(known.holder)

    def newest(self) -> int:
        """Return the newest epoch there is; 0 when nobody ever had the role."""
        known = self._leases.lease(self._name)
        return 0 if known is None else known.epoch

    def _taken(self, known: Lease | None) -> Lease | None:
        if self._held_by_another(known):
            return None
        epoch = 1 if known is None else known.epoch + 1
        return Lease(name=self._name, epoch=epoch, holder=self._holder, expires_ms=self._expiry())

    def _renewed(self, known: Lease | None) -> Lease | None:
        return replace(known, expires_ms=self._expiry()) if known is not None and self._is_mine(known) else None

    def _resigned(self, known: Lease | None) -> Lease | None:
        return replace(known, holder=None, expires_ms=0) if known is not None and self._is_mine(known) else None

    def _is_mine(self, known: Lease) -> bool:
        return known.holder == self._holder and known.epoch == self._epoch

    def _held_by_another(self, known: Lease | None) -> bool:
        return known is not None and known.holder not in {None, self._holder} and self._is_live(known)

    def _is_live(self, known: Lease) -> bool:
        if known.holder is None:
            return False
        if known.renewed_ms is not None and known.holder.boot != self._holder.boot:
            return self._is_renewed_elsewhere(known, known.renewed_ms)
        if self._processes.is_gone(known.holder):
            return False
        return self._read_ms() < known.expires_ms

    def _is_renewed_elsewhere(self, known: Lease, renewed_ms: int) -> bool:
        """Return whether a holder on another machine is to be taken for alive."""
        now, state = self._clock.monotonic(), (known.epoch, known.expires_ms)
        if state != self._watched:
            self._watched, self._since = state, now
        long_ago = self._clock.now_ms() - renewed_ms > 1000 * (self.options.expire_s + CLOCKS_S)
        return now - self._since < self.options.expire_s and not long_ago

    def _expiry(self) -> int:
        return self._read_ms() + round(1000 * self.options.expire_s)

    def _read_ms(self) -> int:
        """Return the monotonic reading; rounded, since 6.001 seconds times 1000 are a little less than 6,001."""
        return round(1000 * self._clock.monotonic())
