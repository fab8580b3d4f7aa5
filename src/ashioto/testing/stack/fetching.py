"""Fetches locked files from Maven Central: by Maven where there is one, else by the package `jgo`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ashioto.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ashioto.testing.stack.lock import Jar

    Tell = Callable[[str], None]

_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_TRIES: Final = 3


def fetch(jars: Sequence[Jar], folder: Path, *, tell: Tell) -> None:
    """Put files into a folder; their sha256 is not looked at here.

    Args:
        jars: What to fetch; nothing that they depend on comes with them.
        folder: Where to put them; exists.
        tell: Gets the name of every file that is there.

    Raises:
        StackError: There is no way to fetch, or every way failed.
    """
    ways = _ways()
    if not ways:
        raise StackError(
            f"{len(jars)} files of the test stack are to be fetched, and there is neither Maven nor jgo",
            hint="pip install 'ashioto[kafka-stack]', or install Maven",
        )
    failed: list[str] = []
    for name, way in ways:
        try:
            way(jars, folder, tell)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {_reason(error)}")
        else:
            return
    raise StackError(
        f"{len(jars)} files of the test stack, from {jars[0].name} on, could not be fetched ({'; '.join(failed)})",
        hint="check the network, then: python -m ashioto.testing.stack fetch",
    )


def pom_of(jars: Sequence[Jar]) -> str:
    """Return a Maven project that depends on these files, and on nothing that they depend on."""
    wanted = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId><version>{jar.version}</version>"
        f"<type>{jar.packaging}</type>{f'<classifier>{jar.classifier}</classifier>' if jar.classifier else ''}"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for jar in jars
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>ashioto</groupId>'
        f"<artifactId>stack</artifactId><version>1</version><dependencies>{wanted}</dependencies></project>"
    )


def _ways() -> list[tuple[str, Callable[[Sequence[Jar], Path, Tell], None]]]:
    ways: list[tuple[str, Callable[[Sequence[Jar], Path, Tell], None]]] = []
    if shutil.which("mvn"):
        ways.append(("Maven", _by_maven))
    if importlib.util.find_spec("jgo") is not None:
        ways.append(("jgo", _by_jgo))
    return ways


def _by_maven(jars: Sequence[Jar], folder: Path, tell: Tell) -> None:
    with tempfile.TemporaryDirectory(prefix="ashioto-pom-") as project:
        (Path(project) / "pom.xml").write_text(pom_of(jars), encoding="utf-8")
        command = ["mvn", "-B", "-q", "-f", project, _COPY, f"-DoutputDirectory={folder}"]
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    for jar in jars:
        tell(jar.name)


def _by_jgo(jars: Sequence[Jar], folder: Path, tell: Tell) -> None:
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory(prefix="repository-", dir=folder) as repository:
        context = MavenContext(repo_cache=Path(repository), timeout=60)
        for jar in jars:
            version = context.project(jar.group, jar.artifact).at_version(jar.version)
            artifact = version.artifact(classifier=jar.classifier, packaging=jar.packaging)
            file = _tried(artifact.resolve)
            file.replace(folder / jar.name)
            tell(jar.name)


def _tried(resolve: Callable[[], Path]) -> Path:
    """Return what a download gives; a connection that breaks is no reason to give up at once."""
    for _ in range(_TRIES - 1):
        try:
            return resolve()
        except OSError:
            continue
    return resolve()


def _reason(error: Exception) -> str:
    """Return what went wrong in one line; of Maven the line that says it."""
    if not isinstance(error, subprocess.CalledProcessError):
        return str(error)
    lines = [line for line in str(error.stdout).splitlines() if "ERROR" in line]
    return lines[0] if lines else f"ended with {error.returncode}"
