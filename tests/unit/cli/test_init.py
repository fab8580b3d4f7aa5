from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from ashioto import Period
from ashioto.cli.init import FILES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from ashioto.cli.project import Project


def test_a_starter_project_is_made_and_works(project: Project) -> None:
    (trading,) = project.contexts
    assert trading.name == "trading"
    assert trading.queries["rate_bars"].frames == tuple(map(Period.parse, ("1m", "5m", "1h", "1d")))
    assert project.log.describe("trading.rate_bars_5m").end_offsets == {0: 0}


def test_all_its_files_are_there(folder: Path) -> None:
    assert sorted(FILES) == sorted(path.name for path in folder.iterdir())


def test_nothing_is_overwritten(run: Callable[..., Result], folder: Path) -> None:
    (folder / "bars.py").write_text("mine", encoding="utf-8")
    result = run("init", code=2)
    assert "already holds ashioto.toml, bars.py, README.md" in result.stderr
    assert (folder / "bars.py").read_text(encoding="utf-8") == "mine"


def test_a_file_is_no_folder(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert "taken is a file" in run("init", tmp_path / "taken", code=2).stderr


def test_a_new_folder_is_made(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("init", tmp_path / "deep" / "down")
    assert (tmp_path / "deep" / "down" / "ashioto.toml").is_file()
    assert "README.md" in result.output


def test_the_declarations_pass_a_type_checker(folder: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", "/dev/null", "bars.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Success" in checked.stdout, checked.stdout
