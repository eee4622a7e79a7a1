"""Processes that begin with their libraries loaded: each is forked from one that has done nothing but import them.

To a test it is a process as any other, with arguments, environment, streams, signals and an exit status of its own.
What is spared is what every Python process does first, and that is most of what a short command costs.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Lock

_STATUS = struct.Struct("!i")
_LARGEST_REQUEST = 2**17
_STREAMS = 3
_DESCRIPTORS = 1024
"""More than a nursery ever has open."""


class Forked:
    """A process of a nursery, to be waited for and signalled like one of `subprocess`."""

    def __init__(self, pid: int, status: int) -> None:
        """The process `pid`, whose exit status will be read from the descriptor `status`."""
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._ended(0)

    def wait(self, seconds: float) -> int:
        """Wait for its end; the exit status, negative for a signal.

        Raises:
            TimeoutExpired: If it takes longer.
        """
        status = self._ended(seconds)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), seconds)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], seconds)[0]:
            told = os.read(self._status, _STATUS.size)
            os.close(self._status)
            self.returncode = os.waitstatus_to_exitcode(_STATUS.unpack(told)[0])
        return self.returncode


class Nursery:
    """The process that others are forked from. Threads may share it."""

    def __init__(self, modules: Sequence[str], *, is_measured: bool = True) -> None:
        """Load these modules. What is not measured costs no more than it does outside of tests."""
        self._lock = Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        dropped = "\0" if is_measured else "COVERAGE_"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", __spec__.name, str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=kept | {"OPENBLAS_NUM_THREADS": "1"},  # forks had better have one thread to begin with
                pass_fds=[theirs.fileno()],
            )

    def start(
        self, module: str, arguments: Sequence[str], *, environment: Mapping[str, str], streams: tuple[int, int, int]
    ) -> Forked:
        """Begin `python -m module arguments` with this environment. The caller keeps its descriptors of `streams`."""
        told, status = os.pipe()
        wanted = _Wanted(module, list(arguments), dict(environment), str(Path.cwd()))
        request = json.dumps(asdict(wanted)).encode()
        try:
            with self._lock:
                socket.send_fds(self._requests, [request], [*streams, status])
                return Forked(int(self._requests.recv(_LARGEST_REQUEST)), told)
        finally:
            os.close(status)

    def close(self) -> None:
        """End it; what was forked goes on."""
        self._requests.close()
        self._process.wait()


_open: list[Nursery] = []


@cache
def nursery(*modules: str, is_measured: bool = True) -> Nursery:
    """The nursery with these modules, one for all tests of this process."""
    opened = Nursery(modules, is_measured=is_measured)
    _open.append(opened)
    return opened


def close_nurseries() -> None:
    """End every nursery of this process."""
    nursery.cache_clear()
    while _open:
        _open.pop().close()


# --- in the nursery's process --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a forked process is to be."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    at: str


def main() -> None:
    """Load, then fork whenever told to, until the tests end. Only forked processes get past `_serve` before that."""
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is None:
        return
    random.seed()
    os.environ.clear()
    os.environ.update(wanted.environment)
    os.chdir(wanted.at)
    sys.argv[1:] = wanted.arguments
    runpy.run_module(wanted.module, run_name="__main__", alter_sys=True)


def _serve(requests: socket.socket) -> _Wanted | None:
    """Fork for each request and tell how each fork ended. Returns what to be, in a fork; None when it is over."""
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    running: dict[int, int] = {}
    asked = requests.fileno()
    while True:
        ready = select.select([asked, woken], [], [])[0]
        if woken in ready:
            os.read(woken, _LARGEST_REQUEST)
            _tell_of_ended(running)
        if asked not in ready:
            continue
        request, given, _, _ = socket.recv_fds(requests, _LARGEST_REQUEST, _STREAMS + 1)
        if not request:
            return None
        pid = os.fork()
        if not pid:
            requests.close()
            _take_over(given[:_STREAMS])
            return _Wanted(**json.loads(request))
        running[pid] = given.pop()
        for one in given:
            os.close(one)
        requests.send(str(pid).encode())


def _tell_of_ended(running: dict[int, int]) -> None:
    """Pass on how forks ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        told = running.pop(pid)
        os.write(told, _STATUS.pack(status))
        os.close(told)


def _take_over(streams: Sequence[int]) -> None:
    """Be a process of its own: these standard streams, nothing else that is open, and signals as usual."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    os.closerange(_STREAMS, _DESCRIPTORS)


atexit.register(close_nurseries)

if __name__ == "__main__":
    main()
