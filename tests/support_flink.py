"""Fixture of a real Flink: started at the first use, shared by all workers of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support_kafka import run_folder

from ashioto.testing.stack import Flink, FlinkPlace, shared

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def flink(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkPlace]:  # noqa: ARG001  # skips
    """A Flink of four slots that no test may kill; end your jobs, and use names that no other test uses (`unique`)."""
    folder = run_folder(tmp_path_factory)
    with shared(folder, "flink", lambda lock: Flink(until=lock).start().place.text) as text:
        yield FlinkPlace.parse(text)
