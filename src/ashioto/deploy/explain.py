"""Says what steps do: the very list that is applied, as rows for people and as content to compare."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, assert_never

from ashioto.deploy.stages import (
    AlterTopic,
    CreateTopics,
    DeleteTopic,
    FillIndex,
    Record,
    Register,
    Stop,
    Verify,
    WriteSpec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ashioto.control.applied import Registration
    from ashioto.control.specs import HeartbeatSpec
    from ashioto.deploy.stages import Step
    from ashioto.log.base import TopicSpec

_BEGINS = {"start": "reads from the start", "previous": "goes on where the version before stands"}


def explain(steps: Sequence[Step]) -> list[dict[str, object]]:
    """Return one row a step: number, stage, action, object, detail.

    >>> explain([DeleteTopic(name="trading.old")])
    [{'step': 1, 'stage': 'topics', 'action': 'delete', 'object': 'trading.old', 'detail': 'all its records are lost'}]
    """
    names = ("stage", "action", "object", "detail")
    return [{"step": i, **dict(zip(names, _said(step), strict=True))} for i, step in enumerate(steps, 1)]


def line(step: Step) -> str:
    """Return a step as a line for people.

    >>> line(DeleteTopic(name="trading.old"))
    'topics: delete trading.old (all its records are lost)'
    """
    stage, action, name, detail = _said(step)
    return f"{stage}: {action} {name}" + (f" ({detail})" if detail else "")


def digest(content: object) -> str:
    """Return the SHA-256 of some content, which JSON can hold.

    >>> len(digest({"a": 1}))
    64
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def step_content(step: Step) -> Any:
    """Return everything a step says, as JSON holds it; equal for equal steps."""
    match step:
        case CreateTopics():
            found: Any = [topic_content(spec) for spec in step.specs]
        case AlterTopic():
            found = topic_content(step.spec)
        case DeleteTopic():
            found = step.name
        case FillIndex():
            found = step.index.topic
        case Record() | Register() | Verify() | Stop():
            found = registration_content(replace(step.registration, updated_ms=0))
        case WriteSpec():
            found = spec_content(replace(step.spec, updated_ms=0))
        case _:
            assert_never(step)
    return {type(step).__name__: found}


def topic_content(spec: TopicSpec) -> Any:
    """Return the settings and columns of a topic, as JSON holds them."""
    columns = [[field.name, str(field.type)] for field in spec.schema]
    return [spec.name, spec.partitions, spec.cleanup, spec.retention_ms, columns]


def registration_content(registration: Registration) -> Any:
    """Return a version as JSON holds it."""
    return asdict(registration)


def spec_content(spec: HeartbeatSpec) -> Any:
    """Return a heartbeat spec as JSON holds it."""
    plain = {f: getattr(spec, f) for f in spec.__dataclass_fields__}
    return plain | {"frames": [period.kind for period in spec.frames]}


def _said(step: Step) -> tuple[str, str, str, str]:
    match step:
        case CreateTopics() | AlterTopic() | DeleteTopic():
            return ("topics", *_topic_said(step))
        case FillIndex():
            said: tuple[str, str, str, str] = ("index", "fill", step.index.topic, f"from {step.index.schedule}")
        case Record():
            said = ("record", step.registration.state, step.registration.name, "")
        case Register():
            said = ("register", "register", step.registration.name, _BEGINS[step.registration.begins])
        case Verify():
            said = ("verify", "wait for", step.registration.name, "until it makes progress")
        case WriteSpec():
            said = ("heartbeat", "write", step.spec.id, _spec_detail(step.spec))
        case Stop():
            said = ("stop", "stop", step.registration.name, "")
        case _:
            assert_never(step)
    return said


def _topic_said(step: CreateTopics | AlterTopic | DeleteTopic) -> tuple[str, str, str]:
    match step:
        case CreateTopics():
            names = [spec.name for spec in step.specs]
            many = len(names) > 1
            return "create", f"{len(names)} topics" if many else names[0], f"{names[0]} … {names[-1]}" if many else ""
        case AlterTopic():
            return "alter", step.spec.name, step.how
        case DeleteTopic():
            return "delete", step.name, "all its records are lost"
        case _:
            assert_never(step)


def _spec_detail(spec: HeartbeatSpec) -> str:
    return f"of {spec.query} v{spec.version}, {'enabled' if spec.enabled else 'disabled'}"
