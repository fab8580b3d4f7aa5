"""Writes under fences, and leases: both by the one producer that a fence's name has at a time."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ashioto.errors import LogBusyError, LogError, UnknownTopicError
from ashioto.keys import shown
from ashioto.log.changes import check_lease, known_lease
from ashioto.log.kafka.checkup import SPEC as CLOCK_SPEC
from ashioto.log.kafka.fences import SPEC, FenceState, fence_batch, fence_state
from ashioto.log.kafka.topics import ensure
from ashioto.log.kafka.transactions import Transactor
from ashioto.log.kafka.write import prepared
from ashioto.log.kafka.writers import TRIES, finding_out
from ashioto.log.leases import FENCES
from ashioto.log.partition import partition_of
from ashioto.log.records import check_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.clock import Clock
    from ashioto.log.base import Fence
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.ends import Ends
    from ashioto.log.kafka.topics import Topic, Topics
    from ashioto.log.kafka.transactions import Probe
    from ashioto.log.kafka.values import Values
    from ashioto.log.kafka.views import Views
    from ashioto.log.kafka.write import Outgoing
    from ashioto.log.leases import Lease


class FenceBook:
    """Reads and makes the records of fences.

    Args:
        topics: Knows the topic that they are in.
        views: Reads it.
        values: Encodes them.
        ends: Says whether somebody's open transaction hides the newest ones.
        clock: Dates them.
    """

    def __init__(self, topics: Topics, views: Views, values: Values, ends: Ends, clock: Clock) -> None:
        self._topics, self._views, self._values, self._ends, self._clock = topics, views, values, ends, clock

    def _topic(self) -> Topic:
        try:
            return self._topics.find(FENCES)
        except UnknownTopicError:  # who may make this one makes what all compare clocks by before it
            ensure(self._topics, CLOCK_SPEC)
            return ensure(self._topics, SPEC)

    def state(self, name: str) -> FenceState:
        """Return what is known of a fence, as committed."""
        topic, key = self._topic(), name.encode()
        page = self._views.one(topic, partition_of(key, topic.spec.partitions), key)
        return fence_state(name, page.data, int(page.timestamps[0]) if page.keys else None)

    def settled(self, name: str, timeout_s: float) -> bool:
        """Wait until nothing hides what has been committed of a fence by now; returns whether that is so."""
        topic = self._topic()
        partition = partition_of(name.encode(), topic.spec.partitions)
        end = self._ends.written(topic, [partition])[partition]
        return self._ends.wait({(topic.spec.name, partition): end - 1}, {topic.spec.name: topic}, timeout_s)

    def await_seen(self, found: Sequence[Outgoing], timeout_s: float) -> None:
        """Wait until the records of fences that were written can be read."""
        last = {
            (one.topic.spec.name, one.partition): int(one.offsets[-1]) for one in found if one.topic.spec.name == FENCES
        }
        if last:
            with suppress(LogError):  # they are written, whether or not anybody can see them now
                self._ends.wait(last, {FENCES: self._topic()}, timeout_s)

    def record(self, name: str, state: FenceState) -> Outgoing:
        """Return the record of a fence, to be sent."""
        now_ms = self._clock.now_ms()
        return prepared(self._topic(), fence_batch(name, state, now_ms), self._values, now_ms)


class Fenced:
    """Writes under one fence.

    Args:
        clients: Of the cluster.
        name: Of the fence.
        book: Knows who has written under it.
        committed: Finds out whether a transaction was committed.
    """

    def __init__(self, clients: Clients, name: str, book: FenceBook, committed: Callable[[Probe], bool]) -> None:
        self._clients, self._name, self._book, self._committed = clients, name, book, committed
        self._lock = threading.Lock()
        self._transactor = Transactor(clients, f"{clients.options.prefix}{clients.options.transactions}.{name}")
        self._state = FenceState()

    def append(self, found: list[Outgoing], fence: Fence) -> None:
        """Write records under the fence, all or none.

        Args:
            found: The records; their offsets are noted there.
            fence: Who writes.

        Raises:
            StaleEpochError: A writer with a larger epoch has written before; nothing was written.
            LogError: They were not written; where nobody can say whether they were, the message says so.
        """
        with self._lock:
            for left in reversed(range(TRIES)):
                self._begin(fence)
                state = replace(self._state, epoch=fence.epoch)
                told = [] if state == self._state and any(len(one.keys) for one in found) else [state]
                records = [self._book.record(self._name, one) for one in told]
                if self._wrote([*found, *records], fence.epoch, left):
                    self._state = state
                    return
                found[:] = [one.again() for one in found]

    def change(self, change: Callable[[Lease | None], Lease | None]) -> Lease | None:
        """Replace the lease of the fence's name, and shut out writers with a smaller epoch.

        Args:
            change: Gets the lease as it is, returns it as it shall be, or None to leave it; called again where
                somebody else was quicker.

        Raises:
            LogError: The new lease has another name, or an epoch that goes back.
        """
        with self._lock:
            for left in reversed(range(TRIES)):
                self._refresh()
                known = known_lease(self._name, self._state.lease, self._state.epoch)
                wanted = change(known)
                if wanted is None:
                    return None
                check_lease(self._name, known, wanted)
                state = FenceState(epoch=max(wanted.epoch, self._state.epoch or 0), lease=wanted)
                if self._wrote([self._book.record(self._name, state)], wanted.epoch, left):
                    self._state = state
                    return wanted
        return None

    def close(self) -> None:
        """Let go of the producer."""
        with self._lock:
            self._transactor.drop()

    def _begin(self, fence: Fence) -> None:
        """Have the one producer of the fence, unless a newer writer has it."""
        if not self._transactor.ready:
            check_epoch(fence, self._book.state(self._name).epoch)
            self._become()
        check_epoch(fence, self._state.epoch)

    def _refresh(self) -> None:
        """Have the one producer of the fence, and know what is committed."""
        if not self._transactor.ready or self._book.state(self._name) != self._state:
            self._become()

    def _become(self) -> None:
        self._transactor.begin()
        options = self._clients.options
        if not self._book.settled(self._name, options.transaction_timeout_s + options.request_timeout_s):
            self._transactor.drop()
            raise LogBusyError(
                f"an open transaction hides what has become of {shown(self._name)}",
                hint="try again; Kafka ends transactions of silent writers after a while",
            )
        self._state = self._book.state(self._name)

    def _wrote(self, found: list[Outgoing], epoch: int, left: int) -> bool:
        """Write; returns False where it is certain that nothing was written and it may be tried again."""
        done = self._transactor.wrote(found, partial(self._is_committed, epoch=epoch), again=left > 0)
        if done:
            self._book.await_seen(found, self._clients.options.visible_timeout_s)
        return done

    def _is_committed(self, probe: Probe, epoch: int) -> bool:
        """Find out what became of a transaction: whoever becomes the producer after it has it ended first."""
        with finding_out(probe, self._clients.options.bootstrap):
            if (self._book.state(self._name).epoch or 0) <= epoch:
                self._become()
            return self._committed(probe)
