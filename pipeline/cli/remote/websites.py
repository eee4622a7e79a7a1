"""Websites and their crawls, elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from pipeline.cli.remote.views import Remote, view_of
from pipeline.client import crawls
from pipeline.db.paging import Listed
from pipeline.errors import CrawlNotFound
from pipeline.services.crawls import CrawlJob
from pipeline.services.datasources import DatasourceView
from pipeline.services.previewing import Preview
from pipeline.services.websites import NewDatasource


class RemoteCrawls(Remote):
    """Crawls of the org."""

    def list_jobs(self, *, scope: object, limit: int = 20) -> list[CrawlJob]:
        """The newest crawls of all websites."""
        del scope
        return [view_of(CrawlJob, job) for job in itertools.islice(self._client.each(crawls.all_jobs()), limit)]

    def list_datasources(self, *, scope: object) -> list[DatasourceView]:
        """The org's websites."""
        del scope
        return [view_of(DatasourceView, found) for found in self._client.each(crawls.websites())]

    def job(self, crawl_id: UUID, *, scope: object) -> CrawlJob:
        """How a crawl stands.

        Raises:
            CrawlNotFound: If the org has no such crawl.
        """
        del scope
        return view_of(CrawlJob, self._sent(crawls.any_job(str(crawl_id)), CrawlNotFound(crawl=crawl_id)))

    def cancel(self, crawl_id: UUID, *, scope: object) -> CrawlJob:
        """End a crawl.

        Raises:
            CrawlNotFound: If the org has no such crawl.
        """
        return self.decide(self.job(crawl_id, scope=scope), "cancel")

    def decide(self, job: CrawlJob, decision: Literal["cancel", "approve", "reject"]) -> CrawlJob:
        """End a crawl, or decide about what it holds."""
        self._client.send(crawls.decide(str(job.datasource_id), str(job.id), decision))
        return self.job(job.id, scope=None)


class RemoteWebsites(Remote):
    """Websites of the org."""

    def page_through(self, *, scope: object, limit: int = 20, after: object = None) -> Listed[DatasourceView]:
        """All of them at once: the client reads lists to their end."""
        del scope, limit, after
        return Listed(tuple(view_of(DatasourceView, found) for found in self._client.each(crawls.websites())))


class RemotePreviews(Remote):
    """Looks at websites, by the deployment."""

    def vet_host(self, new: NewDatasource) -> None:
        """The deployment does so itself."""

    def preview(self, new: NewDatasource, *, on_news: Callable[[Any], None] | None = None) -> Preview:
        """What a crawl there would do."""
        del on_news
        return view_of(Preview, self._client.send(crawls.preview(new.url, **fields_of(new))))


def fields_of(new: NewDatasource) -> dict[str, Any]:
    """A website as the routes take it, without its address."""
    fields: dict[str, Any] = {
        "page_limit": new.page_limit,
        "include_paths": list(new.include_paths),
        "exclude_paths": list(new.exclude_paths),
        "crawl_interval_hours": new.crawl_interval_hours,
        "render_js": new.render_js,
        "documents": new.documents,
        "subdomains": new.subdomains,
        "extra_hosts": list(new.extra_hosts),
    }
    return fields if new.display_name is None else fields | {"display_name": new.display_name}
