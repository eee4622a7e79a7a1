"""Hints may be doubled, lost or late: the work is done, once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from pipeline.adapters.celery import CeleryHints, broker_url
from pipeline.bootstrap import Services
from pipeline.model import CrawlStatus
from tests.lab import LabSite
from tests.lab.embedded import Embedded
from tests.lab.waiting import eventually

PATHS = ("/", "/prices", "/returns")
TEXTS = {
    "/": "Birch and Tide sells kayaks, paddles and dry bags to people who like cold water.",
    "/prices": "A kayak costs 900 euros, a paddle 80 euros and a dry bag 25 euros, tax included.",
    "/returns": "Send anything back within sixty days; we pay the parcel and refund within a week.",
}


class LosingHints:
    """A broker that takes every hint and delivers none."""

    def crawl(self, crawl_id: UUID) -> None:
        """Lose it."""

    def index(self, org_id: UUID) -> None:
        """Lose it."""

    def index_waits(self) -> bool:
        """None is kept."""
        return False


@pytest.fixture(scope="module")
def sitewise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One embedded Sitewise for every test here; each crawls a site of its own."""
    with Embedded(tmp_path_factory.mktemp("sitewise")) as embedded:
        yield embedded


@pytest.fixture
def site() -> Iterator[LabSite]:
    """Three pages."""
    with LabSite() as lab:
        for path in PATHS:
            lab.page(path, text=f"{TEXTS[path]} This is the shop at port {lab.port}.", links=PATHS)
        yield lab


def test_a_doubled_hint_crawls_once(sitewise: Embedded, site: LabSite) -> None:
    """Five hints for one crawl fetch every page once, in one attempt."""
    hints = CeleryHints(broker_url(sitewise.settings), sitewise.settings.broker.publish_timeout)
    crawl = sitewise.start(site.url)
    for _ in range(4):
        hints.crawl(crawl.id)
    hints.close()

    ended = sitewise.until_ended(crawl)

    assert (ended.status, ended.attempts, ended.completed_pages) == (CrawlStatus.COMPLETED, 1, 3)
    assert [site.count(path) for path in PATHS] == [1, 1, 1]


def test_a_lost_hint_is_given_again(sitewise: Embedded, site: LabSite) -> None:
    """A crawl nobody was told of is found by the next tick."""
    losing = Services(sitewise.settings, hints=LosingHints())
    crawl = sitewise.start(site.url, services=losing)
    losing.close()

    ended = sitewise.until_ended(crawl)

    assert (ended.status, ended.completed_pages) == (CrawlStatus.COMPLETED, 3)


BUSY_SECONDS = 5
"""What a busy machine may add; without a timeout it would be for ever."""


def test_a_frozen_broker_holds_nobody_up(sitewise: Embedded, site: LabSite) -> None:
    """Starting a crawl takes no longer than the publish timeout, and the crawl runs when the broker is back."""
    broker = sitewise.owner.pids["broker"]
    os.kill(broker, signal.SIGSTOP)
    try:
        began = time.monotonic()
        crawl = sitewise.start(site.url)
        took = time.monotonic() - began
    finally:
        os.kill(broker, signal.SIGCONT)

    ended = sitewise.until_ended(crawl)

    assert took < sitewise.settings.broker.publish_timeout.total_seconds() + BUSY_SECONDS
    assert (ended.status, ended.completed_pages) == (CrawlStatus.COMPLETED, 3)


def test_a_killed_broker_comes_back(sitewise: Embedded, site: LabSite) -> None:
    """The owner starts it again; what was waiting is done."""
    broker = sitewise.owner.pids["broker"]
    os.kill(broker, signal.SIGKILL)
    crawl = sitewise.start(site.url)

    ended = sitewise.until_ended(crawl)

    assert (ended.status, ended.completed_pages) == (CrawlStatus.COMPLETED, 3)
    assert eventually(lambda: sitewise.owner.pids.get("broker"), what="broker") != broker


def test_what_is_crawled_is_what_is_stored(sitewise: Embedded, site: LabSite) -> None:
    """After all of it, rows and points agree."""
    sitewise.until_ended(sitewise.start(site.url))

    report = sitewise.services.verification.verify(scope=sitewise.scope)

    assert report.is_clean
