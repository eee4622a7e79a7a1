"""Settings of fetching pages and reading them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from pipeline.settings.kinds import Group, Networks, PositiveSpan, Span, split_list

PRODUCT_TOKEN = "SitewiseBot"  # noqa: S105 - a name that robots.txt files know us by, no secret
"""The name that robots.txt, meta tags and headers know this crawler by, in any case."""


def _reachable(value: str) -> str:
    """Refuse what nobody can write to, or what would break the header it stands in."""
    if not value.startswith(("https://", "http://", "mailto:")) or not value.isascii() or set(value) & set(" ()<>"):
        raise ValueError("give a web address or mailto:, without spaces and brackets")
    if not value.isprintable():
        raise ValueError("there is a character that no address has")
    return value


class CrawlSettings(Group):
    """How far and how politely a crawl goes."""

    contact: Annotated[str, AfterValidator(_reachable)] = Field(
        "https://sitewise.example/bot",
        max_length=200,
        description="Where a site owner reaches you, a web or mailto address: every request names it. Set your own.",
    )
    allowed_addresses: Networks = Field(
        (),
        description="Networks that may be crawled although they are not public, such as 127.0.0.0/8; "
        "any port inside them is allowed.",
    )
    allowed_ports: Annotated[tuple[int, ...], NoDecode, BeforeValidator(split_list)] = Field(
        (80, 443), description="Ports that may be crawled on public addresses."
    )
    page_limit_maximum: int = Field(5_000, ge=1, description="Pages a crawl keeps when it names no limit.")
    fetches_per_page: int = Field(
        20, ge=1, description="URLs a crawl fetches for each page of its limit, whatever they are; then it ends."
    )
    fetches_beyond: int = Field(1_000, ge=0, description="URLs a crawl fetches beyond those.")
    depth_limit: int = Field(10, ge=0, description="Links followed from the start page.")
    concurrency: int = Field(
        8, ge=1, le=64, description="Requests in flight per crawl, and to one host from all crawls together."
    )
    delay: Span = Field(timedelta(0), description="Least time between two requests to a host, of all crawls together.")
    host_patience: Span = Field(
        timedelta(hours=6), description="A crawl that would wait longer for a busy host, in all, goes on without it."
    )
    page_timeout: PositiveSpan = Field(
        timedelta(seconds=20),
        description="A page that takes longer is given up: its requests and its parsing, without waiting for a turn.",
    )
    request_timeout: PositiveSpan = Field(
        timedelta(seconds=18), description="A single request that takes longer is given up."
    )
    body_limit: int = Field(10 * 2**20, description="Bytes of a decoded body; longer pages are refused.")
    held_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Share of a website's pages that a crawl may remove or empty; more wait until somebody decides.",
    )
    held_least_pages: int = Field(
        3, ge=1, description="Fewer removed or emptied pages than this are never held, unless they are all there are."
    )
    held_text_share: float = Field(
        0.3, ge=0, le=1, description="A page is emptied when less than this share of its words is left."
    )
    shortest_revisit: float = Field(
        0.25,
        gt=0,
        le=1,
        description="A page that changes all the time is looked at again after this share of its website's interval.",
    )
    longest_revisit: float = Field(
        8.0, ge=1, description="A page that never changes is looked at again after this many intervals."
    )
    robots_lifetime: Span = Field(timedelta(days=1), description="How long robots.txt is believed.")
    lease: PositiveSpan = Field(timedelta(seconds=30), description="A worker silent this long has lost its crawl.")
    frontier_batch: int = Field(32, ge=1, le=256, description="URLs a spider takes from the frontier at a time.")
    commit_batch: int = Field(32, ge=1, le=256, description="Pages written in one transaction.")
    commit_every: Span = Field(timedelta(milliseconds=500), description="Pages wait no longer than this to be written.")

    def fetch_limit(self, page_limit: int) -> int:
        """URLs a crawl fetches that keeps so many pages: most sites lead to some that are none."""
        return self.fetches_per_page * page_limit + self.fetches_beyond

    def frontier_limit(self, page_limit: int) -> int:
        """URLs such a crawl remembers, with those it will not fetch."""
        return 2 * self.fetch_limit(page_limit) + 10_000

    @property
    def user_agent(self) -> str:
        """Who we are, with an address where a site owner reaches us: the same on every request."""
        return f"{PRODUCT_TOKEN}/1.0 (+{self.contact})"


class BrowserSettings(Group):
    """The browser for websites whose pages need JavaScript."""

    executable: Path | None = Field(None, description="Chromium or Chrome; empty: the first one found on the path.")
    tabs: int = Field(4, ge=1, le=32, description="Pages a crawl renders at a time.")
    settle: PositiveSpan = Field(
        timedelta(seconds=10), description="A page that never comes to rest is read after this."
    )
    request_limit: int = Field(200, ge=1, description="Requests one page may make; more are not answered.")
    memory_limit: int = Field(
        600 * 2**20, ge=100 * 2**20, description="Bytes one process of the browser may use; it is ended beyond."
    )


class ExtractSettings(Group):
    """The limits inside which a page is parsed."""

    processes: int = Field(2, ge=1, le=64, description="Parsing children per crawl.")
    timeout: PositiveSpan = Field(timedelta(seconds=15), description="A page that takes longer is `too_slow`.")
    memory_limit: int = Field(
        300 * 2**20, description="Bytes a parsing child may use above its start, which takes about 60 MB."
    )
    minimum_words: int = Field(5, ge=0, description="Pages with fewer words of main text are `thin`.")
