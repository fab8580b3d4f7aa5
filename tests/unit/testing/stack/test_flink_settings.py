from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml as pyyaml

from ashioto.testing.stack.flink_settings import (
    FlinkPlace,
    Part,
    flink_settings,
    heap_of,
    java_options,
    program,
    yaml,
)

PLACE = FlinkPlace(folder=Path("/data/flink"), gateway=1, rest=2, rpc=3, blob=4)


def made(heap_mb: int = 512, extra: dict[str, str] | None = None) -> dict[str, str]:
    return flink_settings(PLACE, slots=4, heap_mb=heap_mb, extra=extra)


def mb(value: str) -> int:
    return int(value.removesuffix("m"))


def option(options: list[str], begin: str) -> int:
    return mb(next(word for word in options if word.startswith(begin)).removeprefix(begin))


def test_nothing_listens_but_to_this_machine() -> None:
    hosts = {key: value for key, value in made().items() if re.search(r"(address|host)$", key)}
    assert {"rest.bind-address", "jobmanager.bind-host", "taskmanager.bind-host"} < hosts.keys()
    assert "sql-gateway.endpoint.rest.bind-address" in hosts
    assert set(hosts.values()) == {"127.0.0.1"}


def test_the_gateway_cannot_take_the_port_of_the_job_manager() -> None:
    settings = made()
    assert "rest.bind-port" not in settings
    assert (settings["rest.port"], settings["sql-gateway.endpoint.rest.port"]) == ("2", "1")
    assert (settings["jobmanager.rpc.port"], settings["blob.server.port"]) == ("3", "4")


@pytest.mark.parametrize("heap_mb", [512, 2048])
def test_the_memory_that_java_gives_the_task_manager_is_what_its_settings_say(heap_mb: int) -> None:
    settings, options = made(heap_mb), java_options(Part.TASK_MANAGER, heap_mb=heap_mb)
    size = {key.removeprefix("taskmanager.memory."): value for key, value in settings.items()}
    heap = mb(size["framework.heap.size"]) + mb(size["task.heap.size"])
    direct = [size["framework.off-heap.size"], size["task.off-heap.size"], size["network.max"]]
    assert option(options, "-Xmx") == heap == heap_mb
    assert option(options, "-XX:MaxDirectMemorySize=") == sum(map(mb, direct))
    assert option(options, "-XX:MaxMetaspaceSize=") == mb(size["jvm-metaspace.size"])
    assert size["network.min"] == size["network.max"]
    assert size["jvm-overhead.min"] == size["jvm-overhead.max"]


def test_all_of_it_needs_less_than_three_gib() -> None:
    overhead = mb(made()["taskmanager.memory.jvm-overhead.max"])
    needed = 0
    for part in Part:
        options = java_options(part, heap_mb=512)
        needed += option(options, "-Xmx") + option(options, "-XX:MaxMetaspaceSize=") + overhead
    needed += option(java_options(Part.TASK_MANAGER, heap_mb=512), "-XX:MaxDirectMemorySize=")
    needed += mb(made()["taskmanager.memory.managed.size"]) + mb(made()["jobmanager.memory.off-heap.size"])
    assert needed < 3 * 1024


def test_a_task_manager_that_waits_is_not_taken_for_one_that_is_gone() -> None:
    settings = made()
    assert int(settings["heartbeat.timeout"]) >= 10 * int(settings["heartbeat.interval"])


def test_given_settings_win() -> None:
    assert made(extra={"rest.retry.delay": "7"})["rest.retry.delay"] == "7"


def test_the_file_says_what_the_settings_say() -> None:
    settings = made(extra={"pipeline.name": 'a: "b" # c\n- d', "x": "yes"})
    assert pyyaml.safe_load(yaml(settings)) == settings


def test_every_program_gets_its_heap_and_javas_inner_packages() -> None:
    for part in Part:
        options = java_options(part, heap_mb=700)
        assert option(options, "-Xmx") == heap_of(part, 700)
        assert "--add-opens=java.base/java.util=ALL-UNNAMED" in options
        assert "--add-exports=java.base/sun.net.util=ALL-UNNAMED" in options
        assert "-XX:+UseSerialGC" in options


def test_only_the_task_manager_compiles_as_fast_code_as_it_can() -> None:
    slow = {part for part in Part if "-XX:TieredStopAtLevel=1" in java_options(part, heap_mb=512)}
    assert slow == {Part.JOB_MANAGER, Part.GATEWAY}


def test_programs_are_told_where_they_find_what() -> None:
    lines = {part: program(part, Path("/conf"), ports=(5, 6)) for part in Part}
    assert [line[0].rpartition(".")[2] for line in lines.values()] == [
        "StandaloneSessionClusterEntrypoint",
        "TaskManagerRunner",
        "SqlGateway",
    ]
    assert lines[Part.GATEWAY][1:] == []
    assert lines[Part.JOB_MANAGER][1:] == ["--configDir", "/conf"]
    assert lines[Part.TASK_MANAGER][3:] == ["-D", "taskmanager.rpc.port=5", "-D", "taskmanager.data.port=6"]


def test_a_new_place_has_ports_of_its_own_and_reaches_other_processes_as_a_text() -> None:
    place = FlinkPlace.new(Path("/data/a b"))
    assert len({place.gateway, place.rest, place.rpc, place.blob}) == 4
    assert FlinkPlace.parse(place.text) == place
    assert urlsplit(place.jobmanager_url).port == place.rest
    assert place.checkpoints.parent == place.savepoints.parent == place.folder
