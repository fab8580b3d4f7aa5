"""Several engines share the partitions of their sources: a group says who runs which, a fence for each says who may.

The group only decides who tries. Whoever gets a partition takes a new epoch of the fence of that partition before it
reads anything, so its former owner is refused by the log from then on, whatever it believes.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from ashioto.control.roles import partition_role
from ashioto.errors import LogError
from ashioto.log.base import Fence
from ashioto.log.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ashioto.clock import Clock
    from ashioto.control.shares import Release
    from ashioto.errors import StaleEpochError
    from ashioto.log.leases import Holder, Leases

LOGGER: Final = logging.getLogger("ashioto.engine")
AGAIN_S: Final = 1.0
"""After how long a fence that was refused is taken again, seconds: by then the group mostly says who is to have it."""
TAKERS: Final = 8
"""How many fences are taken at once: on Kafka each needs a producer of its own, which is mostly waiting."""
COMMIT_S: Final = 1.0
"""How often it is told how far has been read."""
Place = tuple[str, int]
"""A topic and a partition of it."""


class Member(Protocol):
    """Takes part in a group whose members share partitions among them."""

    @property
    def assigned(self) -> frozenset[Place]:
        """The partitions that are this member's."""
        ...

    def poll(
        self, topics: Collection[str], *, revoked: Callable[[Collection[Place]], None],
        lost: Callable[[Collection[Place]], None],
    ) -> None:  # fmt: skip
        """Learn what has changed, once.

        Args:
            topics: Those that the group is to share out.
            revoked: Called before partitions are another's: what must be done for them is to be done in it.
            lost: Called where they may be another's already.
        """
        ...

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell how far has been read, for people; nothing depends on it."""
        ...

    def leave(self) -> None:
        """Leave, so that the others get its partitions at once."""
        ...


@runtime_checkable
class Groups(Protocol):
    """A log whose readers can be in groups."""

    def group(self, name: str, *, member: str) -> Member:
        """Return a member of a group, by a name that tells it from all others."""
        ...

    def members(self, name: str) -> Collection[str]:
        """Return the names of the members of a group."""
        ...


class GroupShares:
    """Runs the partitions that a group gives it.

    Args:
        member: Of the group.
        leases: The log that keeps the fences.
        env: Environment and cluster.
        holder: Who this process is.
        clock: Says when to try again.
        takers: How many fences are taken at once.
    """

    def __init__(
        self,
        member: Member,
        leases: Leases,
        *,
        env: tuple[str, ...],
        holder: Holder,
        clock: Clock,
        takers: int = TAKERS,
    ) -> None:
        self._member, self._leases, self._env, self._holder, self._clock = member, leases, env, holder, clock
        self._takers = takers
        self._held: dict[Place, Fence] = {}
        self._places: dict[str, Place] = {}
        self._not_before: dict[Place, float] = {}
        self._told: dict[Place, int] = {}
        self._tell_at = clock.monotonic()

    @property
    def is_active(self) -> bool:
        """Whether this process runs any partition."""
        return bool(self._held)

    def step(self, wanted: Mapping[str, Mapping[int, int]], release: Release) -> bool:
        """Follow the group: give up what is another's now, and take the fences of what has become this process's.

        Args:
            wanted: The topics that are to be read, and up to which offset of a partition all is written.
            release: Called before partitions are given up in good order.

        Returns:
            Whether this process is to run other partitions than before, or the same ones from the log on.
        """
        before = dict(self._held)
        self._member.poll(wanted, revoked=lambda places: self._give_up(places, release), lost=self._lose)
        self._take(sorted(self._member.assigned - self._held.keys()))
        self._tell(wanted)
        if self._held == before:
            return False
        LOGGER.info("runs %s", _said(self._held) or "nothing")
        return True

    def keep(self) -> None:
        """Do nothing: a thread of the group's client says that this process is there."""

    def fences(self, topic: str, partitions: int) -> Mapping[int, Fence]:
        """Return the fence of each partition of a topic that this process runs."""
        return {number: fence for (name, number), fence in self._held.items() if name == topic and number < partitions}

    def refused(self, error: StaleEpochError) -> None:
        """Give up the partition whose fence was refused, and only that.

        Raises:
            StaleEpochError: The fence is none of a partition.
        """
        place = self._places.get(str(error.ids.get("fence")))
        if place is None:
            raise error
        held = self._held.get(place)
        if held is not None and held.epoch == error.ids.get("epoch"):
            LOGGER.warning("another engine has taken over %s", _said([place]))
            del self._held[place]
            self._not_before[place] = self._clock.monotonic() + AGAIN_S

    def resign(self) -> None:
        """Give everything up, after all that was read is written, and leave the group."""
        self._held.clear()
        self._member.leave()

    def _take(self, places: Collection[Place]) -> None:
        """Take a new epoch of the fence of each partition; where that fails it is tried again."""
        now = self._clock.monotonic()
        due = [place for place in places if now >= self._not_before.get(place, 0.0)]
        if not due:
            return
        with ThreadPoolExecutor(min(self._takers, len(due))) as pool:
            taken = list(pool.map(self._taken, due))
        for place, fence in zip(due, taken, strict=True):
            if fence is None:
                self._not_before[place] = self._clock.monotonic() + AGAIN_S
            else:
                self._held[place] = fence
                self._places[fence.name] = place

    def _taken(self, place: Place) -> Fence | None:
        name = partition_role(self._env, *place)

        def following(known: Lease | None) -> Lease:
            epoch = 1 if known is None else known.epoch + 1
            return Lease(name=name, epoch=epoch, holder=self._holder, expires_ms=0)

        try:
            lease = self._leases.change_lease(name, following)
        except LogError as error:
            LOGGER.warning("%s cannot be taken over yet: %s", _said([place]), error.message)
            return None
        return None if lease is None else Fence(name=name, epoch=lease.epoch)

    def _give_up(self, places: Collection[Place], release: Release) -> None:
        """Have what was read written, then say that nobody holds the fences, for those who ask who runs what."""
        mine = [place for place in places if place in self._held]
        for topic in sorted({topic for topic, _ in mine}):
            release(topic, [number for name, number in mine if name == topic])
        fences = [fence for place in mine if (fence := self._held.pop(place, None)) is not None]
        if fences:
            with ThreadPoolExecutor(min(self._takers, len(fences))) as pool:
                list(pool.map(self._free, fences))

    def _free(self, fence: Fence) -> None:
        def freed(known: Lease | None) -> Lease | None:
            if known is None or known.epoch != fence.epoch:
                return None
            return Lease(name=known.name, epoch=known.epoch, holder=None, expires_ms=0)

        try:
            self._leases.change_lease(fence.name, freed)
        except LogError as error:
            LOGGER.debug("%s was not said to be free: %s", fence.name, error.message)

    def _lose(self, places: Collection[Place]) -> None:
        """Run partitions no more, which others may write by now."""
        for place in places:
            self._held.pop(place, None)

    def _tell(self, wanted: Mapping[str, Mapping[int, int]]) -> None:
        if self._clock.monotonic() < self._tell_at:
            return
        self._tell_at = self._clock.monotonic() + COMMIT_S
        known = {(topic, number): offset for topic, found in wanted.items() for number, offset in found.items()}
        news = {at: offset for at, offset in known.items() if at in self._held and self._told.get(at) != offset}
        if news:
            self._member.commit(news)
            self._told |= news


class GroupOwners:
    """Knows who runs what in a group, by what its members have written about the fences.

    Args:
        leases: The log that keeps the fences.
        env: Environment and cluster.
        members: Says which processes are in the group, by the names of their holders.
    """

    def __init__(self, leases: Leases, *, env: tuple[str, ...], members: Callable[[], Collection[str]]) -> None:
        self._leases, self._env, self._members = leases, env, members

    def engines(self) -> list[str]:
        """Return who is in the group."""
        return sorted(self._members())

    def of(self, topic: str, partitions: int) -> Mapping[int, str]:
        """Return who holds the fence of each partition, those left out that are in the group no more."""
        engines = self.engines()
        known = {number: self._leases.lease(partition_role(self._env, topic, number)) for number in range(partitions)}
        return {
            number: lease.holder.name
            for number, lease in known.items()
            if lease is not None and lease.holder is not None and lease.holder.name in engines
        }


def _said(places: Iterable[Place]) -> str:
    """Return topics and partitions in words, e.g. `trading.rate 0 2`."""
    found: dict[str, list[str]] = {}
    for topic, number in sorted(places):
        found.setdefault(topic, []).append(str(number))
    return ", ".join(f"{topic} {' '.join(numbers)}" for topic, numbers in found.items())
