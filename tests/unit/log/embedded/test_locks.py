from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw
import pytest

from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded.locks import lock_holder, writer_of

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = """\
1: POSIX  ADVISORY  WRITE 10 fe:00:99 120 120
1: -> POSIX  ADVISORY  WRITE 11 fe:00:99 120 120
2: POSIX  ADVISORY  READ 12 fe:00:99 123 123
3: FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF
4: POSIX  ADVISORY  WRITE 14 fe:00:88 100 EOF
5: POSIX  ADVISORY  WRITE 15 fe:01:99 120 120
"""


@pytest.mark.parametrize(
    ("file", "byte", "pid"),
    [
        ("fe:00:99", 120, 10),
        ("fe:00:99", 121, None),
        ("fe:00:99", 123, None),
        ("fe:00:77", 120, None),
        ("fe:00:88", 120, 14),
        ("fe:00:88", 99, None),
        ("fe:01:99", 120, 15),
    ],
)
def test_the_holder_of_a_lock_is_found_by_file_and_byte(file: str, byte: int, pid: int | None) -> None:
    assert lock_holder(LOCKS, file, byte) == pid


def test_a_writer_is_found_while_it_writes(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db") as log:
        assert writer_of(log.path) is None
        other = apsw.Connection(str(log.path))
        other.execute("BEGIN IMMEDIATE")
        assert writer_of(log.path) == os.getpid()
        other.execute("ROLLBACK")
        other.close()
        assert writer_of(log.path) is None


def test_nothing_is_known_of_a_file_that_nobody_has_open(tmp_path: Path) -> None:
    assert writer_of(tmp_path / "log.db") is None
