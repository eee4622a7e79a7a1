"""Two hundred real pages among addresses that never end."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest

from pipeline.model import Document, Reason
from pipeline.rules import CrawlRules
from spiders.scope import Scope
from spiders.traps import SAMPLE, Traps, template_of
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabRequest, LabSite, Reply
from tests.lab.crawl import crawl
from tests.lab.site import HTML, make_page

GROUPS = 20
PER_GROUP = 9
REAL = GROUPS * (PER_GROUP + 1)
FACETS = ("colour", "size", "brand", "sort", "view")


def real(request: LabRequest) -> str | None:
    """Two hundred pages in twenty groups; every address carries a session of its own when one is offered."""
    path = re.sub(r"/\(S\(\w+\)\)|;jsessionid=\w+", "", request.path)
    if match := re.fullmatch(r"/group/(\d+)", path):
        group = int(match[1])
        session = f"{Random(request.target).randrange(16**12):012x}"  # noqa: S311 - an example
        links = [f"/item/{group * PER_GROUP + number};jsessionid={session}" for number in range(PER_GROUP)]
        return make_page(
            f"Group {group}", links=[*links, f"/(S({session}))/group/{(group + 1) % GROUPS}", "/calendar/2026/11"]
        )
    if match := re.fullmatch(r"/item/(\d+)", path):
        return make_page(f"Item {match[1]}", links=["/shop", "/a/", f"/missing/{match[1]}"])
    return None


def calendar(request: LabRequest) -> str | None:
    """Months and days without end, all of them empty."""
    if match := re.fullmatch(r"/calendar/(\d+)/(\d+)", request.path):
        year, month = int(match[1]), int(match[2])
        days = [f"/calendar/{year}/{month}/{day}" for day in range(1, 29)]
        around = [f"/calendar/{year + (month == 12)}/{month % 12 + 1}", f"/calendar/{year - 1}/{month}"]
        return make_page(
            "Calendar", f"Events in month {month} of {year}. There are no events planned in this month.", days + around
        )
    if match := re.fullmatch(r"/calendar/(\d+)/(\d+)/(\d+)", request.path):
        text = f"Events on {match[0]}. There are no events planned on this day, come back later."
        return make_page("Calendar", text)
    return None


def facets(request: LabRequest) -> str | None:
    """A shop whose filters combine without end."""
    if request.path != "/shop":
        return None
    chosen = request.target.partition("?")[2]
    links = [f"/shop?{chosen}&{facet}={value}".replace("?&", "?") for facet in FACETS for value in range(6)]
    return make_page("Shop", "No product matches these filters. Remove a filter, or ask our team for help.", links)


def endless(request: LabRequest) -> str | None:
    """Pages past the last, folders inside themselves, and errors that say they are none."""
    if match := re.fullmatch(r"/blog/page/(\d+)", request.path):
        return make_page(
            "Blog",
            "There are no older posts than these. Read on, or go back to the start.",
            [f"/blog/page/{int(match[1]) + 1}"],
        )
    if request.path.startswith("/a/"):
        return make_page("Folder", f"A folder named {request.path} that holds itself.", ["a/"])
    if request.path.startswith("/missing/"):
        return make_page("Page not found", "This page does not exist.", [f"{request.path}0"])
    return None


SCRIPTS: tuple[Callable[[LabRequest], str | None], ...] = (real, calendar, facets, endless)


def serve(request: LabRequest) -> Reply | None:
    """The whole site."""
    for script in SCRIPTS:
        html = script(request)
        if html is not None:
            return Reply(200, html.encode(), (HTML,))
    return None


def test_real_pages_are_found_among_traps_and_the_crawl_ends() -> None:
    """At least 95 % of the two hundred, with at most half as many fetches again."""
    with LabSite() as site:
        site.page(
            "/", links=[*(f"/group/{group}" for group in range(GROUPS)), "/calendar/2026/11", "/blog/page/1", "/shop"]
        )
        site.serve(serve)
        ledger = FakeLedger(make_plan(f"{site.url}/", page_limit=5_000))

        status = crawl(ledger, seconds=120)

        found = {re.sub(r"/\(S\(\w+\)\)|;jsessionid=\w+", "", url.removeprefix(site.url)) for url in ledger.kept()}
        collected = sum(url.startswith(("/group/", "/item/")) for url in found)
        assert status == 0
        assert collected >= 0.95 * REAL
        assert len(site.paths()) <= 1.5 * REAL
        assert Reason.PAGE_LIMIT in ledger.reasons().values()


def document(text: str) -> Document:
    """A page of this text."""
    return Document(url="", title="", markdown=text, text_hash=text, fact_hash="")


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("https://example.com/calendar/2026/11", "/calendar/#/#"),
        ("https://example.com/shop?colour=red", "/shop?"),
        ("https://example.com/s/0123456789abcdef0123/a", "/s/#/a"),
        ("https://example.com/about", None),
    ],
)
def test_urls_that_differ_in_numbers_share_a_template(url: str, template: str | None) -> None:
    """Numbers, long identifiers and queries are open; everything else is the shape."""
    assert template_of(url) == template


def test_numbered_pages_with_texts_of_their_own_are_no_trap() -> None:
    """A catalogue is taken whole, however many products it numbers."""
    traps = Traps()
    for number in range(200):
        words = Random(number).sample(range(1_000), 60)  # noqa: S311 - an example
        traps.note(f"https://example.com/product/{number}", document(" ".join(map(str, words))))

    assert not traps.holds("https://example.com/product/200")


def test_pages_that_say_the_same_are_a_trap_after_a_sample() -> None:
    """Not before, and only their own template."""
    traps = Traps()
    for number in range(SAMPLE):
        assert not traps.holds("https://example.com/calendar/99")
        traps.note(
            f"https://example.com/calendar/{number}", document(f"Nothing is planned here in week {number} of this year")
        )

    assert traps.holds("https://example.com/calendar/99")
    assert not traps.holds("https://example.com/product/99")


def test_copies_of_pages_seen_elsewhere_are_a_trap() -> None:
    """An address with a session in it brings pages that are known."""
    traps = Traps()
    for number in range(SAMPLE):
        words = " ".join(str(number * 50 + word) for word in range(40))
        traps.note(f"https://example.com/page-{'x' * number}", document(words))
        traps.note(f"https://example.com/s/{number:032x}/page", document(words))

    assert traps.holds(f"https://example.com/s/{99:032x}/page")


def test_a_sitemap_read_late_rescues_what_links_were_refused_for() -> None:
    """The site vouches for it, whichever came first; what it lists twice is passed on once."""
    start = "https://example.com/"
    scope = Scope(CrawlRules.read(start))
    urls = [f"{start}article?id={number}" for number in range(80)]

    by_link = [scope.discover(url, base=start, depth=1, found_on=start) for url in urls]
    listed = [scope.discover(url, base=start, depth=1, found_on=start, is_listed=True) for url in urls]
    again = [scope.discover(url, base=start, depth=1, found_on=start, is_listed=True) for url in urls]

    assert sum(one is not None and one.reason is Reason.PAGE_LIMIT for one in by_link) == 30
    assert all(one is not None and one.reason is None and one.is_listed for one in listed)
    assert again == [None] * 80
