from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import support_kafka

from ashioto.errors import StackError

if TYPE_CHECKING:
    from ashioto.testing.stack import Java


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Java:
        raise StackError("there is no Java", hint="get one")

    monkeypatch.setattr(support_kafka, "find_java", missing)


def test_without_java_tests_are_skipped_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no test stack here: there is no Java; get one"):
        support_kafka.require_java()


def test_in_ci_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(StackError, match="there is no Java"):
        support_kafka.require_java()


def test_workers_of_a_run_meet_in_one_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    shared = support_kafka.run_folder(tmp_path_factory)
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    assert shared == base.parent / "stack"
    assert support_kafka.run_folder(tmp_path_factory) == base / "stack"
