"""Fixtures of a real broker and a real registry: started at the first use, shared by all workers of a run."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack import Broker, Registry, find_java, shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of this run share."""
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "stack"


def require_java() -> None:
    """Skip where there is no Java, but never in CI."""
    try:
        find_java()
    except StackError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no test stack here: {error.message}; {error.hint}")


@pytest.fixture(scope="session")
def java() -> None:
    """Skip where there is no Java, but never in CI."""
    require_java()


@pytest.fixture(scope="session")
def kafka(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  # skips
    """Bootstrap address of a broker; use names that no other test uses (`unique`)."""
    with shared(run_folder(tmp_path_factory), "kafka", lambda lock: Broker(until=lock).start().bootstrap) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def registry(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001  # skips
    """URL of a schema registry; use subjects that no other test uses (`unique`)."""
    with shared(run_folder(tmp_path_factory), "registry", lambda lock: Registry(until=lock).start().url) as url:
        yield url


@pytest.fixture
def unique() -> str:
    """A word that no other test has, to begin names of topics, groups, subjects and transactional ids with."""
    return f"t{uuid.uuid4().hex[:12]}"
