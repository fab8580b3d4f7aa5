"""What Java says of an error, as people read it: the innermost cause, without classes and stack."""

from __future__ import annotations

import json
import re
from typing import Final

_CAUSE: Final = "Caused by: "
_END: Final = "End of exception on server side"
_CLASS: Final = re.compile(r"^(?:<Exception on server side:)?(?:[a-z][\w$]*\.)+([A-Z][\w$]*)(?:: |$)")


def explained(text: str) -> str:
    r"""Return what a server of Flink says in an answer that is an error.

    Args:
        text: Its JSON, whose `errors` hold traces.

    >>> trace = "java.lang.Exception: no\n\tat a.B(C.java:1)\nCaused by: org.x.SqlException: no column 'b'\n"
    >>> explained(json.dumps({"errors": ["Internal server error.", trace]}))
    "no column 'b'"
    """
    try:
        errors = json.loads(text)["errors"]
    except (ValueError, TypeError, KeyError):
        return text.strip()
    found = [str(error) for error in errors if str(error).strip()] if isinstance(errors, list) else []
    return root_cause(found[-1]) if found else text.strip()


def root_cause(trace: str) -> str:
    r"""Return what the innermost exception of a trace says; the name of its class where it says nothing.

    >>> root_cause("x.Stop: no\nCaused by: java.lang.ArithmeticException: / by zero\n\tat a.B(C.java:1)\n")
    '/ by zero'
    >>> root_cause("java.lang.NullPointerException\n\tat a.B(C.java:1)")
    'NullPointerException'
    """
    return _said(trace.rpartition(_CAUSE)[2])


def with_context(trace: str) -> str:
    r"""Return what the innermost exception of a trace says, behind what the one around it was about.

    >>> with_context("x.All: no\nCaused by: x.E: no data of [a]\nCaused by: y.E: z.E: gone\nCaused by: z.E: gone")
    'no data of [a]: gone'
    """
    said = [_said(cause) for cause in trace.split(_CAUSE)]
    around = [one for one in said[:-1] if said[-1] not in one]
    return f"{around[-1]}: {said[-1]}" if around else said[-1]


def _said(cause: str) -> str:
    lines = []
    for line in cause.replace("<Exception on server side:\n", "").splitlines():
        if line.startswith(_END):
            break
        if line.strip() and not re.match(r"\s+(at |\.\.\. )", line):
            lines.append(line.strip())
    said = " ".join(lines)
    if (match := _CLASS.match(said)) is not None:
        return said[match.end() :] or match[1]
    return said
