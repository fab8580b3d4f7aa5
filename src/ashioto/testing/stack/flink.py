"""Apache Flink for SQL: a job manager, a task manager and a SQL gateway, started from the locked files."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ashioto.errors import StackError
from ashioto.testing.stack.classes import class_archive, using, writing
from ashioto.testing.stack.flink_settings import FlinkPlace, Part, flink_settings, java_options, program, yaml
from ashioto.testing.stack.jars import Jars
from ashioto.testing.stack.java import find_java
from ashioto.testing.stack.process import KeptProcess
from ashioto.testing.stack.ready import wait_until
from ashioto.testing.stack.settings import LOGGING, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx

TIMEOUT_S: Final = 120.0
"""How long it may take to get ready; machines are shared."""
_EMPTY: Final = ("tmp", "plugins")


class Flink:
    """A cluster of Flink on free ports of this machine, with the connector for Kafka and Avro's format with a registry.

    Args:
        settings: Settings of Flink on top of ours, which win; not of memory.
        slots: How many pieces of jobs run at the same time.
        heap_mb: Heap of the task manager, MiB.
        folder: Where checkpoints and logs go and stay; a temporary folder, gone in the end, when not given.
        until: A lock file: it runs until nobody holds a shared lock on it, instead of until this process ends.

    >>> Flink().gateway_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        slots: int = 4,
        heap_mb: int = 512,
        folder: Path | None = None,
        until: Path | None = None,
    ) -> None:
        self._temporary = folder is None
        self.place = FlinkPlace.new(folder or Path(tempfile.gettempdir()) / f"ashioto-flink-{secrets.token_hex(8)}")
        self._settings = dict(settings or {})
        self._slots = slots
        self._heap_mb = heap_mb
        self._until = until
        self._parts: dict[Part, KeptProcess] = {}
        self._data_port = 0
        self._classes_to: Path | None = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End it, and delete its folder when that is a temporary one."""
        self.end()

    @property
    def gateway_url(self) -> str:
        """URL of the SQL gateway."""
        return self.place.gateway_url

    @property
    def jobmanager_url(self) -> str:
        """URL of the job manager: REST, and pages for people."""
        return self.place.jobmanager_url

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints, those of a job below its id."""
        return self.place.checkpoints

    @property
    def pids(self) -> dict[Part, int]:
        """Numbers of the processes that run."""
        return {part: process.pid for part, process in self._parts.items() if process.running}

    def start(self) -> Self:
        """Start all of it and wait until it takes SQL.

        Raises:
            StackError: It did not get ready; shows the last lines of a log. Or it runs already.
        """
        self._start(*Part)
        return self

    def kill_task_manager(self) -> None:
        """End the task manager as kill -9 does; it is missed within seconds."""
        self._kill(Part.TASK_MANAGER)

    def start_task_manager(self) -> None:
        """Start the task manager again, and wait until its slots can be used.

        Raises:
            StackError: It did not get ready, or runs already.
        """
        self._start(Part.TASK_MANAGER)

    def kill_job_manager(self) -> None:
        """End the job manager as kill -9 does; its jobs are gone, their checkpoints stay."""
        self._kill(Part.JOB_MANAGER)

    def start_job_manager(self) -> None:
        """Start the job manager again, without jobs, and wait until the task manager has found it.

        Raises:
            StackError: It did not get ready, or runs already.
        """
        self._start(Part.JOB_MANAGER)

    def kill_gateway(self) -> None:
        """End the SQL gateway as kill -9 does; its sessions are gone, jobs run on."""
        self._kill(Part.GATEWAY)

    def start_gateway(self) -> None:
        """Start the SQL gateway again, without sessions.

        Raises:
            StackError: It did not get ready, or runs already.
        """
        self._start(Part.GATEWAY)

    def end(self) -> None:
        """End it for good; at once when its folder goes with it."""
        for process in self._parts.values():
            if self._temporary:
                process.kill()
            else:
                process.stop()
        if self._temporary:
            shutil.rmtree(self.place.folder, ignore_errors=True)

    def _kill(self, part: Part) -> None:
        if part in self._parts:
            self._parts[part].kill()

    def _start(self, *parts: Part) -> None:
        running = [part for part in parts if part in self.pids]
        if running:
            raise StackError(f"the {running[0]} runs already", hint="kill it first, or use it as it is")
        self._write_settings()
        for part in parts:
            self._parts[part] = self._launch(part)
        self._wait_until_ready()

    def _launch(self, part: Part) -> KeptProcess:
        """Start a program; of a shared cluster the job manager ends when nobody uses it, and the others with it."""
        users = self.place.folder / "job_manager.users"
        leads = part is Part.JOB_MANAGER
        shared = self._until is not None
        return KeptProcess(
            f"the {part}",
            self._command(part),
            log=self.place.log_file(part),
            remove=[self.place.folder] if self._temporary else [],
            until=(self._until if leads else users) if shared else None,
            hold=users if leads and shared else None,
        )

    def _command(self, part: Part) -> list[str]:
        java, jars, conf = find_java(), Jars(), self.place.folder / "conf"
        home = jars.folder("flink")
        if part is Part.TASK_MANAGER:
            rpc, self._data_port = free_ports(2)
        else:
            rpc = 0
        environment = [f"FLINK_CONF_DIR={conf}", f"FLINK_PLUGINS_DIR={self.place.folder / 'plugins'}"]
        places = [
            f"-Djava.io.tmpdir={self.place.folder / 'tmp'}",
            f"-Dlog4j2.configurationFile={conf / 'log4j2.properties'}",
        ]
        classpath = ":".join(sorted(str(home / jar.name) for jar in jars.files("flink")))
        options = [*java_options(part, heap_mb=self._heap_mb), *self._quick(part, home), *places]
        words = program(part, conf, ports=(rpc, self._data_port))
        return ["env", *environment, java.command, *options, "-cp", classpath, *words]

    def _quick(self, part: Part, home: Path) -> list[str]:
        """Return Java's options that use the archive of a program's classes, or make it."""
        java = find_java()
        if self._classes_to:
            return writing(java, _archive_of(part, self._classes_to))
        archives = class_archive(home, java, _write_classes)
        archive = _archive_of(part, archives) if archives else None
        return [using(java, archive)] if archive and archive.exists() else []

    def _write_settings(self) -> None:
        self.place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        conf = self.place.folder / "conf"
        for folder in (conf, self.place.checkpoints, self.place.savepoints, *map(self.place.folder.joinpath, _EMPTY)):
            folder.mkdir(exist_ok=True)
        (conf / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        settings = flink_settings(self.place, slots=self._slots, heap_mb=self._heap_mb, extra=self._settings)
        (conf / "config.yaml").write_text(yaml(settings), encoding="utf-8")

    def _wait_until_ready(self) -> None:
        import httpx

        waited: list[Part] = []
        with httpx.Client(timeout=5, trust_env=False) as client:

            def settled() -> bool:
                waited[:] = self._not_ready(client)
                return not waited or any(not self._parts[part].running for part in waited)

            wait_until(settled, timeout_s=TIMEOUT_S)
        if waited:
            raise self._failed(waited)

    def _not_ready(self, client: httpx.Client) -> list[Part]:
        """Return the programs that others do not see yet, first the one that the rest waits for."""
        listed = _asked(client, f"{self.jobmanager_url}/taskmanagers")
        ports = [found["dataPort"] for found in listed.get("taskmanagers", []) if found["slotsNumber"]]
        ready = {
            Part.JOB_MANAGER: bool(listed),
            Part.TASK_MANAGER: self._data_port in ports,
            Part.GATEWAY: bool(_asked(client, f"{self.gateway_url}/info")),
        }
        return [part for part in Part if part in self._parts and not ready[part]]

    def _failed(self, waited: Iterable[Part]) -> StackError:
        parts = [self._parts[part] for part in waited]
        ended = [process for process in parts if not process.running]
        if ended:
            error = ended[0].failure("ended instead of getting ready")
        else:
            error = parts[0].failure(f"did not get ready within {TIMEOUT_S:.0f} s")
        self.end()
        return error


def _asked(client: httpx.Client, url: str) -> dict[str, list[dict[str, object]]]:
    """Return what a URL answers; nothing when it does not."""
    import httpx

    try:
        answer = client.get(url)
    except httpx.TransportError:
        return {}
    return dict(answer.json()) if answer.is_success else {}


def _archive_of(part: Part, archives: Path) -> Path:
    return archives / f".{part.name.lower()}"  # hidden, as all that the check of the jars must not see


def _write_classes(archives: Path) -> None:
    """Write the archives of all classes that the programs load until they are ready."""
    archives.mkdir(exist_ok=True)
    flink = Flink()
    flink._classes_to = archives  # noqa: SLF001  # a cluster like any other, but for its end
    with flink:
        for process in flink._parts.values():  # noqa: SLF001
            process.stop(timeout_s=120)
