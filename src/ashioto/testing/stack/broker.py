"""One broker, started from the locked files; it never outlives those who use it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ashioto.errors import StackError
from ashioto.testing.stack.classes import class_archive, using, writing
from ashioto.testing.stack.jars import Jars
from ashioto.testing.stack.java import find_java
from ashioto.testing.stack.process import KeptProcess, last_lines
from ashioto.testing.stack.ready import answers, listens, wait_until, warm_up
from ashioto.testing.stack.settings import (
    ADMIN,
    HOST,
    LOGGING,
    Access,
    Place,
    place_of_one,
    properties,
    server_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S: Final = 90.0
"""How long a broker may take to get ready; machines are shared."""
_FLAGS: Final = ("-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")


class Broker:
    """A Kafka broker on free ports of this machine, with its data in a temporary folder.

    Args:
        settings: Broker settings on top of ours, which win.
        secured: Whether clients log in with SCRAM and may do only what an ACL allows; `admin` may do everything.
        users: Passwords of more users, by name; only of a secured broker.
        folder: Where data and log go and stay; a temporary folder, gone in the end, when not given.
        heap_mb: Most memory for Java's heap, MiB.
        place: Where it is in a cluster; alone when not given.
        access: Who may use a cluster; goes before `secured` and `users`.
        until: A lock file: the broker runs until nobody holds a shared lock on it, instead of until this process ends.

    >>> broker = Broker(secured=True, users={"app": "canary"})
    >>> broker.client_config("app")["sasl.username"]
    'app'
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        secured: bool = False,
        users: Mapping[str, str] | None = None,
        folder: Path | None = None,
        heap_mb: int = 256,
        place: Place | None = None,
        access: Access | None = None,
        until: Path | None = None,
    ) -> None:
        self.place = place or place_of_one()
        self.bootstrap = self.place.bootstrap
        self._access = access or (Access(users=users or {}) if secured else None)
        self._settings = dict(settings or {})
        self._temporary = folder is None
        self._folder = folder
        self._heap_mb = heap_mb
        self._until = until
        self._process: KeptProcess | None = None
        self._classes_to: Path | None = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End it, and delete its data when that is in a temporary folder."""
        self.end()

    @property
    def folder(self) -> Path:
        """The folder of its data, its settings and its log."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ashioto-broker-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @property
    def log_file(self) -> Path:
        """What it printed."""
        return self.folder / "broker.log"

    @property
    def running(self) -> bool:
        """Whether its process is there, paused or not."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Number of its process.

        Raises:
            StackError: It was never started.
        """
        return self._started().pid

    def client_config(self, user: str = ADMIN) -> dict[str, str]:
        """Return what a client of confluent-kafka needs to reach it.

        Args:
            user: Who logs in; of no meaning when the broker is not secured.

        Raises:
            StackError: There is no such user.
        """
        return client_config(self.bootstrap, self._access, user)

    def start(self) -> Self:
        """Start it, on the data that it has, and wait until it answers.

        Raises:
            StackError: It did not get ready; shows the last lines of its log.
        """
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """Start its process and do not wait.

        Raises:
            StackError: It could not be started, or runs already.
        """
        if self.running:
            raise StackError(f"broker {self.place.node} runs already", hint="stop it first, or use it as it is")
        java = self._java()
        file = self._write_settings()
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(java, file)
        command = [*java, *self._dumping(), "kafka.Kafka", str(file)]
        remove = [self.folder] if self._temporary else []
        self._process = KeptProcess(
            f"broker {self.place.node}", command, log=self.log_file, remove=remove, until=self._until
        )

    def wait_until_ready(self) -> None:
        """Wait until the whole cluster answers, and wake its coordinators.

        Raises:
            StackError: It did not get ready; shows the last lines of its log.
        """
        process = self._started()
        port = self.place.ports[self.place.node][0]
        config = self.client_config()
        brokers = len(self.place.ports)
        ended_or_up = wait_until(lambda: not process.running or listens(HOST, port), timeout_s=TIMEOUT_S)
        if not process.running:
            raise self._failed("ended instead of getting ready")
        if not ended_or_up or not wait_until(lambda: answers(config, brokers=brokers), timeout_s=TIMEOUT_S):
            raise self._failed(f"did not get ready within {TIMEOUT_S:.0f} s")
        if not warm_up(config, timeout_s=TIMEOUT_S):
            raise self._failed(f"has no coordinators within {TIMEOUT_S:.0f} s")

    def stop(self, *, timeout_s: float = 20) -> None:
        """Stop it in an orderly way; its data stays, and `start` goes on with it.

        Args:
            timeout_s: After this it is killed.
        """
        if self._process is not None:
            self._process.stop(timeout_s=timeout_s)

    def kill(self) -> None:
        """End it as kill -9 does; its data stays, and `start` goes on with it."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """Stop its process from running, as SIGSTOP does; connections stay open."""
        self._started().pause()

    def resume(self) -> None:
        """Let a paused process run again."""
        self._started().send(signal.SIGCONT)

    def end(self) -> None:
        """End it for good; at once when its data goes with it."""
        if self._temporary:
            self.kill()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self.stop()

    def _started(self) -> KeptProcess:
        if self._process is None:
            raise StackError(f"broker {self.place.node} was not started", hint="use it as: with Broker() as broker")
        return self._process

    def _failed(self, what: str) -> StackError:
        error = self._started().failure(what)
        self.end()
        return error

    def _write_settings(self) -> Path:
        file = self.folder / "server.properties"
        (self.folder / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        settings = server_settings(self.place, self.folder / "data", access=self._access, extra=self._settings)
        file.touch(mode=0o600)
        file.write_text(properties(settings), encoding="utf-8")
        return file

    def _format(self, java: list[str], file: Path) -> None:
        credentials = self._access.credentials if self._access else {}
        scram = [f"SCRAM-SHA-256=[name={user},password={password}]" for user, password in credentials.items()]
        added = [word for text in scram for word in ("--add-scram", text)]
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", self.place.cluster, "-c", str(file), *added]
        with self.log_file.open("ab") as out:
            done = subprocess.run([*java, *tool], check=False, stdout=out, stderr=out)  # noqa: S603
        if done.returncode:
            lines = last_lines(self.log_file)
            self.end()
            raise StackError(
                f"the data of broker {self.place.node} could not be formatted; the last lines of its log:\n{lines}",
                hint="a setting that you gave may be wrong",
            )

    def _java(self) -> list[str]:
        """Return Java with all that a program of the broker needs, but its name."""
        java, jars = find_java(), Jars()
        home = jars.folder("kafka")
        classpath = ":".join(sorted(str(home / jar.name) for jar in jars.files("kafka")))
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        archive = None if self._classes_to else class_archive(home, java, _write_classes)
        quick = [using(java, archive)] if archive else []
        return [java.command, *_FLAGS, *quick, f"-Xmx{self._heap_mb}m", logging, "-cp", classpath]

    def _dumping(self) -> list[str]:
        return writing(find_java(), self._classes_to) if self._classes_to else []


def _write_classes(archive: Path) -> None:
    """Write the archive of all classes that a broker loads until it is ready."""
    broker = Broker()
    broker._classes_to = archive  # noqa: SLF001  # a broker like any other, but for its end
    with broker:
        broker.stop(timeout_s=120)


def client_config(bootstrap: str, access: Access | None, user: str = ADMIN) -> dict[str, str]:
    """Return what a client of confluent-kafka needs to reach a broker.

    Args:
        bootstrap: Where it is.
        access: Who may use it; everybody when None.
        user: Who logs in.

    Raises:
        StackError: There is no such user.

    >>> client_config("127.0.0.1:9092", None)
    {'bootstrap.servers': '127.0.0.1:9092'}
    """
    if access is None:
        return {"bootstrap.servers": bootstrap}
    if user not in access.credentials:
        raise StackError(f"no user {user!r} on this broker", hint=f"there are: {', '.join(sorted(access.credentials))}")
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": access.credentials[user],
    }
