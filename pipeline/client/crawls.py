"""Calls about websites, their crawls and their pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.client.answers import Datasource, Job, Page
from pipeline.client.call import Call, PageOf, get, post


def add(url: str, **fields: Any) -> Call[Datasource]:  # noqa: ANN401 - the fields of the API's document
    """Add a website, and crawl it unless `auto_start_crawl` is False. Fields as in the API's document."""
    return post("/crawl", {"url": url, **fields})


def preview(url: str, **fields: Any) -> Call[dict[str, Any]]:  # noqa: ANN401 - as above
    """What a crawl would do; nothing is stored."""
    return post("/crawl/preview", {"url": url, **fields})


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
