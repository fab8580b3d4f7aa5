from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ashioto.cli import app as app_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


def test_help_lists_the_commands(run: Callable[..., Result]) -> None:
    said = run("--help").output
    assert all(name in said for name in ("init", "dev", "bars", "ticks", "schedule", "doctor"))
    assert all(name in run("bars", "--help").output for name in ("build", "read", "tail", "chart"))
    assert all(name in run("ticks", "--help").output for name in ("send", "simulate"))
    assert all(name in run("schedule", "--help").output for name in ("import", "show", "check"))


def test_the_version_is_printed(run: Callable[..., Result]) -> None:
    assert run("--version").output.startswith("ashioto ")


@pytest.mark.parametrize("args", [("nothing",), ("bars", "read"), ("bars", "read", "RateBar1m", "--wrong")])
def test_a_wrong_call_leaves_with_two(run: Callable[..., Result], args: tuple[str, ...]) -> None:
    run(*args, code=2)


def test_errors_say_what_and_the_way_out(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("bars", "read", "RateBar1m", code=1)
    assert "no ashioto.toml" in result.stderr
    assert "\nHint: run `rc init`" in result.stderr
    assert result.stdout == ""


def test_the_errors_own_exit_code_is_kept(run: Callable[..., Result], folder: Path) -> None:
    assert folder.exists()
    result = run("bars", "read", "RateBar7m", code=2)
    assert "there are RateBar1m" in result.stderr


def test_files_that_cannot_be_written_are_named(
    run: Callable[..., Result], write_bars: Callable[..., None], folder: Path
) -> None:
    write_bars()
    (folder / "taken").write_text("", encoding="utf-8")
    assert "taken" in run("bars", "chart", "RateBar1m", "--out", "taken/a.png", code=1).stderr


def test_a_closed_pipe_is_left_to_the_library(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(*_: object) -> None:
        assert folder.exists()
        raise BrokenPipeError(errno.EPIPE, "closed")

    monkeypatch.setattr("ashioto.cli.project.open_project", close)
    assert run("bars", "read", "RateBar1m", code=1).stderr == ""


def test_interrupts_leave_with_130(run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        assert folder.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("ashioto.cli.project.open_project", interrupt)
    run("bars", "read", "RateBar1m", code=130)


def test_main_runs_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rc", "--version"])
    with pytest.raises(SystemExit) as caught:
        app_module.main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("ashioto ")


def test_dev_runs_the_project_and_says_how_it_stands(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "ashioto.cli.dev.run_dev", lambda config, _, **options: seen.append((config.root, options["wall"]))
    )
    run("dev")
    run("dev", "--wall")
    assert [one[:2] for one in seen] == [(folder.resolve(), False), (folder.resolve(), True)]
