"""Websites, their crawls, and looks at them before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from pipeline.model import CrawlStatus, CrawlTrigger, DatasourceStatus
from pipeline.services.previewing import PAGES, PAGES_MAXIMUM, SECONDS, SECONDS_MAXIMUM
from pipeline.services.websites import INTERVAL_MAXIMUM_HOURS, NAME_MAXIMUM, PAGE_LIMIT_MAXIMUM, SITEMAPS_MAXIMUM

LONGEST_URL = 2_048
HOSTS_MAXIMUM = 50

Address = Annotated[str, Field(min_length=1, max_length=LONGEST_URL)]
Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=500)]],
    Field(
        max_length=50,
        description="Globs such as `/docs/*` or `*/en-us/*`, or `re:` and an RE2 expression; "
        "matched on the path and the query. Exclude wins.",
        examples=[["/docs/*"]],
    ),
]
Sitemaps = Annotated[
    list[Address],
    Field(max_length=SITEMAPS_MAXIMUM, description="Empty: found through robots.txt and `/sitemap.xml`."),
]
PageLimit = Annotated[
    int | None,
    Field(ge=1, le=PAGE_LIMIT_MAXIMUM, description="Pages kept at most; null: this installation's own maximum."),
]
Interval = Annotated[
    int | None,
    Field(
        ge=1,
        le=INTERVAL_MAXIMUM_HOURS,
        description="Hours between crawls, at least 24 unless a setting lowers that; null: by hand only.",
    ),
]
DisplayName = Annotated[
    str | None, Field(min_length=1, max_length=NAME_MAXIMUM, description="What people call it; null: its host.")
]
Rendering = Annotated[
    Literal["never", "auto", "always"], Field(description="Whether a browser reads the pages; needs one set up.")
]


Hosts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=253)]],
    Field(
        max_length=HOSTS_MAXIMUM,
        description="Other hosts that are a part of the website, or `*.host` for all under one.",
        examples=[["help.example.com"]],
    ),
]
Subdomains = Annotated[bool, Field(description="Whether every host under its own is a part of it.")]
Documents = Annotated[bool, Field(description="Whether linked PDF documents are taken as pages.")]


class Given(BaseModel):
    """What comes in: a field nobody knows is refused, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid")


class NewDatasourceBody(Given):
    """A website to read."""

    url: Address = Field(description="Where it starts, on the public internet.", examples=["https://docs.example.com/"])
    display_name: DisplayName = None
    page_limit: PageLimit = 100
    include_paths: Patterns = Field(default_factory=list)
    exclude_paths: Patterns = Field(default_factory=list)
    crawl_interval_hours: Interval = 168
    auto_start_crawl: bool = Field(default=True, description="Whether it is crawled now.")
    render_js: Rendering = "never"
    sitemap_urls: Sitemaps = Field(default_factory=list)
    documents: Documents = False
    subdomains: Subdomains = False
    extra_hosts: Hosts = Field(default_factory=list)


class PreviewBody(NewDatasourceBody):
    """A website to look at, as it would be added."""

    pages: int = Field(PAGES, ge=1, le=PAGES_MAXIMUM, description="Pages to look at.")
    seconds: float = Field(SECONDS, ge=1, le=SECONDS_MAXIMUM, description="Time for the look.")


class DatasourceChangeBody(Given):
    """What to set; a field that is not given stays as it is."""

    display_name: DisplayName = None
    page_limit: PageLimit = None
    include_paths: Patterns = Field(default_factory=list)
    exclude_paths: Patterns = Field(default_factory=list)
    crawl_interval_hours: Interval = None
    status: DatasourceStatus = Field(DatasourceStatus.ACTIVE, description="Whether it is crawled by the clock.")
    render_js: Rendering = "never"
    sitemap_urls: Sitemaps = Field(default_factory=list)
    documents: Documents = False
    subdomains: Subdomains = False
    extra_hosts: Hosts = Field(default_factory=list)


class FailedPageBody(BaseModel):
    """A URL that could not be read."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    reason: str
    http_status: int | None
    detail: str | None = Field(description="What was seen.")


class JobBody(BaseModel):
    """A crawl. Counts are pages."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    datasource_id: UUID
    status: CrawlStatus = Field(description="pending, scraping, then completed, failed or cancelled.")
    trigger: CrawlTrigger
    started_at: datetime | None
    completed_at: datetime | None
    total_pages: int = Field(description="URLs found so far.")
    completed_pages: int = Field(description="In the knowledge base.")
    new_pages: int
    updated_pages: int
    removed_pages: int
    unchanged_pages: int
    failed_pages: int
    held_pages: int = Field(description="Above 0: old knowledge serves until somebody approves or rejects.")
    limit_reached: bool = Field(description="Whether the page limit left something out.")
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    fetched_pages: int = Field(description="Asked for and answered.")
    refused_pages: int = Field(description="Left out, each for a reason.")
    waiting_pages: int = Field(description="Still to be asked for.")
    not_due_pages: int = Field(description="Kept, and not asked for: their time has not come.")
    pending_pages: int = Field(description="Read, and not yet indexed.")
    chunks: int = Field(description="Passages of what it kept; 0 in lists.")
    embedded_chunks: int = Field(description="Of these, embedded for it; 0 in lists.")
    current_url: str | None = Field(description="Where it is.")
    attempts: int = Field(description="How often a spider took it up.")
    refusals: dict[str, int] = Field(description="What was left out and why; empty in lists.")
    failures: list[FailedPageBody] = Field(description="The first that could not be read; empty in lists.")


class RolledBackBody(BaseModel):
    """What going back changed. Counts are pages."""

    model_config = ConfigDict(from_attributes=True)

    changed: int = Field(description="They answer with their earlier text.")
    left: int = Field(description="They answer no more.")
    waiting: int = Field(description="They follow once they are indexed again.")


class PageStatsBody(BaseModel):
    """How many pages stand where."""

    model_config = ConfigDict(from_attributes=True)

    total: int
    synced: int
    pending: int
    error: int
    excluded: int


class DatasourceBody(BaseModel):
    """A website."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    url: str = Field(examples=["https://docs.example.com/"])
    display_name: str
    status: DatasourceStatus
    page_limit: int | None
    exclude_paths: list[str]
    include_paths: list[str]
    crawl_interval_hours: int | None
    render_js: str
    sitemap_urls: list[str]
    documents: bool = Field(description="Whether linked PDF documents are taken as pages.")
    subdomains: bool = Field(description="Whether every host under its own is a part of it.")
    extra_hosts: list[str] = Field(description="Other hosts that are a part of it.")
    next_crawl_at: datetime | None
    last_crawl_started_at: datetime | None
    last_crawl_completed_at: datetime | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    page_stats: PageStatsBody
    active_crawl_job: JobBody | None = Field(description="The crawl that runs now.")


class AcceptedBody(BaseModel):
    """Something that is done from now on, and finished later."""

    id: UUID
    status: str = Field(examples=["deleting"])


class PreviewPageBody(BaseModel):
    """A page a crawl would keep."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    title: str
    words: int


class PreviewExampleBody(BaseModel):
    """A URL a crawl would leave out."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    detail: str | None
    http_status: int | None


class PreviewRefusalBody(BaseModel):
    """URLs a crawl would leave out for one reason."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    count: int
    examples: list[PreviewExampleBody]


class PreviewShown(BaseModel):
    """What a crawl would do. Nothing is stored."""

    model_config = ConfigDict(from_attributes=True)

    url: str
    page_limit: int
    pages: list[PreviewPageBody] = Field(description="The first it would keep.")
    refusals: list[PreviewRefusalBody] = Field(description="Why others are left out.")
    found: int
    visited: int
    waiting: int
    sitemaps: int
    sitemap_urls: int
    robots_status: int | None
    crawl_delay: float = Field(description="Seconds between two requests that robots.txt asks for.")
    pages_expected: int
    seconds_expected: float
    limit_reached: bool
    is_exact: bool = Field(description="Whether the whole site was seen; else what is expected is an estimate.")
    is_growing: bool = Field(description="Whether links kept leading to new ones.")
    problem: str | None
    seconds: float
