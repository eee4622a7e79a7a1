"""Work whose holder is dead, and can be seen to be: who takes it up, and when."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from pipeline.db import chunks, page_versions
from pipeline.db.crawls import VANISHINGS, Crawl
from pipeline.holders import this_process
from pipeline.model import CrawlStatus
from pipeline.services.crawls import CrawlClaim
from tests.fakes.knowledge import Knowledge, walk

if TYPE_CHECKING:
    from uuid import UUID

SIGNS = "from pipeline.holders import this_process; print(this_process())"
SHOP = {f"/{place}": f"<p>Chair number {place} has its own words and price {place * 7}.</p>" for place in range(6)} | {
    "/": "<p>A shop that sells chairs to whoever likes to sit.</p>"
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process when it began")


@pytest.fixture
def dead() -> str:
    """How a process signed that has ended."""
    return subprocess.run([sys.executable, "-c", SIGNS], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - our own code


def _start(knowledge: Knowledge, *, owner: str) -> CrawlClaim:
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)
    claim = knowledge.services.crawls.claim(job.id, owner=owner)
    assert claim is not None
    knowledge.hints.sent.clear()
    return claim


def test_a_crawl_of_a_dead_worker_is_taken_up_at_the_next_tick(knowledge: Knowledge, dead: str) -> None:
    """Its lease has most of its time left, and nobody waits for that; the death counts as one of a worker."""
    claim = _start(knowledge, owner=dead)

    report = knowledge.services.upkeep.tick()

    assert report.orphaned == 1
    assert knowledge.hints.sent == [("crawl", claim.crawl_id)]
    again = knowledge.services.crawls.claim(claim.crawl_id, owner=this_process())
    assert again is not None
    with knowledge.services.database.read() as session:
        crawl = session.get_one(Crawl, claim.crawl_id)
        assert (crawl.attempts, crawl.vanished) == (2, 1)


def test_a_worker_that_lives_or_is_elsewhere_keeps_what_it_holds(knowledge: Knowledge) -> None:
    """Only a death that is seen ends a lease before its time."""
    mine = _start(knowledge, owner=this_process())
    other = knowledge.services.crawls.start(knowledge.add_site("https://other.example/"), scope=knowledge.org)
    theirs = knowledge.services.crawls.claim(other.id, owner="elsewhere:abc:1:1")
    assert theirs is not None

    report = knowledge.services.upkeep.tick()

    assert report.orphaned == 0
    knowledge.services.crawls.renew(mine)
    knowledge.services.crawls.renew(theirs)


def test_a_worker_that_begins_frees_what_its_predecessor_held(knowledge: Knowledge, dead: str) -> None:
    """A machine with no upkeep of its own waits for nobody else's."""
    claim = _start(knowledge, owner=dead)

    knowledge.services.operations.enter("crawl", sends_ticks=False)

    assert knowledge.services.crawls.claim(claim.crawl_id, owner=this_process()) is not None


def test_pages_of_a_dead_worker_are_next(knowledge: Knowledge, dead: str) -> None:
    """At once, and before new ones."""
    knowledge.crawl(SHOP, index=False)
    lost = knowledge.take_texts(owner=dead)

    knowledge.services.upkeep.tick()

    assert knowledge.take_texts(owner="indexer") | knowledge.take_texts(owner="indexer") == lost


def test_a_batch_of_a_dead_worker_is_taken_up_in_parts_and_those_in_turn_one_by_one(
    knowledge: Knowledge, dead: str
) -> None:
    """One page that kills is found out after three workers; the others do not wait for each other one by one."""
    knowledge.crawl(SHOP, index=False)
    lost = knowledge.take_texts(owner=dead, limit=8)
    knowledge.services.upkeep.tick()
    part = knowledge.take_texts(owner=dead, limit=8)
    knowledge.services.upkeep.tick()
    knowledge.clock.forward(seconds=knowledge.settings.work.hint_delays[0].total_seconds() + 1)

    alone = [knowledge.take_texts(owner="indexer", limit=8) for _ in part]
    rest = knowledge.take_texts(owner="indexer", limit=8)

    assert len(lost) == len(SHOP)
    assert len(part) == 2
    assert [len(one) for one in alone] == [1, 1]
    assert set().union(*alone) == part
    assert len(rest) == 2
    assert rest < lost - part


def test_a_page_that_costs_one_worker_after_the_other_lets_new_ones_pass(knowledge: Knowledge, dead: str) -> None:
    """From its second death on it is free a little later each time, and then it is next again."""
    knowledge.crawl(SHOP, index=False)
    (lost,) = knowledge.take_texts(owner=dead, limit=1)
    knowledge.services.upkeep.tick()
    assert knowledge.take_texts(owner=dead) == {lost}
    delay = knowledge.settings.work.hint_delays[0]

    knowledge.services.upkeep.tick()
    knowledge.clock.forward(seconds=(delay - timedelta(seconds=1)).total_seconds())
    knowledge.services.upkeep.tick()
    meanwhile = knowledge.take_texts(owner="indexer")
    knowledge.clock.forward(seconds=2)
    after = knowledge.take_texts(owner="indexer")

    assert lost not in meanwhile
    assert len(meanwhile) == 2
    assert after == {lost}


def test_nobody_waits_for_vectors_that_a_dead_worker_was_computing(knowledge: Knowledge, dead: str) -> None:
    """Its page may be held back for a while; others with the same text are embedded meanwhile."""
    knowledge.crawl(SHOP, index=False)
    (lost,) = knowledge.take_texts(owner=dead, limit=1)
    _intend(knowledge, lost, "the same text")
    knowledge.services.upkeep.tick()
    assert knowledge.take_texts(owner=dead) == {lost}
    before = _busy(knowledge, "the same text")

    knowledge.services.upkeep.tick()

    with knowledge.services.database.read() as session:
        until = page_versions.get(session, lost).lease_until
    assert before == {"the same text"}
    assert until is not None
    assert until > knowledge.clock.now
    assert _busy(knowledge, "the same text") == set()


def _intend(knowledge: Knowledge, version_id: UUID, text: str) -> None:
    """Note, as a worker does, that this text of the page is about to be embedded."""
    with knowledge.services.database.write() as session:
        version = page_versions.get(session, version_id)
        row = {
            "id": uuid4(),
            "org_id": version.org_id,
            "page_id": version.page_id,
            "datasource_id": version.datasource_id,
            "model": "model",
            "heading_path": [],
            "text": text,
            "text_hash": text,
            "tokens": 3,
        }
        chunks.intend(session, [row], now=knowledge.clock.now)


def _busy(knowledge: Knowledge, text: str) -> set[str]:
    """Whether somebody else who comes by would wait for this text's vector."""
    asked = {"org_id": knowledge.org.org_id, "token": uuid4(), "now": knowledge.clock.now}
    with knowledge.services.database.read() as session:
        return chunks.being_embedded(session, [text], model="model", **asked)  # type: ignore[arg-type] # three kinds of fact


def test_a_crawl_that_got_on_is_given_to_the_next_spider_at_once(knowledge: Knowledge) -> None:
    """However many died before: each had written something."""
    assert len(SHOP) > knowledge.settings.work.attempts
    claim = _start(knowledge, owner=this_process())
    for _ in SHOP:
        ledger = knowledge.ledger(claim)
        walk(ledger, SHOP, knowledge.clock, most=1)
        knowledge.hints.sent.clear()
        knowledge.services.crawls.release(claim, burn=True, detail="killed")
        sent = list(knowledge.hints.sent)
        again = knowledge.services.crawls.claim_in_turn(claim.crawl_id, owner=this_process())
        assert sent == [("crawl", claim.crawl_id)]
        assert again is not None
        claim = again


def test_a_crawl_that_kills_spiders_before_they_get_anywhere_waits_longer_each_time(knowledge: Knowledge) -> None:
    """Its next spider comes by a tick."""
    claim = _start(knowledge, owner=this_process())
    waits = []
    for _ in range(3):
        assert knowledge.ledger(claim).take(1)
        knowledge.services.crawls.release(claim, burn=True, detail="killed")
        assert knowledge.hints.sent == []
        with knowledge.services.database.read() as session:
            due = session.get_one(Crawl, claim.crawl_id).hint_at
        assert due is not None
        waits.append(due - knowledge.clock.now)
        again = knowledge.services.crawls.claim(claim.crawl_id, owner=this_process())
        assert again is not None
        claim = again

    assert waits == list(knowledge.settings.work.hint_delays[:3])


def test_spiders_that_die_before_they_ask_for_anything_tell_less_against_a_crawl(knowledge: Knowledge) -> None:
    """Nothing of the website was seen yet: a busy machine is as likely the cause, so more are borne, and none waits."""
    claim: CrawlClaim | None = _start(knowledge, owner=this_process())
    deaths = 0
    while claim is not None:
        deaths += 1
        knowledge.services.crawls.release(claim, burn=True, detail="killed")
        with knowledge.services.database.read() as session:
            crawl = session.get_one(Crawl, claim.crawl_id)
            assert crawl.hint_at == knowledge.clock.now + knowledge.settings.work.hint_delays[0]
        claim = knowledge.services.crawls.claim(crawl.id, owner=this_process())

    job = knowledge.services.crawls.job(crawl.id, scope=knowledge.org)
    assert deaths == VANISHINGS * knowledge.settings.work.attempts
    assert (job.status, job.error_message) == (CrawlStatus.FAILED, "killed")
