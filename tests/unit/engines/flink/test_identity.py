from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ashioto.engines.flink.folder import local_folder, newest_checkpoint
from ashioto.engines.flink.identity import JobId, minute_of, owner_of, sql_of

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = "0123456789abcdef"


@given(
    owner=st.text(DIGITS, min_size=10, max_size=10), sql=st.text(DIGITS, min_size=7, max_size=7),
    since_min=st.integers(0, 16**7 - 1), attempt=st.integers(0, 16**8 - 1),
)  # fmt: skip
def test_what_an_id_says_is_read_back(owner: str, sql: str, since_min: int, attempt: int) -> None:
    made = JobId(owner=owner, sql=sql, since_min=since_min, attempt=attempt)
    assert len(str(made)) == 32
    assert JobId.parse(str(made)) == made


@given(since_ms=st.integers(1, 4_102_444_800_000))
def test_no_bucket_before_a_moment_is_touched(since_ms: int) -> None:
    made = JobId(owner="0" * 10, sql="0" * 7, since_min=minute_of(since_ms), attempt=0)
    assert made.since_ms is not None
    assert since_ms <= made.since_ms < since_ms + 60_000


def test_owners_and_sql_differ() -> None:
    names = [("", ("dev", "local"), "a_v1"), ("", ("dev", "local"), "a_v2"), ("", ("dev", "east"), "a_v1"),
             ("", ("de", "vlocal"), "a_v1"), ("p.", ("dev", "local"), "a_v1")]  # fmt: skip
    assert len({owner_of(*one) for one in names}) == 5
    assert sql_of("a") != sql_of("b")


@pytest.mark.parametrize("uri", ["s3://bucket/x", "hdfs://host/x", "file://elsewhere/x"])
def test_other_storage_is_not_looked_into(uri: str) -> None:
    assert local_folder(uri) is None
    assert newest_checkpoint(uri, "0" * 10, "0" * 7) is None


def test_a_folder_that_is_not_there_or_empty_has_nothing(tmp_path: Path) -> None:
    assert newest_checkpoint(f"file://{tmp_path}/none", "0" * 10, "0" * 7) is None
    (tmp_path / ("0" * 32)).mkdir()
    (tmp_path / "savepoints").mkdir()
    assert newest_checkpoint(f"file://{tmp_path}", "0" * 10, "0" * 7) is None


def test_a_later_attempt_without_state_leaves_that_of_the_one_before(tmp_path: Path) -> None:
    for attempt, names in ((1, ["chk-5"]), (2, ["shared"])):
        job = JobId(owner="0" * 10, sql="1" * 7, since_min=3, attempt=attempt)
        for name in names:
            (tmp_path / str(job) / name).mkdir(parents=True)
            (tmp_path / str(job) / name / "_metadata").touch()
    found = newest_checkpoint(f"file://{tmp_path}/", "0" * 10, "1" * 7)
    assert found is not None
    assert (found[0].attempt, found[0].since_min) == (1, 3)
    assert found[1] == f"file://{tmp_path}/{found[0]}/chk-5"
