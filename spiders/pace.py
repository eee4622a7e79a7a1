"""When a host may be asked, and how often a URL is tried.

What a host bears is one limit, shared by every crawl of every org.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self

from pipeline.errors import DatabaseUnavailable
from pipeline.model import FrontierUrl
from pipeline.urls import split
from spiders.feed import LedgerCalls
from spiders.share import HostClosed, KeptShare

__all__ = ["BUSY", "Answered", "HostClosed", "Pace", "Turn"]

MAXIMUM_TRIES = 3
MAXIMUM_BUSY_TRIES = 5
"""A host that says 429 is there, and answers later."""

FIRST_DELAY = timedelta(seconds=1)
MAXIMUM_DELAY = timedelta(seconds=60)
MAXIMUM_ASKED = timedelta(days=1)

BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Answers that speak for the whole host."""

MOST_SILENT_REFUSALS = 7
"""A 503 without a date may be one broken part of a website: after two minutes of waits it speaks for its URL alone."""

_FAREWELL_SECONDS = 2.0


class Answered(Protocol):
    """What an answer tells of its host."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    def retry_after(self, now: datetime) -> timedelta | None:
        """How long the host asks to be left alone."""
        ...


class Pace:
    """Keeps this spider to its share of every host, and counts how often URLs were tried."""

    def __init__(
        self, calls: LedgerCalls, *, concurrency: int = 8, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Ask for shares through `calls`, of up to `concurrency` requests at a time. `now` tells UTC."""
        self._calls = calls
        self._concurrency = concurrency
        self._now = now
        self._shares: dict[str, KeptShare] = {}
        self._tries: dict[str, int] = {}

    def turn(self, host: str) -> Turn:
        """One request to `host`, as `UrlParts.site` names it: `async with pace.turn(host) as turn`.

        Entering waits until it may start, or raises `HostClosed`. Tell the turn what was answered.
        """
        return Turn(self, host, self._share(host))

    def keep_delay(self, host: str, delay: timedelta) -> None:
        """Let all crawls together leave so much time between two requests, one at a time: its robots.txt asks it."""
        self._share(host).keep_delay(delay)

    async def hear(self, host: str, answer: Answered) -> None:
        """Hear what a host says of itself. A busy one is left alone by everyone: as long as it asks, else doubling."""
        share = self._share(host)
        share.is_well = answer.status not in BUSY
        if share.is_well:
            share.silent_refusals = 0
            return
        asked = answer.retry_after(self._now()) or None
        share.silent_refusals += asked is None and answer.status == HTTPStatus.SERVICE_UNAVAILABLE
        if share.silent_refusals <= MOST_SILENT_REFUSALS:
            await share.close_for(await self._calls.call(self._calls.ledger.hold_host, host, asked))

    def retry(self, taken: FrontierUrl, asked: timedelta | None = None, *, is_busy: bool = False) -> datetime | None:
        """When a URL that failed for now is tried again; None when it has been tried enough.

        The wait doubles from one second to sixty; what the host asked for stands if it is longer.
        """
        tries = max(self._tries.get(taken.url_key, 0) + 1, taken.attempts)
        share = self._shares.get(split(taken.url).site)
        closed_for = share.closed_for() if share is not None else timedelta(0)
        if closed_for is None or tries >= (MAXIMUM_BUSY_TRIES if is_busy else MAXIMUM_TRIES):
            self._tries.pop(taken.url_key, None)
            return None
        self._tries[taken.url_key] = tries
        own = min(FIRST_DELAY * (1 << (tries - 1)), MAXIMUM_DELAY)
        return self._now() + max(own, closed_for, min(asked or own, MAXIMUM_ASKED))

    async def close(self) -> None:
        """Give every share back; what cannot be said now runs out by itself. No turn may be taken after."""
        for share in self._shares.values():
            share.stop()
        if self._shares:
            with suppress(TimeoutError, DatabaseUnavailable):
                await asyncio.wait_for(self._calls.call(self._calls.ledger.leave_hosts), _FAREWELL_SECONDS)

    def _share(self, host: str) -> KeptShare:
        share = self._shares.get(host)
        if share is None:
            share = KeptShare(host, self._calls, concurrency=self._concurrency, now=self._now)
            self._shares[host] = share
        return share


class Turn:
    """One request to a host, counted while it lasts."""

    __slots__ = ("_host", "_pace", "_share")

    def __init__(self, pace: Pace, host: str, share: KeptShare) -> None:
        self._pace = pace
        self._host = host
        self._share = share

    async def __aenter__(self) -> Self:
        """Wait until the request may start."""
        if not self._share.begin():
            await self._share.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The request is over."""
        self._share.end()

    async def heard(self, answer: Answered) -> None:
        """Hear what the host says of itself."""
        await self._pace.hear(self._host, answer)
