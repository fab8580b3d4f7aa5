"""Tells processes apart for certain, and ends one that cannot let go of what it holds."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from ashioto.log.leases import Holder

_GONE: Final = frozenset({"Z", "X"})


class Processes(Protocol):
    """Knows the processes of this machine."""

    def is_gone(self, holder: Holder) -> bool:
        """Return whether a holder runs no more; only where that is certain."""
        ...

    def end(self, holder: Holder) -> bool:
        """Kill a holder on this machine, and nobody else; returns whether it was."""
        ...


def this_process(role: str = "") -> Holder:
    """Return this process as a holder.

    Args:
        role: Tells holders inside one process apart.

    >>> this_process("hb").pid == os.getpid()
    True
    """
    pid = os.getpid()
    name = f"{socket.gethostname()}:{pid}{f':{role}' if role else ''}"
    found = _stat(pid)
    return Holder(
        name=name, pid=pid, started=0 if found is None else found[1], boot=_boot(), space=_space(),
    )  # fmt: skip


class MachineProcesses:
    """Looks at `/proc`; where there is none, nothing is ever certain.

    >>> MachineProcesses().is_gone(this_process())
    False
    """

    def is_gone(self, holder: Holder) -> bool:
        """Return whether a holder runs no more; only where that is certain."""
        if not holder.boot or not _boot():
            return False
        if holder.boot != _boot():
            return True
        if not _is_here(holder):
            return False
        found = _stat(holder.pid)
        return found is None or found[1] != holder.started or found[0] in _GONE

    def end(self, holder: Holder) -> bool:
        """Kill a holder on this machine, and nobody else; returns whether it was."""
        known = _is_here(holder) and holder.boot != "" and holder.started > 0
        if not known or holder.pid == os.getpid() or self.is_gone(holder):
            return False
        try:
            handle = os.pidfd_open(holder.pid)
        except (OSError, AttributeError):
            return False
        try:
            found = _stat(holder.pid)  # asked again: from here on the handle means this very process
            if found is None or found[1] != holder.started:
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        else:
            return True
        finally:
            os.close(handle)


def _is_here(holder: Holder) -> bool:
    """Return whether a holder's number is one of those that this process sees."""
    return holder.pid > 0 and holder.space != "" and holder.space == _space()


def _stat(pid: int) -> tuple[str, int] | None:
    """Return the state of a process and when it was started, in the system's ticks; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _space() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
