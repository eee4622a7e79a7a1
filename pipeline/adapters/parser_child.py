"""The child that parses: one page in, one document out, until its parent is gone.

Started as `python -m pipeline.adapters.parser_child FUNCTION`, it imports nothing but what parsing needs.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO

from pipeline.errors import ExtractionFailed, ParserEnded, SitewiseError

LENGTH = struct.Struct("!Q")
"""Before every message: its length in bytes."""

READY = b"ready"
"""What a child sends first, once it can parse."""

Function = Callable[..., object]
"""`(html, *, url, content_type)` to a document."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load what the command line names, and serve."""
    die_with_parent(int(sys.argv[3]))
    serve(load(sys.argv[1]), int(sys.argv[2]))


def load(name: str) -> Function:
    """The function of this dotted name, its module imported."""
    module, _, function = name.rpartition(".")
    found: Function = getattr(importlib.import_module(module), function)
    return found


def serve(function: Function, memory_limit: int) -> None:
    """Answer requests on standard input until it is closed, with so many bytes more than are in use now."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints cannot break the pipe
    _limit_memory(memory_limit)
    sys.excepthook, sys.unraisablehook = _told_unless_memory, _told_unless_memory_inside
    send(answers, READY)
    while (request := receive(requests)) is not None:
        send(answers, _answer(function, request))


def _told_unless_memory(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Out of memory, lxml would report each of a thousand failures, and a page could fill the log of its crawl."""
    if not issubclass(kind, MemoryError):
        sys.__excepthook__(kind, error, trace)


def _told_unless_memory_inside(told: sys.UnraisableHookArgs) -> None:
    """The same for failures nobody can catch."""
    if not issubclass(told.exc_type, MemoryError):
        sys.__unraisablehook__(told)


def _answer(function: Function, request: bytes) -> bytes:
    """The pickled outcome of one page.

    An error is pickled where it is caught: kept in a variable of this function it would hold on to this
    function's frame, and with it to the page, until the garbage collector came by.
    """
    html, url, content_type = pickle.loads(request)  # noqa: S301 - written by the parent, never by a site
    try:
        return _pickled(function(html, url=url, content_type=content_type))
    except SitewiseError as error:
        return _pickled(error)
    except MemoryError:
        return _pickled(ParserEnded(url=url, problem="it needs more memory than a page may"))
    except Exception as error:  # noqa: BLE001 - a page may break any part of a parser; it must not end the child
        return _pickled(ExtractionFailed(url=url, problem=f"{type(error).__name__}: {error}"[:300]))


def _pickled(result: object) -> bytes:
    return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


def send(pipe: BinaryIO, message: bytes) -> None:
    """Write one message."""
    pipe.write(LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Read one message; None when the other side is gone."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None


def _limit_memory(extra: int) -> None:
    """Let this process use so many bytes more than it does now."""
    try:
        import resource  # noqa: PLC0415 - Unix only; elsewhere the time limit has to do

        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - the plainest way to read two numbers
            used = int(statm.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with_parent(parent: int) -> None:
    """Ask Linux to end this process with its parent, even in the middle of a page."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main()
