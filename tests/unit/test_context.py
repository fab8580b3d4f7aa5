from __future__ import annotations

import sys
from datetime import datetime  # noqa: TC003  # columns are declared by it
from typing import TYPE_CHECKING

import pytest

import ashioto as ao
from ashioto import Field
from ashioto.config import Config, ProjectConfig
from ashioto.context import load_contexts
from ashioto.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


class Tick(ao.Stream):
    at: Field[datetime] = ao.timestamp()


class TickBar5m(ao.Bar): ...


def config(folder: Path, *contexts: str) -> Config:
    return Config(file=folder / "ashioto.toml", project=ProjectConfig(contexts=contexts))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_contexts_are_imported_from_the_project(folder: Path) -> None:
    write(folder, "two_contexts", "import ashioto as ao\na = ao.Context('a')\nb = ao.Context('b')")
    found = load_contexts(config(folder, "two_contexts:a", "two_contexts:b"))
    assert [context.name for context in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ("plain", "no module:object", "bars:trading"),
        (":x", "no module:object", "bars:trading"),
        ("nowhere_at_all:x", "no module 'nowhere_at_all'", "looked in"),
        ("nowhere_at_all.deep:x", r"no module 'nowhere_at_all\.deep'", "looked in"),
        ("broken_import:x", "needs 'no_such_library'", "install"),
        ("some_context:other", "has no 'other'", "its contexts are trading"),
        ("no_context:x", "has no 'x'", "its contexts are none"),
        ("wrong_object:x", "is 3, no context", 'x = ao.Context("x")'),
    ],
)
def test_entries_that_lead_nowhere_are_named(folder: Path, entry: str, message: str, hint: str) -> None:
    write(folder, "broken_import", "import no_such_library")
    write(folder, "some_context", "import ashioto as ao\ntrading = ao.Context('trading')")
    write(folder, "no_context", "")
    write(folder, "wrong_object", "x = 3")
    with pytest.raises(ConfigError, match=message) as caught:
        load_contexts(config(folder, entry))
    assert hint in caught.value.hint
    assert "ashioto.toml: project.contexts" in caught.value.message


def test_a_project_without_contexts_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"project\.contexts is empty"):
        load_contexts(config(folder))


def test_nothing_is_added_to_bars_through_a_context() -> None:
    with pytest.raises(UsageError, match="TickBar5m is made by a query") as caught:
        ao.Context("a").set(TickBar5m)  # type: ignore[type-var]  # what a user might try
    assert "TimeBucket.set(TickBar5m, Period.parse('5m'))" in caught.value.hint


@pytest.mark.parametrize("wrong", [3, int, ao.Stream, ao.Table])
def test_only_entities_have_a_set(wrong: type[ao.Stream]) -> None:
    with pytest.raises(UsageError, match="set takes a Stream or Table class"):
        ao.Context("a").set(wrong)


def test_without_a_project_a_log_must_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no ashioto\.toml"):
        ao.Context("a").set(Tick)
