"""A platform adds, changes and deletes websites."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from pipeline.db import bodies, chunks, crawls, frontier, page_versions, pages
from pipeline.db.base import Base
from pipeline.db.datasources import Datasource
from pipeline.errors import (
    CrawlAlreadyRunning,
    CrawlNotFound,
    DatasourceExists,
    DatasourceNotFound,
    InvalidInput,
)
from pipeline.model import CrawlTrigger, Verification
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.services.datasources import DatasourceView
from pipeline.services.websites import DatasourceChange
from tests.fakes.knowledge import SITE, Knowledge, at, outcome, walk

ONE = pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
"""One database is enough: both do the same here."""

TEXTS = {
    "/": "<p>Welcome to the lamp shop of Tromsoe, open every day from nine to five.</p>",
    "/docs/lamps": "<p>Oil lamps need a new wick after about two hundred evenings of light.</p>",
    "/docs/oil": "<p>Whale oil was replaced by paraffin in the shops of the north long ago.</p>",
    "/blog/party": "<p>Our summer party was a great success with music and dancing until dawn.</p>",
}


def change(knowledge: Knowledge, site: DatasourceView, **fields: Any) -> DatasourceView:  # noqa: ANN401 - any field
    """Change a website."""
    return knowledge.services.datasources.change(site.id, DatasourceChange(fields), scope=knowledge.org)


def crawled(knowledge: Knowledge) -> DatasourceView:
    """The shop's website after its first crawl."""
    knowledge.crawl(TEXTS)
    knowledge.clock.forward(seconds=1)
    return knowledge.services.datasources.page_through(scope=knowledge.org).items[0]


def answering(knowledge: Knowledge) -> set[str]:
    """The paths that answer."""
    org_id = knowledge.org.org_id
    with knowledge.services.database.read() as session:
        found = chunks.live(session, chunks.of_live_versions(session, org_id=org_id), org_id=org_id)
    return {"/" + piece.url.removeprefix(at("/")) for piece in found.values()}


def rows(knowledge: Knowledge, *tables: type[Base]) -> list[int]:
    """How many rows these tables have."""
    with knowledge.services.database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


@ONE
def test_a_new_website_is_shown_as_it_is_stored_and_its_crawl_waits(knowledge: Knowledge) -> None:
    """With defaults where nothing was given, and the host for a name."""
    made = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org)

    seen = knowledge.services.datasources.get(made.id, scope=knowledge.org)

    assert seen == made
    assert (seen.url, seen.display_name, seen.status) == (SITE, "shop.example", "active")
    assert (seen.page_limit, seen.crawl_interval_hours, seen.render_js) == (100, 168, "never")
    assert seen.page_stats.total == 0
    assert seen.active_crawl_job is not None
    assert (seen.active_crawl_job.status, seen.active_crawl_job.trigger) == ("pending", "api")
    assert knowledge.hints.sent == [("crawl", seen.active_crawl_job.id)]


@ONE
def test_a_website_can_be_added_without_a_crawl(knowledge: Knowledge) -> None:
    """It has its date all the same."""
    made = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org, starts=False)

    assert made.active_crawl_job is None
    assert made.next_crawl_at is not None


def test_a_second_website_at_the_same_address_is_refused_with_the_first_one_s_id(knowledge: Knowledge) -> None:
    """In whatever spelling; nothing of the first is changed."""
    made = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org)

    with pytest.raises(DatasourceExists) as refused:
        knowledge.services.datasources.add(NewDatasource("HTTPS://shop.example", page_limit=7), scope=knowledge.org)

    assert refused.value.facts["datasource"] == made.id
    assert knowledge.services.datasources.get(made.id, scope=knowledge.org).page_limit == 100


def test_a_page_that_new_rules_leave_out_stops_answering_at_once(knowledge: Knowledge) -> None:
    """From the commit on, with no crawl, and `why` names the rule."""
    site = crawled(knowledge)
    before = answering(knowledge)

    changed = change(knowledge, site, exclude_paths=("/docs/*",))

    assert before == set(TEXTS)
    assert answering(knowledge) == {"/", "/blog/party"}
    assert (changed.page_stats.synced, changed.page_stats.excluded) == (2, 2)
    assert "wick" not in " ".join(passage.text for passage in knowledge.ask("When does a lamp need a wick?").passages)
    why = knowledge.services.pages.why(at("/docs/oil"), scope=knowledge.org)
    assert (why.is_known, why.reason, why.detail) == (False, "excluded_rule", "exclude_paths: /docs/*")


@ONE
def test_a_page_comes_back_when_its_rule_goes_without_being_read_or_embedded_again(knowledge: Knowledge) -> None:
    """Its text is stored, and so are its vectors for a while."""
    site = crawled(knowledge)
    change(knowledge, site, exclude_paths=("/docs/*",))
    embedded = len(knowledge.embedder.encoded)
    knowledge.clock.forward(seconds=1)

    changed = change(knowledge, site, exclude_paths=())

    assert answering(knowledge) == set(TEXTS)
    assert changed.page_stats.synced == 4
    assert len(knowledge.embedder.encoded) == embedded
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


@ONE
def test_a_page_comes_back_after_its_vectors_were_swept_and_a_crawl_has_seen_the_rule(knowledge: Knowledge) -> None:
    """It is indexed again from its stored text; the next crawl finds it unchanged."""
    site = crawled(knowledge)
    change(knowledge, site, include_paths=("/", "/blog/*"))
    knowledge.clock.forward(hours=24)
    knowledge.services.upkeep.tick()

    change(knowledge, site, include_paths=())
    waiting = answering(knowledge)
    knowledge.index()
    again = knowledge.crawl(TEXTS)

    assert waiting == {"/", "/blog/party"}
    assert answering(knowledge) == set(TEXTS)
    assert (again.new_pages, again.updated_pages, again.unchanged_pages) == (0, 0, 4)
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


@ONE
def test_a_spider_that_goes_by_older_rules_brings_nothing_back(knowledge: Knowledge) -> None:
    """What it fetches of pages that are left out meanwhile is refused; what it left out that is allowed now stays."""
    site = crawled(knowledge)
    knowledge.clock.forward(seconds=1)
    ledger, _ = knowledge.start(site.id)
    walk(ledger, TEXTS, knowledge.clock, most=1)
    knowledge.clock.forward(seconds=1)

    change(knowledge, site, exclude_paths=("/docs/*",))
    edited = {path: text.replace("</p>", " Now with ten percent off.</p>") for path, text in TEXTS.items()}
    while taken := ledger.take(4):
        ledger.record([outcome(url, edited, knowledge.clock) for url in taken])
    ledger.finish()
    knowledge.index()

    assert answering(knowledge) == {"/", "/blog/party"}


@ONE
def test_a_text_that_waits_to_be_indexed_does_not_go_live_under_a_rule(knowledge: Knowledge) -> None:
    """The rule came between the crawl and the indexing."""
    knowledge.crawl(TEXTS, index=False)
    site = knowledge.services.datasources.page_through(scope=knowledge.org).items[0]

    change(knowledge, site, exclude_paths=("/docs/*",))
    knowledge.index()

    assert answering(knowledge) == {"/", "/blog/party"}


@ONE
def test_a_page_excluded_by_hand_stays_out_whatever_the_rules_say(knowledge: Knowledge) -> None:
    """Until it is included, and then the rules decide."""
    site = crawled(knowledge)
    page = knowledge.services.pages.list_pages(scope=knowledge.org, search="/docs/oil")[0]
    knowledge.services.pages.exclude(page.id, scope=knowledge.org)
    change(knowledge, site, exclude_paths=("/docs/*",))
    change(knowledge, site, exclude_paths=())
    by_hand = answering(knowledge)

    change(knowledge, site, exclude_paths=("/docs/*",))
    knowledge.services.pages.include(page.id, scope=knowledge.org)
    by_rule = knowledge.services.pages.show(page.id, scope=knowledge.org).page.reason
    change(knowledge, site, exclude_paths=())

    assert by_hand == set(TEXTS) - {"/docs/oil"}
    assert by_rule == "excluded_rule"
    assert answering(knowledge) == set(TEXTS)


@ONE
def test_a_change_names_only_what_changes(knowledge: Knowledge) -> None:
    """All else stays; a paused website has no less of a date, and one that is crawled by hand has none."""
    new = NewDatasource(SITE, display_name="Lamps", exclude_paths=("/blog/*",))
    made = knowledge.services.datasources.add(new, scope=knowledge.org)
    service = knowledge.services.datasources

    paused = service.change(made.id, DatasourceChange({"page_limit": None}, is_paused=True), scope=knowledge.org)
    by_hand = change(knowledge, made, crawl_interval_hours=None)
    active = service.change(
        made.id, DatasourceChange({"crawl_interval_hours": 24}, is_paused=False), scope=knowledge.org
    )

    assert (paused.status, paused.page_limit, paused.display_name) == ("paused", None, "Lamps")
    assert paused.exclude_paths == ("/blog/*",)
    assert by_hand.next_crawl_at is None
    assert active.next_crawl_at is not None
    assert active.next_crawl_at - knowledge.clock.now <= timedelta(hours=25)


@ONE
def test_a_deleted_website_is_out_of_every_answer_and_every_list_at_once(knowledge: Knowledge) -> None:
    """Its rows are still there, and nobody sees them."""
    site = crawled(knowledge)
    page = knowledge.services.pages.list_pages(scope=knowledge.org)[0]

    knowledge.services.datasources.delete(site.id, scope=knowledge.org)

    assert answering(knowledge) == set()
    assert knowledge.ask("When does a lamp need a new wick?").passages == ()
    assert knowledge.services.pages.list_pages(scope=knowledge.org) == []
    assert knowledge.services.crawls.list_jobs(scope=knowledge.org) == []
    for look in (
        lambda: knowledge.services.datasources.get(site.id, scope=knowledge.org),
        lambda: knowledge.services.datasources.delete(site.id, scope=knowledge.org),
        lambda: knowledge.services.pages.show(page.id, scope=knowledge.org),
    ):
        with pytest.raises(InvalidInput):
            look()
    assert rows(knowledge, pages.Page) == [4]


def test_upkeep_removes_what_was_deleted_and_nothing_else(knowledge: Knowledge) -> None:
    """Rows and points, of pages, crawls and bodies alike; the other website keeps all of its own."""
    site = crawled(knowledge)
    other = knowledge.services.datasources.add(NewDatasource("https://other.example/"), scope=knowledge.org)
    knowledge.services.datasources.delete(site.id, scope=knowledge.org)

    knowledge.services.upkeep.tick()
    removed = knowledge.services.upkeep.tick().removed

    tables = (pages.Page, page_versions.PageVersion, chunks.ChunkRow, bodies.Body, frontier.FrontierEntry)
    assert rows(knowledge, *tables) == [0, 0, 0, 0, 0]
    assert rows(knowledge, Datasource, crawls.Crawl) == [1, 1]
    assert knowledge.store.count(scope=knowledge.org) == 0
    assert removed == 0
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()
    assert knowledge.services.datasources.get(other.id, scope=knowledge.org).active_crawl_job is not None


@ONE
def test_a_crawl_of_a_deleted_website_writes_nothing_more(knowledge: Knowledge) -> None:
    """Its spider is refused, and a new website may take the address."""
    site = crawled(knowledge)
    ledger, _ = knowledge.start(site.id)
    taken = ledger.take(2)

    knowledge.services.datasources.delete(site.id, scope=knowledge.org)
    again = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org)

    with pytest.raises(Exception, match="Another worker holds"):
        ledger.record([outcome(url, TEXTS, knowledge.clock) for url in taken])
    assert again.id != site.id
    assert again.page_stats.total == 0


@ONE
def test_points_that_are_being_written_are_waited_for(knowledge: Knowledge) -> None:
    """A worker that holds pages of a deleted website may write until its lease ends; then they are removed."""
    site = crawled(knowledge)
    knowledge.crawl({**TEXTS, "/new": "<p>A new page about candles and their long history.</p>"}, index=False)
    index = knowledge.services.index
    claim = index._claim(knowledge.org.org_id, limit=4, owner="slow")  # noqa: SLF001 - a worker that is half-way
    knowledge.services.datasources.delete(site.id, scope=knowledge.org)

    knowledge.services.upkeep.tick()
    while_held = rows(knowledge, pages.Page)
    knowledge.clock.forward(seconds=61)
    knowledge.services.upkeep.tick()

    assert claim is not None
    assert while_held == [5]
    assert rows(knowledge, pages.Page, Datasource) == [0, 0]
    assert knowledge.store.count(scope=knowledge.org) == 0


def test_crawls_started_at_the_same_moment_are_one(knowledge: Knowledge) -> None:
    """The others are told which one runs."""
    made = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org, starts=False)

    def start(_: int) -> CrawlJob | CrawlAlreadyRunning:
        try:
            return knowledge.services.crawls.start(made.id, scope=knowledge.org, trigger=CrawlTrigger.API)
        except CrawlAlreadyRunning as running:
            return running

    with ThreadPoolExecutor(8) as many:
        told = list(many.map(start, range(8)))

    (job,) = [one for one in told if isinstance(one, CrawlJob)]
    refused = [one.facts["crawl"] for one in told if isinstance(one, CrawlAlreadyRunning)]
    assert refused == [job.id] * 7


@ONE
def test_a_crawl_that_is_accepted_without_a_broker_is_hinted_by_the_next_tick(knowledge: Knowledge) -> None:
    """Its row is the truth; the hint follows."""
    knowledge.hints.is_away = True
    made = knowledge.services.datasources.add(NewDatasource(SITE), scope=knowledge.org)
    knowledge.hints.is_away = False

    knowledge.services.upkeep.tick()

    assert made.active_crawl_job is not None
    assert ("crawl", made.active_crawl_job.id) in knowledge.hints.sent


@ONE
def test_jobs_are_listed_newest_first_in_pieces(knowledge: Knowledge) -> None:
    """Each piece goes on where the one before stopped; a job of another website is not found."""
    site = crawled(knowledge)
    for _ in range(2):
        knowledge.clock.forward(hours=1)
        knowledge.crawl(TEXTS)
    other = knowledge.services.datasources.add(NewDatasource("https://other.example/"), scope=knowledge.org)
    listed = knowledge.services.crawls.page_through

    first = listed(site.id, scope=knowledge.org, limit=2)
    second = listed(site.id, scope=knowledge.org, limit=2, after=first.next)

    assert [len(first.items), len(second.items)] == [2, 1]
    assert second.next is None
    times = [job.created_at for job in (*first.items, *second.items)]
    assert times == sorted(times, reverse=True)
    with pytest.raises(CrawlNotFound):
        knowledge.services.crawls.job_of(other.id, first.items[0].id, scope=knowledge.org)
    with pytest.raises(DatasourceNotFound):
        listed(uuid4(), scope=knowledge.org)
