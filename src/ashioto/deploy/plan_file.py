"""Saves a plan as a file, so that exactly what was looked at is applied, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ashioto.deploy.explain import digest, line, step_content
from ashioto.errors import InputError, StalePlanError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from ashioto.deploy.plan import Plan
    from ashioto.deploy.target import Target

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedStep:
    """Holds a step as it was saved.

    Args:
        text: For people.
        checksum: Of everything it says.
    """

    text: str
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """Holds a plan as it was saved.

    Args:
        env: Environment and cluster.
        engine: Kind of the engine.
        contexts: Names of the contexts.
        allow_delete: Topics that may be deleted.
        checksums: Of each query, by its name.
        steps: What is done, in order.
        actual: Checksum of what was there.
    """

    env: tuple[str, str]
    engine: str
    contexts: tuple[str, ...]
    allow_delete: tuple[str, ...]
    checksums: dict[str, str]
    steps: tuple[SavedStep, ...]
    actual: str


def saved_plan(plan: Plan, target: Target, *, allow_delete: tuple[str, ...] = ()) -> SavedPlan:
    """Return a plan in the form in which it is saved.

    Args:
        plan: What would be done.
        target: Where.
        allow_delete: Topics that may be deleted.
    """
    return SavedPlan(
        env=target.env,
        engine=target.engine.kind,
        contexts=plan.desired.contexts,
        allow_delete=allow_delete,
        checksums={query.id: query.checksum for query in plan.desired.queries},
        steps=tuple(SavedStep(text=line(step), checksum=digest(step_content(step))) for step in plan.steps),
        actual=plan.actual_checksum,
    )


def write_plan(file: Path, saved: SavedPlan) -> None:
    """Write a plan.

    Raises:
        InputError: The file cannot be written.
    """
    content = {
        "version": VERSION,
        "env": saved.env[0],
        "cluster": saved.env[1],
        "engine": saved.engine,
        "contexts": list(saved.contexts),
        "allow_delete": list(saved.allow_delete),
        "checksums": saved.checksums,
        "steps": [{"text": step.text, "checksum": step.checksum} for step in saved.steps],
        "actual": saved.actual,
    }
    try:
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{file} cannot be written: {error.strerror}", hint="name a file in a folder that is there"
        ) from error


def read_plan(file: Path) -> SavedPlan:
    """Read a plan.

    Raises:
        InputError: The file cannot be read, or is no plan.
        UnsupportedError: It is of a version that this ashioto does not know.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}", hint=_hint(file), file=str(file)) from error
    except ValueError as error:
        raise InputError(f"{file} is no plan: {error}", hint=_hint(file), file=str(file)) from error
    if not isinstance(content, dict) or "version" not in content:
        raise InputError(f"{file} is no plan: it has no version", hint=_hint(file), file=str(file))
    if content["version"] != VERSION:
        raise UnsupportedError(
            f"the plan {file} is of version {content['version']}", hint=f"this ashioto reads version {VERSION}"
        )
    try:
        return _decoded(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__} {error}"
        raise InputError(f"the plan {file} is damaged: {problem}", hint=_hint(file), file=str(file)) from error


def check_saved(saved: SavedPlan, plan: Plan, target: Target) -> None:
    """Refuse a saved plan that is not what would be done now.

    Raises:
        StalePlanError: It is not; names what differs.
    """
    now = saved_plan(plan, target, allow_delete=saved.allow_delete)
    if now != saved:
        raise StalePlanError(
            "the saved plan is not what would be done now:\n"
            + "\n".join(f"  {text}" for text in _differences(saved, now)),
            hint="look at it again: rc infra plan --plan-file FILE",
        )


def _differences(saved: SavedPlan, now: SavedPlan) -> list[str]:
    found = [
        f"{what}: was {was}, is {at}"
        for what, was, at in (
            ("environment", "/".join(saved.env), "/".join(now.env)),
            ("engine", saved.engine, now.engine),
            ("contexts", ", ".join(saved.contexts), ", ".join(now.contexts)),
        )
        if was != at
    ]
    names = sorted(saved.checksums.keys() | now.checksums.keys())
    changed = [name for name in names if saved.checksums.get(name) != now.checksums.get(name)]
    found += [f"{name}: its definition is another one" for name in changed]
    if saved.actual != now.actual:
        found.append("what is there has changed: something was applied, created or altered since")
    kept = {step.checksum for step in saved.steps} & {step.checksum for step in now.steps}
    found += [f"only in the saved plan: {step.text}" for step in saved.steps if step.checksum not in kept]
    found += [f"only now: {step.text}" for step in now.steps if step.checksum not in kept]
    return found or ["the order of the steps"]


def _decoded(content: dict[str, Any]) -> SavedPlan:
    return SavedPlan(
        env=(str(content["env"]), str(content["cluster"])),
        engine=str(content["engine"]),
        contexts=tuple(map(str, content["contexts"])),
        allow_delete=tuple(map(str, content["allow_delete"])),
        checksums={str(name): str(value) for name, value in content["checksums"].items()},
        steps=tuple(SavedStep(text=str(s["text"]), checksum=str(s["checksum"])) for s in content["steps"]),
        actual=str(content["actual"]),
    )


def _hint(file: Path) -> str:
    return f"rc infra plan --plan-file {file} writes one"
