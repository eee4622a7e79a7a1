"""What is done to pages, one by one and many together."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from pipeline.errors import DatasourceNotFound, InvalidInput, PageNotFound
from pipeline.model import Verification
from pipeline.services.page_actions import PageAction, PageChoice
from tests.fakes.knowledge import Knowledge, at, walk
from tests.integration.test_datasources import ONE, TEXTS, answering, crawled

EXCLUDE, INCLUDE, RESYNC, DELETE = PageAction


def act(knowledge: Knowledge, action: PageAction, choice: PageChoice, *, datasource_id: UUID | None = None) -> int:
    """Do this to pages of the one website."""
    site = datasource_id or knowledge.services.datasources.page_through(scope=knowledge.org).items[0].id
    return knowledge.services.page_actions.act(action, site, choice, scope=knowledge.org)


def named(knowledge: Knowledge, *paths: str) -> PageChoice:
    """These pages."""
    ids = (knowledge.services.pages.show(at(path), scope=knowledge.org).page.id for path in paths)
    return PageChoice(tuple(ids))


@ONE
def test_pages_are_excluded_and_included_together(knowledge: Knowledge) -> None:
    """Twice is the same as once."""
    crawled(knowledge)
    docs = named(knowledge, "/docs/lamps", "/docs/oil")

    counts = [act(knowledge, EXCLUDE, docs), act(knowledge, EXCLUDE, docs)]
    without = answering(knowledge)
    act(knowledge, INCLUDE, docs)

    assert counts == [2, 2]
    assert without == {"/", "/blog/party"}
    assert answering(knowledge) == set(TEXTS)


@ONE
def test_pages_are_chosen_by_what_is_in_them(knowledge: Knowledge) -> None:
    """As a list of them would be narrowed."""
    crawled(knowledge)

    count = act(knowledge, EXCLUDE, PageChoice(search="/docs/", status="synced"))

    assert count == 2
    assert answering(knowledge) == {"/", "/blog/party"}
    assert act(knowledge, EXCLUDE, PageChoice(search="/docs/", status="synced")) == 0


@ONE
def test_one_foreign_page_among_many_and_nothing_happens(knowledge: Knowledge) -> None:
    """A page of nobody, of another website, or of another org is not found."""
    site = crawled(knowledge)
    home = named(knowledge, "/")
    choice = PageChoice((*home.ids, uuid4()))
    other = knowledge.services.orgs.ensure("other")

    with pytest.raises(PageNotFound):
        act(knowledge, EXCLUDE, choice)
    with pytest.raises(DatasourceNotFound):
        knowledge.services.page_actions.act(EXCLUDE, site.id, home, scope=other)
    with pytest.raises(InvalidInput, match="at most 1000"):
        act(knowledge, EXCLUDE, PageChoice(tuple(uuid4() for _ in range(1_001))))

    assert answering(knowledge) == set(TEXTS)


def test_a_deleted_page_is_gone_with_its_points_and_a_later_crawl_finds_it_anew(knowledge: Knowledge) -> None:
    """From the commit on it answers no more and is in no list."""
    site = crawled(knowledge)
    oil = named(knowledge, "/docs/oil")

    act(knowledge, DELETE, oil)
    at_once = answering(knowledge)
    why = knowledge.services.pages.why(at("/docs/oil"), scope=knowledge.org)
    points = knowledge.store.count(scope=knowledge.org)
    knowledge.services.upkeep.tick()
    fewer = knowledge.store.count(scope=knowledge.org)
    verified = knowledge.services.verification.verify(scope=knowledge.org)
    again = knowledge.crawl(TEXTS)

    assert at_once == set(TEXTS) - {"/docs/oil"}
    assert (why.is_known, why.reason) == (False, "pending")
    assert fewer < points
    assert verified == Verification()
    assert (again.new_pages, again.unchanged_pages) == (1, 3)
    assert knowledge.services.datasources.get(site.id, scope=knowledge.org).page_stats.total == 4


@ONE
def test_a_page_is_read_again_by_a_crawl_of_what_is_due(knowledge: Knowledge) -> None:
    """It, the start page, and no other; while a crawl runs, that one reads it again."""
    knowledge.crawl(TEXTS)
    knowledge.clock.forward(hours=1)
    oil = named(knowledge, "/docs/oil")

    act(knowledge, RESYNC, oil)
    (job,) = knowledge.services.crawls.list_running(scope=knowledge.org)
    ledger, _ = knowledge.hold(job.id)
    first = [url.url for url in ledger.take(10)]
    knowledge.clock.forward(seconds=1)
    act(knowledge, RESYNC, named(knowledge, "/blog/party"))
    second = [url.url for url in ledger.take(10)]

    assert set(first) == {at("/"), at("/docs/oil")}
    assert second == [at("/blog/party")]


@ONE
def test_a_page_is_read_again_whatever_it_says_of_itself(knowledge: Knowledge) -> None:
    """Its validators are forgotten, so that the site cannot answer that nothing changed."""
    site = crawled(knowledge)
    act(knowledge, RESYNC, named(knowledge, "/docs/oil"))
    (job,) = knowledge.services.crawls.list_running(scope=knowledge.org)

    ledger, _ = knowledge.hold(job.id)
    taken = {url.url: url.etag for url in ledger.take(10)}
    walk(ledger, TEXTS, knowledge.clock)

    assert taken[at("/docs/oil")] is None
    assert taken[at("/")] is not None
    assert knowledge.services.datasources.get(site.id, scope=knowledge.org).page_stats.synced == 4
