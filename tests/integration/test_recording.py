"""A batch of outcomes is written as its outcomes one by one would be, and counted as it must be."""

from __future__ import annotations

from dataclasses import replace

from pipeline.model import Discovered, PageStatus
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
