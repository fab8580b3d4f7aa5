from __future__ import annotations

from pathlib import Path  # noqa: TC003  # a fixture's type
from typing import Any

import pytest
from tests.support_engine import HOUR, MINUTE, START, Market, bars, trade
from tests.support_flink_server import NOW, GroupLog, Site, generated, refusal

from ashioto.control.applied import Registration  # noqa: TC001  # a fixture's type
from ashioto.engines.flink.identity import JobId
from ashioto.engines.flink.reach import Reach
from ashioto.engines.flink.registry import JOB_ID
from ashioto.engines.flink.statements import SLICE_MS, script
from ashioto.errors import EngineBusyError, EngineError, UnsupportedError

QUERY = bars("1m", name="minutes")
GROUP = "p.ashioto-dev-local-t_minutes_v1"
RECOVERY = "execution.state-recovery.path"


class ShortLog(GroupLog):
    """A log whose ticks have lost their beginning."""

    starts: dict[int, int] = {}  # noqa: RUF012  # set by tests

    def describe(self, topic: str) -> Any:
        """Return a topic; that of the ticks begins later."""
        from dataclasses import replace

        info = super().describe(topic)
        return replace(info, start_offsets=info.start_offsets | self.starts) if topic == "t.trade" else info


@pytest.fixture
def site() -> Site:
    made = Site(log=ShortLog())
    made.log.starts = {}
    Market.of(QUERY, hours=[("A", 0, HOUR)], log=made.log)
    return made


@pytest.fixture
def version(site: Site) -> Registration:
    return site.version(QUERY)


def parts(job: str) -> JobId:
    found = JobId.parse(job)
    assert found is not None
    return found


def test_a_version_is_planned_and_nothing_is_submitted(site: Site, version: Registration) -> None:
    (text,) = site.engine().compile(version)
    assert "SET 'execution.checkpointing.interval' = '2000 ms'" in text
    assert "SET 'execution.checkpointing.dir' = 's3://bucket/flink'" in text
    assert f"'properties.group.id' = '{GROUP}'" in text
    assert site.server.statements[-1].startswith("EXPLAIN STATEMENT SET BEGIN")
    assert site.server.jobs == []
    assert site.server.closed == ["s0"]


def test_without_preflight_nobody_is_asked(site: Site, version: Registration) -> None:
    site.server.down = True
    assert site.engine(preflight=False).compile(version)
    assert site.server.requests == []


def test_what_the_planner_refuses_is_told_with_the_query(site: Site, version: Registration) -> None:
    site.server.refuse = lambda s: refusal("x.SqlException: no") if s.startswith("EXPLAIN") else None
    with pytest.raises(UnsupportedError, match=r"t\.minutes: Flink refuses it: no") as caught:
        site.engine().compile(version)
    assert "rc infra sql" in caught.value.hint


def test_a_gateway_that_is_down_or_lets_nobody_in_is_no_refusal(site: Site, version: Registration) -> None:
    site.server.down = True
    with pytest.raises(EngineBusyError, match="was not reached"):
        site.engine().compile(version)
    site.server.down, site.server.deaf = False, [403]
    with pytest.raises(EngineError, match="does not let this client in"):
        site.engine().compile(version)


def test_no_secret_is_shown(site: Site, version: Registration) -> None:
    site.kafka = {"sasl.jaas.config": "password='canary';", "client.id": "me"}
    (text,) = site.engine().compile(version)
    assert "canary" not in text
    assert "'properties.sasl.jaas.config' = '***'" in text
    assert "canary" in site.server.statements[0]


def test_a_version_is_one_job_however_often_it_is_registered(site: Site, version: Registration) -> None:
    assert site.engine().inspect([version]) == []
    site.engine().register(version)
    site.engine().register(version)
    assert len(site.server.jobs) == 1
    job = site.server.job
    assert (job.name, parts(job.id).attempt, parts(job.id).since_ms) == ("t_minutes_v1 (dev/local)", NOW // 1000, None)
    assert job.settings["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"
    assert RECOVERY not in job.settings
    assert site.log.forgotten == [GROUP]


def test_versions_and_environments_have_jobs_of_their_own(site: Site, version: Registration) -> None:
    site.engine().register(version)
    site.engine().register(site.version(QUERY, 2))
    first, second = (parts(job.id) for job in site.server.jobs)
    assert first.owner != second.owner
    site.engine().stop(version)
    assert [job.state for job in site.server.jobs] == ["FINISHED", "RUNNING"]
    elsewhere = site.engine(reach=Reach(bootstrap="kafka:9092", registry="http://registry", prefix="q."))
    assert elsewhere.inspect([site.version(QUERY, 2)]) == []


def test_addresses_and_secrets_change_no_identity(site: Site, version: Registration) -> None:
    site.engine().register(version)
    site.server.job.state, site.server.job.path = "FAILED", "s3://bucket/flink/x/chk-1"
    moved = Reach(bootstrap="other:9092", registry="http://other", prefix="p.", kafka={"sasl.jaas.config": "new"})
    site.engine(reach=moved).register(version)
    assert site.server.job.settings[RECOVERY] == "s3://bucket/flink/x/chk-1"


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_job_that_has_ended_goes_on_from_its_newest_state(site: Site, version: Registration, state: str) -> None:
    site.engine().register(version)
    site.server.job.state, site.server.job.path = state, "s3://bucket/flink/x/chk-9"
    assert [found.state for found in site.engine().inspect([version])] == ["ended"]
    site.engine().register(version)
    first, second = site.server.jobs
    assert second.settings[RECOVERY] == "s3://bucket/flink/x/chk-9"
    assert second.settings["execution.state-recovery.claim-mode"] == "CLAIM"
    assert (parts(second.id).sql, parts(second.id).owner) == (parts(first.id).sql, parts(first.id).owner)
    assert parts(second.id).attempt > parts(first.id).attempt
    assert site.log.forgotten == [GROUP]


def test_what_the_job_manager_remembers_of_a_job_that_has_just_ended_is_asked_again(
    site: Site, version: Registration, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.engine().register(version)
    job = site.server.job
    job.state, job.path, job.discarded = "FAILED", "s3://bucket/flink/x/chk-8", True

    def slept(_: float) -> None:
        job.path, job.discarded = "s3://bucket/flink/x/chk-9", False

    monkeypatch.setattr(site.clock, "sleep", slept)
    site.engine().register(version)
    assert site.server.job.settings[RECOVERY] == "s3://bucket/flink/x/chk-9"


def test_other_sql_never_reads_old_state(site: Site, version: Registration) -> None:
    site.engine().register(version)
    site.server.job.state, site.server.job.path = "CANCELED", "s3://bucket/flink/x/chk-9"
    site.log.groups[GROUP] = {0: 0}

    def other(*args: Any, **options: Any) -> Any:
        from dataclasses import replace

        made = generated(*args, **options)
        return replace(made, job=made.job.replace("BEGIN", "BEGIN other"))

    site.engine(generate=other).register(version)
    first, second = site.server.jobs
    assert RECOVERY not in second.settings
    assert parts(second.id).sql != parts(first.id).sql
    assert [run.state for run in site.engine().inspect([version])] == ["running"]
    assert site.log.forgotten == [GROUP, GROUP]


def test_state_is_found_in_the_folder_where_the_job_manager_has_forgotten_the_job(
    site: Site, version: Registration, tmp_path: Path
) -> None:
    site.checkpoints = f"file://{tmp_path}"
    site.engine().register(version)
    job = site.server.jobs.pop()
    for name, whole in (("chk-9", True), ("chk-10", True), ("chk-11", False)):
        (tmp_path / job.id / name).mkdir(parents=True)
        if whole:
            (tmp_path / job.id / name / "_metadata").touch()
    (tmp_path / ("0" * 32) / "chk-99").mkdir(parents=True)
    (tmp_path / ("0" * 32) / "chk-99" / "_metadata").touch()
    site.clock.advance(5_000)
    assert site.engine().inspect([version]) == []
    site.engine().register(version)
    assert site.server.job.settings[RECOVERY] == f"file://{tmp_path}/{job.id}/chk-10"
    assert parts(site.server.job.id).attempt == NOW // 1000 + 5


def test_where_ticks_are_gone_buckets_before_the_oldest_that_is_left_are_not_touched(
    site: Site, version: Registration
) -> None:
    market = Market.of(QUERY, log=site.log)
    market.send(trade("A", 0), trade("A", MINUTE + 1), trade("A", 2 * MINUTE))
    site.log.starts = {0: 1}
    site.engine().register(version)
    since = START + 2 * MINUTE
    assert parts(site.server.job.id).since_ms == since
    assert f"since {since};" in site.server.job.statement
    site.server.job.state, site.server.job.path = "FAILED", "s3://bucket/flink/x/chk-3"
    site.log.starts = {0: 2}
    site.engine().register(version)
    assert parts(site.server.job.id).since_ms == since
    assert f"since {since};" in site.server.job.statement


def test_a_cluster_that_gives_jobs_ids_of_its_own_is_told_and_the_job_does_not_stay(
    site: Site, version: Registration
) -> None:
    site.server.ignores_id = True
    with pytest.raises(EngineError, match=f"gave the job the id {'f' * 32}") as caught:
        site.engine().register(version)
    assert JOB_ID in caught.value.hint
    assert site.server.job.state == "CANCELED"


def test_what_is_written_has_the_schema_that_is_registered(site: Site, version: Registration) -> None:
    seen: list[Reach] = []

    def generate(given: Registration, reach: Reach, **options: Any) -> Any:
        seen.append(reach)
        return generated(given, reach, **options)

    bars_schema = {"type": "record", "name": "known", "fields": []}
    site.engine(generate=generate, schema={"t.trade_bars_1m": bars_schema}.get).compile(version)
    assert [reach.schemas for reach in seen] == [{"t.trade_bars_1m": bars_schema}]


def test_a_version_that_does_not_run_is_stopped_without_a_word(site: Site, version: Registration) -> None:
    site.engine().stop(version)
    site.engine().register(version)
    site.engine().stop(version)
    site.engine().stop(version)
    assert site.server.asked_stop == [{"drain": False, "targetDirectory": "s3://bucket/flink/savepoints"}]


def test_a_version_whose_plan_cannot_be_read_is_stopped_all_the_same(site: Site, version: Registration) -> None:
    from dataclasses import replace

    site.engine().register(version)
    site.engine(generate=script).stop(replace(version, plan="{}"))
    assert site.server.job.state == "FINISHED"


def test_progress_is_what_was_read_before_a_slice_that_a_checkpoint_has_seen_end(
    site: Site, version: Registration
) -> None:
    Market.of(QUERY, log=site.log).send(trade("A", 0), trade("A", 1))
    engine = site.engine()
    assert engine.progress(version) is None
    engine.register(version)
    job = site.server.job
    job.completed = 0
    assert engine.progress(version) is None
    job.completed, job.saved_ms = 1, NOW
    assert engine.progress(version) is None
    job.completed, job.saved_ms = 2, NOW + SLICE_MS + job.saving_ms - 1
    assert engine.progress(version) is None
    job.completed, job.saved_ms = 3, NOW + SLICE_MS + job.saving_ms
    assert engine.progress(version) == {0: 0}
    site.log.groups[GROUP] = {0: 2}
    assert engine.progress(version) == {0: 0}
    job.completed, job.saved_ms = 4, NOW + 3 * SLICE_MS + job.saving_ms
    assert engine.progress(version) == {0: 2}
    job.state = "FAILED"
    assert engine.progress(version) is None


def test_a_plan_that_cannot_be_read_is_told(site: Site, version: Registration) -> None:
    from dataclasses import replace

    with pytest.raises(UnsupportedError, match="t_minutes_v1"):
        site.engine().progress(replace(version, plan="{}"))
