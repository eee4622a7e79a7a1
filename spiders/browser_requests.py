"""Answers what one page asks for while it is rendered, through the crawl's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from weakref import WeakValueDictionary

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Request, Route

from pipeline.errors import SitewiseError
from pipeline.model import Reason
from pipeline.urls import canonical, split
from spiders.fetch import Answer, FetchFailed
from spiders.rendering import Ask

_FETCHED = frozenset({"script", "xhr", "fetch"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAXIMUM_REDIRECTS = 5
_KEPT_BYTES = 32 * 2**20
_NOT_FORWARDED = frozenset({"host", "user-agent", "accept-encoding", "connection", "content-length", "cookie", "te"})
_NOT_RETURNED = frozenset(
    {
        "content-disposition",  # would make a download of the page
        "content-encoding",
        "content-length",
        "connection",
        "keep-alive",
        "link",  # would only make it ask for more
        "refresh",
        "set-cookie",
        "strict-transport-security",
        "transfer-encoding",
    }
)


class Scripts:
    """Scripts that pages of one crawl share, fetched once; the oldest give way to new ones."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: dict[str, Answer] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._bytes = 0

    def get(self, url: str) -> Answer | None:
        """The script at this address, if it was fetched before."""
        return self._kept.get(url)

    def turn(self, url: str) -> asyncio.Lock:
        """Held while a script is fetched: another page that wants it waits for it."""
        return self._turns.setdefault(url, asyncio.Lock())

    def keep(self, url: str, answer: Answer) -> None:
        """Keep what will be asked for again."""
        if url in self._kept or len(answer.body) > _KEPT_BYTES:
            return
        self._kept[url] = answer
        self._bytes += len(answer.body)
        while self._bytes > _KEPT_BYTES:
            oldest = next(iter(self._kept))
            self._bytes -= len(self._kept.pop(oldest).body)


@dataclass
class PageRequests:
    """The requests of one page: the page itself is answered with what was fetched before, the rest is fetched.

    Only scripts and what scripts read is fetched, by GET and within budgets; styles are answered
    empty, everything else is refused. A page that wants to lead elsewhere is held back, and
    `leads_to` says where. `problem` is why it cannot be rendered at all.
    """

    page_answer: Answer
    ask: Ask
    scripts: Scripts
    byte_limit: int
    request_limit: int
    page: Page | None = None
    leads_to: str | None = None
    problem: FetchFailed | None = None
    in_flight: int = 0
    on_served: Callable[[], None] | None = None
    is_served: bool = False
    _bytes: int = 0
    _count: int = 0

    async def attach(self, page: Page) -> None:
        """Answer for this page from now on."""
        self.page = page
        await page.route("**/*", self._answer)

    async def _answer(self, route: Route, request: Request) -> None:
        self.in_flight += 1
        try:
            with suppress(PlaywrightError):  # the page may be closed by now
                await self._answer_to(route, request)
        finally:
            self.in_flight -= 1

    async def _answer_to(self, route: Route, request: Request) -> None:
        if request.is_navigation_request():
            await self._navigate(route, request)
        elif request.resource_type == "stylesheet":
            await route.fulfill(status=HTTPStatus.OK, content_type="text/css", body="")
        elif request.resource_type not in _FETCHED or request.method != "GET" or self.problem:
            await route.abort("blockedbyclient")
        else:
            answer = await self._fetch(request)
            await (route.abort("failed") if answer is None else _fulfil(route, answer))

    async def _navigate(self, route: Route, request: Request) -> None:
        is_main = self.page is not None and request.frame == self.page.main_frame
        if is_main and not self.is_served:
            self.is_served = True
            await _fulfil(route, self.page_answer)
            if self.on_served is not None:
                self.on_served()
            return
        if is_main and self.leads_to is None:
            self.leads_to = request.url
        await route.abort("aborted")  # any other error would put the browser's own page in the place of this one

    async def _fetch(self, request: Request) -> Answer | None:
        self._count += 1
        if self._count > self.request_limit:
            return None
        headers = {name: value for name, value in request.headers.items() if _is_forwarded(name)}
        try:
            url = canonical(request.url)
            if request.resource_type == "script":
                answer = await self._script(url, headers)
            else:
                answer = await self._follow(url, headers)
        except (SitewiseError, FetchFailed):  # a lost lease, too: the crawl's own calls tell of it
            return None
        if answer is None:
            return None
        self._bytes += len(answer.body)
        if self._bytes > self.byte_limit:
            self.problem = FetchFailed(Reason.TOO_LARGE, f"what it loads is over {self.byte_limit} bytes")
            return None
        return answer

    async def _script(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        async with self.scripts.turn(url):
            answer = self.scripts.get(url) or await self._follow(url, headers)
            if answer is not None and answer.status == HTTPStatus.OK:
                self.scripts.keep(url, answer)
            return answer

    async def _follow(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        """The answer at the end of redirects; each hop is asked like any request."""
        for _ in range(_MAXIMUM_REDIRECTS + 1):
            answer = await self.ask(url, headers)
            location = answer.header("location") if answer is not None and answer.status in _REDIRECTS else None
            if answer is None or location is None:
                return answer
            target = canonical(location, url)
            if split(target).origin != split(url).origin:
                headers = {name: value for name, value in headers.items() if name != "authorization"}
            url = target
        return None


async def _fulfil(route: Route, answer: Answer) -> None:
    headers = {name: ", ".join(values) for name, values in answer.headers.items() if name not in _NOT_RETURNED}
    await route.fulfill(status=answer.status, headers=headers, body=answer.body)


def _is_forwarded(name: str) -> bool:
    return name not in _NOT_FORWARDED and not name.startswith((":", "sec-", "proxy-", "if-"))
