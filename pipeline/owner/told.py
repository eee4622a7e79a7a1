"""Told to end: SIGTERM and SIGINT, as something a main thread can wait for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from queue import Empty, SimpleQueue


class Told:
    """From its making on, remembers that this process was told to end. Make it in the main thread.

    A queue and not an event: a signal may interrupt the wait while it holds the event's lock, and an
    event set by the handler would then wait for that lock for ever. `SimpleQueue.put` needs none.
    """

    def __init__(self, *, then: Callable[[], object] = lambda: None) -> None:
        """Listen; `then` is called in the handler, in the main thread."""
        self._queue: SimpleQueue[None] = SimpleQueue()
        self._then = then
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether this process was told, waiting for it at most so long; without a number, until then."""
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            return False
        return True

    def _hear(self, number: int, frame: object) -> None:
        del number, frame
        self._queue.put(None)
        self._then()
