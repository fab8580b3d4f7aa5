"""Membership of a consumer group that shares partitions out; the records are read by others, not by it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition

from ashioto.log.kafka.errors import log_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ashioto.log.kafka.client import Clients
    from ashioto.log.kafka.topics import Topic

    Place = tuple[str, int]
    Told = Callable[[Collection[Place]], None]

LOGGER: Final = logging.getLogger("ashioto.kafka")
_SETTINGS: Final[dict[str, Any]] = {
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.auto.commit": False,
    "auto.offset.reset": "latest",
    "max.poll.interval.ms": 300_000,
    "topic.metadata.refresh.interval.ms": 10_000,
    "queued.min.messages": 1,
    "queued.max.messages.kbytes": 64,
}
_HEARTBEAT_MS: Final = 500
"""How often a member says that it is there, at least: in the answer it learns that the others have changed."""
_REFUSED: Final = {KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}
_NOT_YET: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  # public, for all its name
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}


class Group:
    """Is a member of a group from the first poll until it leaves; not for several threads at once.

    A thread of the client tells the group that this process is there. Where that stops for the session timeout, or
    `poll` is not called for five minutes, the partitions go to others.

    Args:
        clients: Of the cluster.
        name: Of the group, on the cluster.
        member: Name of this member, for people and for `members`.
        settings: Of librdkafka, instead of those that it would have.
    """

    def __init__(
        self, clients: Clients, name: str, *, member: str, settings: Mapping[str, str | int] | None = None
    ) -> None:
        session_ms = round(clients.options.session_timeout_s * 1000)
        times = {"session.timeout.ms": session_ms, "heartbeat.interval.ms": min(session_ms // 4, _HEARTBEAT_MS)}
        self._clients = clients
        self._settings = _SETTINGS | times | {"group.id": name, "client.id": member} | dict(settings or {})
        self._prefix = clients.options.prefix
        self._consumer: Consumer | None = None
        self._topics: frozenset[str] = frozenset()
        self._assigned: set[Place] = set()
        self._revoked: Told = _nothing
        self._lost: Told = _nothing

    @property
    def assigned(self) -> frozenset[Place]:
        """The partitions that are this member's, as topic and number."""
        return frozenset(self._assigned)

    def poll(self, topics: Collection[str], *, revoked: Told, lost: Told) -> None:
        """Learn what has changed, once; does not wait.

        Args:
            topics: Those that the group is to share out; they need not exist yet.
            revoked: Called before partitions are another's: what must be done for them is to be done in it.
            lost: Called where they may be another's already.

        Raises:
            LogError: The cluster does not let this member into the group, or to the topics.
        """
        self._revoked, self._lost = revoked, lost
        try:
            with self._clients.errors():
                consumer = self._subscribed(frozenset(topics))
                while (found := consumer.poll(0)) is not None:
                    self._note(found.error())
        finally:
            self._revoked = self._lost = _nothing

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell how far has been read, for people and their tools; nothing is waited for, and nothing depends on it."""
        places = [TopicPartition(self._prefix + topic, number, at) for (topic, number), at in offsets.items()]
        if self._consumer is not None:
            try:
                self._consumer.commit(offsets=places, asynchronous=True)
            except KafkaException as error:
                LOGGER.debug("how far has been read could not be told: %s", error)

    def leave(self) -> None:
        """Leave, so that the others get its partitions at once; a later poll joins again."""
        consumer, self._consumer, self._topics = self._consumer, None, frozenset()
        if consumer is not None:
            consumer.close()
        self._assigned.clear()

    def _subscribed(self, topics: frozenset[str]) -> Consumer:
        if self._consumer is None:
            self._consumer = self._clients.member(self._settings)
        if topics != self._topics:
            real = sorted(self._prefix + topic for topic in topics)
            self._consumer.subscribe(
                real, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )  # fmt: skip
            self._topics = topics
        return self._consumer

    def _on_assign(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        consumer.incremental_assign(found)
        consumer.pause(found)  # others read the records
        self._assigned |= self._places(found)

    def _on_revoke(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        places = self._places(found)
        try:
            self._revoked(places)
        finally:
            self._assigned -= places
            consumer.incremental_unassign(found)

    def _on_lost(self, consumer: Consumer, found: list[TopicPartition]) -> None:
        places = self._places(found)
        self._assigned -= places
        self._lost(places)
        consumer.incremental_unassign(found)

    def _places(self, found: list[TopicPartition]) -> set[Place]:
        return {(one.topic.removeprefix(self._prefix), one.partition) for one in found}

    def _note(self, error: KafkaError | None) -> None:
        if error is None or error.code() in _NOT_YET:
            return
        if error.fatal() or error.code() in _REFUSED:
            raise log_error(error, self._clients.options.bootstrap, trouble=self._clients.trouble)
        LOGGER.warning("the group %s: %s", self._settings["group.id"], error.str())


def members(clients: Clients, name: str) -> set[str]:
    """Return the names of those who are in a group.

    Args:
        clients: Of the cluster.
        name: Of the group, on the cluster.

    Raises:
        LogError: The cluster does not say.
    """
    with clients.errors():
        asked = clients.admin.describe_consumer_groups([name], request_timeout=clients.options.request_timeout_s)
        try:
            found = asked[name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return set()
            raise
    return {member.client_id for member in found.members}


def committed(clients: Clients, name: str, topic: Topic) -> dict[int, int]:
    """Return up to which offset a group says it has read each partition; those it has said nothing of are left out.

    Args:
        clients: Of the cluster.
        name: Of the group, on the cluster.
        topic: What it reads.

    Raises:
        LogError: The cluster does not say.
    """
    places = [TopicPartition(topic.real, number) for number in range(topic.spec.partitions)]
    wanted = ConsumerGroupTopicPartitions(name, places)
    with clients.errors(topic.spec.name):
        asked = clients.admin.list_consumer_group_offsets([wanted], request_timeout=clients.options.request_timeout_s)
        try:
            found = asked[name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
    return {one.partition: one.offset for one in found.topic_partitions if one.error is None and one.offset >= 0}


def forget(clients: Clients, name: str) -> None:
    """Have the cluster forget what a group has read; one that is not there is no error.

    Args:
        clients: Of the cluster.
        name: Of the group, on the cluster.

    Raises:
        LogError: It has members, or the cluster does not let this client do it.
    """
    with clients.errors():
        asked = clients.admin.delete_consumer_groups([name], request_timeout=clients.options.request_timeout_s)
        try:
            asked[name].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise


def _nothing(_: Collection[Place]) -> None:
    """Do nothing: nobody polls."""
