"""Parsing children that begin with everything loaded: copies of a process that has one thread and no secrets."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from pipeline.adapters.command_line import say_command_line
from pipeline.adapters.parser_child import Function, die_with_parent, serve

_STREAMS = 3


class ForkedParser:
    """A copy that parses: its two pipes, and what `subprocess` offers of a child."""

    def __init__(self, pid: int, *, to: int, back: int) -> None:
        """The child `pid`, with our ends of the pipes to it and from it."""
        self.stdin: IO[bytes] = os.fdopen(to, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(back, "rb", buffering=0)
        self.returncode: int | None = None
        self._pid = pid
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; the exit status, negative for a signal.

        Raises:
            TimeoutExpired: If it takes longer than `timeout` seconds.
        """
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self._pid), timeout or 0)
        return status

    def kill(self) -> None:
        """End it at once."""
        if self.returncode is None:
            os.kill(self._pid, signal.SIGKILL)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], seconds)[0]:
            _, status = os.waitpid(self._pid, 0)
            os.close(self._end)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def fork_parsers(count: int, function: Function, *, memory_limit: int) -> list[ForkedParser]:
    """So many children of this process, which has one thread. Linux only.

    Args:
        count: How many.
        function: What they run for each page.
        memory_limit: Bytes each may take more than it has now.
    """
    return [_fork(function, memory_limit) for _ in range(count)]


def _fork(function: Function, memory_limit: int) -> ForkedParser:
    parent = os.getpid()
    theirs, to = os.pipe()
    back, answers = os.pipe()
    pid = os.fork()
    if not pid:
        _parse((theirs, answers), parent, function, memory_limit)
    os.close(theirs)
    os.close(answers)
    return ForkedParser(pid, to=to, back=back)


def _parse(streams: Sequence[int], parent: int, function: Function, memory_limit: int) -> None:
    """Be the child, with nothing open but its pipes and stderr. Never returns."""
    status = os.EX_SOFTWARE
    try:
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        os.closerange(_STREAMS, os.sysconf("SC_OPEN_MAX"))
        say_command_line(["python", "-m", "pipeline.adapters.parser_child"])
        die_with_parent(parent)
        serve(function, memory_limit)
        status = os.EX_OK
    except SystemExit:
        status = os.EX_OK
    except BaseException:  # noqa: BLE001 - nothing may get back into what this was copied from
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)
