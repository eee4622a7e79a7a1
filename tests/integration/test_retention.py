"""Texts that served long ago are forgotten; what serves is not, however old it is."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from pipeline.db import bodies
from pipeline.model import Verification
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
