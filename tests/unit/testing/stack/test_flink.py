from __future__ import annotations

from pathlib import Path

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack import Flink, Java, flink, shared
from ashioto.testing.stack.flink_settings import Part
from ashioto.testing.stack.jars import Jars
from ashioto.testing.stack.ready import wait_until


@pytest.fixture
def _sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs sleep in place of Java, and be ready at once."""
    monkeypatch.setattr(Flink, "_command", lambda *_: ["sleep", "60"])
    monkeypatch.setattr(Flink, "_not_ready", lambda *_: [])


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def commands(monkeypatch: pytest.MonkeyPatch, made: Flink, home: Path) -> dict[Part, list[str]]:
    def folder(_: Jars, name: str) -> Path:
        assert name == "flink"
        return home

    monkeypatch.setattr(flink, "find_java", lambda: Java(command="/bin/java", version=17))
    monkeypatch.setattr(flink, "class_archive", lambda *_: home / "archives")
    monkeypatch.setattr(Jars, "folder", folder)
    return {part: made._command(part) for part in Part}


def test_programs_are_java_with_the_locked_files_and_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Flink(folder=tmp_path / "own", heap_mb=900)
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / ".gateway").touch()
    lines = commands(monkeypatch, made, tmp_path)
    for part, line in lines.items():
        assert line[0] == "env"
        assert f"FLINK_CONF_DIR={tmp_path}/own/conf" in line[: line.index("/bin/java")]
        classpath = line[line.index("-cp") + 1].split(":")
        assert f"{tmp_path}/flink-sql-connector-kafka-5.0.0-2.2.jar" in classpath
        assert f"-Djava.io.tmpdir={tmp_path}/own/tmp" in line
        assert (f"-XX:SharedArchiveFile={tmp_path}/archives/.gateway" in line) == (part is Part.GATEWAY)
    assert "-Xmx900m" in lines[Part.TASK_MANAGER]


def test_a_task_manager_that_is_started_again_gets_new_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Flink(folder=tmp_path)
    first, second = (commands(monkeypatch, made, tmp_path)[Part.TASK_MANAGER][-1] for _ in range(2))
    assert first.startswith("taskmanager.data.port=")
    assert first != second


@pytest.mark.usefixtures("_sleeping")
def test_parts_are_killed_and_started_one_by_one(tmp_path: Path) -> None:
    with Flink(folder=tmp_path / "own") as made:
        before = made.pids
        assert list(before) == list(Part)
        for kill, start, part in (
            (made.kill_job_manager, made.start_job_manager, Part.JOB_MANAGER),
            (made.kill_task_manager, made.start_task_manager, Part.TASK_MANAGER),
            (made.kill_gateway, made.start_gateway, Part.GATEWAY),
        ):
            kill()
            assert before.keys() - made.pids.keys() == {part}
            start()
            assert {one for one, pid in made.pids.items() if pid != before[one]} == {part}
            with pytest.raises(StackError, match=f"the {part} runs already"):
                start()
            before = made.pids
    assert made.pids == {}
    assert not any(map(alive, before.values()))
    assert made.checkpoints.is_dir()


@pytest.mark.usefixtures("_sleeping")
def test_a_temporary_folder_is_there_while_it_runs_and_for_nobody_else() -> None:
    made = Flink()
    assert not made.place.folder.exists()
    with made:
        assert made.place.folder.stat().st_mode & 0o077 == 0
    assert not made.place.folder.exists()


@pytest.mark.usefixtures("_sleeping")
def test_a_shared_one_ends_with_its_last_user_and_leaves_nothing(tmp_path: Path) -> None:
    started: list[Flink] = []

    def start(lock: Path) -> str:
        started.append(Flink(until=lock).start())
        return started[0].place.text

    with shared(tmp_path, "flink", start), shared(tmp_path, "flink", start) as text:
        assert len(started) == 1
        assert text == started[0].place.text
        pids = list(started[0].pids.values())
        assert all(map(alive, pids))
    assert wait_until(lambda: not any(map(alive, pids)), timeout_s=20)
    assert wait_until(lambda: not started[0].place.folder.exists(), timeout_s=20)


def test_one_that_ends_at_once_shows_what_it_printed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = ["sh", "-c", "echo no such setting; exit 1"]
    monkeypatch.setattr(Flink, "_command", lambda _, part: failing if part is Part.TASK_MANAGER else ["sleep", "60"])
    made = Flink(folder=tmp_path)
    with pytest.raises(StackError, match=r"the task manager ended instead of getting ready(.|\n)*no such setting"):
        made.start()
    assert made.pids == {}


def test_one_that_never_answers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Flink, "_command", lambda *_: ["sleep", "60"])
    monkeypatch.setattr(flink, "TIMEOUT_S", 0.1)
    with pytest.raises(StackError, match="the job manager did not get ready within 0 s"):
        Flink(folder=tmp_path).start()
