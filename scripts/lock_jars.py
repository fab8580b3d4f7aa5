"""Writes the lock of the test stack anew, from the versions below; needs Maven. Read what changed before committing."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from ashioto.testing.stack.lock import LOCK_FILE

REGISTRY = ("io.apicurio", "apicurio-registry-app", "tar.gz", "all")
FLINK = {"flink-clients": "2.3.0", "flink-json": "2.3.0", "flink-runtime-web": "2.3.0"}
CARRYING = {  # of Flink; what they depend on is in them, or among what those above bring
    "flink-cep": "2.3.0",
    "flink-connector-base": "2.3.0",
    "flink-connector-datagen": "2.3.0",
    "flink-sql-avro-confluent-registry": "2.3.0",
    "flink-sql-connector-kafka": "5.0.0-2.2",
    "flink-sql-gateway": "2.3.0",
    "flink-table-api-java-uber": "2.3.0",
    "flink-table-planner-loader": "2.3.0",
    "flink-table-runtime": "2.3.0",
}
ROOTS: dict[str, list[tuple[str, str, str, str, str]]] = {  # group, artifact, version, packaging, classifier
    "kafka": [
        ("org.apache.kafka", "kafka_2.13", "4.4.0", "jar", ""),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5", "jar", ""),
    ],
    "flink": [
        *(("org.apache.flink", artifact, version, "jar", "") for artifact, version in (FLINK | CARRYING).items()),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.5", "jar", ""),
    ],
    "registry-java17": [(*REGISTRY[:2], "2.6.13.Final", *REGISTRY[2:])],
    "registry-java21": [(*REGISTRY[:2], "3.3.3", *REGISTRY[2:])],
}
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
ALL_OUT = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"


def pom_of(roots: list[tuple[str, str, str, str, str]]) -> str:
    """Return a Maven project that needs these; what carries all that it depends on comes without that."""
    wanted = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        f"<type>{packaging}</type>"
        f"{f'<classifier>{classifier}</classifier>' if classifier else ''}"
        f"{ALL_OUT if classifier or artifact in CARRYING else ''}</dependency>"
        for group, artifact, version, packaging, classifier in roots
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>ashioto</groupId><artifactId>lock</artifactId><version>1</version><dependencies>{wanted}</dependencies></project>"
    )


def coordinate(file: Path, base: Path) -> str:
    """Return the coordinate of a file in a Maven repository."""
    *group, artifact, version, name = file.relative_to(base).parts
    rest = name.removeprefix(f"{artifact}-{version}")
    classifier, _, packaging = rest.removeprefix("-").partition(".")
    short = f"{'.'.join(group)}:{artifact}:{version}"
    return f"{short}:{packaging}:{classifier}" if classifier else short


def lines_of(name: str, roots: list[tuple[str, str, str, str, str]]) -> list[str]:
    """Return the lines of one set."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pom.xml").write_text(pom_of(roots), encoding="utf-8")
        out = Path(folder) / "out"
        options = ("-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={out}")
        subprocess.run(["mvn", "-B", "-q", "-f", folder, COPY, *options], check=True)  # noqa: S607
        files = sorted(f for f in out.rglob("*") if f.name.endswith((".jar", ".tar.gz")))
        return [f"{name} {hashlib.sha256(f.read_bytes()).hexdigest()} {coordinate(f, out)}" for f in files]


def main() -> None:
    """Write the lock."""
    lines = ["# set sha256 group:artifact:version[:packaging:classifier]; made by scripts/lock_jars.py"]
    for name, roots in ROOTS.items():
        lines += lines_of(name, roots)
    LOCK_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines) - 1} files in {LOCK_FILE}")


if __name__ == "__main__":
    main()
