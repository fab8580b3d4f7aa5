from __future__ import annotations

import httpx
import pytest
from tests.support_flink_server import Site, refusal

from ashioto.engines.flink.gateway import Gateway
from ashioto.errors import EngineBusyError, EngineError

CAUSES = (
    "org.apache.flink.table.gateway.service.utils.SqlExecutionException: Failed to execute the operation 0efb.",
    "org.apache.flink.table.api.ValidationException: SQL validation failed. Column 'b' not found in any table",
    "org.apache.calcite.sql.validate.SqlValidatorException: Column 'b' not found in any table",
)


def test_a_statement_is_waited_for_and_its_rows_come_in_parts() -> None:
    site = Site()
    site.server.slow = 3
    with site.gateway.session({"a": "b"}) as session:
        assert session.run("SELECT 1", about="a look").rows == (("OK",),)
    assert site.server.sessions == {"s0": {"a": "b"}}
    assert site.server.closed == ["s0"]
    assert site.clock.now_ms() > 0


def test_a_job_is_known_by_its_id() -> None:
    site = Site()
    with site.gateway.session({"pipeline.name": "n"}) as session:
        assert session.run("EXECUTE STATEMENT SET BEGIN END", about="a job").job == "f" * 32
        assert session.run("CREATE TABLE t", about="a table").job is None


def test_what_is_refused_says_why_in_one_line() -> None:
    site = Site()
    site.server.refuse = lambda _: refusal(*CAUSES)
    with site.gateway.session() as session, pytest.raises(EngineError) as caught:
        session.run("SELECT b", about="a look")
    assert caught.value.message == ("the gateway at http://flink failed with a look: Column 'b' not found in any table")
    assert caught.value.ids["said"] == "Column 'b' not found in any table"
    assert site.server.closed == ["s0"]


def test_a_statement_that_does_not_end_is_cancelled() -> None:
    site = Site()
    site.server.slow = 1_000_000
    gateway = Gateway(site.rest("the gateway"), clock=site.clock, patience_s=130)
    with gateway.session() as session, pytest.raises(EngineBusyError, match="has not done a look within 130 s"):
        session.run("SELECT 1", about="a look")
    assert site.server.requests.count("POST /v4/sessions/s0/heartbeat") == 2
    assert site.server.requests[-2:] == ["POST /v4/sessions/s0/operations/o0/cancel", "DELETE /v4/sessions/s0"]


def test_a_gateway_that_is_down_is_told() -> None:
    site = Site()
    site.server.down = True
    with pytest.raises(EngineBusyError, match=r"the gateway at http://flink was not reached: .*refused") as caught:
        site.gateway.version()
    assert "check its URL" in caught.value.hint
    site.server.down = False
    assert site.gateway.version() == "2.3.0"


def test_what_changes_nothing_is_asked_again_and_a_statement_is_not() -> None:
    site = Site()
    site.server.deaf = [503, 502]
    assert site.gateway.version() == "2.3.0"
    with site.gateway.session() as session:
        site.server.deaf = [503]
        with pytest.raises(EngineBusyError, match="failed with a job: busy"):
            session.run("EXECUTE STATEMENT SET BEGIN END", about="a job")
    assert site.server.jobs == []


def test_a_server_that_is_none_is_told() -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    site = Site()
    site.server = page  # type: ignore[assignment]  # any other server
    with pytest.raises(EngineError, match="does not answer as one does"):
        site.gateway.version()


def test_who_is_not_let_in_is_told_and_no_secret_is_repeated() -> None:
    from ashioto.engines.rest import Access

    site = Site()
    site.server.deaf = [401]
    rest = site.rest("the gateway", access=Access(user="me", password="canary", secrets=("more",)))  # noqa: S106  # no password
    with pytest.raises(EngineError, match="does not let this client in"):
        rest.send("GET", "/v4/info", about="it")
    assert rest.shown("canary and more") == "*** and ***"
    assert "canary" not in repr(Access(user="me", password="canary"))  # noqa: S106  # no password
