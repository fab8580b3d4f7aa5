"""A group of engines that share partitions, in one process: who has what is said by the test, and learnt by polling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support_host import ENV

from ashioto.control.group_shares import GroupOwners, GroupShares
from ashioto.control.topics import APPLIED
from ashioto.engines.embedded.registry import EmbeddedRegistry
from ashioto.errors import LogBusyError
from ashioto.log.leases import Holder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tests.support_host import Site

    from ashioto.control.group_shares import Place
    from ashioto.engines.base import RunningQuery
    from ashioto.engines.embedded.host import EngineHost
    from ashioto.log.leases import Lease, Leases

    Told = Callable[[Collection[Place]], None]


@dataclass
class Seat:
    """A member, as its process sees it.

    Args:
        group: Of it.
        name: Of the process.
    """

    group: Group
    name: str
    assigned: frozenset[Place] = frozenset()
    topics: frozenset[str] = frozenset()
    asleep: bool = False
    """Whether it hears nothing from the group, as after a pause before it has polled."""
    committed: dict[Place, int] = field(default_factory=dict)

    def poll(self, topics: Collection[str], *, revoked: Told, lost: Told) -> None:
        """Learn what the group has decided."""
        if self.asleep:
            return
        self.topics = frozenset(topics)
        if self.group.seats.get(self.name) is not self:
            gone, self.assigned = self.assigned, frozenset()
            if gone:
                lost(gone)
            self.group.join(self)
        wanted = {place for place, name in self.group.owners.items() if name == self.name and place[0] in self.topics}
        if given := self.assigned - wanted:
            revoked(given)
            self.assigned -= given
        taken = {place for seat in self.group.seats.values() if seat is not self for place in seat.assigned}
        self.assigned |= wanted - taken

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Note how far has been read."""
        self.committed |= offsets

    def leave(self) -> None:
        """Leave at once."""
        self.assigned = frozenset()
        self.group.expel(self.name)


@dataclass
class Group:
    """Says who shall have which partition."""

    owners: dict[Place, str] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)

    def join(self, seat: Seat) -> None:
        """Take a member in."""
        self.seats[seat.name] = seat

    def expel(self, name: str) -> None:
        """Hear no more of a member; what it had is free, whether it knows or not."""
        self.seats.pop(name, None)


class BusyLeases:
    """Leases that cannot be changed now and then.

    Args:
        inner: Keeps them.
    """

    def __init__(self, inner: Leases) -> None:
        self._inner = inner
        self.busy = 0
        """How many of the next changes fail."""

    def lease(self, name: str) -> Lease | None:
        """Return a lease."""
        return self._inner.lease(name)

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Change a lease, or fail."""
        if self.busy:
            self.busy -= 1
            raise LogBusyError("the log is busy", hint="wait")
        return self._inner.change_lease(name, change)


@dataclass
class Engine:
    """One process of the engine.

    Args:
        host: What runs in it.
        seat: Its place in the group.
        leases: As it sees them.
    """

    host: EngineHost
    seat: Seat
    leases: BusyLeases


@dataclass
class Crew:
    """Engines that share the partitions of a market.

    Args:
        site: The market, and what is registered.
        topics: What can be shared out, and how many partitions that has.
    """

    site: Site
    topics: Mapping[str, int]
    group: Group = field(default_factory=Group)
    started: int = 0

    def engine(self, **options: float) -> Engine:
        """Start an engine."""
        self.started += 1
        seat, leases = Seat(self.group, f"e{self.started}"), BusyLeases(self.site.leases)
        shares = GroupShares(
            seat, leases, env=ENV, holder=Holder(name=seat.name), clock=self.site.market.clock, takers=1
        )
        return Engine(host=self.site.sharing(shares, **options), seat=seat, leases=leases)

    @property
    def places(self) -> list[Place]:
        """Everything that can be shared out."""
        return [(topic, number) for topic, count in {APPLIED: 1, **self.topics}.items() for number in range(count)]

    def share(self, *parts: tuple[Engine, Iterable[int]]) -> None:
        """Decide who shall have which partitions of every topic; the first has the topic of registrations."""
        self.group.owners = {
            (topic, number): engine.seat.name
            for engine, numbers in parts
            for number in numbers
            for topic, count in self.topics.items()
            if number < count
        }
        self.group.owners[APPLIED, 0] = parts[0][0].seat.name

    @property
    def registry(self) -> EmbeddedRegistry:
        """The engines as other processes see them."""
        owners = GroupOwners(self.site.leases, env=ENV, members=self.group.seats.keys)
        return EmbeddedRegistry(self.site.market.log, env=ENV, owners=owners)

    def state(self, name: str) -> RunningQuery:
        """Return how a version stands."""
        (found,) = self.registry.inspect([self.site.known[name]])
        return found

    def turn(self, *engines: Engine, rounds: int = 4) -> None:
        """Let engines do all they can, one after another, until they have settled."""
        for _ in range(rounds):
            for engine in engines:
                self.site.run(engine.host)
