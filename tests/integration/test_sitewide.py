"""What every page of a website shows: one page keeps it, no page changes with it, and whoever asks finds it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from pipeline.db import chunks, site_blocks
from pipeline.db import pages as page_rows
from pipeline.db.engine import Database
from pipeline.errors import LeaseLost
from pipeline.model import Discovered, Verification
from pipeline.services.crawls import CrawlJob
from pipeline.services.pages import SITE_WIDE
from pipeline.urls import url_key
from tests.fakes.knowledge import Answer, Knowledge, at, outcome

PAGES = 8
BANNER = "<p>Our shop stays closed between Christmas and New Year this winter.</p>"
OTHER = "<p>Our shop opens again on the seventh of January at nine.</p>"
BOX = "<h2>Stay in touch</h2><p>Leave us your address and hear of every new lamp.</p>"


def body(number: int, *, count: int = 3) -> str:
    """The own text of one page."""
    return "".join(
        f"<h2>Lamp {number}-{part}</h2><p>Lamp {number}-{part} is item{number}x{part} and costs {number * 37 + part} "
        f"euros with shade{number * 11} in colour{part * 7} as wide as {number + part} hands.</p>"
        for part in range(count)
    )


def site(*, top: str = "", end: str = "", count: int = PAGES) -> dict[str, Answer]:
    """A shop of so many pages, each between these."""
    paths = ["/", *(f"/lamp-{number}" for number in range(1, count))]
    return {path: f"{top}{body(number)}{end}" for number, path in enumerate(paths)}


def live_texts(knowledge: Knowledge) -> dict[str, str]:
    """All that answers: the texts of every page's chunks, by address."""
    org_id = knowledge.org.org_id
    with knowledge.services.database.read() as session:
        answering = chunks.live(session, chunks.of_live_versions(session, org_id=org_id), org_id=org_id)
    found: dict[str, str] = {}
    for piece in sorted(answering.values(), key=lambda one: one.position):
        found[piece.url] = f"{found.get(piece.url, '')}{' > '.join(piece.heading_path)}\n{piece.text}\n"
    return found


def pages_with(knowledge: Knowledge, words: str) -> set[str]:
    """The addresses whose chunks hold these words."""
    return {url for url, text in live_texts(knowledge).items() if words in text}


def recrawl(knowledge: Knowledge, pages: Mapping[str, Answer]) -> tuple[CrawlJob, int]:
    """Crawl again. Returns the job, and how many texts were embedded."""
    before = len(knowledge.embedder.encoded)
    job = knowledge.crawl(pages)
    return job, len(knowledge.embedder.encoded) - before


def test_one_page_keeps_what_every_page_shows(knowledge: Knowledge) -> None:
    """The box at the foot of every page is an answer of the start page, with its heading, and of no other."""
    job = knowledge.crawl(site(end=BOX))

    shown = knowledge.services.pages.show(at("/lamp-3"), scope=knowledge.org)

    assert job.new_pages == PAGES
    assert job.status == "completed"
    assert pages_with(knowledge, "every new lamp") == {at("/")}
    assert pages_with(knowledge, "Stay in touch") <= {at("/")}
    assert [text for reason, text in shown.dropped if reason == SITE_WIDE] == [
        "## Stay in touch",
        "Leave us your address and hear of every new lamp.",
    ]
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_banner_on_every_page_changes_no_page(knowledge: Knowledge) -> None:
    """It appears, says something else, and goes: the page that keeps it is embedded anew, and no other."""
    knowledge.crawl(site())

    appeared, first = recrawl(knowledge, site(top=BANNER))
    in_between = pages_with(knowledge, "Christmas")
    changed, second = recrawl(knowledge, site(top=OTHER))
    went, third = recrawl(knowledge, site())

    assert [(job.updated_pages, job.unchanged_pages) for job in (appeared, changed, went)] == [(1, PAGES - 1)] * 3
    assert (first, second) == (1, 1)
    assert third == 0
    assert in_between == {at("/")}
    assert pages_with(knowledge, "Our shop") == set()


def test_a_block_that_few_pages_share_stays_with_each(knowledge: Knowledge) -> None:
    """What some products have in common is a fact about each of them."""
    pages = site()
    for path in ["/lamp-1", "/lamp-2", "/lamp-3"]:
        pages[path] = f"{pages[path]}<p>This lamp is made in Germany by hand.</p>"

    knowledge.crawl(pages)

    assert len(pages_with(knowledge, "made in Germany")) == 3


def test_a_page_keeps_its_text_when_every_page_says_it(knowledge: Knowledge) -> None:
    """A page with nothing of its own still says what it says."""
    pages = site(end=BOX)
    pages["/lamp-1"] = f"<!doctype html><html lang=en><title>Letter</title><main>{BOX}</main></html>"

    knowledge.crawl(pages)

    assert at("/lamp-1") in pages_with(knowledge, "every new lamp")


def test_an_edit_beside_a_new_banner_is_an_update_all_the_same(knowledge: Knowledge) -> None:
    """The one page that says something else is updated; its banner is not its own."""
    knowledge.crawl(site())
    pages = site(top=BANNER)
    pages["/lamp-5"] = str(pages["/lamp-5"]).replace("costs 187 euros", "costs 178 euros")

    job, embedded = recrawl(knowledge, pages)

    assert (job.updated_pages, job.unchanged_pages) == (2, PAGES - 2)
    assert embedded <= 3
    assert pages_with(knowledge, "178 euros") == {at("/lamp-5")}
    assert pages_with(knowledge, "Christmas") == {at("/")}


def test_a_paragraph_added_to_one_page_is_an_update(knowledge: Knowledge) -> None:
    """It waited for the end of fetching, in case every page got it; then it is indexed and counted."""
    knowledge.crawl(site())
    pages = site()
    pages["/lamp-2"] = f"{pages['/lamp-2']}<p>From May on this lamp is sold in green as well.</p>"

    job, _ = recrawl(knowledge, pages)

    assert (job.updated_pages, job.unchanged_pages) == (1, PAGES - 1)
    assert pages_with(knowledge, "in green as well") == {at("/lamp-2")}


def test_another_page_keeps_it_when_the_first_is_excluded(knowledge: Knowledge) -> None:
    """What the whole site says is not lost with one page."""
    knowledge.crawl(site(end=BOX))
    start = knowledge.services.pages.show(at("/"), scope=knowledge.org).page.id

    knowledge.services.pages.exclude(start, scope=knowledge.org)
    knowledge.index()

    assert "every new lamp" in knowledge.ask("Where do I hear of every new lamp?").passages[0].text
    assert len(pages_with(knowledge, "every new lamp") - {at("/")}) == 1


def test_a_moved_paragraph_costs_nothing(knowledge: Knowledge) -> None:
    """A page of many small paragraphs is unchanged when one of them stands elsewhere, and an edit is still seen."""
    prose = [
        f"<p>Paragraph {number} tells in one whole sentence of item{number * 7} and of word{number * 13} at length, "
        f"as paragraphs of guides like this one do.</p>"
        for number in range(120)
    ]
    knowledge.crawl({"/": "".join(prose)})

    moved, first = recrawl(knowledge, {"/": "".join([*prose[1:40], prose[0], *prose[40:]])})
    edited, second = recrawl(knowledge, {"/": "".join(prose).replace("item217 ", "item218 ")})

    assert (moved.unchanged_pages, first) == (1, 0)
    assert edited.updated_pages == 1
    assert 1 <= second <= 2


def test_what_became_site_wide_while_a_page_was_cut_is_seen(knowledge: Knowledge) -> None:
    """Two pages are excluded one after the other, each just before the box reached it: a third page keeps it."""
    knowledge.crawl(site(end=BOX))
    shown = [knowledge.services.pages.show(at(path), scope=knowledge.org).page.id for path in ("/", "/lamp-1")]

    for page_id in shown:
        knowledge.services.pages.exclude(page_id, scope=knowledge.org)
    knowledge.index()

    assert pages_with(knowledge, "every new lamp") == {at("/lamp-2")}


def test_a_cancelled_crawl_leaves_no_text_waiting(knowledge: Knowledge) -> None:
    """What waited for the end of fetching is indexed when that end does not come."""
    knowledge.crawl(site())
    pages = site()
    pages["/lamp-2"] = f"{pages['/lamp-2']}<p>From May on this lamp is sold in green as well.</p>"
    ledger, claim = knowledge.start(knowledge.add_site())
    while taken := ledger.take(4):
        ledger.record([outcome(url, pages, knowledge.clock) for url in taken])

    knowledge.services.crawls.cancel(claim.crawl_id, scope=knowledge.org)
    knowledge.services.upkeep.tick(schedules=False)
    knowledge.index()

    assert pages_with(knowledge, "in green as well") == {at("/lamp-2")}


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_pages_makes_no_difference(knowledge: Knowledge, seed: int) -> None:
    """However pages come in, and whenever they are indexed between, the same chunks answer in the end."""
    order = random.Random(seed)  # noqa: S311 - a shuffle, no secret
    pages = site(top=BANNER, end=BOX)
    ledger, _ = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in pages])
    urls = ledger.take(PAGES)
    order.shuffle(urls)

    for url in urls:
        ledger.record([outcome(url, pages, knowledge.clock)])
        if order.random() < 0.5:
            knowledge.services.index.index_waiting(limit=2, owner="indexer")
    ledger.finish()
    knowledge.index()

    assert pages_with(knowledge, "Christmas") == pages_with(knowledge, "every new lamp") == {at("/")}
    assert all(len(text.split("Lamp")) > 3 for text in live_texts(knowledge).values())
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_two_workers_and_a_spider_agree(knowledge: Knowledge) -> None:
    """Whoever indexes what meanwhile, one page keeps the box in the end."""
    pages = site(end=BOX)
    ledger, _ = knowledge.start(knowledge.add_site())
    ledger.seed([Discovered(url_key(at(path)), at(path), depth=1) for path in pages])
    is_over = Event()

    def index() -> None:
        while not is_over.is_set():
            with suppress(LeaseLost):
                knowledge.services.index.index_waiting(limit=2, owner="indexer")

    with ThreadPoolExecutor(2) as workers:
        running = [workers.submit(index) for _ in range(2)]
        try:
            while taken := ledger.take(2):
                ledger.record([outcome(url, pages, knowledge.clock) for url in taken])
            ledger.finish()
        finally:
            is_over.set()
        for worker in running:
            worker.result()
    knowledge.index()

    assert pages_with(knowledge, "every new lamp") == {at("/")}
    assert len(live_texts(knowledge)) == PAGES
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    newest=st.dictionaries(st.integers(0, 9), st.sets(st.integers(-4, 4)), min_size=1),
    earlier=st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(-4, 4))), max_size=10),
    order=st.randoms(use_true_random=False),
)
def test_what_is_site_wide_depends_on_the_newest_texts_alone(
    shop: tuple[Database, UUID], newest: dict[int, set[int]], earlier: list[tuple[int, set[int]]], order: random.Random
) -> None:
    """Not on the order in which they came, nor on what the pages said before."""
    database, datasource_id = shop
    last = list(newest.items())
    order.shuffle(last)
    with database.write() as session:
        session.execute(delete(site_blocks.PageBlock))
        known = {page.depth: page for page in page_rows.kept(session, datasource_id)}
        for number, blocks in [*((number, blocks) for number, blocks in earlier if number in newest), *last]:
            site_blocks.note_all(session, [(known[number], blocks)])
        found = site_blocks.site_wide(session, datasource_id, least_pages=3, least_share=0.2)

    on = {block: sorted(number for number, has in newest.items() if block in has) for block in range(-4, 5)}
    assert {block: known[numbers[0]].id for block, numbers in on.items() if len(numbers) >= 3} == found.keepers


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Database, UUID]]:
    """Ten pages that serve, number 0 of the shortest address."""
    base = Knowledge(tmp_path)
    base.crawl({f"/{'x' * number}": body(number, count=1) for number in range(10)})
    datasource_id = base.add_site()
    with base.services.database.write() as session:
        for page in page_rows.kept(session, datasource_id):
            page.depth = len(page.url) - len(at("/"))
    yield base.services.database, datasource_id
    base.services.close()


def test_blocks_are_noted_once_however_often(knowledge: Knowledge) -> None:
    """Two crawls of the same site count each page once."""
    pages = site(end=BOX)
    knowledge.crawl(pages)
    knowledge.crawl(pages)
    datasource: UUID = knowledge.add_site()

    with knowledge.services.database.read() as session:
        found = site_blocks.site_wide(session, datasource, least_pages=PAGES, least_share=0.1)
        none = site_blocks.site_wide(session, datasource, least_pages=PAGES + 1, least_share=0.1)

    assert len(found.keepers) == 2
    assert none.keepers == {}
