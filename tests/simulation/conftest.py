"""Simulated worlds run without the tracer of coverage: they are many, and other tests cover the same lines."""

from __future__ import annotations

from tests.support_tracing import untraced

__all__ = ["untraced"]
