"""A page that names another one as its own is not lost when that one is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.model import Discovered, FrontierUrl, Outcome, Reason
from pipeline.services.ledger import DatabaseLedger
from pipeline.urls import url_key
from spiders.verdict import judge
from tests.fakes.knowledge import SITE, Knowledge, at, outcome

Site = Mapping[str, str | int | Reason]
KETTLE = "<p>The kettle holds two litres and costs twenty-five euros.</p>"


def naming(path: str, text: str = KETTLE) -> str:
    """A page that names another one as its own."""
    return f'<!doctype html><html lang=en><link rel=canonical href="{path}"><title>Shop</title><main>{text}</main>'


def to(path: str) -> str:
    """A redirect to that path."""
    return f"to {path}"


def visited(url: FrontierUrl, site: Site, knowledge: Knowledge) -> Outcome:
    """What a spider brings home, with the verdict it passes on the page."""
    answer = site.get("/" + url.url.removeprefix(SITE), 404)
    if isinstance(answer, str) and answer.startswith("to "):
        target = at(answer.removeprefix("to "))
        found = Discovered(url_key(target), target, url.depth, url.url)
        return Outcome(
            url.url_key,
            url.url,
            knowledge.clock.now,
            http_status=301,
            reason=Reason.DUPLICATE_OF,
            final_url=target,
            discovered=(found,),
        )
    came = outcome(url, site, knowledge.clock)
    verdict = came.document and judge(
        came.document,
        url=url.url,
        found_on=url.found_on,
        directives=frozenset(),
        canonical_header=None,
        minimum_words=1,
    )
    if not verdict or verdict.instead is None:
        return came
    target = verdict.instead
    found = Discovered(url_key(target), target, url.depth, url.url)
    return replace(
        came, document=None, html=None, reason=verdict.reason, final_url=target, discovered=(*came.discovered, found)
    )


def crawled(knowledge: Knowledge, site: Site, *, dies_after: int | None = None) -> dict[str, int]:
    """Crawl those pages of the site that are linked, and say how often each path was asked for."""
    ledger, claim = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in site])
    asked: dict[str, int] = {}
    while taken := ledger.take(1):
        for url in taken:
            path = "/" + url.url.removeprefix(SITE)
            asked[path] = asked.get(path, 0) + 1
            ledger.record([visited(url, site, knowledge)])
        if sum(asked.values()) == dies_after:
            ledger = DatabaseLedger(
                knowledge.services.database,
                knowledge.settings,
                knowledge.hints,
                knowledge.clock,
                crawl_id=claim.crawl_id,
                scope=knowledge.org,
                token=claim.token,
            )
    ledger.finish()
    knowledge.index()
    return asked


def serving(knowledge: Knowledge) -> set[str]:
    """The paths of the pages that serve."""
    return {
        "/" + page.url.removeprefix(SITE)
        for page in knowledge.services.pages.list_pages(scope=knowledge.org)
        if page.reason == Reason.SYNCED
    }


@pytest.mark.parametrize(
    "target",
    [404, to("/shop/kettle"), to("/gone"), Reason.SOFT_404, Reason.LOGIN_WALL, Reason.ROBOTS],
)
def test_a_page_whose_canonical_is_no_page_is_kept_itself(knowledge: Knowledge, target: str | int | Reason) -> None:
    """The page it names is not there, leads back, or is refused: it is its own canonical then."""
    site: Site = {"/": "<p>Welcome to the shop.</p>", "/shop/kettle": naming("/kettle"), "/kettle": target}

    asked = crawled(knowledge, site)

    assert serving(knowledge) == {"/", "/shop/kettle"}
    assert asked["/shop/kettle"] == 2


@pytest.mark.parametrize("target", [KETTLE, to("/teapot"), Reason.NOINDEX])
def test_a_canonical_that_is_kept_or_not_to_be_kept_stands(knowledge: Knowledge, target: str | Reason) -> None:
    """Whoever names it is not looked at again."""
    site: Site = {"/shop/kettle": naming("/kettle"), "/kettle": target, "/teapot": "<p>The teapot is of steel.</p>"}

    asked = crawled(knowledge, site)

    assert "/shop/kettle" not in serving(knowledge)
    assert asked["/shop/kettle"] == 1


def test_of_canonicals_in_a_circle_one_is_kept(knowledge: Knowledge) -> None:
    """Each of three names the next: all say the same, and one of them serves."""
    crawled(knowledge, {"/a": naming("/b"), "/b": naming("/c"), "/c": naming("/a")})

    assert serving(knowledge) == {"/a"}


def test_the_last_of_a_chain_of_canonicals_is_kept(knowledge: Knowledge) -> None:
    """What named it before still does."""
    crawled(knowledge, {"/a": naming("/b"), "/b": naming("/c"), "/c": 404})

    assert serving(knowledge) == {"/b"}


def test_a_page_that_serves_and_names_nothing_now_serves_on(knowledge: Knowledge) -> None:
    """A page that serves already names a page that is not there: its text goes on, and follows what it says."""
    crawled(knowledge, {"/": "<p>Welcome to the shop.</p>", "/shop/kettle": KETTLE})

    crawled(
        knowledge, {"/": "<p>Welcome to the shop.</p>", "/shop/kettle": naming("/kettle", f"{KETTLE}<p>It is red.")}
    )

    assert serving(knowledge) == {"/", "/shop/kettle"}
    assert "It is red" in knowledge.ask("What does the kettle hold?").prompt


def test_a_spider_that_starts_again_looks_again(knowledge: Knowledge) -> None:
    """What is looked at again is told from rows: another spider goes on where the first one ended."""
    asked = crawled(knowledge, {"/": 404, "/a": naming("/b"), "/b": 404}, dies_after=3)

    assert serving(knowledge) == {"/a"}
    assert asked == {"/": 1, "/a": 2, "/b": 1}
