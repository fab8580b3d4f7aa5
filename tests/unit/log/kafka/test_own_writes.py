"""What a process has written itself and is not asked for needs no reading; what it is asked for is never missing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.log.kafka.support import TOPIC, framed
from tests.unit.log.kafka.test_views import Cluster, Process

from ashioto.clock import ManualClock
from ashioto.log.kafka import view, views
from ashioto.log.kafka.write import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = [f"k{number:02}".encode() for number in range(9)]
WRITE = st.tuples(
    st.sampled_from(["mine", "theirs", "quietly"]), st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)
)
RANGES = [(None, None), (None, KEYS[4]), (KEYS[4], None), *((key, key + b"\0") for key in KEYS)]
LOOK = st.tuples(st.just("look"), st.sampled_from(RANGES))
STEPS = st.lists(WRITE | WRITE | LOOK, min_size=4, max_size=16)


class Writer(Process):
    """Writes to the cluster as a log does, and tells its views of it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        super().__init__(cluster, folder, ManualClock(1_000_000))
        self.cluster = cluster

    def write(self, keys: list[bytes]) -> None:
        first = put(self.cluster, keys)
        records = self.cluster.records_[first:]
        one = Outgoing(
            topic=TOPIC, partition=0, keys=pa.array(keys, pa.binary()), times=np.zeros(len(keys), dtype=np.int64),
            values=pa.array([value for *_, value in records], pa.large_binary()),
        )  # fmt: skip
        one.take(np.arange(first, first + len(keys)), one.times)
        self.views.wrote(one, first + len(keys))

    def between(self, start: bytes | None, stop: bytes | None) -> dict[bytes, int]:
        page = self.views.page(TOPIC, settled=True, start=start, stop=stop)
        return dict(zip(page.keys, page.offsets.tolist(), strict=True))


def put(cluster: Cluster, keys: list[bytes]) -> int:
    """Write records; returns the offset of the first."""
    first = len(cluster.records_)
    cluster.records_ += [(key, at, 0, framed(at)) for at, key in enumerate(keys, first)]
    return first


@pytest.fixture(autouse=True)
def all_is_much() -> Iterator[None]:
    """Have every write taken for one that does not go into the file at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "_FEW", 0)
        patch.setattr(view, "_MOST_RANGES", 2)
        yield


@settings(max_examples=200)
@given(STEPS)
def test_every_look_shows_what_was_written_whoever_wrote_it(
    steps: list[tuple[str, list[bytes] | tuple[bytes | None, bytes | None]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster()
        writer, other = Writer(cluster, Path(folder)), Writer(cluster, Path(folder))
        for what, keys in [("look", RANGES[-1]), *steps, ("look", RANGES[0])]:
            written = [key for key in keys if key is not None]
            if what == "look":
                start, stop = keys
                truth = {key: at for key, at, *_ in cluster.records_}
                wanted = {
                    key: at for key, at in truth.items() if (start or b"") <= key and (stop is None or key < stop)
                }
                assert writer.between(start, stop) == wanted
            elif what == "quietly":
                put(cluster, written)
            else:
                (writer if what == "mine" else other).write(written)
        writer.views.close()
        other.views.close()


def test_a_history_that_comes_in_key_by_key_is_not_fetched(tmp_path: Path) -> None:
    cluster = Cluster()
    writer = Writer(cluster, tmp_path)
    assert writer.between(b"k99", None) == {}
    cluster.after_read = [lambda: pytest.fail("read")] * 9
    for key in KEYS:
        assert writer.between(key, key + b"\0") == {}
        writer.write([key])
    writer.write([b"a"])
    assert writer.between(b"b", b"c") == {}
    assert writer.between(b"k99", None) == {}


def test_what_it_is_asked_for_is_fetched(tmp_path: Path) -> None:
    cluster = Cluster()
    writer = Writer(cluster, tmp_path)
    writer.between(None, None)
    writer.write(KEYS[3:5])
    writer.write(KEYS[7:9])
    assert list(writer.between(KEYS[4], KEYS[5])) == [KEYS[4]]
    assert list(writer.between(None, None)) == [*KEYS[3:5], *KEYS[7:9]]


def test_nothing_is_asked_of_a_page_without_rows(tmp_path: Path) -> None:
    cluster = Cluster()
    writer = Writer(cluster, tmp_path)
    put(cluster, KEYS)
    cluster.after_read = [lambda: pytest.fail("read")]
    assert not writer.views.page(TOPIC, settled=True, limit=0).keys
