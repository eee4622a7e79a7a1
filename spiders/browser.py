"""A Chromium that shows what a page's scripts make of it. It is started when the first page needs it."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from scrapy import Request
from scrapy_playwright.handler import ScrapyPlaywrightDownloadHandler

from pipeline.browser import find_browser
from pipeline.errors import BrowserMissing
from pipeline.model import Reason
from pipeline.settings import Settings
from spiders.browser_dom import written
from spiders.browser_memory import MemoryWatch
from spiders.browser_options import launch_options
from spiders.browser_requests import PageRequests, Scripts
from spiders.browser_tab import Tab
from spiders.fetch import Answer, FetchFailed
from spiders.rendering import Ask, Rendered

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_LOOK_SECONDS = 0.1
_REST_SECONDS = 0.5
"""A page that says something rests when nothing was asked for and its text stood still this long."""

_EMPTY_REST_SECONDS = 3.0
"""A page that says next to nothing is given this long to begin."""

_FEW_WORDS = 30
_CLOSE_SECONDS = 5.0


class Browser:
    """Renders pages of one crawl, in a few tabs: no cookie or storage passes from page to page."""

    def __init__(self, crawler: Crawler, settings: Settings) -> None:
        """Render with the browser that the settings name.

        Raises:
            BrowserMissing: If there is none.
        """
        self._crawler = crawler
        self._settings = settings
        self._program = find_browser(settings.browser)
        self._seconds = settings.crawl.request_timeout.total_seconds()
        self._tabs = asyncio.Semaphore(settings.browser.tabs)
        self._opening = asyncio.Lock()
        self._scripts = Scripts()
        self._memory = MemoryWatch(settings.browser.memory_limit)
        self._names = count(1)
        self._idle: list[Tab] = []
        self._home: Path | None = None
        self._handler: ScrapyPlaywrightDownloadHandler | None = None
        logging.getLogger("scrapy-playwright").setLevel(logging.WARNING)  # it tells of every page

    async def render(self, answer: Answer, ask: Ask) -> Rendered:
        """What a page shows once its scripts have run.

        Args:
            answer: The page as it was fetched: the browser is given this, and does not fetch it again.
            ask: Fetches what its scripts ask for.

        Raises:
            FetchFailed: If it needs more time, memory or bytes than a page may have.
            BrowserMissing: If the browser does not start.
        """
        async with self._tabs:
            handler = await self._opened()
            requests = PageRequests(
                answer,
                ask,
                self._scripts,
                byte_limit=self._settings.crawl.body_limit,
                request_limit=self._settings.browser.request_limit,
            )
            tab = self._idle.pop() if self._idle else Tab(f"tab {next(self._names)}")
            is_clean = False
            try:
                async with asyncio.timeout(self._seconds) as limit:
                    requests.on_served = partial(self._shorten, limit)
                    rendered = await self._show(handler, tab, requests)
                is_clean = rendered.leads_to is None and await self._wiped(tab, answer.url)
                return rendered  # noqa: TRY300 - what fails in wiping is a failure of the tab, not of the page
            except TimeoutError as error:
                words = "its scripts never pause" if requests.is_served else f"no page in {self._seconds:g} s"
                raise FetchFailed(Reason.TOO_SLOW, f"not rendered: {words}") from error
            except PlaywrightError as error:
                raise requests.problem or _failure(error) from error
            finally:
                if is_clean:
                    self._idle.append(tab)
                else:
                    await self._put_away(handler, tab.name)

    async def close(self) -> None:
        """End the browser."""
        self._memory.stop()
        if self._handler is not None:
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._handler.close()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

    async def _opened(self) -> ScrapyPlaywrightDownloadHandler:
        """The handler with its browser running; a browser that has ended is started again."""
        async with self._opening:
            if self._handler is None:
                self._home = Path(tempfile.mkdtemp(prefix="sitewise-browser-"))
                self._handler = ScrapyPlaywrightDownloadHandler.from_crawler(self._crawler)
                self._handler.config.launch_options = launch_options(self._program, self._home)
                self._handler.config.download_timeout_secs = 0  # a page that becomes a download is none
                await self._handler._launch()  # noqa: SLF001 - it waits for the engine's start, which is long past
                self._memory.start()
            try:
                await self._handler._maybe_launch_browser()  # noqa: SLF001 - so that no page's time pays for it
            except PlaywrightError as error:
                raise BrowserMissing(missing=self._program, problem=_first_line(error)) from error
            return self._handler

    def _shorten(self, limit: asyncio.Timeout) -> None:
        """The browser has the page: it may take its time to settle, and half of a page's time to be read."""
        settle = self._settings.browser.settle.total_seconds()
        until = asyncio.get_running_loop().time() + settle + self._seconds / 2
        limit.reschedule(min(until, limit.when() or until))

    async def _show(self, handler: ScrapyPlaywrightDownloadHandler, tab: Tab, requests: PageRequests) -> Rendered:
        async def begin(page: Page, _: Request) -> None:
            await tab.show(page, requests)

        meta = {
            "playwright": True,
            "playwright_include_page": True,
            "playwright_context": tab.name,
            "playwright_page": tab.page,
            "playwright_context_kwargs": {
                "accept_downloads": False,
                "service_workers": "block",
                "user_agent": self._settings.crawl.user_agent,
            },
            "playwright_page_init_callback": begin,
            "playwright_page_goto_kwargs": {"wait_until": "commit"},
        }
        await handler.download_request(Request(requests.page_answer.url, meta=meta))
        if requests.page is None:
            raise FetchFailed(Reason.TOO_COMPLEX, "the browser could not be watched")
        await self._until_rest(requests.page, requests)
        html = await written(requests.page)
        if len(html) > self._settings.crawl.body_limit:
            raise FetchFailed(Reason.TOO_LARGE, f"renders to over {self._settings.crawl.body_limit} bytes")
        return Rendered(html.encode("utf-8", "replace"), requests.leads_to)

    async def _until_rest(self, page: Page, requests: PageRequests) -> None:
        """Wait until nothing is asked for and the text stands still, but no longer than a page may take to settle.

        Raises:
            FetchFailed: If the page went over a limit meanwhile.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.browser.settle.total_seconds()):
                await _rest(page, requests)
        if requests.problem is not None:
            raise requests.problem

    async def _wiped(self, tab: Tab, url: str) -> bool:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                return await tab.wipe(url)
        except (TimeoutError, PlaywrightError):
            return False

    async def _put_away(self, handler: ScrapyPlaywrightDownloadHandler, name: str) -> None:
        """Close a page's context; a browser that cannot even do that is ended."""
        wrapper = handler.context_wrappers.get(name)
        if wrapper is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await wrapper.context.close()
        except (TimeoutError, PlaywrightError):
            self._memory.end_browser()


async def _rest(page: Page, requests: PageRequests) -> None:
    """Return once the page rests, wants to lead elsewhere, or is over a limit."""
    clock = asyncio.get_running_loop().time
    changed, seen = clock(), ""
    while requests.leads_to is None and requests.problem is None:
        text = await page.inner_text("body, frameset")
        now = clock()
        if text != seen or requests.in_flight:
            seen, changed = text, now
        if now - changed >= (_REST_SECONDS if len(text.split()) >= _FEW_WORDS else _EMPTY_REST_SECONDS):
            break
        await asyncio.sleep(_LOOK_SECONDS)


def _failure(error: PlaywrightError) -> FetchFailed:
    if "Timeout" in error.message:
        return FetchFailed(Reason.TOO_SLOW, f"not rendered: {_first_line(error)}")
    return FetchFailed(Reason.TOO_COMPLEX, f"not rendered: {_first_line(error)}")


def _first_line(error: PlaywrightError) -> str:
    return error.message.partition("\n")[0][:200]
