from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.support_engine import DAY, Market, bars, trade
from tests.support_host import version_of
from tests.support_ksqldb_server import Network, ServedLog, engine_of

from ashioto.engines.ksqldb.statements import statements
from ashioto.errors import EngineBusyError, EngineError, UnsupportedError
from ashioto.testing.ksqldb_catalog import Topic
from ashioto.testing.ksqldb_server import KsqldbServer

if TYPE_CHECKING:
    from ashioto.control.applied import Registration
    from ashioto.engines.base import RunningQuery
    from ashioto.engines.ksqldb.registry import KsqldbEngine

MINUTES = bars("1m", "5m", name="minutes")
READER = "CSAS_T_MINUTES_V1_STAMPED_1"


@dataclass
class Served:
    """An engine on a stand-in server, beside a market."""

    server: KsqldbServer = field(default_factory=KsqldbServer)

    def __post_init__(self) -> None:
        self.network = Network(self.server)
        self.log = ServedLog(self.server)
        self.market = Market.of(MINUTES, hours=[("A", 0, DAY)], log=self.log)
        self.server.catalog.topics.setdefault("t.hours_by_day", Topic())

    def engine(self, **options: Any) -> KsqldbEngine:
        return engine_of(self.log, self.network, self.market.clock, **options)

    def work(self) -> None:
        self.server.work(self.log.end_offsets)

    def stand(self, version: Registration) -> RunningQuery:
        (found,) = self.engine().inspect([version])
        return found

    @property
    def named(self) -> list[str]:
        return sorted(self.server.catalog.sources)


@pytest.fixture
def served() -> Served:
    return Served()


def version(number: int = 1, **others: Any) -> Registration:
    return version_of(MINUTES.plan, number, engine="ksqldb", **others)


def test_a_version_is_made_by_one_request(served: Served) -> None:
    served.engine().register(version())
    assert len(served.server.requests) == 1
    made = statements(version())
    assert len(served.named) == sum(1 for s in made if hasattr(s, "options"))
    assert len(served.server.catalog.queries) == 1 + 1 + 2 + 2 + 2 + 2
    assert served.server.bodies[0]["streamsProperties"]["ksql.streams.auto.offset.reset"] == "earliest"


def test_what_is_whole_stays_as_it_is(served: Served) -> None:
    served.engine().register(version())
    before = served.server.requests[:], dict(served.server.catalog.queries)
    served.engine().register(version())
    assert (served.server.requests, served.server.catalog.queries) == before


@pytest.mark.parametrize("works", range(1, 20))
def test_a_half_made_version_is_taken_away_and_made_anew(served: Served, works: int) -> None:
    whole = Served()
    whole.engine().register(version())
    served.server.works = works
    served.engine().register(version())
    assert served.named == whole.named
    assert sorted(q.sink for q in served.server.catalog.queries.values()) == sorted(
        q.sink for q in whole.server.catalog.queries.values()
    )
    assert served.server.requests[-1] == whole.server.requests[0]


def test_a_server_that_stays_crowded_is_given_up(served: Served) -> None:
    served.server.crowded = 1_000
    with pytest.raises(EngineBusyError, match="command topic consumer"):
        served.engine().register(version())
    assert served.named == []


def test_versions_do_not_touch_each_other(served: Served) -> None:
    served.engine().register(version(1))
    first = served.named
    served.engine().register(version(2))
    served.engine().stop(version(2))
    assert served.named == first
    other = replace(version(), query="minutes_v1_x")
    served.engine().register(other)
    assert all(run.state == "starting" or run.cuts for run in served.engine().inspect([version(), other]))
    served.engine().stop(version(1))
    assert served.named == [name for name in served.named if name.startswith("t_minutes_v1_x_v1_")]


def test_stopping_takes_away_everything_but_the_topics_of_others(served: Served) -> None:
    before = set(served.server.catalog.topics)
    served.engine().register(version())
    made = set(served.server.catalog.topics) - before
    assert made == {f"t_minutes_v1_{part}" for part in ("stamped", "1m_fold", "5m_fold", "own_fold", "empty_fold")}
    served.engine().stop(version())
    assert set(served.server.catalog.topics) == before
    assert (served.named, served.server.catalog.queries) == ([], {})
    requests = len(served.server.requests)
    served.engine().stop(version())
    assert len(served.server.requests) == requests


def test_queries_end_before_a_topic_is_deleted(served: Served) -> None:
    served.engine().register(version())
    served.engine().stop(version())
    words = [text.split(maxsplit=1)[0] for text in served.server.requests[1:]]
    assert words == sorted(words, reverse=True)
    deleting = [text for text in served.server.requests if text.endswith("DELETE TOPIC;")]
    assert len(deleting) == 5
    assert not any("_bars`" in text or "_ticks`" in text or "_hb`" in text for text in deleting)


def test_compiling_asks_the_server_and_changes_nothing(served: Served) -> None:
    compiled = served.engine().compile(version())
    assert compiled[0].startswith("CREATE STREAM `t_minutes_v1_ticks`")
    assert len(served.server.requests) == 1
    assert served.named == []
    served.engine(preflight=False).compile(version())
    assert len(served.server.requests) == 1


def test_a_version_can_be_checked_before_its_topics_are_there(served: Served) -> None:
    served.server.catalog.topics.clear()
    assert served.engine().compile(version())
    assert "PARTITIONS = 1" in served.server.requests[0]
    served.server.catalog.topics["t.trade"] = Topic(partitions=6)
    served.engine().compile(version())
    assert "PARTITIONS = 6" in served.server.requests[1]


def test_what_runs_is_not_checked_again(served: Served) -> None:
    served.engine().register(version())
    served.engine().compile(version())
    assert len(served.server.requests) == 1


def test_what_the_server_refuses_is_a_query_that_it_cannot_run(served: Served) -> None:
    served.server.catalog.topics["t.trade_bars_1m"] = Topic(partitions=7)
    with pytest.raises(UnsupportedError, match="already exists, with different partition"):
        served.engine().compile(version())
    with pytest.raises(EngineError, match="already exists, with different partition"):
        served.engine().register(version())
    assert served.named == []


def test_a_plan_that_cannot_be_read_is_refused(served: Served) -> None:
    with pytest.raises(UnsupportedError, match="no plan"):
        served.engine().register(replace(version(), plan="{}"))
    with pytest.raises(UnsupportedError):
        served.engine().compile(replace(version(), plan="{}"))


def test_a_query_that_has_read_nothing_yet_is_starting(served: Served) -> None:
    served.market.send(trade("A", 0, 1))
    served.engine().register(version())
    found = served.stand(version())
    assert (found.state, found.detail) == ("starting", f"{READER} has read none of 1 records of t.trade yet")
    assert served.engine().progress(version()) is None
    served.work()
    found = served.stand(version())
    assert (found.state, dict(found.cuts), found.detail) == ("running", {0: 1}, "10 queries")
    assert served.engine().progress(version()) == {0: 1}


def test_without_ticks_a_query_has_read_them_all(served: Served) -> None:
    served.engine().register(version())
    assert served.engine().progress(version()) == {0: 0}
    assert served.stand(version()).state == "running"


def test_a_query_that_is_behind_says_how_far(served: Served) -> None:
    served.engine().register(version())
    served.market.send(trade("A", 0, 1))
    served.work()
    served.market.send(trade("A", 1, 1), trade("A", 2, 1))
    assert served.stand(version()).detail == "10 queries, 2 records to read"


def test_a_failed_query_says_why(served: Served) -> None:
    served.engine().register(version())
    served.server.failing["t_minutes_v1_1m_fold"] = "no room on the disk"
    served.work()
    found = served.stand(version())
    assert found.state == "failed"
    assert found.detail.endswith("has failed: no room on the disk")
    assert served.engine().progress(version()) is None


def test_a_paused_query_says_so(served: Served) -> None:
    served.engine().register(version())
    served.server.catalog.queries[READER].status = "PAUSED"
    assert served.stand(version()).detail == f"{READER} is paused: RESUME {READER};"


def test_a_server_of_the_cluster_that_does_not_answer_is_told(served: Served) -> None:
    served.engine().register(version())
    served.server.catalog.queries[READER].status = "UNRESPONSIVE"
    found = served.stand(version())
    assert (found.state, found.detail) == ("starting", "a server of the cluster does not answer for 1 queries")


def test_a_version_that_somebody_took_a_part_of_has_ended_and_is_made_anew(served: Served) -> None:
    served.engine().register(version())
    del served.server.catalog.queries[READER]
    found = served.stand(version())
    assert (found.state, found.detail) == ("ended", "a query into t_minutes_v1_stamped is missing")
    assert served.engine().progress(version()) is None
    served.engine().register(version())
    assert served.stand(version()).state == "running"


def test_what_is_not_there_is_left_out(served: Served) -> None:
    assert served.engine().inspect([version()]) == []
    assert served.engine().progress(version()) is None
    served.engine().register(version())
    assert served.engine().inspect([replace(version(), engine="embedded")]) == []


def test_a_server_that_is_away_is_told(served: Served) -> None:
    served.engine().register(version())
    served.network.down = True
    with pytest.raises(EngineBusyError, match="was not reached"):
        served.engine().inspect([version()])
    with pytest.raises(EngineBusyError):
        served.engine().register(version(2))
    assert served.engine().inspect([]) == []


def test_a_query_that_does_not_end_is_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.engine().register(version())
    kept = dict(served.server.catalog.queries)

    def stubborn(method: str, path: str, *rest: Any) -> Any:
        answer = KsqldbServer.answer(served.server, method, path, *rest)
        served.server.catalog.queries.update(kept)
        return answer

    monkeypatch.setattr(served.server, "answer", stubborn)
    with pytest.raises(EngineBusyError, match="has not ended"):
        served.engine().stop(version())
    assert not any("DROP" in text for text in served.server.requests)


def test_topics_have_the_prefix_of_the_project(served: Served) -> None:
    compiled = served.engine(prefix="acme.", preflight=False).compile(version())
    assert "KAFKA_TOPIC = 'acme.t.trade'" in compiled[0]
    assert not any("KAFKA_TOPIC = 't" in text for text in compiled)


def test_bars_are_written_with_the_schema_that_is_registered(served: Served) -> None:
    compiled = served.engine(schema_id={"t.trade_bars_1m": 7}.get, preflight=False).compile(version())
    assert "VALUE_SCHEMA_ID = 7" in compiled[-2]
    assert "VALUE_AVRO_SCHEMA_FULL_NAME" in compiled[-1]


def test_a_group_is_as_the_server_calls_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.market.send(trade("A", 0, 1))
    served.engine().register(version())
    asked: list[str] = []

    def committed(group: str, topic: str) -> dict[int, int]:
        asked.append(group)
        return {0: 1} if topic == "t.trade" else {}

    monkeypatch.setattr(served.log, "committed", committed)
    assert served.engine().progress(version()) == {0: 1}
    assert asked == [f"_confluent-ksql-default_query_{READER}"]
    said = served.server._query
    monkeypatch.setattr(served.server, "_query", lambda query: {**said(query), "consumerGroupId": f"own-{query}"})
    served.engine().progress(version())
    assert asked[1:] == [f"own-{READER}"]


def test_a_server_is_not_asked_for_every_answer_about_progress(served: Served) -> None:
    engine = served.engine()
    engine.register(version())
    before = served.network.sent
    for _ in range(10):
        assert engine.progress(version()) == {0: 0}
        served.market.clock.advance(200)
    assert served.network.sent == before + 2
    served.market.clock.advance(5_000)
    engine.progress(version())
    assert served.network.sent == before + 3
    engine.stop(version())
    assert engine.progress(version()) is None


def test_a_source_that_is_gone_is_told(served: Served) -> None:
    served.engine().register(version())
    served.log.delete(["t.trade"])
    assert served.stand(version()).state == "failed"
    assert served.engine().progress(version()) is None
