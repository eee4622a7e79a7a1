"""A batch of outcomes is written as its outcomes one by one would be, and counted as it must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.model import Discovered, PageStatus, Reason
from pipeline.services.ledger import COUNT_EVERY, LARGE_FRONTIER
from pipeline.urls import url_key
from tests.fakes.knowledge import Answer, Knowledge, at, outcome

SAME = "<!doctype html><html lang=en><title>Same</title><main><p>Shipping a chair costs nine euros.</p>"
SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/a-longer-name": SAME,
    "/a": SAME,
    "/an-even-longer-name": SAME,
    "/lamps": "<p>Every lamp comes with a bulb and a cord of two metres.</p>",
    "/gone": 404,
    "/thin": "<p>Soon.</p>",
}


def crawl(knowledge: Knowledge, org: str, *, batch: int) -> dict[str, tuple[str, str]]:
    """Status and reason by URL, once an org crawled the shop in batches of so many."""
    scope = knowledge.services.orgs.ensure(org)
    ledger, _ = knowledge.start(knowledge.add_site(scope=scope), scope=scope)
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in SHOP])
    while taken := ledger.take(batch):
        ledger.record([outcome(one, SHOP, knowledge.clock) for one in taken])
    ledger.finish()
    knowledge.index()
    return {page.url: (page.status, page.reason) for page in knowledge.services.pages.list_pages(scope=scope)}


def test_a_batch_gives_what_its_pages_one_by_one_give(knowledge: Knowledge) -> None:
    """Twins, thin pages and errors come out the same, whatever else is in the transaction."""
    together = crawl(knowledge, "together", batch=50)
    alone = crawl(knowledge, "alone", batch=1)

    served = {url for url, (status, _) in together.items() if status == PageStatus.SYNCED}
    assert together == alone
    assert served == {at("/"), at("/a"), at("/lamps")}


def test_a_url_named_twice_in_a_batch_is_as_deep_as_it_was_first_said_to_be(knowledge: Knowledge) -> None:
    """Two pages of one batch lead to the same URL: the first to name it stands, as if it had been written before."""
    ledger, _ = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in ("/a", "/lamps")])
    new = url_key(at("/new"))

    found = [outcome(one, SHOP, knowledge.clock) for one in ledger.take(8)]
    ledger.record(
        [
            replace(one, discovered=(Discovered(new, at("/new"), depth=depth, found_on=one.url),))
            for depth, one in enumerate(found, start=2)
        ]
    )
    taken = ledger.take(8)

    assert [(one.url_key, one.depth) for one in taken] == [(new, 2)]


def test_a_large_frontier_is_counted_whole_now_and_then(knowledge: Knowledge) -> None:
    """What is done is always exact; how much was found is at most some seconds old."""
    ledger, _ = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(f"/{name}")), at(f"/{name}"), depth=2) for name in range(LARGE_FRONTIER + 10)])
    first, second, third = (outcome(one, {}, knowledge.clock) for one in ledger.take(3))
    more = tuple(Discovered(url_key(at(path)), at(path), depth=2) for path in ("/x", "/y"))

    soon = ledger.record([replace(first, discovered=more), second])
    knowledge.clock.forward(seconds=COUNT_EVERY.total_seconds())
    later = ledger.record([third])

    assert (soon.failed, later.failed) == (2, 3)
    assert later.found == soon.found + 2


def test_a_crawl_ends_once_it_fetched_all_it_may(tmp_path: Path) -> None:
    """Pages that are none, each with links to others, have an end; whoever holds the crawl counts the same."""
    knowledge = Knowledge(tmp_path, crawl={"fetches_per_page": 1, "fetches_beyond": 1})
    ledger, claim = knowledge.start(knowledge.add_site(page_limit=2))
    ledger.seed([Discovered(url_key(at(f"/{name}")), at(f"/{name}"), depth=1) for name in range(9)])

    for size in (2, 1):
        taken = ledger.take(8)
        assert len(taken) == size
        ledger.record([outcome(one, {}, knowledge.clock) for one in taken])
    later = knowledge.ledger(claim)

    assert (later.take(8), later.next_retry()) == ([], None)
    assert (later.progress().fetched, later.progress().limit_reached) == (3, True)
    later.finish()
    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert job.limit_reached


def test_a_frontier_has_an_end(tmp_path: Path) -> None:
    """What a site names beyond it is not remembered."""
    knowledge = Knowledge(tmp_path, crawl={"fetches_per_page": 1, "fetches_beyond": 0})
    ledger, _ = knowledge.start(knowledge.add_site(page_limit=1))

    for first in range(0, 15_000, 5_000):
        urls = [at(f"/{name}") for name in range(first, first + 5_000)]
        ledger.seed([Discovered(url_key(url), url, depth=1) for url in urls])

    most = knowledge.settings.crawl.frontier_limit(1)
    assert most <= ledger.progress().found <= most + 1


def test_what_a_sitemap_lists_after_all_is_asked_for(knowledge: Knowledge) -> None:
    """It was refused as a trap while only links led to it."""
    ledger, _ = knowledge.start(knowledge.add_site())
    url = at("/article?id=80")
    trap = Discovered(url_key(url), url, depth=1, reason=Reason.PAGE_LIMIT, detail="over 50 queries of one path")
    ledger.seed([trap])
    while taken := ledger.take(8):
        ledger.record([outcome(one, SHOP, knowledge.clock) for one in taken])

    ledger.seed([replace(trap, reason=None, detail=None)])
    by_link = ledger.take(8)
    ledger.seed([replace(trap, reason=None, detail=None, is_listed=True)])

    assert by_link == []
    assert [one.url for one in ledger.take(8)] == [url]
