"""A schema registry that speaks Confluent's protocol, in memory, started from the locked files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ashioto.testing.stack.jars import Jars
from ashioto.testing.stack.java import find_java
from ashioto.testing.stack.process import KeptProcess
from ashioto.testing.stack.ready import wait_until
from ashioto.testing.stack.settings import HOST, free_ports

if TYPE_CHECKING:
    from ashioto.errors import StackError

TIMEOUT_S: Final = 90.0
"""How long the registry may take to get ready; machines are shared."""
_FLAGS: Final = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class Registry:
    """A registry on a free port of this machine; its compatibility is BACKWARD, as Confluent's is by default.

    Args:
        until: A lock file: the registry runs until nobody holds a shared lock on it, not until this process ends.

    >>> Registry().url.endswith("/apis/ccompat/v7")
    True
    """

    def __init__(self, *, until: Path | None = None) -> None:
        self._port, self._management = free_ports(2)
        self.url = f"http://{HOST}:{self._port}/apis/ccompat/v7"
        self._until = until
        self._folder: Path | None = None
        self._process: KeptProcess | None = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End it; what it kept is gone."""
        self.end()

    @property
    def pid(self) -> int:
        """Number of its process; 0 when it was never started."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.running

    def start(self) -> Self:
        """Start it, empty, and wait until it answers.

        Raises:
            StackError: It did not get ready; shows the last lines of its log.
        """
        self.end()
        folder = self._folder = Path(tempfile.mkdtemp(prefix="ashioto-registry-"))
        process = self._process = KeptProcess(
            "the registry", self._command(), log=folder / "registry.log", remove=[folder], until=self._until
        )
        ended_or_up = wait_until(lambda: not process.running or self._is_ready(), timeout_s=TIMEOUT_S)
        if not process.running:
            raise self._failed(process, "ended instead of getting ready")
        if not ended_or_up:
            raise self._failed(process, f"did not get ready within {TIMEOUT_S:.0f} s")
        return self

    def kill(self) -> None:
        """End it as kill -9 does; what it kept is gone."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """End it, and delete its log."""
        self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _failed(self, process: KeptProcess, what: str) -> StackError:
        error = process.failure(what)
        self.end()
        return error

    def _is_ready(self) -> bool:
        import httpx

        try:
            answer = httpx.put(f"{self.url}/config", json={"compatibility": "BACKWARD"}, timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.is_success

    def _command(self) -> list[str]:
        java = find_java()
        jars = Jars()
        archive = jars.files(java.registry_set)[0].name.removesuffix(".tar.gz")
        home = jars.folder(java.registry_set) / archive
        runner = next(iter(sorted(home.glob("*-run*.jar"))))
        places = (
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={self._port}",
            f"-Dquarkus.management.host={HOST}",
            f"-Dquarkus.management.port={self._management}",
        )
        return [java.command, *_FLAGS, *places, "-jar", str(runner)]
