"""When a host may be asked again, and how often a URL is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pipeline.model import FrontierUrl

MAXIMUM_TRIES = 3
FIRST_DELAY = timedelta(seconds=1)
MAXIMUM_DELAY = timedelta(seconds=60)
LONGEST_PATIENCE = timedelta(minutes=5)
"""A host that asks for more is not waited for; the next crawl comes back."""


class Pace:
    """Keeps hosts that asked for a pause alone, and counts how often URLs were tried."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Use `now` as the clock, which tells UTC."""
        self._now = now
        self._pauses: dict[str, datetime] = {}
        self._tries: dict[str, int] = {}

    async def turn(self, host: str) -> None:
        """Wait until `host` may be asked."""
        while (until := self._pauses.get(host)) is not None:
            left = (until - self._now()).total_seconds()
            if left <= 0:
                self._pauses.pop(host, None)
                return
            await asyncio.sleep(left)

    def hold(self, host: str, wait: timedelta) -> None:
        """Leave `host` alone for a while; a longer pause stands."""
        until = self._now() + min(wait, LONGEST_PATIENCE)
        self._pauses[host] = max(until, self._pauses.get(host, until))

    def retry(self, taken: FrontierUrl, asked: timedelta | None = None) -> datetime | None:
        """When a URL that failed for now is tried again; None when it has been tried enough.

        The wait doubles from one second to sixty; a longer one the host asked for stands, but
        beyond five minutes it is not waited for.
        """
        tries = max(self._tries.get(taken.url_key, 0) + 1, taken.attempts)
        if tries >= MAXIMUM_TRIES or (asked is not None and asked > LONGEST_PATIENCE):
            self._tries.pop(taken.url_key, None)
            return None
        self._tries[taken.url_key] = tries
        return self._now() + max(self.wait_of(taken), asked or timedelta(0))

    def wait_of(self, taken: FrontierUrl) -> timedelta:
        """How long a URL that failed as often as this one waits by itself."""
        tries = max(self._tries.get(taken.url_key, 0), 1)
        return min(FIRST_DELAY * (1 << (tries - 1)), MAXIMUM_DELAY)
