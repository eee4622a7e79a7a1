"""Children that are kept alive: started again when they die, ended together, never outliving their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from pipeline.adapters.process_template import ProcessTemplate
from pipeline.logs import get_logger

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
HEALTHY_SECONDS = 5.0
"""A child that lived this long had started well, and is started again at once. The pause before a restart doubles
otherwise: one that cannot start is not to keep a core busy."""

WANTED_EVERY_SECONDS = 0.25
"""How often it is asked whether a child is wanted yet."""

LARGEST_LOG = 5 * 2**20
"""Bytes of a child's log file above which it is set aside at the next start."""

MODULE_ENDS = 3
"""Words of a command up to its arguments: the interpreter, `-m` and a module."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """A child to keep alive.

    `start_after_seconds` delays its first start, to leave the cores to others; it then waits until it is `wanted`,
    which is asked again and again. `prepare` runs before each.
    `log_file` takes its stderr; without one it shares its parent's. Where there is a `template`, it is a copy of that,
    with the arguments after the command's module; else, and where none is to be had, it is started.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    log_file: Path | None = None
    start_after_seconds: float = 0.0
    wanted: Callable[[], bool] | None = None
    prepare: Callable[[], None] | None = None
    template: ProcessTemplate | None = None


class Supervisor:
    """Runs programs until closed. Each has a session of its own, so a terminal's Ctrl-C reaches only the parent.

    Every child holds the read end of a pipe as its standard input: when this process ends, however
    it ends, the pipe closes and the child knows. Closing asks first (SIGTERM), then kills.

    Args:
        programs: What to run.
        grace_seconds: How long a child may take to end by itself.
    """

    def __init__(self, programs: Sequence[Program], *, grace_seconds: float = 8.0) -> None:
        self._grace = grace_seconds
        self._stopping = threading.Event()
        self._children = [_Child(program, self._stopping) for program in programs]

    def __enter__(self) -> Self:
        for child in self._children:
            child.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> dict[str, int]:
        """The children that run now, by name."""
        return {child.program.name: pid for child in self._children if (pid := child.pid) is not None}

    def close(self) -> None:
        """End every child. A second Ctrl-C meanwhile kills them at once."""
        self._stopping.set()
        for child in self._children:
            if child.program.template is not None:
                child.program.template.give_up()
        deadline = time.monotonic() + self._grace
        try:
            for child in self._children:
                child.ask_to_end()
            for child in self._children:
                child.join(max(0.0, deadline - time.monotonic()))
        finally:
            for child in self._children:
                child.kill()
            for child in self._children:
                child.join()


class _Child(threading.Thread):
    """Starts one program again and again. The thread that starts a child outlives it, as Linux' death signal needs."""

    def __init__(self, program: Program, stopping: threading.Event) -> None:
        super().__init__(name=f"keeps-{program.name}", daemon=True)
        self.program = program
        self._stopping = stopping
        self._lock = threading.Lock()
        self._running: Listening | None = None

    @property
    def pid(self) -> int | None:
        with self._lock:
            return self._running.pid if self._running else None

    def run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        if self._stopping.wait(self.program.start_after_seconds):
            return
        while self.program.wanted is not None and not self.program.wanted():
            if self._stopping.wait(WANTED_EVERY_SECONDS):
                return
        while not self._stopping.is_set():
            began = time.monotonic()
            status = self._run_once()
            lived = time.monotonic() - began
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE_SECONDS if lived > HEALTHY_SECONDS else pause
            log.warning("process died", process=self.program.name, status=status, restart_in_seconds=pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _run_once(self) -> int | str:
        try:
            if self.program.prepare is not None:
                self.program.prepare()
            started = self._start()
        except OSError as error:
            return error.strerror or type(error).__name__
        if started is None:
            return 0
        try:
            wait_without_reaping(started)
            with self._lock:
                kill_group(started)
                self._running = None
            return started.wait()
        finally:
            if started.stdin is not None:
                started.stdin.close()

    def _start(self) -> Listening | None:
        if self.program.template is not None:
            self.program.template.loaded()  # whoever ends this child waits for the lock, and not for that
        with self._lock:
            if self._stopping.is_set():
                return None
            errors = _log_file(self.program.log_file)
            try:
                self._running = self._copied(errors) or self._launched(errors)
            finally:
                if errors is not None:
                    errors.close()
            return self._running

    def _copied(self, errors: IO[bytes] | None) -> Listening | None:
        if self.program.template is None:
            return None
        arguments = self.program.command[MODULE_ENDS:]
        output = None if errors is None else errors.fileno()
        return self.program.template.start(arguments, self.program.environment, output=output)

    def _launched(self, errors: IO[bytes] | None) -> Listening:
        return subprocess.Popen(  # noqa: S603 - our own programs
            self.program.command,
            env=dict(self.program.environment),
            stdin=subprocess.PIPE,
            stdout=errors or subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )

    def ask_to_end(self) -> None:
        """SIGTERM. Not through Popen, which would reap a child that just ended."""
        with self._lock, suppress(ProcessLookupError):
            if self._running is not None:
                os.kill(self._running.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, for the child and all its group."""
        with self._lock:
            if self._running is not None:
                kill_group(self._running)


class Child(Protocol):
    """A process that this one waits for."""

    pid: int

    def wait(self) -> int:
        """Wait for its end; its exit status, negative for a signal."""
        ...


class Listening(Child, Protocol):
    """A child that reads what this process writes, and knows by that when it is gone."""

    stdin: IO[bytes] | None


def wait_without_reaping(child: Child) -> None:
    """Wait for the end of a child, whose number still names its group, and no other, until it is reaped."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    else:
        child.wait()


def kill_group(child: Child) -> None:
    """SIGKILL to a child that leads a session, and to all it started there."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _log_file(path: Path | None) -> IO[bytes] | None:
    """The file a child writes to; one that grew too long is set aside, and the one before it forgotten."""
    if path is None:
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab", buffering=0)
