"""Pages, what they said, and the way back, elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pipeline.cli.remote.views import Remote, view_of
from pipeline.cli.remote.websites import RemoteCrawls
from pipeline.client import Client, crawls
from pipeline.client.answers import PageDetail as FoundPage
from pipeline.errors import PageNotFound, VersionNotFound
from pipeline.services.history import PageHistory, RolledBack, Said, SaidOn
from pipeline.services.pages import PageDetail, PageSlice, PageView, VersionView
from pipeline.services.reasons import Why

AT_ONCE = 100


class RemotePages(Remote):
    """Pages of the org."""

    def page_through(
        self, *, scope: object, search: str | None = None, status: str | None = None, limit: int = 100
    ) -> PageSlice:
        """Pages of all websites, by address."""
        del scope
        call = crawls.all_pages(status=status, q=search)
        items: list[PageView] = []
        cursor: str | None = None
        while len(items) < limit:
            place = {"limit": min(limit - len(items), AT_ONCE)} | ({"cursor": cursor} if cursor else {})
            page = self._client.send(replace(call, params={**call.params, **place}))
            items += [view_of(PageView, one) for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        return PageSlice(tuple(items), cursor)

    def show(self, url: str, *, scope: object) -> PageDetail:
        """A page with its text and its versions.

        Raises:
            PageNotFound: If the org has no such page.
        """
        del scope
        found: FoundPage = self._sent(crawls.find_page(url), PageNotFound(url=url))
        return PageDetail(
            page=view_of(PageView, found),
            versions=tuple(view_of(VersionView, version) for version in found["versions"]),
            markdown=found["markdown"],
            dropped=tuple((one["reason"], one["text"]) for one in found["dropped"]),
        )

    def why(self, url: str, *, scope: object, datasource_id: UUID | None = None) -> Why:
        """Whether a URL is known to a website of the org, or to one of them, and why."""
        del scope
        call = crawls.why_of_all(url) if datasource_id is None else crawls.why(str(datasource_id), url)
        return view_of(Why, self._client.send(call))


class RemoteHistory(Remote):
    """What pages said before, and decisions about what crawls hold."""

    def __init__(self, client: Client, jobs: RemoteCrawls) -> None:
        super().__init__(client)
        self._jobs = jobs

    def of_page(self, url: str, *, scope: object) -> PageHistory:
        """All that a page said.

        Raises:
            PageNotFound: If the org has no such page.
        """
        del scope
        found = self._client.send(crawls.history(*self._place(url)))
        versions = tuple(view_of(Said, one, served=_spans(one["served"])) for one in found["versions"])
        return view_of(PageHistory, found, versions=versions)

    def said_on(self, url: str, moment: datetime, *, scope: object) -> SaidOn:
        """What a page said at a moment.

        Raises:
            PageNotFound: If the org has no such page.
        """
        del scope
        return view_of(SaidOn, self._client.send(crawls.said(*self._place(url), moment.isoformat())))

    def roll_back_page(self, url: str, number: int, *, scope: object) -> RolledBack:
        """Answer with an earlier text.

        Raises:
            PageNotFound: If the org has no such page.
            VersionNotFound: If it has no version of this number.
        """
        del scope
        call = crawls.roll_back_page(*self._place(url), number)
        return view_of(RolledBack, self._sent(call, VersionNotFound(page=url, version=number)))

    def roll_back_to(self, crawl_id: UUID, *, scope: object) -> RolledBack:
        """Answer as when a crawl ended.

        Raises:
            CrawlNotFound: If the org has no such crawl.
        """
        job = self._jobs.job(crawl_id, scope=scope)
        return view_of(RolledBack, self._client.send(crawls.roll_back(str(job.datasource_id), str(job.id))))

    def approve(self, crawl_id: UUID, *, scope: object) -> int:
        """Carry it out. Returns how many pages were held."""
        return self._decide(crawl_id, "approve", scope=scope)

    def reject(self, crawl_id: UUID, *, scope: object) -> int:
        """Keep what serves. Returns how many pages were held."""
        return self._decide(crawl_id, "reject", scope=scope)

    def _decide(self, crawl_id: UUID, decision: Literal["approve", "reject"], *, scope: object) -> int:
        held = self._jobs.job(crawl_id, scope=scope)
        self._jobs.decide(held, decision)
        return held.held_pages

    def _place(self, url: str) -> tuple[str, str]:
        """The website and the page of a URL."""
        found: FoundPage = self._sent(crawls.find_page(url), PageNotFound(url=url))
        return found["datasource_id"], found["id"]


def _spans(served: list[dict[str, Any]]) -> tuple[tuple[str, str | None], ...]:
    return tuple((span["since"], span["until"]) for span in served)
