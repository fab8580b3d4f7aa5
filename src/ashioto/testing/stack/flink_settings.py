"""What the programs of Flink are told: as little memory as SQL needs, and to be quick to see what is gone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ashioto.testing.stack.settings import HOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXPORTS: Final = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "java.security.jgss/sun.security.krb5",
    "jdk.compiler/com.sun.tools.javac.api",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.compiler/com.sun.tools.javac.parser",
    "jdk.compiler/com.sun.tools.javac.tree",
    "jdk.compiler/com.sun.tools.javac.util",
)
_OPENS: Final = (
    "java.lang",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
    "sun.nio.ch",
)
_FRAMEWORK_MB: Final = 64
"""Of Flink itself in the task manager: that much heap, and that much outside of it."""
_NETWORK_MB: Final = 64
_TASK_OFF_HEAP_MB: Final = 16
_MANAGED_MB: Final = 128
_METASPACE_MB: Final = 256
_QUICK: Final = "-XX:TieredStopAtLevel=1"
_FLAGS: Final = ("-Xms64m", "-XX:+UseSerialGC", "-XX:-UsePerfData", f"-XX:MaxMetaspaceSize={_METASPACE_MB}m")
_COMMON: Final = {
    "jobmanager.memory.jvm-metaspace.size": f"{_METASPACE_MB}m",
    "jobmanager.memory.off-heap.size": "128m",
    "taskmanager.cpu.cores": "2",
    "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_MB}m",
    "taskmanager.memory.framework.off-heap.size": f"{_FRAMEWORK_MB}m",
    "taskmanager.memory.task.off-heap.size": f"{_TASK_OFF_HEAP_MB}m",
    "taskmanager.memory.network.min": f"{_NETWORK_MB}m",
    "taskmanager.memory.network.max": f"{_NETWORK_MB}m",
    "taskmanager.memory.managed.size": f"{_MANAGED_MB}m",
    "taskmanager.memory.jvm-metaspace.size": f"{_METASPACE_MB}m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    "taskmanager.resource-id": "task-manager",  # one that comes back takes the place of the one that is gone
    "cluster.registration.error-delay": "200",
    "cluster.registration.initial-timeout": "100",
    "cluster.registration.max-timeout": "1000",
    "heartbeat.interval": "1000",
    "heartbeat.timeout": "10000",
    "heartbeat.rpc-failure-threshold": "2",
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "200ms",
    "restart-strategy.exponential-delay.max-backoff": "2s",
    "rest.retry.delay": "200",
    "web.submit.enable": "false",
    "state.backend.type": "hashmap",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
}


class Part(StrEnum):
    """A program of Flink.

    >>> f"the {Part.TASK_MANAGER} ended"
    'the task manager ended'
    """

    JOB_MANAGER = "job manager"
    TASK_MANAGER = "task manager"
    GATEWAY = "SQL gateway"


_MAIN: Final = {
    Part.JOB_MANAGER: "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
    Part.TASK_MANAGER: "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
    Part.GATEWAY: "org.apache.flink.table.gateway.SqlGateway",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkPlace:
    """Where a cluster of Flink is.

    Args:
        folder: Where its settings, logs, checkpoints and savepoints are.
        gateway: Port of the SQL gateway.
        rest: Port of the job manager's REST interface.
        rpc: Port where the job manager talks to the others.
        blob: Port where the job manager hands out files.

    >>> place = FlinkPlace(folder=Path("/x"), gateway=1, rest=2, rpc=3, blob=4)
    >>> place.gateway_url, FlinkPlace.parse(place.text) == place
    ('http://127.0.0.1:1', True)
    """

    folder: Path
    gateway: int
    rest: int
    rpc: int
    blob: int

    @classmethod
    def new(cls, folder: Path) -> Self:
        """Return a place on ports of this machine that are free."""
        gateway, rest, rpc, blob = free_ports(4)
        return cls(folder=folder, gateway=gateway, rest=rest, rpc=rpc, blob=blob)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the place that a text stands for."""
        folder, gateway, rest, rpc, blob = json.loads(text)
        return cls(folder=Path(folder), gateway=gateway, rest=rest, rpc=rpc, blob=blob)

    @property
    def text(self) -> str:
        """It as a text that other processes can `parse`."""
        return json.dumps([str(self.folder), self.gateway, self.rest, self.rpc, self.blob])

    @property
    def gateway_url(self) -> str:
        """URL of the SQL gateway."""
        return f"http://{HOST}:{self.gateway}"

    @property
    def jobmanager_url(self) -> str:
        """URL of the job manager: REST, and pages for people."""
        return f"http://{HOST}:{self.rest}"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, those of a job below its id."""
        return self.folder / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Folder of the savepoints that do not say where they go."""
        return self.folder / "savepoints"

    def log_file(self, part: Part) -> Path:
        """Return what a program printed."""
        return self.folder / f"{part.name.lower()}.log"


def flink_settings(
    place: FlinkPlace, *, slots: int, heap_mb: int, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the settings of a cluster: all programs get the same.

    Args:
        place: Where it is.
        slots: How many pieces of jobs run at the same time.
        heap_mb: Heap of the task manager, MiB.
        extra: Settings on top, which win.

    >>> place = FlinkPlace(folder=Path("/x"), gateway=1, rest=2, rpc=3, blob=4)
    >>> flink_settings(place, slots=4, heap_mb=512)["execution.checkpointing.dir"]
    'file:///x/checkpoints'
    """
    return {
        **_COMMON,
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": str(place.rpc),
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.heap.size": f"{heap_of(Part.JOB_MANAGER, heap_mb)}m",
        "blob.server.port": str(place.blob),
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": str(place.rest),
        "sql-gateway.endpoint.rest.address": HOST,
        "sql-gateway.endpoint.rest.bind-address": HOST,
        "sql-gateway.endpoint.rest.port": str(place.gateway),
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.numberOfTaskSlots": str(slots),
        "taskmanager.memory.task.heap.size": f"{heap_mb - _FRAMEWORK_MB}m",
        "io.tmp.dirs": str(place.folder / "tmp"),
        "execution.checkpointing.dir": place.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": place.savepoints.as_uri(),
        **(extra or {}),
    }


def heap_of(part: Part, task_mb: int) -> int:
    """Return the most memory for a program's heap, MiB.

    Args:
        part: The program.
        task_mb: Of the task manager.

    >>> [heap_of(part, 512) for part in Part]
    [320, 512, 384]
    """
    return {Part.JOB_MANAGER: 320, Part.TASK_MANAGER: task_mb, Part.GATEWAY: 384}[part]


def yaml(settings: Mapping[str, str]) -> str:
    r"""Return settings in the form of Flink's file: every value is a text in quotes.

    >>> yaml({"a.b": "1\nc: 2"})
    'a.b: "1\\nc: 2"\n'
    """
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())


def java_options(part: Part, *, heap_mb: int) -> list[str]:
    """Return Java's options for a program; the task manager's memory is what its settings say.

    Args:
        part: The program.
        heap_mb: Heap of the task manager, MiB.

    >>> java_options(Part.GATEWAY, heap_mb=512)[0]
    '-Xmx384m'
    """
    direct = _FRAMEWORK_MB + _TASK_OFF_HEAP_MB + _NETWORK_MB
    own = [f"-XX:MaxDirectMemorySize={direct}m"] if part is Part.TASK_MANAGER else [_QUICK]
    exports = [f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS]
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS]
    return [f"-Xmx{heap_of(part, heap_mb)}m", *_FLAGS, *own, *exports, *opens]


def program(part: Part, conf: Path, *, ports: tuple[int, int]) -> list[str]:
    """Return a program's class and its arguments.

    Args:
        part: The program.
        conf: Folder of the settings; the gateway finds it by its environment.
        ports: Where a task manager listens, for the job manager and for other task managers.

    >>> program(Part.JOB_MANAGER, Path("/conf"), ports=(1, 2))[1:]
    ['--configDir', '/conf']
    """
    if part is Part.GATEWAY:
        return [_MAIN[part]]
    rpc, data = ports
    listening = ["-D", f"taskmanager.rpc.port={rpc}", "-D", f"taskmanager.data.port={data}"]
    return [_MAIN[part], "--configDir", str(conf), *(listening if part is Part.TASK_MANAGER else [])]
