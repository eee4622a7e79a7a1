"""A website that moves is followed: nothing is deleted and made anew."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest

from pipeline.errors import DatasourceExists
from pipeline.model import CrawlStatus, FrontierUrl, Outcome, Reason, Verification
from pipeline.services.crawls import NewDatasource
from pipeline.services.ledger import DatabaseLedger
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, outcome, walk

NEW = "https://shop.test/"
SHOP: dict[str, Answer] = {
    "/": "<p>We sell chairs and tables made of oak, and deliver them ourselves.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros, and a table twenty of them.</p>",
    "/returns": "<p>Chairs may be returned within thirty days, if nobody sat on them.</p>",
    "/about": "<p>Our company was founded by two carpenters in a small garage.</p>",
}


def redirected(taken: FrontierUrl, knowledge: Knowledge, *, to: str = NEW, status: int = 301) -> Outcome:
    """The old website's answer: the same path on the new one."""
    target = taken.url.replace(SITE, to)
    return Outcome(
        taken.url_key, taken.url, knowledge.clock.now, final_url=target, http_status=status, reason=Reason.OFF_SITE
    )


def leave(
    ledger: DatabaseLedger, knowledge: Knowledge, *, stays: Mapping[str, Answer] | None = None, **how: object
) -> None:
    """Look at the old website, which leads elsewhere, but for what stays."""
    while taken := ledger.take(4):
        ledger.record(
            [
                outcome(url, stays or {}, knowledge.clock)
                if url.url.replace(SITE, "/") in (stays or {})
                else redirected(url, knowledge, **how)  # type: ignore[arg-type] # its own words
                for url in taken
            ]
        )
    ledger.finish()


def arrive(ledger: DatabaseLedger, knowledge: Knowledge) -> None:
    """Look at the new website, which says what the old one said."""
    while taken := ledger.take(4):
        known = [FrontierUrl(one.url_key, one.url.replace(NEW, SITE), one.depth) for one in taken]
        brought = [outcome(one, SHOP, knowledge.clock) for one in known]
        ledger.record(
            [
                Outcome(
                    one.url_key,
                    one.url,
                    knowledge.clock.now,
                    final_url=one.url,
                    http_status=200,
                    document=found.document,
                    html=found.html,
                )
                for one, found in zip(taken, brought, strict=True)
            ]
        )
    ledger.finish()


def page_ids(knowledge: Knowledge) -> dict[str, UUID]:
    """Each page's id by its path."""
    listed = knowledge.services.pages.list_pages(scope=knowledge.org, limit=100)
    return {one.url.replace(SITE, "/").replace(NEW, "/"): one.id for one in listed}


def test_a_website_that_moved_is_followed(knowledge: Knowledge) -> None:
    """The crawl goes on at the new address: same pages, same vectors, no gap, and old addresses are answered for."""
    knowledge.crawl(SHOP)
    before = page_ids(knowledge)
    source = knowledge.add_site()
    ledger, claim = knowledge.start(source)

    leave(ledger, knowledge)
    between = knowledge.ask("What does shipping a chair cost?").passages[0].url
    ledger, claim = knowledge.hold(claim.crawl_id)
    arrive(ledger, knowledge)
    embedded = knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    why = knowledge.services.pages.why(at("/shipping"), scope=knowledge.org)
    assert (job.status, job.unchanged_pages, job.new_pages, job.removed_pages) == (CrawlStatus.COMPLETED, 4, 0, 0)
    assert (page_ids(knowledge), embedded) == (before, 0)
    assert between == f"{NEW}shipping"
    assert (why.is_known, why.url, why.known_as) == (True, at("/shipping"), f"{NEW}shipping")
    assert knowledge.add_site() == source
    with pytest.raises(DatasourceExists):
        knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org)
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


@pytest.mark.parametrize(
    "how",
    [
        {"status": 302},
        {"to": "https://shop.test/new-path/"},
        {"stays": {"/about": SHOP["/about"], "/returns": SHOP["/returns"]}},
    ],
    ids=["for now", "to other paths", "half of it"],
)
def test_less_than_a_move_is_none(knowledge: Knowledge, how: dict[str, object]) -> None:
    """Redirects for now, to one landing page, or of a part of the website change no address and forget nothing."""
    knowledge.crawl(SHOP)
    ledger, claim = knowledge.start(knowledge.add_site())

    leave(ledger, knowledge, **how)  # type: ignore[arg-type] # its own words
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert job.has_ended
    assert knowledge.ask("What does shipping a chair cost?").passages[0].url == at("/shipping")


def test_two_websites_that_lead_to_each_other_end(knowledge: Knowledge) -> None:
    """One step a crawl."""
    knowledge.crawl(SHOP)
    ledger, claim = knowledge.start(knowledge.add_site())

    leave(ledger, knowledge)
    ledger, claim = knowledge.hold(claim.crawl_id)
    while taken := ledger.take(4):
        back = [FrontierUrl(one.url_key, one.url, one.depth) for one in taken]
        ledger.record(
            [
                Outcome(
                    one.url_key,
                    one.url,
                    knowledge.clock.now,
                    final_url=one.url.replace(NEW, SITE),
                    http_status=301,
                    reason=Reason.OFF_SITE,
                )
                for one in back
            ]
        )
    ledger.finish()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert job.status == CrawlStatus.FAILED
    assert "redirects" in (job.error_message or "") or "off_site" in (job.error_message or "")


def test_a_new_website_is_found_where_it_went(knowledge: Knowledge) -> None:
    """The address a customer gives is often an old one."""
    ledger, claim = knowledge.start(knowledge.add_site())

    leave(ledger, knowledge)
    ledger, claim = knowledge.hold(claim.crawl_id)
    walk(ledger, {}, knowledge.clock, most=1)

    assert knowledge.services.crawls.list_datasources(scope=knowledge.org)[0].url == NEW
    assert claim.token
