from __future__ import annotations

import os
import stat
from pathlib import Path

import apsw
import pytest

from ashioto.errors import LogCorruptError, LogError
from ashioto.log.embedded import EmbeddedLog
from ashioto.log.embedded import file as sqlite_file
from ashioto.log.embedded.file import file_system

MOUNTS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 0:9 / /mnt/far rw - nfs4 host:/x rw
23 22 8:2 / /mnt/far/near rw shared:1 master:2 - xfs /dev/sdb1 rw
24 21 0:10 / /mnt/with\\040space rw - cifs //host/x rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/log.db", "ext4"),
        ("/mnt/far/log.db", "nfs4"),
        ("/mnt/far/near/log.db", "xfs"),
        ("/mnt/farther/log.db", "ext4"),
        ("/mnt/with space/log.db", "cifs"),
    ],
)
def test_the_deepest_mount_tells_the_file_system(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "file_system", lambda *_: "nfs4")
    with pytest.raises(LogError, match="network file system \\(nfs4\\)"):
        EmbeddedLog(tmp_path / "log.db")
    assert not (tmp_path / "log.db").exists()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is a folder"):
        EmbeddedLog(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="does not exist"):
        EmbeddedLog(tmp_path / "none" / "log.db")


def test_a_file_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the administrator may write everything")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(LogError, match="cannot be opened for writing"):
        EmbeddedLog(tmp_path / "log.db")


@pytest.mark.parametrize("content", [b"time,price\n1,2\n" * 20, b"SQLite fo", b"\x00" * 5000])
def test_a_file_of_another_kind_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(LogCorruptError, match=r"log\.db is no log"):
        EmbeddedLog(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE users(name)")
    connection.close()
    with pytest.raises(LogCorruptError, match="is no log"):
        EmbeddedLog(path)


@pytest.mark.parametrize("left", [50, 8192, 3 * 8192 + 17])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, left: int) -> None:
    path = tmp_path / "log.db"
    EmbeddedLog(path).close()
    os.truncate(path, left)
    with pytest.raises(LogCorruptError, match=r"log\.db is truncated") as caught:
        EmbeddedLog(path)
    assert "copy" in caught.value.hint


def test_an_empty_file_becomes_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch()
    with EmbeddedLog(path) as log:
        assert log.create([]) == []


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    EmbeddedLog(path).close()
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    connection.close()
    with pytest.raises(LogError, match="has format 99; this version reads 1 to 3"):
        EmbeddedLog(path)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    with EmbeddedLog(tmp_path / "log.db") as log:
        for connection in (log._writer, sqlite_file.connect(log.path, 100)):
            assert connection.pragma("synchronous") == 2
            assert connection.pragma("journal_mode") == "wal"
        connection.close()
