"""Texts that served long ago are forgotten; what serves is not, however old it is."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from pipeline.db import bodies
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.db.revision import downgrade, upgrade
from pipeline.model import Reason, Verification
from pipeline.services.retention import forget_texts
from tests.fakes.knowledge import Answer, Knowledge, at, page

HOME = "<p>Welcome to the lamp shop of Tromsoe, open every day from nine to five.</p>"
PRICE = "<p>Shipping one lamp to any address in the country costs nine euros and takes three days.</p>"
CLOSED = "<p>We value your privacy. Accept all cookies or manage what we may store on this device.</p>"
FIRST: dict[str, Answer] = {"/": HOME, "/ship": PRICE}
THEN: dict[str, Answer] = {"/": HOME, "/ship": PRICE.replace("nine", "fourteen")}


def numbers(knowledge: Knowledge, path: str) -> list[int]:
    """The versions of a page that can be looked up, newest first."""
    return [said.number for said in knowledge.services.history.of_page(at(path), scope=knowledge.org).versions]


def has_html(knowledge: Knowledge, text: str) -> bool:
    """Whether the HTML of the page about shipping with this text is stored."""
    sha256 = hashlib.sha256(page("/ship", text).encode()).hexdigest()
    with knowledge.services.database.read() as session:
        return bodies.read(session, sha256, org_id=knowledge.org.org_id) is not None


def test_a_text_that_served_long_ago_goes_with_its_html(knowledge: Knowledge) -> None:
    """After the time set, not before; the page goes on as it is, and the rest of its history stays."""
    knowledge.crawl(FIRST)
    knowledge.clock.forward(hours=24)
    knowledge.crawl(THEN)
    keep = knowledge.settings.work.keep_history

    knowledge.clock.forward(hours=keep.total_seconds() / 3600 - 25)
    knowledge.services.upkeep.tick()
    before = numbers(knowledge, "/ship")
    knowledge.clock.forward(hours=26)
    knowledge.services.upkeep.tick()

    assert (before, numbers(knowledge, "/ship"), numbers(knowledge, "/")) == ([2, 1], [2], [1])
    assert (has_html(knowledge, PRICE), has_html(knowledge, PRICE.replace("nine", "fourteen"))) == (False, True)
    assert "fourteen euros" in knowledge.ask("What does shipping a lamp cost?").passages[0].text
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


LAMPS: dict[str, Answer] = {
    f"/lamp{number}": f"<p>The {colour} lamp shines over table and chair for {number + 3} hours a day.</p>"
    for number, colour in enumerate(("red", "blue", "green", "white", "black", "gold"))
}


def shipping(knowledge: Knowledge) -> list[tuple[int, datetime | None]]:
    """The stored versions of the page about shipping, each with when it stopped serving."""
    versions = select(PageVersion.number, PageVersion.retired_at).join(Page, Page.id == PageVersion.page_id)
    with knowledge.services.database.read() as session:
        found = session.execute(versions.where(Page.url == at("/ship")).order_by(PageVersion.number))
        return [(row.number, row.retired_at) for row in found]


@pytest.mark.parametrize(
    "instead",
    [410, Reason.NOINDEX, page("/", HOME)],
    ids=["gone", "noindex", "duplicate"],
)
def test_a_text_of_a_page_that_left_goes_in_its_time(knowledge: Knowledge, instead: Answer) -> None:
    """However the page left: what it said last is kept for the time set, and then goes with its HTML."""
    knowledge.crawl(FIRST | LAMPS)
    for _ in range(2):
        knowledge.clock.forward(hours=24)
        knowledge.crawl({"/": HOME, "/ship": instead, **LAMPS})
    keep = knowledge.settings.work.keep_history

    knowledge.clock.forward(hours=keep.total_seconds() / 3600 - 25)
    knowledge.services.upkeep.tick(schedules=False)
    before = shipping(knowledge)
    knowledge.clock.forward(hours=50)
    knowledge.services.upkeep.tick(schedules=False)

    assert [number for number, _ in before] == [1]
    assert shipping(knowledge) == []
    assert not has_html(knowledge, PRICE)


def test_a_text_that_serves_again_is_kept_from_when_it_stops_again(knowledge: Knowledge) -> None:
    """A roll-back by way of the index takes back when the text stopped; leaving later counts anew."""
    knowledge.crawl(FIRST | LAMPS)
    knowledge.clock.forward(hours=24)
    knowledge.crawl(THEN | LAMPS)
    for _ in range(3):
        knowledge.clock.forward(hours=1)
        knowledge.services.upkeep.tick(schedules=False)

    knowledge.services.history.roll_back_page(at("/ship"), 1, scope=knowledge.org)
    knowledge.index()
    again = shipping(knowledge)
    knowledge.clock.forward(hours=24 * 370)
    for _ in range(2):
        knowledge.crawl({"/": HOME, **LAMPS})
        left = knowledge.clock.now
        knowledge.clock.forward(hours=1)
    knowledge.services.upkeep.tick(schedules=False)

    assert again[0] == (1, None)
    assert (1, left) in shipping(knowledge)


def test_a_database_of_before_is_told_when_its_texts_stopped(knowledge: Knowledge) -> None:
    """The migration reads it from what served when: of texts that left, and of those that serve again."""
    knowledge.crawl(FIRST | LAMPS)
    knowledge.clock.forward(hours=24)
    knowledge.crawl(THEN | LAMPS)
    stopped = knowledge.clock.now
    with knowledge.services.database.write() as session:
        session.execute(update(PageVersion).where(PageVersion.number == 1).values(retired_at=None))
        session.execute(update(PageVersion).where(PageVersion.number == 2).values(retired_at=stopped))

    downgrade(knowledge.services.database, "0022")
    upgrade(knowledge.services.database)

    assert shipping(knowledge) == [(1, stopped), (2, None)]


def test_a_text_that_is_held_stays(knowledge: Knowledge) -> None:
    """Somebody may still decide about it."""
    shop: dict[str, Answer] = {
        f"/p{number}": f"<p>Lamp {['blue', 'red'][number % 2]} number{number} glows.</p>" for number in range(8)
    }
    knowledge.crawl({"/": HOME, **shop})
    knowledge.clock.forward(hours=24)
    job = knowledge.crawl({"/": HOME, **dict.fromkeys(shop, CLOSED)})

    with knowledge.services.database.write() as session:
        forgotten = forget_texts(session, before=knowledge.clock.now + timedelta(days=1))

    assert job.held_pages == len(shop)
    assert forgotten == 0
    assert knowledge.services.history.approve(job.id, scope=knowledge.org)
