"""Fills the frontier from a site's sitemaps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus

from pipeline.errors import InvalidUrl
from pipeline.logs import get_logger
from pipeline.model import CrawlPlan, Discovered
from pipeline.urls import canonical, split, url_key
from spiders.body import BodyBroken, BodyTooLarge, gunzip
from spiders.feed import Feed
from spiders.fetch import Answer, Fetcher, FetchFailed
from spiders.gate import MAXIMUM_REDIRECTS, NoRobots, RobotsGate
from spiders.pace import HostClosed, Pace
from spiders.scope import Scope
from spiders.sitemap import DECODED_LIMIT, Sitemap, SitemapBroken, read_sitemap

FILE_LIMIT = 500
INDEX_DEPTH = 2
_FETCHED_LIMIT = 10 * 2**20
_SEED_BATCH = 500
_PAGES_TIMES = 4
_LEAST_SEEDS = 10_000

log = get_logger(__name__)


class Sitemaps:
    """Reads a site's sitemaps: those it was told, else those of robots.txt and `/sitemap.xml`."""

    def __init__(
        self, plan: CrawlPlan, *, fetcher: Fetcher, gate: RobotsGate, pace: Pace, feed: Feed, scope: Scope
    ) -> None:
        """Seed `feed` with what `scope` lets pass."""
        self._plan = plan
        self._fetcher = fetcher
        self._gate = gate
        self._pace = pace
        self._feed = feed
        self._scope = scope
        self._left = max(_LEAST_SEEDS, _PAGES_TIMES * plan.page_limit)
        self._has_begun = False
        self.files = 0
        """Sitemaps read so far."""
        self.listed = 0
        """URLs they named."""

    async def seed(self) -> None:
        """Read every sitemap, nested ones to depth two, at most 500 files; once, however often it is called."""
        if self._has_begun:
            return
        self._has_begun = True
        waiting = deque((url, 0) for url in await self._starts())
        seen = {url for url, _ in waiting}
        files = 0
        while waiting and files < FILE_LIMIT and self._left > 0:
            url, depth = waiting.popleft()
            files += 1
            found = await self._read(url)
            if found is None:
                continue
            self.files += 1
            self.listed += len(found.entries)
            if depth < INDEX_DEPTH:
                for child in self._children(found, url):
                    if child not in seen and len(seen) < FILE_LIMIT:
                        seen.add(child)
                        waiting.append((child, depth + 1))
            await self._seed(found, url)

    async def _starts(self) -> list[str]:
        start = canonical(self._plan.start_url)
        if self._plan.sitemap_urls:
            return list(dict.fromkeys(_valid(self._plan.sitemap_urls, start)))
        found: dict[str, None] = {}
        for front in (start, *other_fronts(self._plan)):
            found |= dict.fromkeys(_valid((*await self._named_by_robots(front), "/sitemap.xml"), front))
        return list(found)

    async def _named_by_robots(self, start: str) -> tuple[str, ...]:
        try:
            return (await self._gate.rules(start)).sitemaps
        except (NoRobots, HostClosed):
            return ()

    async def _read(self, url: str) -> Sitemap | None:
        """One sitemap; None when there is none, which is common and no failure."""
        try:
            answer = await self._fetch(url)
            if answer is None or answer.status != HTTPStatus.OK:
                return None
            return await asyncio.to_thread(_parse, answer.body)
        except (NoRobots, HostClosed) as refused:
            problem = refused.detail
        except FetchFailed as failed:
            problem = failed.detail
        except (SitemapBroken, BodyBroken, BodyTooLarge) as broken:
            problem = str(broken)
        log.info("sitemap not read", url=url, problem=problem)
        return None

    async def _fetch(self, url: str) -> Answer | None:
        for _ in range(MAXIMUM_REDIRECTS + 1):
            if not (await self._gate.rules(url)).allows(url):
                return None
            async with self._pace.turn(split(url).site) as turn:
                answer = await self._fetcher.get(url, body_limit=_FETCHED_LIMIT)
                await turn.heard(answer)
            location = answer.header("location")
            if not HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST or location is None:
                return answer
            try:
                url = canonical(location, url)
            except InvalidUrl:
                return None
        return None

    @staticmethod
    def _children(found: Sitemap, url: str) -> Iterator[str]:
        return _valid(tuple(found.children), url)

    async def _seed(self, found: Sitemap, source: str) -> None:
        batch: list[Discovered] = []
        for entry in found.entries:
            for url in (entry.url, *entry.alternates):
                one = self._scope.discover(
                    url, base=source, depth=1, found_on=source, lastmod=entry.lastmod, is_listed=True
                )
                if one is not None:
                    batch.append(one)
            if len(batch) >= _SEED_BATCH:
                await self._pass_on(batch)
                batch = []
            if self._left <= 0:
                break
        await self._pass_on(batch)

    async def _pass_on(self, batch: list[Discovered]) -> None:
        self._left -= len(batch)
        await self._feed.seed(batch)


def front_pages(plan: CrawlPlan, scope: Scope) -> list[Discovered]:
    """Where a crawl begins: the start page, and the front pages of the hosts its datasource adds."""
    start = canonical(plan.start_url)
    others = scope.discover_all(other_fronts(plan), base=start, depth=1, found_on=start)
    return [Discovered(url_key(start), start, depth=0), *others]


def other_fronts(plan: CrawlPlan) -> list[str]:
    """The front page of every host that is added by name."""
    scheme = split(plan.start_url).scheme
    return [canonical(f"{scheme}://{host}/") for host in plan.extra_hosts if not host.startswith("*.")]


def _valid(urls: tuple[str, ...], base: str) -> Iterator[str]:
    for url in urls:
        try:
            yield canonical(url, base)
        except InvalidUrl:
            continue


def _parse(body: bytes) -> Sitemap:
    return read_sitemap(gunzip(body, limit=DECODED_LIMIT))
