"""Laws are tried with hundreds of cases, without the tracer of coverage: other tests cover the same lines."""

from __future__ import annotations

from tests.support_tracing import untraced

__all__ = ["untraced"]
