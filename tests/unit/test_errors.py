from __future__ import annotations

import inspect
import re

import pytest

from ashioto import errors
from ashioto.errors import AshiotoError, ChainError, LogFullError, UsageError

TREE = {c.__name__: c for _, c in inspect.getmembers(errors, inspect.isclass)}


def test_every_error_has_the_one_root() -> None:
    assert all(issubclass(c, AshiotoError) for c in TREE.values())


def test_the_docstring_draws_every_error() -> None:
    assert set(re.findall(r"\w+Error", errors.__doc__ or "")) == set(TREE)


def test_the_docstring_draws_each_error_below_its_parent() -> None:
    drawn = re.findall(r"^ {4}([│ ]*)[├└]── (\w+)|^ {4}(AshiotoError)$", errors.__doc__ or "", re.MULTILINE)
    parents: dict[int, str] = {}
    for indent, name, root in drawn:
        depth = 0 if root else len(indent) // 4 + 1
        parents[depth] = name or root
        if depth:
            assert TREE[name].__base__ is TREE[parents[depth - 1]]
    assert len(drawn) == len(TREE)


def test_ids_and_hint_stay_readable_by_programs() -> None:
    error = LogFullError("the disk is full", hint="free 20 MB", path="log.db", needed=20)
    assert (error.message, error.hint, error.ids) == (
        "the disk is full",
        "free 20 MB",
        {"path": "log.db", "needed": 20},
    )
    assert str(error) == "the disk is full\nHint: free 20 MB"


def test_without_hint_there_is_no_hint_line() -> None:
    assert str(AshiotoError("it broke")) == "it broke"


@pytest.mark.parametrize(("kind", "code"), [(AshiotoError, 1), (LogFullError, 1), (UsageError, 2), (ChainError, 2)])
def test_exit_codes(kind: type[AshiotoError], code: int) -> None:
    assert kind("x").exit_code == code
