"""Parses pages in children that can be killed, so that no page can hang, bloat or crash a crawl."""

from __future__ import annotations

import os
import pickle
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import pipeline
from pipeline.adapters.parser_child import LENGTH
from pipeline.adapters.parser_fork import ForkedParser
from pipeline.errors import ExtractionFailed, PageTooSlow, ParserEnded, ParserUnavailable, SitewiseError
from pipeline.logs import get_logger
from pipeline.model import Document
from pipeline.settings import ExtractSettings

EXTRACT = "pipeline.stages.extract.extract"
"""What children run where nothing else is said."""

_START_SECONDS = 60.0
_EXIT_SECONDS = 2.0
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
_LOOK_SECONDS = 0.5
"""How often who waits for a child looks whether there will be one."""

_CHUNK = 1 << 20
_PAGES_PER_CHILD = 2_000
"""A child is replaced after this many pages: whatever a parser leaks stays bounded."""

Start = Callable[[str, int], "subprocess.Popen[bytes]"]

log = get_logger(__name__)


class ParserPool:
    """A fixed number of parsing children, each busy with one page at a time."""

    def __init__(
        self,
        settings: ExtractSettings,
        *,
        function: str = EXTRACT,
        ready: Sequence[ForkedParser] = (),
        start: Start | None = None,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        """Start the children without waiting for them.

        Args:
            settings: How many children, how long and how large a page may be.
            function: Dotted name of what the children run: `(html, *, url, content_type) -> Document`.
            ready: Children that run already; those that take their place are started.
            start: Starts one with a function and a memory limit in bytes; our own interpreter when not given.
            pauses: Seconds between tries while none can be started. After the last, who waits is told.
        """
        self._settings = settings
        self._function = function
        self._start = start
        self._pauses = pauses
        self._problem: OSError | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for process in ready:
            self._add(_Child(process))
        for _ in range(settings.processes - len(ready)):
            self._wanted.put(item=True)
        self._starter = threading.Thread(target=self._start_wanted, name="parser-starter", daemon=True)
        self._starter.start()

    def extract(
        self, html: bytes, *, url: str, content_type: str | None = None, within: float | None = None
    ) -> Document:
        """Parse one page in a child; waits for a free one. Any number of threads may call.

        `within` are the seconds it may take, when fewer than any page may.

        Raises:
            PageTooSlow: If the page took longer than its time limit; its child is gone.
            PageTooComplex: If the page was refused before parsing, or ended its child.
            ExtractionFailed: If it cannot be parsed.
            ParserUnavailable: If no child is left, and none can be started.
        """
        most = self._settings.timeout.total_seconds()
        seconds = most if within is None else min(within, most)
        if seconds <= 0:
            raise PageTooSlow(url=url, seconds=0)
        child = self._take(url)
        try:
            answer = child.ask(pickle.dumps((html, url, content_type)), seconds)
        except TimeoutError as error:
            self._replace(child)
            raise PageTooSlow(url=url, seconds=seconds) from error
        except (EOFError, OSError) as error:
            ended = self._replace(child, patience=_EXIT_SECONDS)
            raise ParserEnded(url=url, problem=f"its parser {ended}") from error
        except BaseException:
            self._replace(child)
            raise
        self._hand_back(child)
        return _document(answer, url)

    def close(self) -> None:
        """End all children and wait for them. Pages being parsed are given up."""
        self._closed.set()
        self._wanted.put(item=False)
        self._starter.join()
        with self._lock:
            children, self._children = self._children, set()
        for child in children:
            child.end()
        self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_wanted(self) -> None:
        """Start children as they are asked for.

        One thread starts them all: Linux ends a child with the thread that started it.
        """
        while self._wanted.get() and not self._closed.is_set():
            self._start_one()

    def _start_one(self) -> None:
        """Start a child, however often that takes: the machine may have no process or memory left for now."""
        start = self._start or started
        pauses = iter(self._pauses)
        while not self._closed.is_set():
            try:
                child = _Child(start(self._function, self._settings.memory_limit))
            except OSError as error:
                pause = next(pauses, None)
                if pause is None:
                    self._problem = error
                log.warning("parser not started", problem=str(error))
                self._closed.wait(self._pauses[-1] if pause is None else pause)
            else:
                self._problem = None
                self._add(child)
                return

    def _add(self, child: _Child) -> None:
        with self._lock:
            self._children.add(child)
        self._idle.put(child)

    def _take(self, url: str) -> _Child:
        while (child := self._wait(url)) is not None:
            if child.is_alive:
                return child
            self._replace(child)
        self._idle.put(None)
        raise ExtractionFailed(url=url, problem="the parsers were closed")

    def _wait(self, url: str) -> _Child | None:
        """A child, once one is free; None when the pool was closed."""
        while True:
            try:
                return self._idle.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                problem = self._problem
                if problem is not None and not self._children:
                    raise ParserUnavailable(url=url, problem=str(problem)) from problem

    def _hand_back(self, child: _Child) -> None:
        if child.pages >= _PAGES_PER_CHILD:
            self._replace(child)
        else:
            self._idle.put(child)

    def _replace(self, child: _Child, *, patience: float = 0.0) -> str:
        """End a child, ask for another in its place, and say how it ended."""
        ended = child.end(patience)
        with self._lock:
            self._children.discard(child)
        self._wanted.put(item=True)
        return ended


def _document(answer: bytes, url: str) -> Document:
    result = pickle.loads(answer)  # noqa: S301 - written by our own child
    if isinstance(result, SitewiseError):
        raise result
    if not isinstance(result, Document):
        raise ExtractionFailed(url=url, problem="its parser gave no document")
    return result


def _environment() -> dict[str, str]:
    """What a child may know: how to find this project, and none of its settings or secrets."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("SITEWISE_")}
    paths = [str(Path(pipeline.__file__).parent.parent), *filter(None, [known.get("PYTHONPATH")])]
    return known | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def started(function: str, memory_limit: int) -> subprocess.Popen[bytes]:
    """A child that runs `function` within so many bytes of memory, and is not ready yet."""
    command = [sys.executable, "-P", "-m", "pipeline.adapters.parser_child", function, str(memory_limit)]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=_environment()
    )


class _Child:
    """One parsing process and the two pipes to it."""

    def __init__(self, process: subprocess.Popen[bytes] | ForkedParser) -> None:
        self.pages = 0
        self._is_ready = False
        self._busy = threading.Lock()
        self._process = process
        self._to: IO[bytes] = cast("IO[bytes]", self._process.stdin)
        self._from: IO[bytes] = cast("IO[bytes]", self._process.stdout)
        os.set_blocking(self._to.fileno(), False)
        os.set_blocking(self._from.fileno(), False)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, request: bytes, seconds: float) -> bytes:
        """Send a request and wait for its answer.

        Raises:
            TimeoutError: If it takes longer than `seconds`; starting up is not counted.
            EOFError: If the child ended.
            OSError: If the pipe broke.
        """
        with self._busy:
            if not self._is_ready:
                self._read(time.monotonic() + _START_SECONDS)  # its first message says that it is ready
                self._is_ready = True
            deadline = time.monotonic() + seconds
            self._write(LENGTH.pack(len(request)), deadline)
            self._write(request, deadline)
            answer = self._read(deadline)
            self.pages += 1
            return answer

    def end(self, patience: float = 0.0) -> str:
        """End the process, give it `patience` seconds to end by itself, wait for it, say how it ended."""
        try:
            status = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        with self._busy:  # whoever reads from the pipe has seen its end by now
            self._to.close()
            self._from.close()
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def _write(self, message: bytes, deadline: float) -> None:
        view = memoryview(message)
        with selectors.DefaultSelector() as selector:
            selector.register(self._to, selectors.EVENT_WRITE)
            while view:
                if not selector.select(_left(deadline)):
                    raise TimeoutError
                view = view[os.write(self._to.fileno(), view[:_CHUNK]) :]

    def _read(self, deadline: float) -> bytes:
        received = bytearray()
        expected = LENGTH.size
        length: int | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._from, selectors.EVENT_READ)
            while len(received) < expected:
                if not selector.select(_left(deadline)):
                    raise TimeoutError
                part = os.read(self._from.fileno(), _CHUNK)
                if not part:
                    raise EOFError
                received += part
                if length is None and len(received) >= LENGTH.size:
                    (length,) = LENGTH.unpack(received[: LENGTH.size])
                    expected = LENGTH.size + length
        return bytes(received[LENGTH.size :])


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
