"""The spider of one site: it takes URLs from the ledger, visits them, and brings pages back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy.utils.asyncio import is_asyncio_available

from pipeline.crawling import CrawlLedger
from pipeline.errors import GuardBypassed
from pipeline.model import CrawlPlan
from pipeline.rules import CrawlRules
from pipeline.settings import Settings
from spiders.feed import Feed, LedgerCalls
from spiders.fetch import Fetcher
from spiders.gate import RobotsGate
from spiders.guard import AddressGuard, refuse_bypass, require_guard
from spiders.pace import Pace
from spiders.rendering import Rendering
from spiders.scope import Scope
from spiders.seeds import Sitemaps, front_pages
from spiders.visit import Parser, Visitor

if TYPE_CHECKING:
    from typing import Self

    from scrapy.crawler import Crawler


Before = Callable[[Sitemaps], Awaitable[None]]
"""What is done with a site's sitemaps before its first page is visited."""


class Ending:
    """How a crawl ended: `failure` is None when it finished."""

    def __init__(self) -> None:
        """Nothing has ended yet."""
        self.is_finished = False
        self.failure: BaseException | None = None


class SiteSpider(scrapy.Spider):
    """Walks one site. Scrapy's engine downloads; where to go is decided here."""

    name = "site"

    def __init__(
        self,
        *,
        ledger: CrawlLedger,
        parser: Parser,
        settings: Settings,
        ending: Ending,
        before: Before | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self._ledger = ledger
        self._parser = parser
        self._settings = settings
        self._ending = ending
        self._before = before
        self._guard: AddressGuard

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401 - Scrapy's signature
        """Scrapy makes its spider through this; it is not made where the guard would not hold."""
        from twisted.internet import reactor  # noqa: PLC0415 - importing it installs one

        refuse_bypass(crawler.settings, os.environ)
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider._guard = require_guard(reactor)  # noqa: SLF001 - its own
        return spider

    async def start(self) -> AsyncIterator[Any]:
        """Crawl. Requests are made by visits, so none is yielded."""
        if not is_asyncio_available():
            raise GuardBypassed(cause="the reactor is not asyncio's")
        try:
            self._ending.is_finished = await self._crawl()
        except Exception as error:  # noqa: BLE001 - Scrapy would log it and call the crawl finished
            self._ending.failure = error
        return
        yield

    async def _crawl(self) -> bool:
        """Crawl to the end, or to where only hosts are left that want to be left alone; whether it is the end."""
        ledger_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        extract_threads = ThreadPoolExecutor(self._settings.extract.processes, thread_name_prefix="extract")
        try:
            calls = LedgerCalls(self._ledger, ledger_thread)
            plan = await calls.call(self._ledger.plan)
            feed = Feed(calls, self._settings.crawl, page_limit=plan.page_limit)
            await self._walk(plan, calls, feed, extract_threads)
            if feed.resumes_in is not None:
                await calls.call(self._ledger.pause, feed.resumes_in)
                return False
            await calls.call(self._ledger.finish)
            return True
        finally:
            # A crawl that fails does not wait for pages at hand: closing the parser ends those.
            for threads in (ledger_thread, extract_threads):
                threads.shutdown(wait=False, cancel_futures=True)

    async def _walk(self, plan: CrawlPlan, calls: LedgerCalls, feed: Feed, threads: ThreadPoolExecutor) -> None:
        crawl = self._settings.crawl
        fetcher = Fetcher(self.crawler, self._guard, user_agent=crawl.user_agent, body_limit=crawl.body_limit)
        pace = Pace(calls, concurrency=crawl.concurrency)
        gate = RobotsGate(fetcher, calls, pace, user_agent=crawl.user_agent)
        scope = Scope(_rules(plan, crawl.depth_limit))
        rendering = self._rendering(plan)
        visitor = Visitor(
            self._settings,
            fetcher,
            gate,
            pace,
            scope,
            self._parser,
            threads,
            rendering=rendering,
            takes_documents=plan.documents,
        )
        await feed.seed(front_pages(plan, scope))
        sitemaps = Sitemaps(plan, fetcher=fetcher, gate=gate, pace=pace, feed=feed, scope=scope)
        if self._before is not None:
            await self._before(sitemaps)
        if plan.sitemaps_first:
            await sitemaps.seed()
        feed.open_source()
        try:
            await _together(visitor, feed, sitemaps, visitors=crawl.concurrency + 2 * self._settings.extract.processes)
            await feed.flush()
        finally:
            await pace.close()
            if rendering is not None:
                await rendering.renderer.close()

    def _rendering(self, plan: CrawlPlan) -> Rendering | None:
        """A browser where the plan asks for one; it starts with the first page that needs it.

        Raises:
            BrowserMissing: If there is none.
        """
        if plan.render_js == "never":
            return None
        from pipeline.browser import find_browser  # noqa: PLC0415 - few crawls render

        find_browser(self._settings.browser)
        from spiders.browser import Browser  # noqa: PLC0415 - an optional package, looked for above

        browser = Browser(self.crawler, self._settings)
        return Rendering(browser, plan.render_js == "always", self._settings.extract.minimum_words)


async def _together(visitor: Visitor, feed: Feed, sitemaps: Sitemaps, *, visitors: int) -> None:
    """Visit, seed and write at the same time, until there is nothing left or one of them fails."""
    writer = asyncio.ensure_future(feed.write_on())
    seeder = asyncio.ensure_future(_seed(sitemaps, feed))
    walkers = [asyncio.ensure_future(_visit_on(visitor, feed)) for _ in range(visitors)]
    tasks = [writer, seeder, *walkers]
    waiting = set(walkers)
    try:
        while waiting:
            done, _ = await asyncio.wait(
                {*waiting, *(t for t in (writer, seeder) if not t.done())}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            waiting -= done
    finally:
        feed.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _seed(sitemaps: Sitemaps, feed: Feed) -> None:
    try:
        await sitemaps.seed()
    finally:
        feed.close_source()


async def _visit_on(visitor: Visitor, feed: Feed) -> None:
    while (taken := await feed.next()) is not None:
        await feed.put(await visitor.visit(taken))


def _rules(plan: CrawlPlan, depth_limit: int) -> CrawlRules:
    return CrawlRules.read(
        plan.start_url,
        include=plan.include_paths,
        exclude=plan.exclude_paths,
        depth_limit=depth_limit,
        subdomains=plan.subdomains,
        extra_hosts=plan.extra_hosts,
    )
