"""Rights on a cluster: what is granted to somebody, granted on top, and what this client may do itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from ashioto.errors import UsageError
from ashioto.log.kafka.errors import UNKNOWN_TOPIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.log.kafka.client import Clients

ANY_HOST: Final = "*"
_KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
}
_PATTERNS: Final = {"literal": ResourcePatternType.LITERAL, "prefixed": ResourcePatternType.PREFIXED}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """Allows somebody something.

    Args:
        principal: Who, e.g. `User:engine`.
        kind: `topic`, `group` or `transactional_id`.
        name: Of the object on the cluster, or how names begin.
        pattern: `literal` or `prefixed`.
        operation: As Kafka names it, e.g. `DESCRIBE_CONFIGS`.
    """

    principal: str
    kind: str
    name: str
    pattern: str
    operation: str


class Grants:
    """Reads and makes the rights of a cluster.

    Args:
        clients: Of the cluster.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def held(self, principal: str) -> set[Grant]:
        """Return what is granted to somebody, from anywhere.

        Raises:
            LogError: This client may not look, or the cluster keeps no rights.
        """
        anything: Any = None
        every = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, principal, anything, AclOperation.ANY,
            AclPermissionType.ALLOW,
        )  # fmt: skip
        with self._clients.errors():
            future = self._clients.admin.describe_acls(every, request_timeout=self._timeout_s)
            found = _answer(future)
        kinds = {kind: name for name, kind in _KINDS.items()}
        patterns = {pattern: name for name, pattern in _PATTERNS.items()}
        return {
            Grant(
                principal=one.principal, kind=kinds[one.restype], name=one.name,
                pattern=patterns[one.resource_pattern_type], operation=one.operation.name,
            )
            for one in found
            if one.restype in kinds and one.resource_pattern_type in patterns and one.host == ANY_HOST
        }  # fmt: skip

    def grant(self, wanted: Sequence[Grant]) -> list[Grant]:
        """Grant what is not granted yet, and return that.

        Args:
            wanted: What is to be granted; nothing is taken away.

        Raises:
            LogError: This client may not grant, or the cluster keeps no rights.
        """
        known = {one for principal in {one.principal for one in wanted} for one in self.held(principal)}
        missing = sorted(set(wanted) - known)
        bindings = [
            AclBinding(
                _KINDS[one.kind], one.name, _PATTERNS[one.pattern], one.principal, ANY_HOST,
                AclOperation[one.operation], AclPermissionType.ALLOW,
            )
            for one in missing
        ]  # fmt: skip
        if bindings:
            with self._clients.errors():
                for future in self._clients.admin.create_acls(bindings, request_timeout=self._timeout_s).values():
                    _answer(future)
        return missing

    def mine(self, topics: Sequence[str]) -> dict[str, set[str]]:
        """Return what this client may do with topics, as Kafka names it; those that it may not even see are left out.

        Args:
            topics: Their names on the cluster.
        """
        with self._clients.errors():
            asked = self._clients.admin.describe_topics(
                TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=self._timeout_s
            )
            found = {}
            for name, future in asked.items():
                try:
                    found[name] = {operation.name for operation in future.result().authorized_operations or ()}
                except KafkaException as error:
                    unseen = UNKNOWN_TOPIC | {KafkaError.TOPIC_AUTHORIZATION_FAILED}
                    if error.args[0].code() not in unseen:
                        raise
        return found

    @property
    def _timeout_s(self) -> float:
        return self._clients.options.request_timeout_s


def _answer(future: Any) -> list[Any]:
    """Return what a request was answered.

    Raises:
        UsageError: The cluster refuses no client anything, so there is nothing to grant.
    """
    try:
        return list(future.result() or ())
    except KafkaException as error:
        if error.args[0].code() == KafkaError.SECURITY_DISABLED:
            raise UsageError(
                "the cluster has no authorizer, so everybody may do everything there",
                hint="set authorizer.class.name on the brokers, or go without rights",
            ) from error
        raise
