"""Which pages a crawl asks for: all of them by hand, by the clock those that are due and not vouched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from pipeline.db import datasources, pages
from pipeline.db.datasources import Datasource
from pipeline.db.pages import Page
from pipeline.lastmods import MOST_ON_TRUST
from pipeline.model import CrawlTrigger, Discovered, FrontierUrl, OrgScope, Outcome, Point, Reason
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.urls import url_key
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, outcome, page, paragraphs
from tests.fakes.vector_store import MemoryStore

INTERVAL = timedelta(hours=168)


class CountingStore(MemoryStore):
    """Counts what is written."""

    upserted = 0

    def upsert(self, points: Sequence[Point], *, scope: OrgScope) -> None:
        """Count the points too."""
        self.upserted += len(points)
        super().upsert(points, scope=scope)


@dataclass
class Visitor:
    """Crawls a dictionary as a spider does, with validators and a sitemap, and keeps what it asked for."""

    knowledge: Knowledge
    site: dict[str, Answer]
    lastmods: dict[str, str] = field(default_factory=dict)
    has_validators: bool = True
    asked: list[str] = field(default_factory=list)
    parsed: int = 0

    def crawl(self, trigger: CrawlTrigger = CrawlTrigger.SCHEDULE) -> CrawlJob:
        """Crawl and index. `asked` holds the paths that were asked for, `parsed` how many came with a body."""
        knowledge = self.knowledge
        datasource = knowledge.add_site()
        job = knowledge.services.crawls.start(datasource, scope=knowledge.org, trigger=trigger)
        ledger, _ = knowledge.hold(job.id)
        self.asked, self.parsed = [], 0
        ledger.seed([Discovered(url_key(at(p)), at(p), depth=1, lastmod=self.lastmods.get(p)) for p in self.site])
        while taken := ledger.take(4):
            ledger.record([self._visit(url) for url in taken])
        ledger.finish()
        knowledge.index()
        return knowledge.services.crawls.job(job.id, scope=knowledge.org)

    def _visit(self, url: FrontierUrl) -> Outcome:
        self.asked.append("/" + url.url.removeprefix(SITE))
        found = outcome(url, self.site, self.knowledge.clock)
        if self.has_validators and found.etag and found.etag == url.etag:
            return replace(found, not_modified=True, document=None, html=None, http_status=304)
        self.parsed += found.document is not None
        return found if self.has_validators else replace(found, etag=None)


@pytest.fixture
def visitor(knowledge: Knowledge) -> Visitor:
    """A website of six pages that was crawled once."""
    made = Visitor(knowledge, {"/": paragraphs(3), **{f"/p{n}": paragraphs(3, about=f"part{n}") for n in range(5)}})
    made.crawl(CrawlTrigger.MANUAL)
    return made


def test_an_unchanged_site_costs_no_vector_and_no_point(visitor: Visitor) -> None:
    """A crawl by hand asks every page whether it changed, and that is all."""
    store = CountingStore()
    store.prepare(visitor.knowledge.embedder.identity)
    visitor.knowledge.use_store(store)
    vectors = len(visitor.knowledge.embedder.encoded)

    job = visitor.crawl(CrawlTrigger.MANUAL)

    assert (len(visitor.asked), visitor.parsed) == (6, 0)
    assert (job.unchanged_pages, job.not_due_pages, job.updated_pages) == (6, 0, 0)
    assert len(visitor.knowledge.embedder.encoded) == vectors
    assert store.upserted == 0


def test_a_scheduled_crawl_asks_for_what_is_due(visitor: Visitor) -> None:
    """Before their time pages rest, are neither gone nor "unchanged", and answer; only the start page is asked for."""
    visitor.knowledge.clock.forward(hours=24)

    job = visitor.crawl()

    assert visitor.asked == ["/"]
    assert (job.unchanged_pages, job.not_due_pages, job.removed_pages) == (1, 5, 0)
    assert job.completed_pages == job.total_pages == 6
    assert _synced(visitor.knowledge) == 6


def test_what_rests_is_due_in_the_end(visitor: Visitor) -> None:
    """An interval later every page is asked for; the next time that is later for those that did not change."""
    clock = visitor.knowledge.clock
    clock.forward(hours=170)

    visitor.site["/p1"] = paragraphs(3, about="new")
    visitor.crawl()
    asked = sorted(visitor.asked)
    dates = {path: _page(visitor.knowledge, path).next_fetch_at for path in ("/p0", "/p1")}

    assert asked == sorted(visitor.site)
    assert _at(dates["/p1"]) < _at(dates["/p0"])
    assert _at(dates["/p0"]) > clock.now + INTERVAL


def test_the_next_crawl_comes_when_a_page_is_due(visitor: Visitor) -> None:
    """A page that changes brings the website's next crawl forward; without one it comes an interval later."""
    clock = visitor.knowledge.clock
    for number in range(8):
        clock.forward(hours=168)
        visitor.site["/p1"] = paragraphs(3, about=f"again{number}")
        visitor.crawl()

    source = _datasource(visitor.knowledge)

    assert source.next_crawl_at == _page(visitor.knowledge, "/p1").next_fetch_at
    assert clock.now + INTERVAL / 6 <= _at(source.next_crawl_at) < clock.now + INTERVAL


def test_new_addresses_are_asked_for_although_nothing_is_due(visitor: Visitor) -> None:
    """What a sitemap or a page names for the first time does not wait."""
    visitor.knowledge.clock.forward(hours=24)
    visitor.site["/new"] = paragraphs(3, about="novelty")

    job = visitor.crawl()

    assert sorted(visitor.asked) == ["/", "/new"]
    assert (job.new_pages, job.not_due_pages) == (1, 5)


def test_a_page_that_is_missing_is_asked_for_again_at_the_next_crawl(visitor: Visitor) -> None:
    """One 404 is a doubt, which has no date; the second one ends the page, as ever."""
    visitor.site["/p2"] = 404
    visitor.crawl(CrawlTrigger.MANUAL)
    visitor.knowledge.clock.forward(hours=24)

    job = visitor.crawl()

    assert sorted(visitor.asked) == ["/", "/p2"]
    assert job.removed_pages + job.held_pages == 1


def test_a_page_that_is_not_kept_rests_too(visitor: Visitor) -> None:
    """What a page said against being kept is believed for as long as what another said for itself."""
    visitor.site["/thin"] = Reason.NOINDEX
    visitor.crawl(CrawlTrigger.MANUAL)
    visitor.knowledge.clock.forward(hours=24)

    job = visitor.crawl()

    assert visitor.asked == ["/"]
    assert (job.not_due_pages, job.refused_pages) == (5, 1)


def test_a_twin_that_rests_is_looked_at_when_its_page_says_something_else(visitor: Visitor) -> None:
    """The text that two pages shared is not lost when one of them changes before the other is due."""
    knowledge = visitor.knowledge
    visitor.site |= {"/q": paragraphs(3, about="shared"), "/q/longer": _titled("/q", paragraphs(3, about="shared"))}
    visitor.crawl(CrawlTrigger.MANUAL)
    assert _page(knowledge, "/q/longer").reason == Reason.DUPLICATE_OF
    knowledge.clock.forward(hours=24)
    _make_due(knowledge, "/q")
    visitor.site["/q"] = paragraphs(3, about="different")

    visitor.crawl()

    assert "/q/longer" in visitor.asked
    assert _page(knowledge, "/q/longer").reason == Reason.SYNCED


def test_new_rules_wake_every_page(visitor: Visitor) -> None:
    """A rule that changed must reach pages that are not due, and their links, which "not modified" would not show."""
    knowledge = visitor.knowledge
    knowledge.clock.forward(hours=24)
    knowledge.services.crawls.add(NewDatasource(SITE, exclude_paths=("/nothing/*",)), scope=knowledge.org)
    knowledge.services.crawls.add(NewDatasource(SITE), scope=knowledge.org)

    visitor.crawl()

    assert sorted(visitor.asked) == sorted(visitor.site)
    assert visitor.parsed == 6


def test_a_sitemap_is_believed_once_its_word_was_good(visitor: Visitor) -> None:
    """A change that it told and claims that held spare requests: all but the start page's, and not for ever."""
    _earn_trust(visitor)

    asked = []
    for _ in range(MOST_ON_TRUST + 1):
        _make_due(visitor.knowledge, *visitor.site)
        visitor.knowledge.clock.forward(hours=168)
        job = visitor.crawl()
        asked.append((len(visitor.asked), job.not_due_pages))

    assert asked == [(1, 5)] * MOST_ON_TRUST + [(6, 0)]


def test_a_trusted_sitemap_wakes_a_page_that_is_not_due(visitor: Visitor) -> None:
    """What it says has changed is asked for at once."""
    _earn_trust(visitor)
    visitor.knowledge.clock.forward(hours=1)
    visitor.site["/p3"] = paragraphs(3, about="news")
    visitor.lastmods["/p3"] = visitor.knowledge.clock.now.isoformat()
    visitor.knowledge.clock.forward(hours=24)

    job = visitor.crawl()

    assert sorted(visitor.asked) == ["/", "/p3"]
    assert job.updated_pages == 1


def test_a_sitemap_that_lied_is_never_believed_again(visitor: Visitor) -> None:
    """A page that changed although its sitemap said not costs the whole website's sitemaps their credit."""
    _earn_trust(visitor)
    visitor.knowledge.clock.forward(hours=1)
    visitor.site["/p4"] = paragraphs(3, about="silent")
    visitor.crawl(CrawlTrigger.MANUAL)

    asked = []
    for _ in range(2):
        _make_due(visitor.knowledge, *visitor.site)
        visitor.knowledge.clock.forward(hours=168)
        visitor.crawl()
        asked.append(len(visitor.asked))

    assert _datasource(visitor.knowledge).lastmod_broken == 1
    assert asked == [6, 6]


def _earn_trust(visitor: Visitor) -> None:
    clock = visitor.knowledge.clock
    visitor.lastmods = dict.fromkeys(visitor.site, (clock.now - timedelta(days=9)).isoformat())
    for _ in range(4):
        clock.forward(hours=1)
        visitor.crawl(CrawlTrigger.MANUAL)
    clock.forward(hours=1)
    visitor.site["/p0"] = paragraphs(3, about="told")
    visitor.lastmods["/p0"] = clock.now.isoformat()
    clock.forward(hours=1)
    visitor.crawl(CrawlTrigger.MANUAL)
    source = _datasource(visitor.knowledge)
    assert (source.lastmod_told, source.lastmod_broken) == (1, 0)
    assert source.lastmod_kept >= 20


def _titled(path: str, text: str) -> str:
    """The very page of another path, whole."""
    return page(path, text)


def _make_due(knowledge: Knowledge, *paths: str) -> None:
    source = _datasource(knowledge)
    with knowledge.services.database.write() as session:
        for path in paths:
            found = pages.find(session, source.id, url_key(at(path)))
            assert found is not None
            found.next_fetch_at = knowledge.clock.now


def _page(knowledge: Knowledge, path: str) -> Page:
    with knowledge.services.database.read() as session:
        found = pages.find(session, _datasource(knowledge).id, url_key(at(path)))
    assert found is not None
    return found


def _datasource(knowledge: Knowledge) -> Datasource:
    with knowledge.services.database.read() as session:
        return datasources.listing(session, org_id=knowledge.org.org_id)[0]


def _synced(knowledge: Knowledge) -> int:
    with knowledge.services.database.read() as session:
        return pages.count_by_status(session, org_id=knowledge.org.org_id)["synced"]


def _at(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment
