"""A site's own time: days pass when a test says so, and a slow answer costs no waiting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from time import monotonic

OPENING = datetime(2026, 1, 1, 12, tzinfo=UTC)


class LabClock:
    """Time that runs `rate` times as fast as outside, stands still at 0, and can be moved forward at will.

    Several sites may share one. Threads may share it.
    """

    def __init__(self, start: datetime = OPENING, *, rate: float = 1.0) -> None:
        """Begin at `start`, which knows its time zone."""
        self._start = start
        self._rate = rate
        self._began = monotonic()
        self._skipped = 0.0
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._lock = Lock()

    @property
    def elapsed(self) -> float:
        """Seconds that passed here since the start."""
        return (monotonic() - self._began) * self._rate + self._skipped

    @property
    def now(self) -> datetime:
        """The moment it is here."""
        return self._start + timedelta(seconds=self.elapsed)

    def http_date(self, after: timedelta = timedelta(0)) -> str:
        """A moment from now as HTTP headers write it."""
        return format_datetime(self.now + after, usegmt=True)

    def advance(self, by: timedelta) -> None:
        """Let so much time pass at once; whoever waited for it goes on."""
        with self._lock:
            self._skipped += by.total_seconds()
            waiting = dict(self._waiting)
        for event, loop in waiting.items():
            loop.call_soon_threadsafe(event.set)

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed here."""
        end = self.elapsed + seconds
        woken = asyncio.Event()
        with self._lock:
            self._waiting[woken] = asyncio.get_running_loop()
        try:
            while (left := end - self.elapsed) > 0:
                await self._woken(woken, left / self._rate if self._rate else None)
        finally:
            with self._lock:
                self._waiting.pop(woken, None)

    @staticmethod
    async def _woken(event: asyncio.Event, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return
        event.clear()
