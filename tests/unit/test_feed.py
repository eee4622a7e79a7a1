"""How URLs come from the ledger and outcomes go back: in batches, ahead of time, and never too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from pipeline.model import CrawlPlan, CrawlProgress, Discovered, FrontierUrl, Outcome
from pipeline.settings import CrawlSettings
from pipeline.urls import url_key
from spiders.feed import Feed, LedgerCalls
from tests.fakes.ledger import FakeLedger

START = "https://shop.example/"


@dataclass(slots=True)
class CountedLedger(FakeLedger):
    """Notes how many URLs each call asked for, and how many outcomes each brought."""

    asked: list[int] = field(default_factory=list)
    brought: list[int] = field(default_factory=list)

    def take(self, limit: int) -> list[FrontierUrl]:
        """Lease."""
        self.asked.append(limit)
        return FakeLedger.take(self, limit)

    def record(self, outcomes: Sequence[Outcome]) -> CrawlProgress:
        """Write."""
        self.brought.append(len(outcomes))
        return FakeLedger.record(self, outcomes)


def ledger_of(urls: int) -> CountedLedger:
    """A crawl with so many URLs that wait."""
    plan = CrawlPlan(uuid4(), uuid4(), uuid4(), uuid4(), START, page_limit=1_000)
    ledger = CountedLedger(plan)
    ledger.seed([Discovered(url_key(url), url, depth=1) for url in (f"{START}{number}" for number in range(urls))])
    return ledger


def outcome(taken: FrontierUrl, *, html: bytes = b"") -> Outcome:
    """What becomes of a URL."""
    return Outcome(taken.url_key, taken.url, datetime.now(UTC), http_status=200, not_modified=not html, html=html)


async def walked(ledger: CountedLedger, urls: int, *, html: bytes = b"") -> None:
    """Visit so many URLs, one after another, and hand in what became of them."""
    with ThreadPoolExecutor(1) as thread:
        feed = Feed(LedgerCalls(ledger, thread), CrawlSettings(), page_limit=1_000)
        for _ in range(urls):
            taken = await feed.next()
            assert taken is not None
            await feed.put(outcome(taken, html=html))
        feed.stop()


def test_a_spider_begins_with_few_urls_and_goes_on_with_full_batches() -> None:
    """One of the first may be what ended the spider before it."""
    ledger = ledger_of(100)

    asyncio.run(walked(ledger, 60))

    assert ledger.asked[0] == 8
    assert set(ledger.asked[1:]) == {32}


def test_urls_that_an_ended_spider_had_in_hand_are_taken_few_at_a_time() -> None:
    """As long as a batch holds one, nothing is leased ahead either."""
    ledger = ledger_of(100)
    for row in ledger.rows.values():
        row.taken = FrontierUrl(row.taken.url_key, row.taken.url, depth=1, attempts=1)

    asyncio.run(walked(ledger, 24))

    assert ledger.asked == [8, 8, 8]


def test_large_pages_are_written_before_many_are_held() -> None:
    """Nobody writes beside the visitor here: it writes by itself once 16 MiB wait."""
    ledger = ledger_of(10)

    asyncio.run(walked(ledger, 7, html=bytes(5 * 2**20)))

    assert ledger.brought == [4]
