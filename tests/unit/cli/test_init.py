from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from ashioto import Period
from ashioto.cli.init import FILES
from ashioto.config import load_config

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


def test_a_project_on_kafka_says_where_it_is(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("init", "--kafka", tmp_path / "k")
    assert "First: say in ashioto.toml where Kafka" in result.output
    assert result.output.index("First: ") < result.output.index("Then: read README.md")
    config = load_config(tmp_path / "k")
    assert (config.log.kind, config.log.bootstrap, config.log.partitions) == ("kafka", "localhost:9092", 4)
    assert config.schema_registry.url == "http://localhost:8081"
    assert (config.kafka.security_protocol, dict(config.kafka.settings)) == ("PLAINTEXT", {})
    assert sorted(FILES) == sorted(path.name for path in (tmp_path / "k").iterdir())
    assert "rc doctor" in (tmp_path / "k" / "README.md").read_text(encoding="utf-8")
