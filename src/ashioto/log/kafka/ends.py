"""Where partitions begin and end, as readers of committed records see it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, TopicPartition

from ashioto.errors import LogBusyError
from ashioto.log.kafka.errors import MOVING, UNKNOWN_TOPIC, UNREACHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Consumer

    from ashioto.clock import Clock
    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.topics import Topic

_RECENT_S: Final = 0.003
_POLL_S: Final = 0.001
_RETRY_S: Final = 0.02
_LONGEST_RETRY_S: Final = 0.25
_GONE_S: Final = 1.0
"""A topic that was seen is gone only once that has been said for so long: some broker may not know of a new one yet."""
_LEAST_S: Final = 0.5
"""A client asks the leader that it knows, and waits for one that is gone: so each attempt may take longer."""
_MOST_S: Final = 4.0
"""An attempt cannot be broken off by ^C."""
_RENEW_S: Final = 5.0
"""A client that did not learn of a new leader in so long is replaced."""
_AGAIN: Final = MOVING | UNREACHED | UNKNOWN_TOPIC


class Ends:
    """Asks the cluster for offsets.

    Args:
        clients: Of the cluster.
        clock: Says how old an answer is.
    """

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clients, self._clock = clients, clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, dict[int, int]]] = {}

    def of(self, topic: Topic, *, patience_s: float | None = None) -> dict[int, int]:
        """Return the offset of the next record that can be read, by partition.

        Args:
            topic: The topic.
            patience_s: How long to wait for an answer, seconds; None is as long as for any request.
        """
        asked = self._clock.monotonic()
        found = self._ask(topic, OFFSET_END, range(topic.spec.partitions), patience_s=patience_s)
        with self._lock:
            at, known = self._seen.get(topic.id, (asked, {}))
            merged = {partition: max(end, known.get(partition, 0)) for partition, end in found.items()}
            self._seen[topic.id] = max(asked, at), merged
        return found

    def recent(self, topic: Topic, partition: int, offset: int) -> int:
        """Return an end of a partition; it is asked for unless it was just now, or is known to be above an offset."""
        with self._lock:
            at, known = self._seen.get(topic.id, (0.0, {}))
        end = known.get(partition, -1)
        if end > offset or (end >= 0 and self._clock.monotonic() - at < _RECENT_S):
            return end
        return self.of(topic)[partition]

    def starts(self, topic: Topic, partitions: Sequence[int] | None = None) -> dict[int, int]:
        """Return the first offset that is kept, by partition."""
        wanted = range(topic.spec.partitions) if partitions is None else partitions
        return self._ask(topic, OFFSET_BEGINNING, wanted)

    def written(self, topic: Topic, partitions: Sequence[int] | None = None) -> dict[int, int]:
        """Return the offset of the next record by partition, also behind records that are not committed yet."""
        wanted = range(topic.spec.partitions) if partitions is None else partitions
        return self._ask(topic, OFFSET_END, wanted, committed=False)

    def wait(self, above: dict[tuple[str, int], int], topics: dict[str, Topic], timeout_s: float) -> bool:
        """Wait until readers see records.

        Args:
            above: Offset of a record, by name of the topic and partition.
            topics: The topics, by name.
            timeout_s: How long, seconds.

        Returns:
            Whether they do.
        """
        until = self._clock.monotonic() + timeout_s
        left = dict(above)
        while True:
            for name in {name for name, _ in left}:
                ends = self.of(topics[name], patience_s=max(until - self._clock.monotonic(), _LEAST_S))
                left = {place: at for place, at in left.items() if place[0] != name or ends[place[1]] <= at}
            if not left or self._clock.monotonic() >= until:
                return not left
            self._clock.sleep(_POLL_S)

    def settled(self, topic: Topic) -> dict[int, int]:
        """Return where each partition ends, once readers see all that was committed before this was called.

        What hides it is the open transaction of somebody else in the same partition.

        Raises:
            LogBusyError: One was open for all the time.
        """
        options = self._clients.options
        until = self._clock.monotonic() + options.transaction_timeout_s + options.request_timeout_s
        written = self.written(topic)
        while True:
            found = self.of(topic)
            if all(end >= written[partition] for partition, end in found.items()):
                return found
            if self._clock.monotonic() >= until:
                raise LogBusyError(
                    f"an open transaction hides the newest records of {topic.spec.name}",
                    hint="try again; Kafka ends transactions of silent writers after a while",
                    topic=topic.spec.name,
                )
            self._clock.sleep(_POLL_S)

    def known(self, topic: Topic, partition: int) -> int:
        """Return the end that was seen last; 0 where none was."""
        with self._lock:
            return self._seen.get(topic.id, (0.0, {}))[1].get(partition, 0)

    def _ask(
        self, topic: Topic, which: int, partitions: Sequence[int], *, committed: bool = True,
        patience_s: float | None = None,
    ) -> dict[int, int]:  # fmt: skip
        """Ask for offsets, again while the leaders of the partitions are only just found."""
        patience_s = self._clients.options.request_timeout_s if patience_s is None else patience_s
        renewed = self._clock.monotonic()
        until, attempt_s, retry_s = renewed + patience_s, _LEAST_S, _RETRY_S
        gone_since: float | None = None
        with self._clients.errors(topic.spec.name):
            while True:
                asker = self._clients.asker(committed=committed)
                try:
                    return _asked(asker, topic, which, partitions, attempt_s)
                except KafkaException as error:
                    why: KafkaError = error.args[0]
                if why.code() not in _AGAIN:
                    raise KafkaException(why)
                self._clock.sleep(retry_s)
                said, now = _said_of(asker, topic, attempt_s), self._clock.monotonic()
                if why.code() in UNKNOWN_TOPIC and said is not None:
                    why = said  # without a leader, the client says by itself that there is no such partition
                is_gone = said is not None and said.code() in UNKNOWN_TOPIC
                gone_since = (now if gone_since is None else gone_since) if is_gone else None
                is_over = now > until or (gone_since is not None and now - gone_since > _GONE_S)
                if is_over or why.code() not in _AGAIN:
                    raise KafkaException(why)
                if now - renewed > _RENEW_S:
                    self._clients.renew()
                    renewed = now
                attempt_s = min(2 * attempt_s, max(until - now, _LEAST_S), _MOST_S)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)


def _said_of(asker: Consumer, topic: Topic, timeout_s: float) -> KafkaError | None:
    """Have a client learn who leads a topic now, and return what is wrong: with the topic, or with asking for it."""
    try:
        found = asker.list_topics(topic.real, timeout=timeout_s)
    except KafkaException as error:
        failed: KafkaError = error.args[0]
        return failed
    wrong: KafkaError | None = found.topics[topic.real].error
    return wrong


def _asked(asker: Consumer, topic: Topic, which: int, partitions: Sequence[int], timeout_s: float) -> dict[int, int]:
    """Ask for offsets, once."""
    wanted = [TopicPartition(topic.real, partition, which) for partition in partitions]
    found = asker.offsets_for_times(wanted, timeout=timeout_s) if wanted else []
    asker.poll(0)  # or what it tells beside would be kept for ever
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
        if place.offset < 0:  # what librdkafka says of a leader that has just gone
            raise KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE))
    return {place.partition: place.offset for place in found}
