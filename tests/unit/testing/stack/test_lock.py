from __future__ import annotations

import pytest

from ashioto.errors import StackError
from ashioto.testing.stack.lock import LOCK_FILE, read_lock

SHA = "ab" * 32


def test_the_lock_names_what_the_broker_flink_and_both_registries_need() -> None:
    sets = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
    assert sets.keys() == {"kafka", "flink", "registry-java17", "registry-java21"}
    assert len(sets["kafka"]) == 45
    assert len(sets["flink"]) == 52
    assert {"flink-runtime-2.3.0.jar", "flink-sql-gateway-2.3.0.jar"} < {jar.name for jar in sets["flink"]}
    assert {"kafka_2.13-4.4.0.jar", "log4j-slf4j-impl-2.25.5.jar"} < {jar.name for jar in sets["kafka"]}
    assert [jar.name for jar in sets["registry-java17"]] == ["apicurio-registry-app-2.6.13.Final-all.tar.gz"]
    assert [jar.name for jar in sets["registry-java21"]] == ["apicurio-registry-app-3.3.3-all.tar.gz"]


def test_names_in_a_set_are_unique() -> None:
    for jars in read_lock(LOCK_FILE.read_text(encoding="utf-8")).values():
        assert len({jar.name for jar in jars}) == len(jars)


@pytest.mark.parametrize(
    "line",
    [
        "kafka org.lz4:lz4:1",
        f"kafka {SHA[1:]} g:a:1",
        f"kafka {SHA} g:a",
        f"kafka {SHA} g:a:1:jar",
        f"kafka {SHA} ../g:a:1",
    ],
)
def test_a_line_that_is_no_file_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(StackError, match="line 2 of the lock") as refused:
        read_lock(f"# comment\n{line}\n")
    assert "sha256" in refused.value.hint


def test_comments_and_blank_lines_say_nothing() -> None:
    assert read_lock("\n# kafka\n\n") == {}
