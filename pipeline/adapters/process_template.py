"""Copies of a process that has loaded what they need: asked for, adopted, told what to be."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from pipeline.logs import get_logger

LOAD_SECONDS, COPY_SECONDS = 20.0, 5.0
"""What a template may take to load and to copy itself. One that takes longer is ended."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""What keeps libraries from starting threads as they are imported."""

PR_SET_CHILD_SUBREAPER = 36

log = get_logger(__name__)


class Copy:
    """A process that was copied: a child of this one, like one of `subprocess`."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        """The process `pid`, and our end of its standard input."""
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.returncode: int | None = None

    def wait(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


class ProcessTemplate:
    """One process that copies are made of (`pipeline.adapters.process_copies`). Threads may share it. Linux only.

    Args:
        module: What it runs.
        options: Further arguments of that.
    """

    def __init__(self, module: str, *options: str) -> None:
        self._module, self._options = module, options
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._is_loaded = False

    def prepare(self) -> None:
        """Let one load, beside whatever this process does."""
        with self._lock:
            if sys.platform == "linux" and (self._process is None or self._process.poll() is not None):
                self._launch()

    def loaded(self) -> bool:
        """Whether there is one, waiting until it has loaded. Ask before taking a lease, which could end meanwhile."""
        with self._lock, suppress(OSError):
            return self._has_loaded()
        return False

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, output: int | None = None
    ) -> Copy | None:
        """A copy with these arguments, in this process's environment; None if there is none to be had.

        What it prints goes to the descriptor `output`; without one, errors go where this process's go.
        Where a template was lost, another one loads for the next copy.
        """
        order = json.dumps({"arguments": list(arguments), "environment": dict(environment or os.environ)}).encode()
        with self._lock:
            try:
                copy = self._copy(order, output)
            except (OSError, ValueError) as error:
                problem = str(error) or type(error).__name__
                log.warning("process not copied: it begins from nothing", template=self._module, problem=problem)
                copy = None
        if copy is None:
            self.prepare()
        return copy

    def give_up(self) -> None:
        """End the template while others may wait for it: they learn that there is none."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the template. Its copies go on."""
        with self._lock:
            self._end()

    def _launch(self) -> None:
        """Start a template that has none of our settings and that ends with us."""
        self._end()
        self._requests, theirs = socket.socketpair()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SITEWISE_")}
        options = [f"--socket={theirs.fileno()}", f"--parent={os.getpid()}", *self._options]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", self._module, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=kept | ONE_THREAD,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _copy(self, order: bytes, output: int | None) -> Copy | None:
        """Ask for a copy. It is made a child of ours, and only then told what to be.

        Raises:
            OSError: If the template ended or does not answer.
            ValueError: If its answer is no number.
        """
        if self._requests is None or not self._has_loaded():
            return None
        self._requests.settimeout(COPY_SECONDS)
        its_stdin, stdin = os.pipe()
        ours, theirs = socket.socketpair()
        stream = os.fdopen(stdin, "wb", buffering=0)
        given = [its_stdin, theirs.fileno(), *([] if output is None else [output])]
        try:
            with ours, _adopting():
                with theirs:
                    socket.send_fds(self._requests, [b"\n"], given)
                pid = int(self._requests.recv(32))
                _require_child(pid)
                with suppress(OSError):  # it ended already: whoever waits for it learns how
                    ours.sendall(order)
        except (OSError, ValueError):
            stream.close()
            self._end()
            raise
        finally:
            os.close(its_stdin)
        return Copy(pid, stream)

    def _has_loaded(self) -> bool:
        if self._process is None or self._requests is None or self._process.poll() is not None:
            return False
        self._requests.settimeout(LOAD_SECONDS)
        self._is_loaded = self._is_loaded or bool(self._requests.recv(1))
        return self._is_loaded

    def _end(self) -> None:
        self._is_loaded = False
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class _adopting:  # noqa: N801 - reads like the context manager it is
    """While entered, a process whose parent ends becomes a child of this one."""

    def __enter__(self) -> None:
        _adopt(1)

    def __exit__(self, *_: object) -> None:
        _adopt(0)


def _adopt(whether: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, whether, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _require_child(pid: int) -> None:
    """Raises `OSError` if that is no child of ours; it is ended then."""
    if not pid:
        raise OSError(os.EX_OSERR, "the template could not be copied")
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise
