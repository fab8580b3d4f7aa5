"""What a broker of the test stack is told: as little as is needed to be quick, small and alone on this machine."""

from __future__ import annotations

import base64
import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ashioto.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HOST: Final = "127.0.0.1"
ADMIN: Final = "admin"
"""User of a secured broker who may do everything."""
LOGGING: Final = """status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""
"""What log4j is told: warnings and errors, to standard output."""
_CONTROLLER: Final = "controller"
_PORTS: Final = range(20_000, 32_000)
_COMMON: Final = {
    "log.initial.task.delay.ms": "86400000",  # else one half a minute old deletes what was written with old times
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "auto.create.topics.enable": "false",
    "background.threads": "2",
    "controller.quorum.election.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.segment.delete.delay.ms": "1000",
    "num.io.threads": "4",
    "num.network.threads": "2",
    "offsets.topic.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.state.log.num.partitions": "1",
}
_SEVERAL: Final = {
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.quorum.fetch.timeout.ms": "1000",
    "replica.lag.time.max.ms": "5000",
}
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a broker is in its cluster.

    Args:
        node: Its number, from 1 on.
        ports: The port for clients and the port for controllers of every node, by number.
        cluster: Id of the cluster.

    >>> Place(node=1, ports={1: (20_001, 20_002)}, cluster="x").bootstrap
    '127.0.0.1:20001'
    """

    node: int
    ports: Mapping[int, tuple[int, int]]
    cluster: str

    @property
    def bootstrap(self) -> str:
        """Address for clients of this broker alone."""
        return f"{HOST}:{self.ports[self.node][0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use a secured broker.

    Args:
        users: Passwords by user; the user `admin` and the controller come on top.
        password: That of `admin` and of the controller.
    """

    users: Mapping[str, str]
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        """Password of every user who can log in with SCRAM."""
        return {**self.users, ADMIN: self.password}


def place_of_one() -> Place:
    """Return the place of a broker that is alone."""
    return places(1)[0]


def places(count: int) -> list[Place]:
    """Return the places of a new cluster, on ports of this machine that are free.

    >>> [place.node for place in places(2)]
    [1, 2]
    """
    free = free_ports(2 * count)
    ports = {node: (free[2 * node - 2], free[2 * node - 1]) for node in range(1, count + 1)}
    cluster = "A" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]
    return [Place(node=node, ports=ports, cluster=cluster) for node in ports]


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, none of which the system hands out by itself for outgoing connections.

    Raises:
        StackError: There are not as many.

    >>> len(set(free_ports(3)))
    3
    """
    found: list[int] = []
    for port in secrets.SystemRandom().sample(_PORTS, 500):
        if len(found) < count and _is_free(port):
            found.append(port)
    if len(found) < count:
        raise StackError(
            f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}", hint="end other programs that listen"
        )
    return found


def server_settings(
    place: Place, folder: Path, *, access: Access | None = None, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the settings of a broker.

    Args:
        place: Where it is in its cluster.
        folder: Where its data goes.
        access: Who may use it; everybody when not given.
        extra: Settings on top, which win.

    >>> from pathlib import Path
    >>> server_settings(places(3)[0], Path("/data"))["min.insync.replicas"]
    '2'
    """
    client, controller = place.ports[place.node]
    several = len(place.ports) > 1
    copies, in_sync = ("3", "2") if several else ("1", "1")
    kind = "PLAINTEXT" if access is None else "SASL_PLAINTEXT"
    return {
        **_COMMON,
        **(_SEVERAL if several else {}),
        "node.id": str(place.node),
        "log.dirs": str(folder),
        "listeners": f"CLIENT://{HOST}:{client},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"CLIENT://{HOST}:{client}",
        "listener.security.protocol.map": f"CLIENT:{kind},CONTROLLER:{kind}",
        "controller.quorum.voters": ",".join(f"{n}@{HOST}:{ports[1]}" for n, ports in place.ports.items()),
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        **({} if access is None else _secured(access)),
        **(extra or {}),
    }


def properties(settings: Mapping[str, str]) -> str:
    r"""Return settings in the form of a Java properties file.

    >>> properties({"a": "b\n"})
    'a=b\\n\n'
    """
    return "".join(
        f"{key}={value.replace(chr(92), chr(92) * 2).replace(chr(10), chr(92) + 'n')}\n"
        for key, value in settings.items()
    )


def _secured(access: Access) -> dict[str, str]:
    login = f'{_SCRAM} required username="{ADMIN}" password="{access.password}";'
    peers = (
        f'{_PLAIN} required username="{_CONTROLLER}" password="{access.password}" '
        f'user_{_CONTROLLER}="{access.password}";'
    )
    return {
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-256",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.client.scram-sha-256.sasl.jaas.config": login,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": peers,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{_CONTROLLER}",
        "allow.everyone.if.no.acl.found": "false",
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
