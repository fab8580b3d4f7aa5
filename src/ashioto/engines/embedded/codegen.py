"""Writes the fold kernel of a list of aggregates: one pass over the ticks that folds all of them.

The source is kept in the user's cache folder, named by its own hash, because numba's disk cache needs a file: a kernel
is compiled once a machine and loaded in milliseconds from then on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ashioto.bars.algebra import Slot

_HEAD = '''"""Fold kernel written by ashioto; safe to delete."""

import numba as nb

from ashioto.engines.embedded.kernel import OUT_OF_SESSION, UNKNOWN_KEY, locate


@nb.njit(cache=True, nogil=True, boundscheck=False)
def fold(codes, at, order, sequence, first_row, inputs_i, inputs_f, groups, offsets, sessions, size, cursor, table,
         ints, floats, state):
'''

_BODY = """
    dense = order.shape[0] == 0
    has_sequence = sequence.shape[0] > 0
    used = state[1]
    out, unknown = 0, 0
    n = at.shape[0]
    i = state[0]
    base = first_row
    while i < n:
        j = nb.uint64(i)
        t = at[j]
        k = nb.uint64(codes[j])
        if t >= cursor[k, 0] and t < cursor[k, 1]:
            r = cursor[k, 2]
        else:
            r = locate(k, t, groups, offsets, sessions, size, cursor, table, ints, used, state)
            if r < 0:
                if r == OUT_OF_SESSION:
                    out += 1
                elif r == UNKNOWN_KEY:
                    unknown += 1
                else:
                    break
                i += 1
                continue
            if r == used:
                used += 1
        if has_sequence:
            q = sequence[i]
        elif dense:
            q = base + i
        else:
            q = order[i]
        s = nb.uint64(r)
"""

_TAIL = """        i += 1
    state[0] = i
    state[1] = used
    state[2] += out
    state[3] += unknown
"""


def source(slots: tuple[Slot, ...]) -> str:
    """Return the Python source of the fold kernel of these aggregates.

    >>> from ashioto.bars.algebra import Slot
    >>> "ints[s, 9] += v0" in source((Slot(func="sum", arg=0, is_float=False, column=9),))
    True
    """
    args = sorted({(s.is_float, s.arg) for s in slots})
    lines = [_HEAD]
    lines += [f"    x{a} = inputs_{'f' if is_float else 'i'}[{a}]\n" for is_float, a in args]
    lines.append(_BODY)
    lines += [f"        v{a} = x{a}[j]\n" for _, a in args]
    lines += _checks(slots)
    lines.append("        if ints[s, 3] == 0:\n            ints[s, 3] = 1\n")
    lines.append("            ints[s, 4] = t\n            ints[s, 5] = q\n")
    lines.append("            ints[s, 6] = t\n            ints[s, 7] = q\n")
    lines += [f"            {_cell(s)} = v{s.arg}\n" for s in slots]
    lines.append("        else:\n            ints[s, 3] += 1\n")
    lines += [f"            {_cell(s)} += v{s.arg}\n" for s in slots if s.func == "sum"]
    for name, sign in (("min", "<"), ("max", ">")):
        lines += [
            f"            if v{s.arg} {sign} {_cell(s)}:\n                {_cell(s)} = v{s.arg}\n"
            for s in slots
            if s.func == name
        ]
    lines += _edge(slots, "last", "if t > ints[s, 6] or (t == ints[s, 6] and q > ints[s, 7])", 6)
    lines += _edge(slots, "first", "elif t < ints[s, 4] or (t == ints[s, 4] and q < ints[s, 5])", 4)
    lines.append(_TAIL)
    return "".join(lines)


def _cell(slot: Slot) -> str:
    return f"{'floats' if slot.is_float else 'ints'}[s, {slot.column}]"


def _checks(slots: tuple[Slot, ...]) -> list[str]:
    """Stop before a sum that would leave 64 bits; state[4] says which aggregate."""
    lines = []
    for number, slot in enumerate(slots):
        if slot.func == "sum" and not slot.is_float:
            lines.append(
                f"        if ints[s, 3] > 0:\n"
                f"            a{number} = {_cell(slot)}\n"
                f"            c{number} = a{number} + v{slot.arg}\n"
                f"            if ((a{number} ^ c{number}) & (v{slot.arg} ^ c{number})) < 0:\n"
                f"                state[4] = {number} + 1\n"
                f"                break\n"
            )
    return lines


def _edge(slots: tuple[Slot, ...], func: str, condition: str, column: int) -> list[str]:
    lines = [f"            {condition}:\n                ints[s, {column}] = t\n"]
    lines.append(f"                ints[s, {column + 1}] = q\n")
    return lines + [f"                {_cell(s)} = v{s.arg}\n" for s in slots if s.func == func]


def cache_folder() -> Path:
    """Return the folder of written kernels: `ASHIOTO_CACHE_DIR`, else the user's cache, else a temporary one."""
    chosen = os.environ.get("ASHIOTO_CACHE_DIR")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ashioto"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="ashioto-"))
    return base if os.access(base, os.W_OK) else Path(tempfile.mkdtemp(prefix="ashioto-"))


@cache
def fold_kernel(slots: tuple[Slot, ...]) -> Callable[..., None]:
    """Return the compiled fold kernel of these aggregates, from the cache where it is there."""
    text = source(slots)
    name = f"fold_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_text() != text:
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(draft).replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the kernel {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    fold: Any = module.fold
    return fold  # type: ignore[no-any-return]  # the generated module has no types
