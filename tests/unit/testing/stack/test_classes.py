from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack.classes import class_archive
from ashioto.testing.stack.java import Java

if TYPE_CHECKING:
    from pathlib import Path

JAVA = Java(command=sys.executable, version=17)


def test_an_archive_is_made_once_for_a_java(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"classes")

    first = class_archive(tmp_path, JAVA, make)
    assert first is not None
    assert first.read_bytes() == b"classes"
    assert first.name.startswith(".classes-17-")
    assert class_archive(tmp_path, JAVA, make) == first
    assert class_archive(tmp_path, Java(command=sys.executable, version=25), make) != first
    assert len(made) == 2


@pytest.mark.parametrize("error", [StackError("no broker"), OSError("disk full")])
def test_without_an_archive_everything_goes_on(tmp_path: Path, error: Exception) -> None:
    tries: list[Path] = []

    def make(path: Path) -> None:
        tries.append(path)
        path.write_bytes(b"half")
        raise error

    assert class_archive(tmp_path, JAVA, make) is None
    assert class_archive(tmp_path, JAVA, make) is None
    assert len(tries) == 1
    assert not list(tmp_path.glob("*.jsa"))


def test_a_java_that_writes_none_is_no_error(tmp_path: Path) -> None:
    assert class_archive(tmp_path, JAVA, lambda _: None) is None
