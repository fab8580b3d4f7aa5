from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

import ashioto

HEAVY = [
    "numpy",
    "pyarrow",
    "numba",
    "apsw",
    "pydantic",
    "pandas",
    "exchange_calendars",
    "matplotlib",
    "plotly",
    "typer",
]
NAMES = ashioto.__all__


def test_the_facade_is_short_and_sorted() -> None:
    assert sorted(NAMES) == NAMES
    assert len(set(NAMES)) == len(NAMES) <= 60


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    found: Any = getattr(ashioto, name)
    assert found.__name__ == name
    assert name in dir(ashioto)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Rates'"):
        _ = ashioto.Rates  # type: ignore[attr-defined]  # that is the point


@pytest.mark.parametrize("module", ["ashioto", "ashioto.dsl", "ashioto.logical.codec", "ashioto.logical.render"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert all(find_spec(m) for m in HEAVY)


def test_a_name_is_loaded_when_it_is_first_used() -> None:
    code = (
        "import sys, ashioto; a = 'ashioto.dsl' in sys.modules; ashioto.Stream; print(a, 'ashioto.dsl' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
