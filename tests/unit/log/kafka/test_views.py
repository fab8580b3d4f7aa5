"""Views that share a file: whatever the others do between two steps of one, nothing is missing for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.unit.log.kafka.support import TOPIC, Schemas, framed

from ashioto.clock import ManualClock
from ashioto.log.kafka.values import Values
from ashioto.log.kafka.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ashioto.log.kafka.blocks import Readers
    from ashioto.log.kafka.ends import Ends
    from ashioto.log.kafka.topics import Topic
    from ashioto.log.kafka.view import Record
    from ashioto.schema.registry import SchemaRegistry


class Cluster:
    """Holds the records of a partition, answers for its ends and its readers, and lets others act in between."""

    def __init__(self) -> None:
        self.records_: list[Record] = []
        self.after_ends: list[Callable[[], None]] = []
        self.after_read: list[Callable[[], None]] = []

    def write(self, count: int) -> None:
        first = len(self.records_)
        self.records_ += [(f"k{at:03}".encode(), at, 0, framed(at)) for at in range(first, first + count)]

    def settled(self, topic: Topic) -> dict[int, int]:
        """Say where the partition ends; by the time that is heard others may have gone on."""
        found = {0: len(self.records_)} | dict.fromkeys(range(1, topic.spec.partitions), 0)
        if self.after_ends:
            self.after_ends.pop(0)()
        return found

    def of(self, topic: Topic, *_: object) -> dict[int, int] | Cluster:
        """Be asked for ends, or for a reader."""
        return self if _ else self.settled(topic)

    def records(self, topic: Topic, offset: int, end: int) -> tuple[list[Record], int]:
        """Read, and let others act before what was read is taken in."""
        del topic
        found = self.records_[offset:end]
        if self.after_read:
            self.after_read.pop(0)()
        return found, end


class Process:
    """Looks at the topic of a cluster by a file that it shares."""

    def __init__(self, cluster: Cluster, folder: Path, clock: ManualClock) -> None:
        values = Values(cast("SchemaRegistry", Schemas()))
        readers, ends = cast("Readers", cluster), cast("Ends", cluster)
        self.views = Views(folder, readers=readers, ends=ends, values=values, clock=clock)

    def look(self) -> list[int]:
        return list(map(int, self.views.page(TOPIC, settled=True).offsets))

    def one(self, at: int) -> list[int]:
        return list(map(int, self.views.one(TOPIC, 0, f"k{at:03}".encode()).offsets))


def crew(folder: Path) -> tuple[Cluster, ManualClock, Process, Process]:
    cluster, clock = Cluster(), ManualClock(1_000_000)
    return cluster, clock, Process(cluster, folder, clock), Process(cluster, folder, clock)


def test_one_that_is_overtaken_between_end_and_position_clears_nothing(tmp_path: Path) -> None:
    cluster, _, one, two = crew(tmp_path)
    cluster.write(3)

    def overtake() -> None:
        cluster.write(2)
        assert two.look() == [0, 1, 2, 3, 4]

        def read_on() -> None:
            cluster.write(1)
            assert one.look() == [0, 1, 2, 3, 4, 5]

        cluster.after_read = [lambda: None, read_on]

    cluster.after_ends = [overtake]
    assert one.look() == [0, 1, 2, 3, 4]
    assert two.look() == one.look() == list(range(len(cluster.records_)))


def test_what_was_cleared_while_one_fetched_is_read_again_and_not_skipped(tmp_path: Path) -> None:
    cluster, clock, one, two = crew(tmp_path)
    cluster.write(3)
    one.look()
    cluster.write(2)

    def outdated() -> None:  # the other finds the file too old, and begins it anew
        clock.advance(TOPIC.deletes_kept_ms)
        file = two.views._file(TOPIC)
        assert file.position(0, clock.now_ms()) == 0

    cluster.after_read = [outdated]
    assert one.look() == [0, 1, 2, 3, 4]
    assert two.look() == [0, 1, 2, 3, 4]


def test_a_page_is_never_read_while_another_reads_the_file_anew(tmp_path: Path) -> None:
    cluster, _, one, two = crew(tmp_path)
    cluster.write(5)
    one.look()
    kept = one.views._file(TOPIC)
    seen = kept.seen

    def cleared(partition: int, now_ms: int) -> None:
        kept.seen = seen  # type: ignore[method-assign]  # only once
        two.views._file(TOPIC).clear(0, 5)
        seen(partition, now_ms)

    kept.seen = cleared  # type: ignore[method-assign]  # between the catching up and the page
    assert one.one(4) == [4]


def test_what_the_cluster_lost_is_forgotten(tmp_path: Path) -> None:
    cluster, _, one, two = crew(tmp_path)
    cluster.write(5)
    assert one.look() == [0, 1, 2, 3, 4]
    del cluster.records_[2:]
    assert one.look() == two.look() == [0, 1]
    cluster.write(2)
    assert two.look() == one.look() == [0, 1, 2, 3]
