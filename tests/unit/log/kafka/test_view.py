from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.log.kafka.support import TOPIC, Schemas, framed

from ashioto.errors import LogError
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.view import Record, ViewFile

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.schema.registry import SchemaRegistry

VALUES = Values(cast("SchemaRegistry", Schemas()))
NOW = 1_000_000


def held(file: ViewFile) -> list[tuple[bytes, int, int]]:
    page = file.page(TOPIC, VALUES, {}, start=None, stop=None, limit=None, reverse=False)
    assert page is not None
    return list(zip(page.keys, page.offsets.tolist(), page.data.column("x").to_pylist(), strict=True))


@given(
    written=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.booleans()), max_size=20),
    steps=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 20)), max_size=12),
)
def test_two_that_share_a_file_read_it_to_one_end(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[bytes, bool]], steps: list[tuple[bool, bool, int]]
) -> None:
    records: list[Record] = [(k, at, at, None if dead else framed(at)) for at, (k, dead) in enumerate(written)]
    folder = tmp_path_factory.mktemp("view")
    files = [ViewFile(folder, TOPIC), ViewFile(folder, TOPIC)]
    stands = [0, 0]

    def takes(which: bool, stop: int) -> None:  # noqa: FBT001  # names one of two
        at = stands[which]
        stands[which] = files[which].put(0, records[at:stop], at, stop, NOW)

    for which, clears, stop in steps:
        if clears:
            stands[which] = files[which].clear(0, stands[which])
        elif stop >= stands[which]:  # it goes on from where it has read last, whatever the other did meanwhile
            takes(which, min(stop, len(records)))
    for which in (True, False):
        while stands[which] < len(records):
            takes(which, len(records))
    newest = {key: at for at, (key, _) in enumerate(written)}
    wanted = [(key, at, at) for key, at in sorted(newest.items()) if not written[at][1]]
    assert held(files[0]) == held(files[1]) == wanted
    for file in files:
        file.close()


def test_records_behind_a_gap_are_not_taken_in(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, TOPIC)
    assert file.put(0, [(b"a", 0, 0, framed(1))], 0, 1, NOW) == 1
    assert file.put(0, [(b"b", 2, 0, framed(2))], 2, 3, NOW) == 1
    assert held(file) == [(b"a", 0, 1)]
    assert file.position(0, NOW) == 1
    file.close()


def test_a_partition_that_somebody_has_read_anew_is_not_cleared(tmp_path: Path) -> None:
    one, two = ViewFile(tmp_path, TOPIC), ViewFile(tmp_path, TOPIC)
    one.put(0, [(b"a", 0, 0, framed(1))], 0, 9, NOW)
    assert two.clear(0, 9) == 0
    two.put(0, [(b"a", 0, 0, framed(1))], 0, 4, NOW)
    assert one.clear(0, 9) == 4
    assert held(one) == [(b"a", 0, 1)]
    assert one.page(TOPIC, VALUES, {0: 5}, start=None, stop=None, limit=None, reverse=False) is None
    one.close()
    two.close()


def test_a_file_outlives_the_process_and_a_new_topic_has_its_own(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, TOPIC)
    file.put(0, [(b"a", 3, 30, framed(7))], 0, 9, NOW)
    file.close()
    again = ViewFile(tmp_path, TOPIC)
    assert (held(again), again.position(0, NOW)) == ([(b"a", 3, 7)], 9)
    again.close()
    anew = ViewFile(tmp_path, replace(TOPIC, id="def"))
    assert (held(anew), anew.position(0, NOW)) == ([], 0)
    assert [path.name for path in tmp_path.glob("*.db")] == ["w.t.ticks.def.db"]
    anew.close()


def test_files_of_topics_with_longer_names_stay(tmp_path: Path) -> None:
    other = ViewFile(tmp_path, replace(TOPIC, real="w.t.ticks.late"))
    ViewFile(tmp_path, TOPIC).close()
    assert other.path.exists()
    other.close()


def test_a_file_that_lay_for_too_long_is_made_anew(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, TOPIC)
    file.put(0, [(b"a", 0, 0, framed(1))], 0, 1, NOW)
    file.put(1, [(b"b", 0, 0, framed(2))], 0, 1, NOW + 200)
    assert file.position(0, NOW + TOPIC.deletes_kept_ms // 2) == 1
    assert file.position(0, NOW + TOPIC.deletes_kept_ms // 2 + 1) == 0
    assert held(file) == [(b"b", 0, 2)]
    file.close()


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, TOPIC)
    file.close()
    file.path.write_bytes(b"no database at all " * 500)
    again = ViewFile(tmp_path, TOPIC)
    again.put(0, [(b"a", 0, 0, framed(1))], 0, 1, NOW)
    assert held(again) == [(b"a", 0, 1)]
    again.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match=r"the view .*w\.t\.ticks\.abc\.db cannot be used"):
        ViewFile(tmp_path / "file", TOPIC)


def test_threads_may_use_one_file(tmp_path: Path) -> None:
    file = ViewFile(tmp_path, TOPIC)

    def work(partition: int) -> None:
        for at in range(20):
            file.put(partition, [(str(partition).encode(), at, at, framed(at))], at, at + 1, NOW)
            held(file)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert held(file) == [(str(n).encode(), 19, 19) for n in range(4)]
    file.close()
