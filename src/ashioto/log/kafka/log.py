"""The log on Kafka itself: topics, appends, reads and leases by one object."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from ashioto.clock import SystemClock
from ashioto.errors import LogError, UnknownTopicError
from ashioto.log.base import TopicInfo
from ashioto.log.kafka.blocks import Readers
from ashioto.log.kafka.buried import Burial
from ashioto.log.kafka.checkup import Checkup
from ashioto.log.kafka.client import Clients
from ashioto.log.kafka.ends import Ends
from ashioto.log.kafka.fenced import FencedWriters
from ashioto.log.kafka.grants import Grants
from ashioto.log.kafka.group import Group, committed, forget, members
from ashioto.log.kafka.leases import FenceBook, Fenced
from ashioto.log.kafka.preflight import Preflight
from ashioto.log.kafka.topics import Topics
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.views import Views
from ashioto.log.kafka.write import appended, prepared
from ashioto.log.kafka.writers import Writers, unknown_outcome
from ashioto.log.records import check_compact, check_partition
from ashioto.schema.registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ashioto.clock import Clock
    from ashioto.log.base import Appended, Batch, Fence, Slice, TopicSpec, ViewPage
    from ashioto.log.kafka.blocks import Bad
    from ashioto.log.kafka.options import KafkaOptions
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.transactions import Probe
    from ashioto.log.kafka.write import Outgoing
    from ashioto.log.leases import Lease


class KafkaLog:
    """Keeps topics on a cluster; safe to use from several threads, and from several processes with a log each.

    What `append` has returned is durable, and readers see it, unless somebody else's open transaction hides it for a
    while. Readers of several topics may see the parts of one append a moment apart.

    Args:
        options: Where the cluster is, and how it is used.
        registry: Keeps the schemas of the values; None opens the one that the options name.
        clock: Dates records, and measures how long answers are waited for.
    """

    def __init__(
        self, options: KafkaOptions, *, registry: SchemaRegistry | None = None, clock: Clock | None = None
    ) -> None:
        self.options = options
        self._clock = SystemClock() if clock is None else clock
        self._registry = SchemaRegistry(options.registry, **options.registry_client) if registry is None else registry
        self._clients = Clients(options)
        self._topics = Topics(self._clients, self._registry, self._clock)
        self._preflight = Preflight(self._topics, self._registry)
        self._ends = Ends(self._clients, self._clock)
        self._values = Values(self._registry)
        bury = Burial(self.append) if options.dead_letters else _leave
        self._readers = Readers(self._clients, ends=self._ends, values=self._values, clock=self._clock, bury=bury)
        self._views = Views(
            options.cache, readers=self._readers, ends=self._ends, values=self._values, clock=self._clock
        )  # fmt: skip
        self._book = FenceBook(self._topics, self._views, self._values, self._ends, self._clock)
        self._writers = Writers(self._clients, self._is_committed)
        self._lock = threading.Lock()
        self._fenced = FencedWriters(self._writer, self._clock)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def grants(self) -> Grants:
        """The rights on the cluster, to be read and given."""
        return Grants(self._clients)

    @property
    def checkup(self) -> Checkup:
        """What the cluster and its registry say of themselves."""
        return Checkup(self._clients, self._topics, self._registry, self._clock)

    def close(self) -> None:
        """Close all clients and files; a second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._fenced.close()
        self._writers.close()
        self._readers.close()
        self._views.close()
        self._clients.close()
        self._registry.close()

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that do not exist yet, with the schemas of their values, and return their names.

        Raises:
            LogError: A topic exists with another number of partitions, cleanup or schema, or the cluster or the
                registry refuses a declaration.
        """
        self._check_open()
        return self._topics.create(specs)

    def topics(self) -> list[str]:
        """Return the names of all topics that have a schema in the registry, sorted."""
        self._check_open()
        return self._topics.names()

    def alter(self, spec: TopicSpec) -> None:
        """Change the columns or the retention of a topic that exists; other processes notice after some seconds.

        Raises:
            UnknownTopicError: It was never created.
            LogError: Partitions or cleanup differ, or a column would change its type; nothing was changed.
        """
        self._check_open()
        self._topics.alter(spec)

    def refusals(self, new: Sequence[TopicSpec], changed: Sequence[TopicSpec]) -> dict[str, str]:
        """Return why the cluster or the registry would refuse topics, by name; nothing is made or changed.

        Args:
            new: Topics to be made.
            changed: Topics that exist, as they shall be.

        Raises:
            UnknownTopicError: One to be changed does not exist.
            LogError: The cluster or the registry does not answer.
        """
        self._check_open()
        return self._preflight.refusals(new, changed)

    def leftovers(self, new: Sequence[TopicSpec]) -> dict[str, str]:
        """Return the subjects with other columns that new topics would have, by name; nothing is made or changed.

        Raises:
            LogError: The registry does not answer.
        """
        self._check_open()
        return self._preflight.leftovers(new)

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics, all their records and their schemas; those that do not exist are left out."""
        self._check_open()
        self._topics.delete(names)
        for name in names:
            self._forget(name)

    def lease(self, name: str) -> Lease | None:
        """Return a lease, or None when there never was one."""
        self._check_open()
        return self._book.state(name).lease

    def change_lease(self, name: str, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace a lease in one transaction; a larger epoch shuts out every writer of the fence of that name.

        Raises:
            LogBusyError: The cluster does not answer.
            LogError: The lease that `change` returned has another name, or an epoch that goes back.
        """
        self._check_open()
        return self._fenced.change(name, change)

    def describe(self, topic: str) -> TopicInfo:
        """Return how a topic was declared and which offsets it holds.

        Raises:
            UnknownTopicError: It was never created.
        """
        self._check_open()
        found = self._topics.look(topic)
        return TopicInfo(
            spec=found.spec,
            start_offsets=self._ends.starts(found),
            end_offsets=self._ends.of(found),
            drift=found.drift,
        )

    def append(self, batches: Sequence[Batch], *, fence: Fence | None = None) -> list[Appended]:
        """Append batches, all or none, durably.

        Raises:
            StaleEpochError: A writer of the same fence with a larger epoch has appended before.
            UnknownTopicError: A topic was never created.
            LogError: A record does not fit its topic, or the cluster refuses it or does not answer. Where nobody can
                say whether it was written, the message says so.
        """
        self._check_open()
        now_ms = self._clock.now_ms()
        found = [prepared(self._topics.find(batch.topic), batch, self._values, now_ms) for batch in batches]
        try:
            if fence is not None:
                self._fenced.append(found, fence)
                in_transaction = True
            else:
                in_transaction = self._writers.write(found)
        except UnknownTopicError as error:
            self._forget(str(error.ids.get("topic", "")))
            raise
        self._await_visible(found)
        runs = [self._runs(one, in_transaction=in_transaction) for one in found]
        for one, mine in zip(found, runs, strict=True):
            if one.topic.spec.cleanup == "compact" and len(mine) == 1 and len(one.offsets):
                with suppress(LogError):  # it is written; whoever looks at the view fetches it
                    self._views.wrote(one, mine[0].next_offset)
        return [run for mine in runs for run in mine]

    def read(self, topic: str, partition: int, offset: int, *, max_rows: int = 262_144) -> Slice | None:
        """Return records from an offset on, or None at the end; below the first, from the first on.

        Records that cannot be read are left out, and go to the dead letters.

        Raises:
            UnknownTopicError: It was never created.
        """
        self._check_open()
        found = self._topics.find(topic)
        check_partition(found.spec, partition)
        at = max(offset, 0)
        with self._known(topic):
            end = self._ends.recent(found, partition, at)
            return None if at >= end else self._readers.of(found, partition).read(found, at, end, max_rows)

    def end_offsets(self, topic: str, *, committed: bool = True) -> dict[int, int]:
        """Return the offset of the next record, by partition.

        Args:
            topic: Name of the topic.
            committed: Whether up to where readers see records now; else also behind those that the open transaction of
                somebody else hides. Readers get there once it has ended.

        Raises:
            UnknownTopicError: It was never created.
        """
        self._check_open()
        found = self._topics.find(topic)
        with self._known(topic):
            return self._ends.of(found) if committed else self._ends.written(found)

    def view(
        self, topic: str, *, start: bytes | None = None, stop: bytes | None = None, limit: int | None = None,
        reverse: bool = False, settled: bool = True,
    ) -> ViewPage:  # fmt: skip
        """Return the newest record of each key in `[start, stop)` of a compact topic, in key order.

        Args:
            topic: Name of the topic.
            start: The first key, or None.
            stop: The key behind the last, or None.
            limit: At most so many; None for all.
            reverse: From the last key to the first.
            settled: Whether to wait for what was committed before, and what somebody's open transaction hides; else it
                shows what readers see now.

        Raises:
            UnknownTopicError: It was never created.
            LogError: The topic is not compact.
            LogBusyError: A transaction was open all the while, or the cluster does not answer.
        """
        self._check_open()
        found = self._topics.find(topic)
        check_compact(found.spec)
        with self._known(topic):
            return self._views.page(found, settled=settled, start=start, stop=stop, limit=limit, reverse=reverse)

    def group(self, name: str, *, member: str) -> Group:
        """Return a member of a group that shares out partitions of topics; it joins with its first poll.

        Args:
            name: Of the group, e.g. `engine.dev.local`; on the cluster it follows the prefix of transactions.
            member: Of the member, for people and for `members`.
        """
        self._check_open()
        return Group(self._clients, self._group(name), member=member)

    def members(self, name: str) -> set[str]:
        """Return the names of the members of a group."""
        self._check_open()
        return members(self._clients, self._group(name))

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return up to which offset a group of somebody else says it has read a topic, by partition.

        Partitions that it has said nothing of are left out.

        Args:
            group: Its whole name on the cluster.
            topic: Name of the topic.

        Raises:
            UnknownTopicError: It was never created.
        """
        self._check_open()
        found = self._topics.find(topic)
        with self._known(topic):
            return committed(self._clients, group, found)

    def forget(self, group: str) -> None:
        """Have the cluster forget what a group of somebody else, who has ended, has read.

        Args:
            group: Its whole name on the cluster.

        Raises:
            LogError: It has members, or the cluster does not let this client do it.
        """
        self._check_open()
        forget(self._clients, group)

    def _group(self, name: str) -> str:
        return f"{self.options.prefix}{self.options.transactions}.{name}"

    def _writer(self, name: str) -> Fenced:
        return Fenced(self._clients, name, self._book, self._is_committed)

    def _await_visible(self, found: Sequence[Outgoing]) -> None:
        last = {(one.topic.spec.name, one.partition): int(one.offsets[-1]) for one in found if len(one.offsets)}
        topics = {one.topic.spec.name: one.topic for one in found}
        if last:
            with suppress(LogError):  # it is written, whether or not anybody can see it now
                self._ends.wait(last, topics, self.options.visible_timeout_s)

    def _runs(self, one: Outgoing, *, in_transaction: bool) -> list[Appended]:
        if not len(one.offsets):
            with suppress(LogError):  # the others are written
                self._ends.of(one.topic)
        return appended(one, self._ends.known(one.topic, one.partition), in_transaction=in_transaction)

    def _is_committed(self, probe: Probe) -> bool:
        name, options = probe.topic.spec.name, self.options
        place = {(name, probe.partition): probe.offset}
        timeout_s = options.transaction_timeout_s + options.request_timeout_s
        if not self._ends.wait(place, {name: probe.topic}, timeout_s):
            raise unknown_outcome(name, options.bootstrap)
        return self._readers.of(probe.topic, probe.partition, "probe").holds(probe.offset)

    @contextmanager
    def _known(self, topic: str) -> Iterator[None]:
        """Have a topic looked up anew when it turns out to be gone."""
        try:
            yield
        except UnknownTopicError:
            self._forget(topic)
            raise

    def _forget(self, name: str) -> None:
        self._topics.forget(name)
        self._readers.forget(self.options.prefix + name)
        self._views.forget(self.options.prefix + name)

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("the log is closed", hint="open it again")


def _leave(_: Topic, __: int, ___: Sequence[Bad]) -> None:
    """Leave out what cannot be read without a word."""
