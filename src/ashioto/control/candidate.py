"""A process that has a role, or tries to get it: when it campaigns, when it renews, and what it says about that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ashioto.control.election import CAMPAIGN_S, RENEW_S
from ashioto.errors import LeaseLostError, LogBusyError, LogFullError
from ashioto.log.base import Fence

if TYPE_CHECKING:
    from logging import Logger

    from ashioto.clock import Clock
    from ashioto.control.election import Election
    from ashioto.errors import LogError


class Candidate:
    """Stands by until it has a role, and keeps it.

    Args:
        election: Who has the role.
        clock: Its monotonic reading says when to campaign and to renew.
        logger: Where it says that it stands by, and what went wrong.
        label: What these lines begin with.
        renew_s: How often it renews, seconds.
    """

    def __init__(
        self, election: Election, *, clock: Clock, logger: Logger, label: str = "", renew_s: float = RENEW_S
    ) -> None:
        self.election = election
        self.epoch: int | None = None
        self._clock, self._logger, self._label, self._renew_s = clock, logger, label, renew_s
        self._next = clock.monotonic()
        self._told = self._warned = False

    @property
    def fence(self) -> Fence | None:
        """What its writes carry; None while it has not got the role."""
        return None if self.epoch is None else Fence(name=self.election.name, epoch=self.epoch)

    @property
    def wait_s(self) -> float:
        """In how many seconds it is time to campaign or to renew; below 0 it is."""
        return self._next - self._clock.monotonic()

    def campaign(self) -> Fence | None:
        """Try to get the role, if it is time to; returns what its writes carry now, or None."""
        if self.wait_s > 0:
            return None
        self._next = self._clock.monotonic() + CAMPAIGN_S
        try:
            self._campaign()
        except (LogBusyError, LogFullError) as error:
            self._warn("the lease could not be taken", error)
        return self.fence

    def keep(self) -> None:
        """Renew the role, if it has it and it is time to.

        Raises:
            LeaseLostError: Somebody else has it.
        """
        if self.epoch is None or self.wait_s > 0:
            return
        self._next = self._clock.monotonic() + self._renew_s
        try:
            self.election.renew()
        except (LogBusyError, LogFullError) as error:  # the fence keeps others out until somebody really takes over
            self._warn("the lease could not be renewed", error)
        except LeaseLostError:
            self.epoch = None
            raise
        else:
            self._warned = False

    def again(self) -> Fence | None:
        """Take a new epoch of the role that it has; returns what its writes carry now, or None without a new one."""
        epoch = self.election.campaign()
        if epoch is None:
            return None
        self.epoch = epoch
        return self.fence

    def resign(self) -> None:
        """Hand the role back, if it has it."""
        if self.epoch is not None:
            self.election.resign()
            self.epoch = None

    def _campaign(self) -> None:
        self.epoch = self.election.campaign()
        if self.epoch is not None:
            self._told = False
            self._next = self._clock.monotonic() + self._renew_s
        elif not self._told:
            self._logger.info("%sstands by, %s is active", self._label, self.election.leader() or "another process")
            self._told = True
        self._warned = False

    def _warn(self, what: str, error: LogError) -> None:
        """Tell once what goes wrong, until it goes well again."""
        if not self._warned:
            self._warned = True
            self._logger.warning("%s%s: %s", self._label, what, error.message)
