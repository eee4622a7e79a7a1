"""What died is listed with its cause, and put back: one, by cause, or all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import DeadLetterNotFound
from pipeline.model import Vector
from pipeline.services.dead_letters import (
    SPIDER_ENDED,
    UNREADABLE,
    WORKER_ENDED,
    LetterView,
    Redriven,
    cause_of,
    fingerprint_of,
)
from tests.fakes.embedder import WordEmbedder
from tests.fakes.knowledge import Answer, Knowledge, at, walk

HOME = "<p>Welcome to the shop that sells lamps and chairs to everybody who asks.</p>"
BAD = "<p>This page speaks of the unspeakable thing, which no model can take in at all.</p>"
WORSE = "<p>Here stands the unspeakable word as well, in a sentence of its own, about prices.</p>"
SITE: dict[str, Answer] = {"/": HOME, "/bad": BAD}


class Choking(WordEmbedder):
    """Cannot embed a text with this word in it."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self._word = word

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Embed, or fail as a defect does."""
        if any(self._word in text for text in texts):
            message = f"cannot read {texts[0][-30:]!r}"
            raise ValueError(message)
        return super().encode_documents(texts)


def _park(knowledge: Knowledge) -> list[LetterView]:
    """Index with a model that chokes until upkeep gives up. Returns the dead letters."""
    knowledge.use_embedder(Choking("unspeakable"))
    for _ in range(4 * knowledge.settings.work.attempts):
        knowledge.services.index.index_waiting(limit=16, owner="indexer")
    knowledge.services.upkeep.tick(schedules=False)
    return knowledge.services.dead_letters.list_letters(scope=knowledge.org)


def _mend(knowledge: Knowledge) -> None:
    knowledge.use_embedder(WordEmbedder())


def test_a_page_that_was_set_aside_leaves_a_dead_letter(knowledge: Knowledge) -> None:
    """With the address, the error's name, how often it was tried, and when it was seen."""
    knowledge.crawl(SITE, index=False)

    (letter,) = _park(knowledge)

    assert (letter.kind, letter.url, letter.cause) == ("page", at("/bad"), "ValueError")
    assert (letter.attempts, letter.deaths) == (knowledge.settings.work.attempts, 1)
    assert letter.first_seen_at == letter.last_seen_at == knowledge.clock.now
    assert "cannot read" in (letter.problem or "")


def test_a_page_put_back_is_indexed_once_its_cause_is_gone(knowledge: Knowledge) -> None:
    """It serves then, and its letter stands no more."""
    knowledge.crawl(SITE, index=False)
    (letter,) = _park(knowledge)
    _mend(knowledge)

    done = knowledge.services.dead_letters.redrive(letter.id, scope=knowledge.org)
    knowledge.index()

    assert done == Redriven(pages=1)
    assert knowledge.services.dead_letters.list_letters(scope=knowledge.org) == []
    assert knowledge.services.pages.why(at("/bad"), scope=knowledge.org).is_known
    assert knowledge.services.verification.verify(scope=knowledge.org).is_clean


def test_a_page_that_dies_again_keeps_its_first_day(knowledge: Knowledge) -> None:
    """One letter, seen first then and last now, with both deaths counted."""
    knowledge.crawl(SITE, index=False)
    (first,) = _park(knowledge)
    knowledge.clock.forward(days=3)
    knowledge.services.dead_letters.redrive(first.id, scope=knowledge.org)

    (again,) = _park(knowledge)

    assert (again.id, again.deaths, again.fingerprint) == (first.id, 2, first.fingerprint)
    assert (again.first_seen_at, again.last_seen_at) == (first.first_seen_at, knowledge.clock.now)


def test_putting_back_twice_is_the_same_as_once(knowledge: Knowledge) -> None:
    """The second is told that there was nothing to do."""
    knowledge.crawl(SITE, index=False)
    (letter,) = _park(knowledge)
    letters = knowledge.services.dead_letters

    done = [letters.redrive(letter.id, scope=knowledge.org) for _ in range(2)]

    assert done == [Redriven(pages=1), Redriven(passed_over=1)]
    assert letters.show(letter.id, scope=knowledge.org).redriven_at == knowledge.clock.now


def test_all_of_one_cause_are_put_back_and_no_other(knowledge: Knowledge) -> None:
    """By the error's name, or by the fingerprint of its words."""
    knowledge.crawl({**SITE, "/worse": WORSE}, index=False)
    letters = _park(knowledge)

    none = knowledge.services.dead_letters.redrive_all(scope=knowledge.org, cause="MemoryError")
    both = knowledge.services.dead_letters.redrive_all(scope=knowledge.org, cause=letters[0].fingerprint)

    assert (len(letters), len({letter.fingerprint for letter in letters})) == (2, 1)
    assert (none, both) == (Redriven(), Redriven(pages=2))


def test_a_page_with_a_newer_text_is_no_dead_letter(knowledge: Knowledge) -> None:
    """The website changed what could not be read: nothing is left to do."""
    knowledge.crawl(SITE, index=False)
    _park(knowledge)
    _mend(knowledge)

    knowledge.crawl({"/": HOME, "/bad": "<p>This page speaks of lamps now, and of nothing else at all.</p>"})

    assert knowledge.services.dead_letters.list_letters(scope=knowledge.org) == []


def test_a_crawl_that_failed_for_good_leaves_a_dead_letter_and_can_be_begun_anew(knowledge: Knowledge) -> None:
    """Once for its website; a new crawl takes its place."""
    knowledge.crawl({"/": 500})
    letters = knowledge.services.dead_letters

    (letter,) = letters.list_letters(scope=knowledge.org)
    knowledge.clock.forward(minutes=1)
    done = letters.redrive_all(scope=knowledge.org)

    assert (letter.kind, letter.url, letter.cause) == ("crawl", at("/"), UNREADABLE)
    assert done == Redriven(crawls=1)
    assert letters.list_letters(scope=knowledge.org) == []
    assert knowledge.services.crawls.list_jobs(scope=knowledge.org)[0].status == "pending"


def test_a_url_that_ended_every_spider_leaves_a_dead_letter(knowledge: Knowledge) -> None:
    """The crawl goes on without it; a new crawl tries it again, and then it is no dead letter."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, {**SITE, "/a-poison": BAD}, knowledge.clock, most=1)
    for _ in range(knowledge.settings.work.attempts - 1):
        ledger.take(1)
        knowledge.clock.forward(seconds=1)
        knowledge.services.crawls.release(claim, burn=True)
        ledger, claim = knowledge.hold(claim.crawl_id)
    walk(ledger, SITE, knowledge.clock)
    knowledge.index()
    letters = knowledge.services.dead_letters

    (letter,) = letters.list_letters(scope=knowledge.org)
    knowledge.clock.forward(minutes=1)
    done = letters.redrive(letter.id, scope=knowledge.org)

    assert (letter.kind, letter.url, letter.cause) == ("url", at("/a-poison"), SPIDER_ENDED)
    assert done == Redriven(crawls=1)
    assert letters.list_letters(scope=knowledge.org) == []


def test_another_org_sees_none_of_it(knowledge: Knowledge) -> None:
    """Neither in the list, nor by id, nor when all are put back."""
    knowledge.crawl({"/": 500})
    (letter,) = knowledge.services.dead_letters.list_letters(scope=knowledge.org)
    other = knowledge.services.orgs.ensure("other")

    with pytest.raises(DeadLetterNotFound):
        knowledge.services.dead_letters.redrive(letter.id, scope=other)

    assert knowledge.services.dead_letters.redrive_all(scope=other) == Redriven()


@pytest.mark.parametrize(
    ("kind", "problem", "cause"),
    [
        ("page", None, WORKER_ENDED),
        ("page", "ValueError: no such thing", "ValueError"),
        ("url", None, SPIDER_ENDED),
        ("crawl", "its spider was ended by SIGKILL", SPIDER_ENDED),
        ("crawl", "https://shop.example/ could not be read: dns", UNREADABLE),
    ],
)
def test_a_cause_is_a_word(kind: str, problem: str | None, cause: str) -> None:
    """The error's name where there was one."""
    assert cause_of(kind, problem) == cause


def test_a_fingerprint_sees_past_numbers_names_and_addresses() -> None:
    """The same defect on two pages is one."""
    one = fingerprint_of("page", "ValueError", "ValueError: block 17 of 'a.html' at https://a.example/x")
    two = fingerprint_of("page", "ValueError", "ValueError: block 4 of 'b.html' at https://b.example/y/z")
    other = fingerprint_of("page", "ValueError", "ValueError: no block")

    assert one == two != other
