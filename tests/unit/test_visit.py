"""One page may keep a spider busy only so long, in whatever it spends the time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from scrapy.http import HtmlResponse

from pipeline.errors import InvalidUrl, PageTooSlow
from pipeline.model import Document, FrontierUrl, Outcome, Reason
from pipeline.rules import CrawlRules
from pipeline.settings import CrawlSettings, Settings
from spiders.allowance import Allowance
from spiders.feed import LedgerCalls
from spiders.fetch import Answer, FetchFailed, headers_of
from spiders.gate import RobotsGate
from spiders.pace import Pace
from spiders.scope import Scope
from spiders.visit import Parser, Visitor
from tests.fakes.ledger import FakeLedger, make_plan

SITE = "https://example.com"
PAGE = f"{SITE}/page"
SETTINGS = Settings(crawl=CrawlSettings(page_timeout=timedelta(seconds=20)))


@dataclass
class SlowSite:
    """A site whose every answer takes `seconds` of its own clock; the first `redirects` lead to the page again."""

    seconds: float
    redirects: int = 0
    now: float = 100.0
    granted: list[float] = field(default_factory=list)
    leads_to: str = PAGE

    def clock(self) -> float:
        """The time, in seconds."""
        return self.now

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body_limit: int | None = None,
        keep_pace: bool = False,
        within: float | None = None,
    ) -> Answer:
        """An answer, when it comes within the time given."""
        del headers, body_limit, keep_pace
        if within is None:  # robots.txt
            return Answer(url, 404, b"")
        self.granted.append(within)
        self.now += min(self.seconds, within)
        if self.seconds > within:
            raise FetchFailed(Reason.TOO_SLOW, "no whole answer")
        number = len(self.granted)
        if number <= self.redirects:
            return Answer(url, 301, b"", {"location": [self.leads_to], "set-cookie": [f"seen={number}"]})
        return Answer(url, 200, b"<!doctype html><p>words", {"content-type": ["text/html"]})


@dataclass
class SlowParser:
    """Parses nothing in time, and notes how much it was given."""

    site: SlowSite
    granted: list[float] = field(default_factory=list)

    def extract(self, html: bytes, *, url: str, content_type: str, within: float | None = None) -> Document:
        """Give up after the time given."""
        del html, content_type
        self.granted.append(within or 0)
        self.site.now += within or 0
        raise PageTooSlow(url=url, seconds=within)


def visit(site: SlowSite, parser: Parser) -> Outcome:
    """What becomes of the page."""

    async def outcome() -> Outcome:
        with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as threads:
            calls = LedgerCalls(FakeLedger(make_plan(SITE)), thread)
            pace = Pace(calls)
            gate = RobotsGate(site, calls, pace, user_agent=SETTINGS.crawl.user_agent)
            scope = Scope(CrawlRules.read(SITE, include=(), exclude=(), depth_limit=10))
            visitor = Visitor(SETTINGS, site, gate, pace, scope, parser, threads, clock=site.clock)
            taken = FrontierUrl(url_key="https://example.com/page", url=PAGE, depth=0, attempts=1)
            return await visitor.visit(taken)

    return asyncio.run(outcome())


def test_redirects_share_the_time_of_their_page() -> None:
    """Each is quick enough alone; together they are one page that takes too long."""
    site = SlowSite(seconds=6, redirects=9)

    outcome = visit(site, SlowParser(site))

    assert outcome.reason is Reason.TOO_SLOW
    assert site.granted == [20, 14, 8, 2]


def test_parsing_gets_what_fetching_left() -> None:
    """A page that comes late has to be read fast."""
    site = SlowSite(seconds=17)
    parser = SlowParser(site)

    outcome = visit(site, parser)

    assert outcome.reason is Reason.TOO_SLOW
    assert parser.granted == [3]
    assert site.now == 120


def test_a_redirect_to_another_website_says_where() -> None:
    """Whoever decides whether all of a website has moved needs the address, and whether it is for good."""
    site = SlowSite(seconds=1, redirects=1, leads_to="https://example.org/page")

    outcome = visit(site, SlowParser(site))

    assert (outcome.reason, outcome.http_status) == (Reason.OFF_SITE, 301)
    assert outcome.final_url == "https://example.org/page"


def test_waiting_is_not_spent() -> None:
    """What passes outside costs a page nothing, and no less than nothing is left."""
    now = [0.0]
    allowance = Allowance(timedelta(seconds=5), lambda: now[0])

    now[0] = 100
    before = allowance.left
    with allowance.spending():
        now[0] = 107

    assert (before, allowance.left) == (5, 0)


@dataclass
class OddParser:
    """Meets an address that is none."""

    def extract(self, html: bytes, *, url: str, content_type: str, within: float | None = None) -> Document:
        """Fail as reading an address does."""
        del html, content_type, within
        raise InvalidUrl(url=url, problem="no host")


def test_an_address_that_cannot_be_read_is_one_refusal() -> None:
    """A crawl does not end with it."""
    outcome = visit(SlowSite(seconds=1), OddParser())

    assert outcome.reason is Reason.HTTP_ERROR
    assert "no host" in (outcome.detail or "")


def test_headers_hold_no_control_characters() -> None:
    """Databases refuse NUL, and what a header says is stored."""
    response = HtmlResponse(PAGE, headers={"ETag": [b'"a\x00b"'], "Content-Type": [b"text/x\x00y\x1b\x7f"]})

    assert headers_of(response) == {"etag": ['"ab"'], "content-type": ["text/xy"]}
