"""Fold kernels are written once, kept in the cache folder, and found again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ashioto.bars.algebra import FIXED, Slot
from ashioto.engines.embedded.codegen import cache_folder, fold_kernel, source

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = (
    Slot(func="first", arg=0, is_float=False, column=FIXED),
    Slot(func="sum", arg=1, is_float=True, column=0),
    Slot(func="max", arg=0, is_float=False, column=FIXED + 1),
)


@pytest.fixture
def unknown_kernels() -> None:
    """Let no kernel be known in this process."""
    fold_kernel.cache_clear()


def fold(kernel: object, prices: list[int], weights: list[float]) -> tuple[list[int], list[float]]:
    """One bar of one key by a kernel."""
    n, ints, floats = len(prices), np.zeros((1, FIXED + 2), dtype=np.int64), np.zeros((1, 1))
    none, cursor = np.zeros(0, dtype=np.int64), np.zeros((1, 8), dtype=np.int64)
    sessions = np.array([[0], [100], [0], [0], [0]], dtype=np.int64)
    arguments = (
        np.zeros(n, dtype=np.int32), np.arange(n), none, none, 0,
        (np.array(prices), none), (np.zeros(0), np.array(weights)),
        np.zeros(1, dtype=np.int64), np.array([0, 1]), sessions, 100, cursor, none, ints, floats,
        np.zeros(8, dtype=np.int64),
    )  # fmt: skip
    assert callable(kernel)
    kernel(*arguments)
    return ints[0, FIXED:].tolist(), floats[0].tolist()


@pytest.mark.usefixtures("unknown_kernels")
def test_a_kernel_is_written_to_the_cache_and_read_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIOTO_CACHE_DIR", str(tmp_path))
    kernel = fold_kernel(SLOTS)
    assert fold(kernel, [5, 9, 2], [0.5, 0.25, 1.0]) == ([5, 9], [1.75])
    (file,) = tmp_path.glob("fold_*.py")
    assert file.read_text() == source(SLOTS)
    assert list(tmp_path.glob("*.tmp")) == []
    before = file.stat().st_mtime_ns
    fold_kernel.cache_clear()
    assert fold(fold_kernel(SLOTS), [1], [0.5]) == ([1, 1], [0.5])
    assert file.stat().st_mtime_ns == before
    assert fold_kernel(SLOTS) is fold_kernel(SLOTS)


@pytest.mark.usefixtures("unknown_kernels")
def test_a_spoilt_file_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHIOTO_CACHE_DIR", str(tmp_path))
    fold_kernel(SLOTS)
    (file,) = tmp_path.glob("fold_*.py")
    file.write_text("raise SystemExit\n")
    fold_kernel.cache_clear()
    assert fold(fold_kernel(SLOTS), [3], [0.5]) == ([3, 3], [0.5])
    assert file.read_text() == source(SLOTS)


def test_the_cache_is_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASHIOTO_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ashioto"
    monkeypatch.setenv("ASHIOTO_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_without_a_writable_folder_there_is_a_temporary_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setenv("ASHIOTO_CACHE_DIR", str(in_the_way / "below"))
    found = cache_folder()
    assert in_the_way not in found.parents
    assert os.access(found, os.W_OK)
    found.rmdir()
    monkeypatch.setenv("ASHIOTO_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    other = cache_folder()
    assert other != tmp_path
    other.rmdir()


def test_equal_lists_of_aggregates_have_equal_source_and_others_have_not() -> None:
    assert source(SLOTS) == source(tuple(SLOTS))
    assert source(SLOTS) != source(SLOTS[:2])
    assert "state[4]" not in source(SLOTS[:1]), "only sums of whole numbers can overflow"
