"""A host that wants to be left alone for long: its crawl does not sit there and wait."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from spiders.run import STOPPED
from tests.fakes.ledger import FakeLedger, make_plan
from tests.lab import LabSite, Reply
from tests.lab.crawl import crawl

MINUTES = timedelta(minutes=10)


def later() -> Reply:
    """Asks to be left alone until a date."""
    return Reply(429, b"", (("Retry-After", format_datetime(datetime.now(UTC) + MINUTES, usegmt=True)),))


@pytest.fixture
def site() -> Iterator[LabSite]:
    """A front page and six more, of which the first is busy."""
    with LabSite() as lab:
        lab.page("/", links=[f"/{number}" for number in range(6)])
        for number in range(6):
            lab.page(f"/{number}")
        lab.answers("/0", later())
        yield lab


def test_a_crawl_whose_host_wants_minutes_is_given_back(site: LabSite) -> None:
    """Until the date of its `Retry-After`; nothing more is asked of it, no URL is lost, and no attempt is counted."""
    ledger = FakeLedger(make_plan(f"{site.url}/"))

    status = crawl(ledger)

    waiting = [row.taken for row in ledger.rows.values() if not row.is_done]
    assert status == STOPPED
    assert not ledger.is_finished
    assert ledger.paused_for is not None
    assert MINUTES * 0.8 < ledger.paused_for <= MINUTES
    assert {taken.url for taken in waiting} == {f"{site.url}/{number}" for number in range(6)} - ledger.kept()
    assert all(taken.attempts == site.count(f"/{taken.url[-1]}") for taken in waiting)


def test_a_crawl_whose_robots_txt_wants_minutes_asks_for_nothing(site: LabSite) -> None:
    """Not a page is fetched without it."""
    site.answers("/robots.txt", Reply(503, b"", (("Retry-After", "600"),)))
    ledger = FakeLedger(make_plan(f"{site.url}/"))

    status = crawl(ledger)

    assert status == STOPPED
    assert ledger.paused_for is not None
    assert ledger.paused_for > MINUTES * 0.8
    assert {request.path for request in site.requests} == {"/robots.txt"}
