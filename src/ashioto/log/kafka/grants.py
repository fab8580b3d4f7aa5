"""Rights on a cluster: what is granted to somebody, granted on top, and what this client may do itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic

from ashioto.errors import UsageError
from ashioto.log.kafka.errors import DENIED, UNKNOWN_TOPIC

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
        """Return what this client may do with topics, as Kafka names it; those that do not exist are left out.

        Nothing may be done with topics that it may not see, whether or not they exist: the cluster does not tell.

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
                    if error.args[0].code() in DENIED:
                        found[name] = set()
                    elif error.args[0].code() not in UNKNOWN_TOPIC:
                        raise
        return found

    def makes(self, topics: Sequence[str]) -> dict[str, bool]:
        """Return whether this client may make topics, by name; none is made, and some may exist.

        Args:
            topics: Their names on the cluster.
        """
        with self._clients.errors():
            admin = self._clients.admin  # kept until it has answered
            asked = admin.create_topics(
                [NewTopic(name, 1, -1) for name in topics], request_timeout=self._timeout_s, validate_only=True
            ) if topics else {}  # fmt: skip
            return {name: _is_allowed(future) for name, future in asked.items()}

    @property
    def _timeout_s(self) -> float:
        return self._clients.options.request_timeout_s


def _is_allowed(future: Any) -> bool:
    """Return whether a request was not refused for want of rights; the cluster looks at them first."""
    try:
        future.result()
    except KafkaException as error:
        code = error.args[0].code()
        if code < 0:  # the client's own: no answer has come
            raise
        return code not in DENIED
    return True


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
