"""Carries URLs from the ledger and outcomes back to it, in batches, off the reactor's thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from pipeline.crawling import CrawlLedger
from pipeline.errors import DatabaseUnavailable
from pipeline.logs import get_logger
from pipeline.model import CrawlProgress, Discovered, FrontierUrl, Outcome
from pipeline.settings import CrawlSettings

P = ParamSpec("P")
Result = TypeVar("Result")

_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0
_LONGEST_SLEEP = 5.0
_PATIENCE = 60.0
"""Seconds a spider waits for its database in all before it ends, to be started again."""

LONGEST_SIT = timedelta(minutes=2)
"""A crawl whose every URL has to wait for longer is given back meanwhile."""

_CAUTIOUS_BATCH = 8
"""URLs a spider takes at first, and while they were in the hands of one that ended: one of them may be why."""

_HELD_BYTES = 16 * 2**20
"""Bytes of HTML a spider holds before its visitors wait for the database."""

log = get_logger(__name__)


class LedgerCalls:
    """Makes the ledger's blocking calls in one thread of their own, and again while the database is away."""

    def __init__(self, ledger: CrawlLedger, executor: Executor) -> None:
        """Call `ledger` in `executor`, which has one thread."""
        self.ledger = ledger
        self._executor = executor

    async def call(self, method: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """The result of one call.

        Raises:
            DatabaseUnavailable: If the database stays away for a minute.
            LeaseLost: If another worker holds the crawl now.
        """
        wait, waited = _FIRST_WAIT, 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await loop.run_in_executor(self._executor, lambda: method(*args, **kwargs))
            except DatabaseUnavailable as away:
                if waited >= _PATIENCE:
                    raise
                log.warning("database away", wait=wait, problem=str(away))
            await asyncio.sleep(wait)
            waited += wait
            wait = min(wait * 2, _LONGEST_WAIT)


class Feed:
    """Hands out leased URLs one by one, and writes outcomes in batches."""

    def __init__(self, calls: LedgerCalls, settings: CrawlSettings, *, page_limit: int) -> None:
        """Feed one crawl that keeps at most `page_limit` pages."""
        self._calls = calls
        self._settings = settings
        self._page_limit = page_limit
        self._waiting: deque[FrontierUrl] = deque()
        self._unwritten: list[Outcome] = []
        self._out = 0
        self._idle = 0
        self._ahead: asyncio.Task[None] | None = None
        self._is_cautious = True
        self._taking = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()
        self._outcome = asyncio.Event()
        self._sources = 0
        self._is_dry = False
        self._is_over = False
        self.resumes_in: timedelta | None = None
        """How far away the next URL is, where that ended it."""
        self.progress = CrawlProgress()

    def open_source(self) -> None:
        """Say that more URLs may still be seeded, so that an empty frontier is not yet the end."""
        self._sources += 1

    def close_source(self) -> None:
        """Say that one source is exhausted."""
        self._sources -= 1
        self._tell()

    async def seed(self, found: list[Discovered]) -> None:
        """Add URLs to the frontier."""
        if found:
            await self._calls.call(self._calls.ledger.seed, found)
            self._tell()

    async def next(self) -> FrontierUrl | None:
        """The next URL to visit; None when the crawl has nothing left to do, or has its pages."""
        while True:
            async with self._taking:
                self._is_over = self._is_over or self._is_full()
                if self._is_over:
                    return None
                if not self._waiting and not self._is_dry:
                    await self._refill()
                if self._waiting:
                    self._out += 1
                    taken = self._waiting.popleft()
                    self._look_ahead()
                    return taken
                pause = await self._pause()
            if pause is None:
                self._is_over = True
                self._news.set()
            else:
                await self._wait(pause)

    async def put(self, outcome: Outcome) -> None:
        """Take what became of a URL; it is written soon, and where pages are large, at once."""
        self._unwritten.append(outcome)
        self._out -= 1
        self._outcome.set()
        if sum(len(one.html or b"") for one in self._unwritten) > _HELD_BYTES:
            await self.flush()

    async def write_on(self) -> None:
        """Write outcomes as they come, until cancelled: a full batch, or what half a second brought."""
        every = self._settings.commit_every.total_seconds()
        while True:
            await self._outcome.wait()
            self._outcome.clear()
            await self._gather(every)
            await self._write_batch()
            if self._unwritten:
                self._outcome.set()

    async def flush(self) -> None:
        """Write everything there is."""
        while self._unwritten:
            await self._write_batch()

    def stop(self) -> None:
        """Take nothing any more."""
        if self._ahead is not None:
            self._ahead.cancel()

    async def _write_batch(self) -> None:
        async with self._writing:
            batch = self._unwritten[: self._settings.commit_batch]
            if batch:
                self.progress = await self._calls.call(self._calls.ledger.record, batch)
                del self._unwritten[: len(batch)]
                self._tell()

    async def _gather(self, seconds: float) -> None:
        """Wait for the rest of a batch, but not long, and not while a visitor has nothing to do."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while len(self._unwritten) < self._settings.commit_batch and not self._idle and loop.time() < end:
            try:
                await asyncio.wait_for(self._outcome.wait(), end - loop.time())
            except TimeoutError:
                return
            self._outcome.clear()

    def _tell(self) -> None:
        """The frontier may hold something new."""
        self._is_dry = False
        self._news.set()

    def _is_full(self) -> bool:
        """Whether the crawl has its pages; those on their way may still turn out to be none."""
        if self.progress.limit_reached:
            return True
        return self.progress.kept >= self._page_limit and not self._out and not self._unwritten

    def _look_ahead(self) -> None:
        """Lease the next batch while URLs are left: nobody waits while the ledger is busy writing."""
        if self._ahead is not None and self._ahead.done():
            self._ahead.result()
            self._ahead = None
        is_short = len(self._waiting) <= self._settings.frontier_batch // 2
        if is_short and self._ahead is None and not self._is_cautious and not self._is_dry:
            self._ahead = asyncio.ensure_future(self._take())

    async def _refill(self) -> None:
        if self._ahead is None:
            self._ahead = asyncio.ensure_future(self._take())
        try:
            await self._ahead
        finally:
            self._ahead = None

    async def _take(self) -> None:
        """Lease a batch, but no more URLs than pages are missing: the rest would be fetched in vain."""
        missing = self._page_limit - self.progress.kept - self._out - len(self._waiting) - len(self._unwritten)
        most = _CAUTIOUS_BATCH if self._is_cautious else self._settings.frontier_batch
        limit = min(most, self._settings.frontier_batch, missing)
        self._news.clear()
        if limit > 0:
            taken = await self._calls.call(self._calls.ledger.take, limit)
            self._waiting.extend(taken)
            self._is_cautious = any(url.attempts > 1 for url in taken)
            self._is_dry = not taken and not self._news.is_set()

    async def _pause(self) -> float | None:
        """Seconds until looking again makes sense; None when there is nothing to wait for."""
        if self._out or self._unwritten or self._sources:
            return _LONGEST_SLEEP
        if not self._is_dry:
            return 0.0
        due = await self._calls.call(self._calls.ledger.next_retry)
        if due is None:
            return None
        left = due - datetime.now(UTC)
        if left > LONGEST_SIT:
            self.resumes_in = left
            return None
        return min(max(left.total_seconds(), 0.01), _LONGEST_SLEEP)

    async def _wait(self, seconds: float) -> None:
        self._idle += 1
        self._outcome.set()
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            self._is_dry = False
        finally:
            self._idle -= 1
