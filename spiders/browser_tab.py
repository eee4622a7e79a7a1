"""A tab of the browser: made once, used for page after page, wiped in between.

A new tab costs a second of processor time, a page in one that is there a fifth of that.
"""

from __future__ import annotations

from contextlib import suppress

from playwright.async_api import CDPSession, Page, Route
from playwright.async_api import Error as PlaywrightError

from pipeline.model import Reason
from pipeline.urls import split
from spiders.browser_requests import PageRequests
from spiders.fetch import FetchFailed

PAGES_A_TAB = 50
"""Then another takes its place: whatever a browser keeps of pages stays bounded."""


class Tab:
    """One page at a time, in a context of its own."""

    def __init__(self, name: str) -> None:
        """A tab that scrapy-playwright makes under this context's name when it is first used."""
        self.name = name
        self.page: Page | None = None
        self._requests: PageRequests | None = None
        self._session: CDPSession | None = None
        self._pages = 0

    async def show(self, page: Page, requests: PageRequests) -> None:
        """Answer for the next page; `page` is another one if the browser was started again meanwhile."""
        self._requests = requests
        self._pages += 1
        if page is not self.page:
            await page.context.route("**/*", _refuse)  # popups
            await page.add_init_script("delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection")
            page.on("crash", self._crashed)
            self._session = await page.context.new_cdp_session(page)
            self.page = page
        await requests.attach(page)

    async def wipe(self, url: str) -> bool:
        """Leave nothing of the page at `url`; False when the tab is better put away."""
        page, session = self.page, self._session
        if page is None or session is None or len(page.context.pages) > 1 or self._pages >= PAGES_A_TAB:
            return False
        await page.goto("about:blank")
        await page.unroute_all(behavior="ignoreErrors")
        await page.context.clear_cookies()
        await session.send("Storage.clearDataForOrigin", {"origin": split(url).origin, "storageTypes": "all"})
        self._requests = None
        return True

    def _crashed(self, _: Page) -> None:
        if self._requests is not None and self._requests.problem is None:
            self._requests.problem = FetchFailed(Reason.TOO_COMPLEX, "it ends the browser's process for it")


async def _refuse(route: Route) -> None:
    with suppress(PlaywrightError):
        await route.abort("blockedbyclient")
