"""A cluster of brokers that survives the loss of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from ashioto.errors import StackError
from ashioto.testing.stack.broker import Broker, client_config
from ashioto.testing.stack.settings import ADMIN, Access, places

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cluster:
    """Three brokers; every topic has three copies unless it says otherwise, two of which are enough to write.

    The loss of a broker is noticed within 3 s, sooner than by default.

    Args:
        settings: Broker settings on top of ours, which win.
        secured: Whether clients log in, as for a single broker.
        users: Passwords of more users, by name; only of a secured cluster.

    >>> len(Cluster().brokers)
    3
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        secured: bool = False,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self._access = Access(users=users or {}) if secured else None
        self.brokers = [Broker(settings=settings, place=place, access=self._access) for place in places(3)]
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)

    def __enter__(self) -> Self:
        """Start every broker and wait until all of them answer."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End every broker and delete its data."""
        self.end()

    def start(self) -> Self:
        """Start every broker and wait until all of them answer.

        Raises:
            StackError: One did not get ready; shows the last lines of its log.
        """
        try:
            with ThreadPoolExecutor(len(self.brokers)) as pool:
                list(pool.map(Broker.launch, self.brokers))
            for broker in self.brokers:
                broker.wait_until_ready()
        except BaseException:
            self.end()
            raise
        return self

    def end(self) -> None:
        """End every broker and delete its data."""
        for broker in self.brokers:
            broker.end()

    def client_config(self, user: str = ADMIN) -> dict[str, str]:
        """Return what a client of confluent-kafka needs to reach the cluster.

        Args:
            user: Who logs in; of no meaning when the cluster is not secured.
        """
        return client_config(self.bootstrap, self._access, user)

    def leader(self, topic: str, partition: int = 0) -> Broker:
        """Return the broker that leads a partition now.

        Raises:
            StackError: There is no such partition, or nobody leads it.
        """
        from confluent_kafka.admin import AdminClient

        client = AdminClient({**self.client_config()})
        found = client.list_topics(topic, timeout=30).topics[topic].partitions.get(partition)
        node = -1 if found is None else found.leader
        for broker in self.brokers:
            if broker.place.node == node:
                return broker
        raise StackError(f"nobody leads partition {partition} of {topic}", hint="does the topic exist?", topic=topic)
