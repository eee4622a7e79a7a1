"""Ends a worker that sits beside waiting work and takes none, so that its supervisor starts it again.

Celery workers have been seen to reconnect to Redis and then never consume again. A hint in the queue
of a worker that has room is taken within milliseconds; many seconds without one are such a stall.

A worker may also be deaf beside an empty queue: a connection that is half dead swallows its hints. So rows
that are due, and that nobody takes, are hinted by the idle worker itself; one that does not hear its own hints ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

from celery import signals
from celery.worker import state
from kombu.exceptions import OperationalError

from pipeline.errors import SitewiseError
from pipeline.logs import get_logger
from workers.app import app
from workers.ending import end

LOOK_EVERY_SECONDS = 3.0
STALLED_SECONDS = 12.0
NEGLECT_SECONDS = 15.0
"""A worker that took nothing for so long, while rows are due, hints itself."""
UNHEARD_HINTS = 2
"""So many hints of its own it may miss: another worker may have been quicker."""

log = get_logger(__name__)


class DueRows(Protocol):
    """What is due for one queue."""

    def oldest(self) -> UUID | None:
        """What waits longest and is held by none: what its hint names."""
        ...

    def hint(self, target: UUID) -> None:
        """Say that it waits. Raises `BrokerUnavailable`."""
        ...


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


class Step(Enum):
    """What to do about rows that are due beside an idle worker."""

    NOTHING = "nothing"
    HINT = "hint"
    END = "end"


class Neglect:
    """For how long rows have been due beside a worker that has room, and how often it hinted itself in vain."""

    def __init__(self, *, seconds: float = NEGLECT_SECONDS) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._hints = 0

    def over(self) -> None:
        """A hint was taken, or could not be sent: the worker is not at fault."""
        self._since, self._hints = None, 0

    def look(self, now: float, *, is_due: bool, has_room: bool) -> Step:
        """What is seen at this second."""
        if not is_due or not has_room:
            self.over()
            return Step.NOTHING
        self._since = now if self._since is None else self._since
        if now - self._since <= self._seconds:
            return Step.NOTHING
        if self._hints == UNHEARD_HINTS:
            return Step.END
        self._since, self._hints = now, self._hints + 1
        return Step.HINT


class Watchdog:
    """Looks at the queue beside the worker that consumes it, through a connection of its own.

    Args:
        queue: The worker's queue.
        worker: The Celery worker.
        rows: Finds what is due for this queue, and hints it; none for a queue whose work is no row.
        neglect: How long such rows may wait beside an idle worker.
        look_every: Seconds between two looks.
        ends: Ends the worker.
    """

    def __init__(
        self,
        queue: str,
        worker: Any,  # noqa: ANN401 - Celery has no types
        rows: DueRows | None = None,
        *,
        neglect: Neglect | None = None,
        look_every: float = LOOK_EVERY_SECONDS,
        ends: Callable[[], None] = end,
    ) -> None:
        self._queue = queue
        self._worker = worker
        self._stop = threading.Event()
        self._stall = Stall()
        self._neglect = neglect or Neglect()
        self._look_every = look_every
        self._ends = ends
        self._rows = rows
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
        self._neglect.over()

    def _run(self) -> None:
        """Look again and again. A look that fails says nothing of the worker, and the next one follows."""
        while not self._stop.wait(self._look_every):
            try:
                is_over = self._look()
            except Exception as error:  # noqa: BLE001 - a worker would be watched by nobody for the rest of its life
                log.warning("worker could not be looked at", queue=self._queue, problem=type(error).__name__)
                continue
            if is_over:
                self._ends()
                return

    def _look(self) -> bool:
        """Whether the worker has to end."""
        has_room = len(state.reserved_requests) < self._worker.concurrency
        waiting = self._waiting() if has_room else 0
        if self._stall.look(time.monotonic(), waiting=waiting, has_room=has_room):
            log.error("worker stalled: ending it", queue=self._queue)
            return True
        if self._is_deaf(has_room=has_room):
            log.error("worker takes nothing while work is due: ending it", queue=self._queue)
            return True
        return False

    def _is_deaf(self, *, has_room: bool) -> bool:
        """Whether rows are due, and this worker misses even its own hints."""
        if self._rows is None:
            return False
        try:
            due = self._rows.oldest() if has_room else None
            step = self._neglect.look(time.monotonic(), is_due=due is not None, has_room=has_room)
            if step is Step.HINT and due is not None:
                log.warning("work is due and nobody takes it: hinting", queue=self._queue)
                self._rows.hint(due)
        except SitewiseError:
            self._neglect.over()
            return False
        return step is Step.END

    def _waiting(self) -> int:
        """Hints in the queue; none when the broker cannot be asked: then the worker is not at fault."""
        connection = app.connection_for_write(transport_options={"max_retries": 0, "socket_timeout": 2})
        try:
            with connection:
                declared = connection.default_channel.queue_declare(self._queue, passive=True)
                return int(declared.message_count)
        except (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors):
            return 0
