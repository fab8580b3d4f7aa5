"""Keeps the locked files in the user's cache; what does not have the locked sha256 is never used."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ashioto.errors import StackError
from ashioto.testing.stack.fetching import fetch
from ashioto.testing.stack.lock import LOCK_FILE, Jar, read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STAMP: Final = ".checked.json"


def cache_folder() -> Path:
    """Return where fetched files are kept: `ASHIOTO_CACHE_DIR`, else the user's cache.

    >>> cache_folder().name
    'stack'
    """
    chosen = os.environ.get("ASHIOTO_CACHE_DIR")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ashioto"
    return base / "stack"


class Jars:
    """The files of the test stack, fetched when they are first asked for.

    Args:
        cache: Where they are kept; the user's cache when not given.
        lock: The file with their names and sha256; ours when not given.
        tell: Gets the name of every file that was fetched.

    >>> Jars(cache=Path("/tmp")).files("registry-java21")[0].name
    'apicurio-registry-app-3.3.3-all.tar.gz'
    """

    def __init__(
        self, *, cache: Path | None = None, lock: Path = LOCK_FILE, tell: Callable[[str], None] | None = None
    ) -> None:
        self._cache = cache_folder() if cache is None else cache
        text = lock.read_text(encoding="utf-8")
        self._sets = read_lock(text)
        self._tell = tell or (lambda _: None)

    def files(self, name: str) -> list[Jar]:
        """Return the locked files of a set: `kafka`, `flink`, `registry-java17` or `registry-java21`."""
        return self._sets[name]

    def folder(self, name: str) -> Path:
        """Return the folder of a set, with everything in it checked; archives are unpacked there.

        A file is hashed when its size or time is not what it was at the last check; so a check costs a millisecond.

        Raises:
            StackError: A file cannot be fetched, or is not what the lock says.
        """
        home = self._cache / name
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home):
            if not self._is_checked(home, name):
                self._fetch_missing(home, name)
                for jar in self._sets[name]:
                    _check(home / jar.name, jar)
                self._unpack(home, name)
                stamp = {"lock": self._digest(name), "files": _seen(home)}
                (home / _STAMP).write_text(json.dumps(stamp), encoding="utf-8")
        return home

    def _is_checked(self, home: Path, name: str) -> bool:
        try:
            stamp = json.loads((home / _STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(stamp == {"lock": self._digest(name), "files": _seen(home)})

    def _digest(self, name: str) -> str:
        return hashlib.sha256(repr(self._sets[name]).encode()).hexdigest()

    def _fetch_missing(self, home: Path, name: str) -> None:
        missing = [jar for jar in self._sets[name] if not (home / jar.name).exists()]
        if not missing:
            return
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as staging:
            fetch(missing, Path(staging), tell=self._tell)
            for jar in missing:
                _check(Path(staging) / jar.name, jar)
                (Path(staging) / jar.name).replace(home / jar.name)

    def _unpack(self, home: Path, name: str) -> None:
        for jar in self._sets[name]:
            if jar.packaging != "tar.gz":
                continue
            target = home / jar.name.removesuffix(".tar.gz")
            shutil.rmtree(target, ignore_errors=True)
            with tarfile.open(home / jar.name) as archive:
                archive.extractall(target, filter="data")


def _check(file: Path, jar: Jar) -> None:
    if not file.is_file():
        raise StackError(
            f"{jar.name} was not fetched", hint="run: python -m ashioto.testing.stack fetch", file=jar.name
        )
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != jar.sha256:
        raise StackError(
            f"{jar.name} is not the file of the lock: its sha256 is {found}, the lock says {jar.sha256}",
            hint=f"remove {file} and fetch it again; where it comes back like this, do not use it",
            file=jar.name,
        )


def _seen(home: Path) -> dict[str, list[int]]:
    """Return size and time of every file below a folder."""
    found: dict[str, list[int]] = {}
    for place, _, names in os.walk(home):
        for file in (Path(place) / name for name in names if not name.startswith(".")):
            stat = file.stat()
            found[str(file.relative_to(home))] = [stat.st_size, stat.st_mtime_ns]
    return dict(sorted(found.items()))


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep other processes from fetching the same at the same time."""
    descriptor = os.open(home / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
