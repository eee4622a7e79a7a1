"""Calls about websites, their crawls and their pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.client.answers import Datasource, Job, Page, PageDetail, PageHistory, RolledBack, SaidOn
from pipeline.client.call import Call, PageOf, get, post

LOOK_SECONDS = 150.0
"""A look at a website may take two minutes."""


def add(url: str, **fields: Any) -> Call[Datasource]:  # noqa: ANN401 - the fields of the API's document
    """Add a website, and crawl it unless `auto_start_crawl` is False. Fields as in the API's document."""
    return post("/crawl", {"url": url, **fields})


def preview(url: str, **fields: Any) -> Call[dict[str, Any]]:  # noqa: ANN401 - as above
    """What a crawl would do; nothing is stored."""
    return post("/crawl/preview", {"url": url, **fields}).within(LOOK_SECONDS)


def websites() -> Call[PageOf[Datasource]]:
    """The org's websites, oldest first."""
    return get("/crawl")


def website(datasource_id: str) -> Call[Datasource]:
    """One website, with its pages by status and the crawl that runs."""
    return get(f"/crawl/{datasource_id}")


def change(datasource_id: str, fields: Mapping[str, Any]) -> Call[Datasource]:
    """Set what is given of a website."""
    return Call("PATCH", f"/crawl/{datasource_id}", json=fields)


def delete(datasource_id: str) -> Call[object]:
    """Forget a website with its pages."""
    return Call("DELETE", f"/crawl/{datasource_id}")


def start(datasource_id: str) -> Call[Job]:
    """Crawl a website now."""
    return post(f"/crawl/{datasource_id}/crawls")


def jobs(datasource_id: str) -> Call[PageOf[Job]]:
    """A website's crawls, newest first."""
    return get(f"/crawl/{datasource_id}/crawls")


def job(datasource_id: str, job_id: str) -> Call[Job]:
    """How a crawl stands."""
    return get(f"/crawl/{datasource_id}/crawls/{job_id}")


def decide(datasource_id: str, job_id: str, decision: Literal["cancel", "approve", "reject"]) -> Call[Job]:
    """End a crawl, or decide about what it holds."""
    return post(f"/crawl/{datasource_id}/crawls/{job_id}/{decision}")


def roll_back(datasource_id: str, job_id: str) -> Call[RolledBack]:
    """Answer as when a crawl ended, for every page of its website."""
    return post(f"/crawl/{datasource_id}/crawls/{job_id}/rollback")


def all_jobs() -> Call[PageOf[Job]]:
    """The crawls of all websites, newest first."""
    return get("/jobs")


def any_job(job_id: str) -> Call[Job]:
    """How a crawl of any website stands."""
    return get(f"/jobs/{job_id}")


def all_pages(*, status: str | None = None, q: str | None = None, language: str | None = None) -> Call[PageOf[Page]]:
    """The pages of all websites, by address."""
    return get("/pages", status=status, q=q, language=language)


def find_page(url: str) -> Call[PageDetail]:
    """The page of a URL in any spelling, or of an id, with its text and its versions."""
    return get("/pages/find", url=url)


def why_of_all(url: str) -> Call[dict[str, Any]]:
    """Whether a URL is known to any website, and if not, why not."""
    return get("/pages/why", url=url)


def history(datasource_id: str, page_id: str) -> Call[PageHistory]:
    """All that a page said, newest first, and when."""
    return get(f"/crawl/{datasource_id}/pages/{page_id}/history")


def said(datasource_id: str, page_id: str, on: str) -> Call[SaidOn]:
    """What a page said at a moment, such as `2027-01-31T09:00:00Z`."""
    return get(f"/crawl/{datasource_id}/pages/{page_id}/said", on=on)


def roll_back_page(datasource_id: str, page_id: str, version: int) -> Call[RolledBack]:
    """Answer with an earlier text of a page."""
    return post(f"/crawl/{datasource_id}/pages/{page_id}/rollback", {"version": version})


def pages(
    datasource_id: str, *, status: str | None = None, q: str | None = None, language: str | None = None
) -> Call[PageOf[Page]]:
    """A website's pages, by address."""
    return get(f"/crawl/{datasource_id}/pages", status=status, q=q, language=language)


def page(datasource_id: str, page_id: str) -> Call[dict[str, Any]]:
    """A page with its text and its versions."""
    return get(f"/crawl/{datasource_id}/pages/{page_id}")


def act(datasource_id: str, page_id: str, action: Literal["exclude", "include", "resync"]) -> Call[object]:
    """Take a page out, back in, or read it again."""
    return post(f"/crawl/{datasource_id}/pages/{page_id}/{action}")


def why(datasource_id: str, url: str) -> Call[dict[str, Any]]:
    """Whether a URL is in the knowledge base, and if not, why not."""
    return get(f"/crawl/{datasource_id}/why", url=url)
