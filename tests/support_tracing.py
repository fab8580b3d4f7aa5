"""Lets tests run without the tracer of coverage, which doubles what plain Python costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Run without a tracer; whoever imports this says it of all tests of a folder or a file."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)
