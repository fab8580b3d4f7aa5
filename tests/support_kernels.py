"""Runs the engine's kernels as the Python they are written in, so that what they do can be seen and measured."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ashioto.bars import algebra
from ashioto.engines.embedded import core, fold, frames, kernel
from ashioto.engines.embedded.codegen import fold_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Let every kernel be the Python it is written in."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):  # hashes and checked sums wrap on purpose
        for module in (algebra, kernel, frames, core):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        patch.setattr(fold, "fold_kernel", uncompiled)
        yield


def uncompiled(slots: Any) -> Callable[..., None]:
    """Return the fold kernel of these aggregates, not compiled, with the helpers it calls."""
    written: Any = fold_kernel(slots)
    scope = {**written.py_func.__globals__, "locate": kernel.locate}
    function = type(written.py_func)(written.py_func.__code__, scope)

    def quietly(*args: Any) -> None:
        with np.errstate(over="ignore"):
            function(*args)

    return quietly
