"""Asks a cluster and its registry whether they would take topics as declared; nothing is made or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ashioto.errors import LogError, SchemaError
from ashioto.log.kafka.declared import declared
from ashioto.log.kafka.options import OLDEST_BROKER
from ashioto.schema.avro import subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ashioto.log.base import TopicSpec
    from ashioto.log.kafka.topics import Topic, Topics
    from ashioto.schema.registry import SchemaRegistry

_MEANINGS: Final = {
    "INVALID_REPLICATION_FACTOR": "the cluster cannot keep as many copies as log.replication says",
    "INVALID_PARTITIONS": "the cluster refuses as many partitions",
    "INVALID_CONFIG": f"the cluster refuses a setting; brokers must be {OLDEST_BROKER} or newer",
    "POLICY_VIOLATION": "a policy of the cluster refuses it",
    "TOPIC_EXCEPTION": "the cluster refuses its name",
    "INVALID_REQUEST": "the cluster refuses it",
    "TOPIC_ALREADY_EXISTS": "it is on the cluster, but has no schema in the registry, so its records cannot be read",
    "TOPIC_AUTHORIZATION_FAILED": "this user may not make or change it",
    "CLUSTER_AUTHORIZATION_FAILED": "this user may not make or change it",
}
"""Answers that are about the topic, and what they mean; all others are failures."""


class Preflight:
    """Asks before anything is made.

    Args:
        topics: Of the cluster.
        registry: Keeps the schemas of the values.
    """

    def __init__(self, topics: Topics, registry: SchemaRegistry) -> None:
        self._topics, self._registry = topics, registry

    def refusals(self, new: Sequence[TopicSpec], changed: Sequence[TopicSpec]) -> dict[str, str]:
        """Return why topics would be refused, by name; those that would not be are left out.

        Args:
            new: Topics to be made.
            changed: Topics that exist, as they shall be.

        Raises:
            LogError: The cluster or the registry does not answer.
        """
        there = {spec.name: self._topics.look(spec.name) for spec in changed}
        found = {spec.name: [*self._of(spec, there.get(spec.name))] for spec in (*new, *changed)}
        return {name: "; ".join(reasons) for name, reasons in found.items() if reasons}

    def leftovers(self, new: Sequence[TopicSpec]) -> dict[str, str]:
        """Return the subjects with other columns that new topics would have, by name; those without are left out.

        Raises:
            LogError: The registry does not answer.
        """
        found = {spec.name: self._topics.leftover(spec) for spec in new}
        return {name: f"the subject {left}" for name, left in found.items() if left is not None}

    def _of(self, spec: TopicSpec, known: Topic | None) -> Iterator[str]:
        try:
            avro = declared(spec.schema, spec.name, None if known is None else known.columns)
        except SchemaError as error:
            yield error.message
            return
        if known is not None and dict(known.avro) != avro:
            for reason in self._registry.incompatible(subject(known.real), avro):
                yield f"the registry refuses its columns: {reason}"
        try:
            self._topics.check(spec, known)
        except LogError as error:
            meaning = _MEANINGS.get(str(error.ids.get("code")))
            if meaning is None:
                raise
            yield f"{meaning} ({error.ids['said']})"
