"""Ends a worker that sits beside waiting hints and takes none, so that its supervisor starts it again.

Celery workers have been seen to reconnect to Redis and then never consume again. A hint in the queue
of a worker that has room is taken within milliseconds; many seconds without one are such a stall.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from celery import signals
from celery.worker import state
from kombu.exceptions import OperationalError

from pipeline.logs import get_logger
from workers.app import app
from workers.ending import end

LOOK_EVERY_SECONDS = 3.0
STALLED_SECONDS = 12.0

log = get_logger(__name__)


class Stall:
    """For how long hints have waited beside a worker that has room."""

    def __init__(self) -> None:
        self._since: float | None = None

    def over(self) -> None:
        """A hint was taken."""
        self._since = None

    def look(self, now: float, *, waiting: int, has_room: bool) -> bool:
        """What is seen at this second; whether this has gone on for too long."""
        if waiting == 0 or not has_room:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        return now - self._since > STALLED_SECONDS


class Watchdog:
    """Looks at the queue beside the worker that consumes it, through a connection of its own.

    Args:
        queue: The worker's queue.
        worker: The Celery worker.
    """

    def __init__(self, queue: str, worker: Any) -> None:  # noqa: ANN401 - Celery has no types
        self._queue = queue
        self._worker = worker
        self._stop = threading.Event()
        self._stall = Stall()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        signals.task_received.connect(self._taken, weak=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        signals.task_received.disconnect(self._taken)

    def _taken(self, **_: object) -> None:
        self._stall.over()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_SECONDS):
            has_room = len(state.reserved_requests) < self._worker.concurrency
            waiting = self._waiting() if has_room else 0
            if self._stall.look(time.monotonic(), waiting=waiting, has_room=has_room):
                log.error("worker stalled: ending it", queue=self._queue)
                end()
                return

    def _waiting(self) -> int:
        """Hints in the queue; none when the broker cannot be asked: then the worker is not at fault."""
        try:
            with app.connection_for_write(transport_options={"max_retries": 0, "socket_timeout": 2}) as connection:
                declared = connection.default_channel.queue_declare(self._queue, passive=True)
                return int(declared.message_count)
        except (OperationalError, OSError, *app.connection_for_read().channel_errors):
            return 0
