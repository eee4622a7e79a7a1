"""A newer extractor reads stored pages again: nothing is fetched, nobody waits, and no crawl counts it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipeline.db import bodies, rereading
from pipeline.db.page_versions import PageVersion
from pipeline.errors import DiskFull, PageTooSlow
from pipeline.model import Document, Verification
from pipeline.services.rereading import RereadingService
from pipeline.stages.extract import EXTRACTOR, extract
from pipeline.stages.extract.decoding import tells_its_charset
from pipeline.stages.extract.fingerprints import text_hash
from tests.fakes.knowledge import Knowledge, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEWER = "an extractor to come"
SHOP = {
    "/": "<p>Welcome to the shop that sells lamps and chairs to everybody.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
    "/lamps": "<p>A lamp of brass costs forty euros with its shade.</p>",
}


class NewerParser:
    """Reads as ever, and adds what the old one overlooked on the page about shipping. Notes what it read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.is_broken = False
        self.is_blind = False
        self.meanwhile: Callable[[], None] = lambda: None

    def extract(self, html: bytes, *, url: str) -> Document:
        """The document of a page."""
        self.read.append(url)
        self.meanwhile()
        if self.is_broken:
            raise PageTooSlow(url=url, seconds=15)
        document = replace(extract(html, url=url), extractor=NEWER)
        if self.is_blind:
            return replace(document, markdown="Menu", text_hash=text_hash("Menu"))
        if "/shipping" in url:
            markdown = f"{document.markdown}\n\nOn Sundays nothing is sent at all.\n"
            return replace(document, markdown=markdown, text_hash=text_hash(markdown))
        return document


@pytest.fixture
def parser() -> NewerParser:
    """The parser of the newer extractor."""
    return NewerParser()


@pytest.fixture
def newer(knowledge: Knowledge, parser: NewerParser) -> RereadingService:
    """Reading again with it."""

    @contextmanager
    def parsers() -> Iterator[NewerParser]:
        yield parser

    services = knowledge.services
    return RereadingService(
        services.database,
        knowledge.settings,
        knowledge.hints,
        knowledge.clock,
        parsers=parsers,
        extractor=lambda: NEWER,
    )


def take_all(knowledge: Knowledge, *, owner: str) -> int:
    """Take the org's texts to read them again, as a worker does that then vanishes. Returns how many there were."""
    work = knowledge.settings.work
    with knowledge.services.database.write() as session:
        held = rereading.claim(
            session,
            knowledge.org.org_id,
            extractor=NEWER,
            limit=len(SHOP),
            attempts=work.attempts,
            now=knowledge.clock.now,
            lease=work.index_lease,
            owner=owner,
        )
    return len(held)


def test_stored_pages_are_read_again_and_answer_anew(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """What the newer extractor found is in the answers; texts that stay the same are not indexed again."""
    knowledge.crawl(SHOP)
    embedded = len(knowledge.embedder.encoded)

    started = newer.start(scope=knowledge.org)
    is_more = newer.work(owner="indexer")
    knowledge.index()

    ended = newer.status(scope=knowledge.org)
    said = knowledge.ask("Is a chair sent on Sundays?").passages
    assert (started.is_running, started.live, started.outdated) == (True, 3, 3)
    assert not is_more
    assert sorted(parser.read) == sorted(map(at, SHOP))
    assert (ended.is_running, ended.outdated, ended.left, ended.derived) == (False, 0, 0, 1)
    assert any("On Sundays nothing is sent" in passage.text for passage in said)
    assert len(knowledge.embedder.encoded) - embedded == 1
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_the_old_text_answers_until_the_new_one_is_whole(knowledge: Knowledge, newer: RereadingService) -> None:
    """Between reading and indexing nothing is missing."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")

    before = knowledge.ask("What does shipping a chair cost?").passages[0]
    knowledge.index()
    after = knowledge.ask("What does shipping a chair cost?").passages[0]

    assert "nine euros" in before.text
    assert "Sundays" not in before.text
    assert "nine euros" in after.text
    assert "Sundays" in after.text
    assert (after.fetched_at, after.changed_at) == (before.fetched_at, before.changed_at)


def test_no_crawl_counts_it(knowledge: Knowledge, newer: RereadingService) -> None:
    """The crawl that fetched the pages keeps its counts; the new version says what it was made from, and by whom."""
    crawl = knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")
    knowledge.index()

    counted = knowledge.services.crawls.job(crawl.id, scope=knowledge.org)
    history = knowledge.services.history.of_page(at("/shipping"), scope=knowledge.org)
    with knowledge.services.database.read() as session:
        derived = session.query(PageVersion).where(PageVersion.derived_from.is_not(None)).all()
    assert (counted.new_pages, counted.updated_pages) == (3, 0)
    assert [said.crawl_id for said in history.versions] == [None, crawl.id]
    assert [(version.number, version.extractor, version.crawl_id) for version in derived] == [(2, NEWER, None)]


def test_a_page_that_would_say_much_less_stays_as_it_is(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """A newer extractor that goes blind takes nothing away."""
    knowledge.crawl(SHOP)
    parser.is_blind = True

    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")
    knowledge.index()

    ended = newer.status(scope=knowledge.org)
    assert (ended.is_running, ended.outdated, ended.left, ended.derived) == (False, 3, 3, 0)
    assert "nine euros" in knowledge.ask("What does shipping a chair cost?").passages[0].text


def test_what_was_left_is_tried_by_the_next_start(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """A page that could not be read is no obstacle, and no loss."""
    knowledge.crawl(SHOP)
    parser.is_broken = True
    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")
    broken = newer.status(scope=knowledge.org)
    parser.is_broken = False

    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")
    knowledge.index()

    assert (broken.is_running, broken.left) == (False, 3)
    assert newer.status(scope=knowledge.org).outdated == 0


def test_a_page_whose_html_is_gone_stays_as_it_is(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """Nothing is fetched in its stead."""
    knowledge.crawl(SHOP)
    with knowledge.services.database.write() as session:
        session.query(bodies.Body).delete()

    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")

    assert newer.status(scope=knowledge.org).left == 3
    assert parser.read == []


def test_a_reader_that_was_killed_loses_its_pages_to_another(knowledge: Knowledge, newer: RereadingService) -> None:
    """Its lease runs out; until then the work is not over."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)
    held = take_all(knowledge, owner="killed")
    newer.work(owner="second")
    meanwhile = newer.status(scope=knowledge.org)
    knowledge.clock.forward(seconds=61)
    newer.work(owner="second")

    assert held == 3
    assert (meanwhile.is_running, meanwhile.outdated) == (True, 3)
    ended = newer.status(scope=knowledge.org)
    assert (ended.is_running, ended.outdated, ended.derived) == (False, 0, 1)


def test_a_website_that_is_being_removed_is_in_nobodys_way(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """Its pages are not read again, and those of other orgs are."""
    knowledge.crawl(SHOP)
    other = knowledge.services.orgs.ensure("another")
    knowledge.crawl({"/": SHOP["/"]}, scope=other)
    for scope in (knowledge.org, other):
        newer.start(scope=scope)
    source = knowledge.services.datasources.page_through(scope=knowledge.org).items[0].id
    knowledge.services.datasources.delete(source, scope=knowledge.org)

    newer.work(owner="indexer")

    mine, others = (newer.status(scope=scope) for scope in (knowledge.org, other))
    assert (mine.is_running, mine.live, mine.outdated) == (False, 0, 0)
    assert (others.is_running, others.outdated) == (False, 0)
    assert parser.read == [at("/")]


def test_a_website_deleted_while_its_pages_are_read_gets_no_new_text(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """What was read is dropped, and the work ends."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)
    source = knowledge.services.datasources.page_through(scope=knowledge.org).items[0].id

    def deletes() -> None:
        if len(parser.read) == 1:
            knowledge.services.datasources.delete(source, scope=knowledge.org)

    parser.meanwhile = deletes

    newer.work(owner="indexer")

    with knowledge.services.database.read() as session:
        derived = session.query(PageVersion).where(PageVersion.derived_from.is_not(None)).count()
    assert len(parser.read) == len(SHOP)
    assert derived == 0
    assert not newer.status(scope=knowledge.org).is_running


def test_a_reader_that_fails_lets_go_of_its_pages(
    knowledge: Knowledge, newer: RereadingService, parser: NewerParser
) -> None:
    """Whoever comes next need not wait until a lease runs out; a parser that is away counts against no page."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)

    def fails() -> None:
        raise DiskFull(directory="where parsers work")

    parser.meanwhile = fails
    for _ in range(knowledge.settings.work.attempts + 1):
        with pytest.raises(DiskFull):
            newer.work(owner="first")
    parser.meanwhile = lambda: None
    newer.work(owner="second")

    ended = newer.status(scope=knowledge.org)
    assert (ended.is_running, ended.outdated, ended.left) == (False, 0, 0)


def test_pages_that_every_reader_vanished_over_end_the_work(knowledge: Knowledge, newer: RereadingService) -> None:
    """After the last attempt nobody takes them any more: they stay as they are, and are counted."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)
    for attempt in range(knowledge.settings.work.attempts):
        assert take_all(knowledge, owner=f"dead{attempt}") == len(SHOP)
        knowledge.clock.forward(seconds=knowledge.settings.work.index_lease.total_seconds() + 1)

    newer.work(owner="indexer")

    ended = newer.status(scope=knowledge.org)
    assert (ended.is_running, ended.outdated, ended.left) == (False, 3, 3)


def test_one_hint_goes_out_a_tick_however_many_orgs_wait(knowledge: Knowledge, newer: RereadingService) -> None:
    """It is about the org whose turn it is, and there is none while a hint lies there that no worker took."""
    for name in ("a", "b", "c"):
        newer.start(scope=knowledge.services.orgs.ensure(name))
    with knowledge.services.database.read() as session:
        first = rereading.orgs(session)[0]
    knowledge.hints.sent.clear()

    newer.hint()
    once = list(knowledge.hints.sent)
    knowledge.hints.waits = True
    newer.hint()
    knowledge.hints.waits, knowledge.hints.is_away = False, True
    newer.hint()

    assert once == knowledge.hints.sent == [("index", first)]


def test_what_a_crawl_brought_meanwhile_stands(knowledge: Knowledge, newer: RereadingService) -> None:
    """A text that waits, fresh from its website, is not replaced by one of a page as it was."""
    knowledge.crawl(SHOP)
    fresh = {**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros and takes four days.</p>"}
    knowledge.crawl(fresh, index=False)

    newer.start(scope=knowledge.org)
    newer.work(owner="indexer")
    knowledge.index()

    assert "twelve euros" in knowledge.ask("What does shipping a chair cost?").passages[0].text


def test_it_can_be_cancelled(knowledge: Knowledge, newer: RereadingService, parser: NewerParser) -> None:
    """Then nothing more is read."""
    knowledge.crawl(SHOP)
    newer.start(scope=knowledge.org)

    cancelled = newer.cancel(scope=knowledge.org)
    newer.work(owner="indexer")

    assert not cancelled.is_running
    assert parser.read == []


def test_texts_of_this_extractor_need_no_reading(knowledge: Knowledge) -> None:
    """Where nothing is outdated, no parser is started and it is over at once."""
    knowledge.crawl(SHOP)
    services = knowledge.services

    started = services.rereading.start(scope=knowledge.org)

    assert (started.extractor, started.outdated) == (EXTRACTOR, 0)


@pytest.mark.parametrize(
    ("html", "told"),
    [
        (b"<p>plain", True),
        ("<p>caf\u00e9".encode(), True),
        ("<meta charset=iso-8859-1><p>caf\u00e9".encode("latin-1"), True),
        ("<p>caf\u00e9 cr\u00e8me".encode("latin-1"), False),
        ("<p>\u65e5\u672c\u8a9e".encode("shift_jis"), False),
    ],
)
def test_bytes_that_tell_their_charset_can_be_read_again(html: bytes, told: object) -> None:
    """The header they came with is not stored."""
    assert tells_its_charset(html) is told
