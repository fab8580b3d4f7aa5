from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack import jars as module
from ashioto.testing.stack.fetching import fetch, pom_of
from ashioto.testing.stack.jars import Jars
from ashioto.testing.stack.lock import Jar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        entry = tarfile.TarInfo("lib/inner.jar")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"inner"))
    return out.getvalue()


CONTENT = {"a-1.jar": b"first", "b-2-all.tar.gz": archive()}


class Central:
    """Stands for Maven Central, and counts what was asked for."""

    def __init__(self) -> None:
        self.content = dict(CONTENT)
        self.asked: list[str] = []

    def fetch(self, jars: Sequence[Jar], folder: Path, *, tell: Callable[[str], None]) -> None:
        for jar in jars:
            self.asked.append(jar.name)
            (folder / jar.name).write_bytes(self.content[jar.name])
            tell(jar.name)


@pytest.fixture
def central(monkeypatch: pytest.MonkeyPatch) -> Central:
    made = Central()
    monkeypatch.setattr(module, "fetch", made.fetch)
    return made


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "jars.lock"
    shas = [hashlib.sha256(data).hexdigest() for data in CONTENT.values()]
    file.write_text(f"x {shas[0]} g:a:1\nx {shas[1]} g:b:2:tar.gz:all\n", encoding="utf-8")
    return file


def test_files_are_fetched_once_and_archives_unpacked(central: Central, lock: Path, tmp_path: Path) -> None:
    told: list[str] = []
    home = Jars(cache=tmp_path / "cache", lock=lock, tell=told.append).folder("x")
    assert (home / "a-1.jar").read_bytes() == b"first"
    assert (home / "b-2-all" / "lib" / "inner.jar").read_bytes() == b"inner"
    assert Jars(cache=tmp_path / "cache", lock=lock).folder("x") == home
    assert central.asked == told == ["a-1.jar", "b-2-all.tar.gz"]


def test_what_is_not_as_locked_never_gets_into_the_cache(central: Central, lock: Path, tmp_path: Path) -> None:
    central.content["a-1.jar"] = b"other"
    with pytest.raises(StackError, match=r"a-1\.jar is not the file of the lock"):
        Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert [f.name for f in (tmp_path / "cache" / "x").iterdir()] == [".lock"]


def test_a_file_that_was_changed_later_is_refused(central: Central, lock: Path, tmp_path: Path) -> None:
    home = Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    (home / "a-1.jar").write_bytes(b"FIRST")
    with pytest.raises(StackError, match="sha256") as refused:
        Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert str(home / "a-1.jar") in refused.value.hint
    assert len(central.asked) == 2


def test_a_lock_that_says_another_sha256_is_held_against_the_cache(
    central: Central, lock: Path, tmp_path: Path
) -> None:
    Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    sha = hashlib.sha256(CONTENT["a-1.jar"]).hexdigest()
    lock.write_text(lock.read_text("utf-8").replace(sha, "0" * 64), "utf-8")
    with pytest.raises(StackError, match="not the file of the lock"):
        Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert len(central.asked) == 2


def test_an_unpacked_file_that_was_changed_is_unpacked_anew(central: Central, lock: Path, tmp_path: Path) -> None:
    home = Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    inner = home / "b-2-all" / "lib" / "inner.jar"
    inner.write_bytes(b"INNER")
    (home / "b-2-all" / "extra.jar").write_bytes(b"extra")
    Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert inner.read_bytes() == b"inner"
    assert not (home / "b-2-all" / "extra.jar").exists()
    assert len(central.asked) == 2


def test_a_check_hashes_nothing_when_sizes_and_times_are_the_same(
    central: Central, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    hashed: list[str] = []
    monkeypatch.setattr(module, "_check", lambda file, _: hashed.append(file.name))
    Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert hashed == []
    os.utime(tmp_path / "cache" / "x" / "a-1.jar", ns=(1, 1))
    Jars(cache=tmp_path / "cache", lock=lock).folder("x")
    assert hashed == ["a-1.jar", "b-2-all.tar.gz"]
    assert len(central.asked) == 2


def test_without_maven_and_jgo_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    jar = Jar(sha256="", group="g", artifact="a", version="1")
    with pytest.raises(StackError, match="neither Maven nor jgo") as refused:
        fetch([jar], tmp_path, tell=print)
    assert "kafka-stack" in refused.value.hint


def test_a_maven_that_fails_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mvn"
    program.write_text("#!/bin/sh\necho '[ERROR] no route to central'\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    jar = Jar(sha256="", group="g", artifact="a", version="1")
    with pytest.raises(StackError, match=r"from a-1\.jar on, could not be fetched \(Maven: \[ERROR\] no route"):
        fetch([jar], tmp_path, tell=print)


def test_the_project_for_maven_excludes_what_a_file_depends_on() -> None:
    text = pom_of([Jar(sha256="", group="g", artifact="a", version="1", packaging="tar.gz", classifier="all")])
    assert "<type>tar.gz</type><classifier>all</classifier><exclusions><exclusion><groupId>*</groupId>" in text
