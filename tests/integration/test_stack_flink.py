from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from ashioto.errors import StackError
from ashioto.testing.stack import Flink
from ashioto.testing.stack.ready import wait_until

if TYPE_CHECKING:
    from ashioto.testing.stack import FlinkPlace

pytestmark = pytest.mark.usefixtures("java")


def rows(gateway: str, sql: str) -> list[list[object]]:
    found: list[list[object]] = []
    with httpx.Client(base_url=gateway, timeout=120, trust_env=False) as client:
        session = client.post("/v4/sessions", json={}).raise_for_status().json()["sessionHandle"]
        made = client.post(f"/v4/sessions/{session}/statements", json={"statement": sql}).raise_for_status().json()
        operation = f"/v4/sessions/{session}/operations/{made['operationHandle']}"
        path: str | None = f"{operation}/result/0?rowFormat=JSON"

        def ended() -> bool:
            nonlocal path
            answer = client.get(path or "")
            assert answer.is_success, answer.text
            page = answer.json()
            found.extend(row["fields"] for row in page.get("results", {}).get("data", []))
            path = page.get("nextResultUri") or path
            return bool(page["resultType"] == "EOS")

        assert wait_until(ended, timeout_s=120)
        client.delete(f"/v4/sessions/{session}")
    return found


def overview(jobmanager: str) -> dict[str, int]:
    return dict(httpx.get(f"{jobmanager}/overview", timeout=60, trust_env=False).raise_for_status().json())


def test_the_shared_one_takes_sql_and_has_its_slots(flink: FlinkPlace) -> None:
    assert rows(flink.gateway_url, "SELECT 1") == [[1]]
    assert overview(flink.jobmanager_url)["slots-total"] == 4
    assert flink.checkpoints.is_dir()


def test_what_is_killed_is_missed_and_comes_back() -> None:
    with Flink(slots=2) as own:
        before = own.pids
        own.kill_task_manager()
        assert wait_until(lambda: overview(own.jobmanager_url)["taskmanagers"] == 0, timeout_s=60)
        own.start_task_manager()
        assert overview(own.jobmanager_url)["slots-total"] == 2
        own.kill_job_manager()
        with pytest.raises(httpx.TransportError):
            overview(own.jobmanager_url)
        own.start_job_manager()
        assert overview(own.jobmanager_url)["slots-total"] == 2
        own.kill_gateway()
        own.start_gateway()
        assert rows(own.gateway_url, "SELECT 1") == [[1]]
        pids = {*before.values(), *own.pids.values()}
        assert len(pids) == 6
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not own.place.folder.exists()


def test_one_that_cannot_start_shows_why() -> None:
    own = Flink(settings={"taskmanager.numberOfTaskSlots": "none"})
    with pytest.raises(StackError, match=r"taskmanager\.numberOfTaskSlots") as failed:
        own.start()
    assert failed.value.hint
    assert own.pids == {}
