from __future__ import annotations

import pytest
from tests.support_flink_server import NOW, FakeJob, Site, trace

from ashioto.engines.flink.jobs import Checkpoints, Failure, Overview
from ashioto.errors import EngineBusyError

ID = "a" * 32


@pytest.fixture
def site() -> Site:
    made = Site()
    made.server.jobs.append(FakeJob(ID, "bars", {}, ""))
    return made


def test_a_cluster_says_what_it_has(site: Site) -> None:
    assert site.jobs.overview() == Overview(version="2.3.0", taskmanagers=1, slots=4, free=3)


def test_a_checkpoint_that_was_thrown_away_is_no_place_to_go_on_from(site: Site) -> None:
    site.server.job.path = "s3://bucket/chk-7"
    site.server.job.completed = 7
    assert site.jobs.checkpoints(ID) == Checkpoints(
        completed=7, begun_ms=NOW - 100, at_ms=NOW, path="s3://bucket/chk-7"
    )
    site.server.job.discarded = True
    assert site.jobs.checkpoints(ID) == Checkpoints(completed=7, begun_ms=NOW - 100, at_ms=NOW)
    assert site.jobs.checkpoints("b" * 32) == Checkpoints()


def test_the_newest_interruption_is_told_by_its_cause(site: Site) -> None:
    assert site.jobs.failure(ID) is None
    assert site.jobs.failure("b" * 32) is None
    site.server.job.exceptions = [
        (NOW + 5, trace("org.apache.flink.runtime.JobException: Recovery", "java.lang.ArithmeticException: / by zero")),
        (NOW + 1, "java.lang.NullPointerException"),
    ]
    assert site.jobs.failure(ID) == Failure(at_ms=NOW + 5, said="Recovery: / by zero")


def test_a_job_is_stopped_with_its_state_and_never_drained(site: Site) -> None:
    site.server.savepoints = ["", "", "s3://bucket/savepoints/one"]
    assert site.jobs.stop(ID, "s3://bucket/savepoints") == "s3://bucket/savepoints/one"
    assert site.server.asked_stop == [{"drain": False, "targetDirectory": "s3://bucket/savepoints"}]
    assert site.server.job.state == "FINISHED"
    assert site.jobs.stop(ID, "s3://bucket/savepoints") is None
    assert site.jobs.stop("b" * 32, "s3://bucket/savepoints") is None


def test_a_job_whose_state_cannot_be_saved_is_cancelled(site: Site) -> None:
    site.server.savepoints = [None]
    assert site.jobs.stop(ID, "s3://bucket") is None
    assert site.server.job.state == "CANCELED"
    site.jobs.cancel(ID)


def test_a_job_that_restarts_is_cancelled(site: Site) -> None:
    site.server.job.state = "RESTARTING"
    assert site.jobs.stop(ID, "s3://bucket") is None
    assert (site.server.job.state, site.server.asked_stop) == ("CANCELED", [])


def test_a_job_that_does_not_end_is_told(site: Site) -> None:
    site.server.sticks = True
    with pytest.raises(EngineBusyError, match="is RUNNING and does not end"):
        site.jobs.stop(ID, "s3://bucket")
