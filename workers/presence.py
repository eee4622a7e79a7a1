"""Says every few seconds, in a row, that this worker lives, what it works on, and when it last took a hint."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from celery import signals

from pipeline.errors import SitewiseError
from pipeline.services.clock import system_clock
from pipeline.services.operations import BEAT_EVERY, Present


class Operations(Protocol):
    """What is needed of the operations service."""

    def enter(self, queue: str, *, sends_ticks: bool) -> Present:
        """Begin."""
        ...

    def beat(self, me: Present) -> None:
        """Write the row again."""
        ...

    def leave(self, me: Present) -> None:
        """End."""
        ...


class Presence:
    """Keeps this worker's row while it is entered. A database that is away is waited for, beside the work.

    Args:
        queue: The worker's queue.
        sends_ticks: Whether it also beats.
        operations: Where the row is kept.
        every: Seconds between two words.
    """

    def __init__(
        self,
        queue: str,
        *,
        sends_ticks: bool,
        operations: Operations,
        every: float = BEAT_EVERY.total_seconds(),
    ) -> None:
        self._queue = queue
        self._sends_ticks = sends_ticks
        self._operations = operations
        self._every = every
        self._jobs: dict[str, str] = {}
        self._lock = threading.Lock()
        self._took_at: datetime | None = None
        self._me: Present | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Self:
        signals.task_prerun.connect(self._begins, weak=False)
        signals.task_postrun.connect(self._ends, weak=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        signals.task_prerun.disconnect(self._begins)
        signals.task_postrun.disconnect(self._ends)
        self._thread.join(self._every)
        if self._me is not None:
            with suppress(SitewiseError):
                self._operations.leave(self._me)

    def _begins(self, *, task_id: str, task: object, kwargs: dict[str, object] | None = None, **_: object) -> None:
        name = getattr(task, "name", "")
        target = (kwargs or {}).get("crawl_id")
        with self._lock:
            self._jobs[task_id] = f"{name} {target}" if target else name
            self._took_at = system_clock()

    def _ends(self, *, task_id: str, **_: object) -> None:
        with self._lock:
            self._jobs.pop(task_id, None)

    def _run(self) -> None:
        while True:
            with suppress(SitewiseError):
                self._speak()
            if self._stop.wait(self._every):
                return

    def _speak(self) -> None:
        if self._me is None:
            self._me = self._operations.enter(self._queue, sends_ticks=self._sends_ticks)
        with self._lock:
            job, took_at = ", ".join(self._jobs.values()) or None, self._took_at
        self._operations.beat(self._me.at(job, took_at))
