"""Told to end: SIGTERM and SIGINT, as something a main thread can wait for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

LOOK_EVERY_SECONDS = 0.5


class Told:
    """From its making on, remembers that this process was told to end. Make it in the main thread.

    A queue and not an event: a signal may interrupt the wait while it holds the event's lock, and an
    event set by the handler would then wait for that lock for ever. `SimpleQueue.put` needs none.

    The wait looks up now and then: a signal that another thread takes, as one does that starts at that moment, wakes
    nobody, and its handler is called when the main thread next runs.
    """

    def __init__(self, *, then: Callable[[], object] = lambda: None) -> None:
        """Listen; `then` is called in the handler, in the main thread."""
        self._queue: SimpleQueue[None] = SimpleQueue()
        self._then = then
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether this process was told, waiting for it at most so long; without a number, until then."""
        ends = float("inf") if seconds is None else time.monotonic() + seconds
        while True:
            left = max(0.0, ends - time.monotonic())
            try:
                self._queue.get(timeout=min(left, LOOK_EVERY_SECONDS))
            except Empty:
                if left <= LOOK_EVERY_SECONDS:
                    return False
            else:
                return True

    def _hear(self, number: int, frame: object) -> None:
        del number, frame
        self._queue.put(None)
        self._then()
