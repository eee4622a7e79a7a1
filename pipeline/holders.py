"""Who holds a lease, in words by which a process of the same machine can tell that its holder is dead.

A lease runs out when its holder falls silent; that takes as long as a lease does. On one machine nobody need wait: the
kernel knows which processes there are. A process number alone proves nothing, as it is given out again, and means
another process in another container; with the time its process started, and the machine, its boot and its process
table, it does.
"""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_PARTS = 4


def this_process() -> str:
    """How this process signs the leases it takes: host, machine, time of its start and number, with colons between."""
    return _signed(os.getpid())


def has_ended(holder: str) -> bool:
    """Whether the process that signed so is known to be dead. False where nothing is known: of another machine, say."""
    parts = holder.split(":")
    if len(parts) != _PARTS or parts[1] != _machine() or not parts[3].isdecimal():
        return False
    pid = int(parts[3])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(pid) != parts[2]


@cache
def _signed(pid: int) -> str:
    known = [_machine(), _started(pid)]
    return ":".join([socket.gethostname(), *(part for part in known if part and all(known)), str(pid)])


@cache
def _machine() -> str | None:
    """This machine, since it was started, and which of its process tables this process sees; None where none says."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
        table = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return None
    return hashlib.sha256(f"{boot} {table}".encode()).hexdigest()[:12]


def _started(pid: int) -> str | None:
    """When a process started, in ticks since the machine did; None when there is none, or it only waits for burial."""
    try:
        status = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *numbers = status.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else numbers[18]
