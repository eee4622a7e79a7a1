"""Notices within two seconds that the database is away, so that requests are refused and not left waiting.

A server that was frozen, or whose network went, says nothing: whoever asked it waits. So one thread asks it all the
time, and when its answer is late every request is answered with 503, those under way too. SQLite is a file and needs
no watching.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pipeline.errors import DatabaseUnavailable
from pipeline.logs import get_logger

EVERY_SECONDS, LATE_AFTER_SECONDS, LOOK_EVERY_SECONDS = 0.5, 1.0, 0.1

log = get_logger(__name__)


class DatabaseWatch:
    """Asks a database whether it is there; `away` is set while it is not.

    Args:
        ping: Asks; raises `DatabaseUnavailable` where it is away, or hangs.
        late_after: Seconds after which an answer is late.
    """

    def __init__(self, ping: Callable[[], object], *, late_after: float = LATE_AFTER_SECONDS) -> None:
        self._ping = ping
        self._late_after = late_after
        self._asked_at: float | None = None
        self._is_refused = False
        self._ending = threading.Event()
        self.away = asyncio.Event()

    @property
    def is_late(self) -> bool:
        """Whether it refused the last time, or has been asked for too long."""
        asked_at = self._asked_at
        return self._is_refused or (asked_at is not None and time.monotonic() - asked_at > self._late_after)

    async def run(self) -> None:
        """Watch until cancelled. Run it on the loop that waits for `away`."""
        threading.Thread(target=self._ask, name="watches-database", daemon=True).start()
        try:
            while True:
                self._note(is_away=self.is_late)
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            self._ending.set()

    def _note(self, *, is_away: bool) -> None:
        if is_away and not self.away.is_set():
            log.error("database is away: requests are refused")
            self.away.set()
        elif not is_away and self.away.is_set():
            log.warning("database is back")
            self.away.clear()

    def _ask(self) -> None:
        while not self._ending.wait(EVERY_SECONDS):
            self._asked_at = time.monotonic()
            refused = True
            with suppress(DatabaseUnavailable):
                self._ping()
                refused = False
            self._is_refused = refused
            self._asked_at = None
