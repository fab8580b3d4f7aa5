"""Which partitions of the sources this process runs, and under which fence it writes what comes of each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from ashioto.control.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ashioto.clock import Clock
    from ashioto.control.election import Election
    from ashioto.errors import StaleEpochError
    from ashioto.log.base import Fence

    Release = Callable[[str, Collection[int]], None]
    """Gets a topic and partitions of it that are to be given up: what was read of them is to be written now."""

LOGGER: Final = logging.getLogger("ashioto.engine")


class Shares(Protocol):
    """Shares partitions out among the engines of an environment."""

    @property
    def is_active(self) -> bool:
        """Whether this process has anything to run."""
        ...

    def step(self, wanted: Mapping[str, Mapping[int, int]], release: Release) -> bool:
        """Look what has changed, once.

        Args:
            wanted: The topics that are to be read, and up to which offset of a partition all is written, where this
                process runs it.
            release: Called before partitions are given up.

        Returns:
            Whether this process is to run other partitions than before, or the same ones from the log on.

        Raises:
            LeaseLostError: Another process has taken over all of it; this one is to end.
        """
        ...

    def keep(self) -> None:
        """Keep what there is during a long stretch of work; nothing is given up in it.

        Raises:
            LeaseLostError: Another process has taken over all of it; this one is to end.
        """
        ...

    def fences(self, topic: str, partitions: int) -> Mapping[int, Fence]:
        """Return the fence of each partition of a topic that this process runs.

        Args:
            topic: Name of the topic.
            partitions: How many it has.
        """
        ...

    def refused(self, error: StaleEpochError) -> None:
        """Learn that the log has refused a fence of this process: give up what is written under it.

        Raises:
            StaleEpochError: That is everything; this process is to end.
        """
        ...

    def resign(self) -> None:
        """Give up everything, after all that was read is written."""
        ...


class Owners(Protocol):
    """Knows which process runs what, for people and for `infra apply`."""

    def engines(self) -> list[str]:
        """Return which processes are there to run something."""
        ...

    def of(self, topic: str, partitions: int) -> Mapping[int, str]:
        """Return who runs each partition of a topic; those that nobody runs are left out."""
        ...


class LeaseShares:
    """Runs all partitions or none, by one lease: the embedded log is on one machine, and one process is enough for it.

    Args:
        election: Who runs everything; the fence of all appends has its name.
        clock: Says when to campaign and to renew.
    """

    def __init__(self, election: Election, *, clock: Clock) -> None:
        self._role = Candidate(election, clock=clock, logger=LOGGER)

    @property
    def is_active(self) -> bool:
        """Whether this process has the role."""
        return self._role.epoch is not None

    def step(self, wanted: Mapping[str, Mapping[int, int]], release: Release) -> bool:  # noqa: ARG002  # all or nothing
        """Campaign, or renew; returns whether this process has got the role.

        Raises:
            LeaseLostError: Another process has taken over.
        """
        self.keep()
        if self.is_active or (fence := self._role.campaign()) is None:
            return False
        LOGGER.info("active (epoch %d)", fence.epoch)
        return True

    def keep(self) -> None:
        """Renew in time.

        Raises:
            LeaseLostError: Another process has taken over.
        """
        self._role.keep()

    def fences(self, topic: str, partitions: int) -> Mapping[int, Fence]:  # noqa: ARG002  # the same for all
        """Return the one fence for every partition, or nothing."""
        fence = self._role.fence
        return {} if fence is None else dict.fromkeys(range(partitions), fence)

    def refused(self, error: StaleEpochError) -> None:
        """End: another process has taken over.

        Raises:
            StaleEpochError: Always.
        """
        self._role.epoch = None
        raise error

    def resign(self) -> None:
        """Hand the role back."""
        self._role.resign()


class LeaseOwners:
    """Knows who has the one lease.

    Args:
        leader: Says who has it, for people; None when nobody has.

    >>> LeaseOwners(lambda: "host:4711").of("trading.rate", 2)
    {0: 'host:4711', 1: 'host:4711'}
    """

    def __init__(self, leader: Callable[[], str | None]) -> None:
        self._leader = leader

    def engines(self) -> list[str]:
        """Return who has the lease."""
        leader = self._leader()
        return [] if leader is None else [leader]

    def of(self, topic: str, partitions: int) -> Mapping[int, str]:  # noqa: ARG002  # the same for all
        """Return who has the lease, for every partition."""
        return {partition: name for name in self.engines() for partition in range(partitions)}
