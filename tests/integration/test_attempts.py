"""What tells against a crawl and a URL, and what does not: restarts, progress, a disk that is full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.db import frontier
from pipeline.model import CrawlStatus, Reason
from pipeline.services import space
from tests.fakes.knowledge import SITE, Knowledge, at, outcome, walk

SHOP = {f"/{place}": f"<p>Chair number {place} has its own words and price {place * 7}.</p>" for place in range(12)} | {
    "/": "<p>A shop that sells chairs to whoever likes to sit.</p>"
}


def test_a_crawl_that_gets_on_may_be_killed_any_number_of_times(knowledge: Knowledge) -> None:
    """Only deaths in a row, with nothing written in between, tell against it."""
    ledger, claim = knowledge.start(knowledge.add_site())
    for _ in range(2 * knowledge.settings.work.attempts):
        walk(ledger, SHOP, knowledge.clock, most=1)
        knowledge.clock.forward(seconds=31)
        ledger, claim = knowledge.hold(claim.crawl_id)

    walk(ledger, SHOP, knowledge.clock)
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert (job.status, job.new_pages, job.failed_pages) == (CrawlStatus.COMPLETED, len(SHOP), 0)


def test_workers_that_vanish_tell_less_than_spiders_that_die(knowledge: Knowledge) -> None:
    """A machine that is restarted over and over is not the crawl's fault, up to a point."""
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)
    claims = 0
    while knowledge.services.crawls.claim(job.id, owner="spider") is not None:
        claims += 1
        knowledge.clock.forward(seconds=31)

    ended = knowledge.services.crawls.job(job.id, scope=knowledge.org)
    assert claims == 4 * knowledge.settings.work.attempts
    assert ended.status == CrawlStatus.FAILED


def test_a_restart_tells_against_no_url(knowledge: Knowledge) -> None:
    """What a spider had in hand when it was told to end waits as before, as often as that happens."""
    ledger, claim = knowledge.start(knowledge.add_site())
    for _ in range(2 * knowledge.settings.work.attempts):
        (taken,) = ledger.take(1)
        knowledge.services.crawls.release(claim, burn=False)
        ledger, claim = knowledge.hold(claim.crawl_id)

    (again,) = ledger.take(1)

    with knowledge.services.database.read() as session:
        entry = frontier.get(session, claim.crawl_id, again.url_key)
    assert entry is not None
    assert (again.url, again.attempts, entry.deaths) == (taken.url, 1, 0)


def test_an_owner_that_was_killed_tells_against_no_url(knowledge: Knowledge) -> None:
    """Its successor takes the work over as it stands, as often as that happens."""
    ledger, claim = knowledge.start(knowledge.add_site())
    for _ in range(2 * knowledge.settings.work.attempts):
        ledger.take(1)
        knowledge.services.upkeep.take_over()
        ledger, claim = knowledge.hold(claim.crawl_id)

    (again,) = ledger.take(1)

    with knowledge.services.database.read() as session:
        entry = frontier.get(session, claim.crawl_id, again.url_key)
    assert entry is not None
    assert (again.attempts, entry.deaths) == (1, 0)


def test_a_url_that_had_bad_luck_with_its_host_is_not_taken_for_poison(knowledge: Knowledge) -> None:
    """Tries that failed politely are no deaths: one spider that dies with it in hand costs it nothing."""
    ledger, claim = knowledge.start(knowledge.add_site())
    for _ in range(knowledge.settings.work.attempts - 2):
        (taken,) = ledger.take(1)
        busy = outcome(taken, {"/": Reason.HTTP_ERROR}, knowledge.clock)
        ledger.record([type(busy)(taken.url_key, taken.url, knowledge.clock.now, retry_at=knowledge.clock.now)])
    ledger.take(1)
    knowledge.clock.forward(seconds=31)
    ledger, claim = knowledge.hold(claim.crawl_id)

    walk(ledger, {"/": SHOP["/0"]}, knowledge.clock)
    knowledge.index()

    assert knowledge.services.pages.why(at("/"), scope=knowledge.org).reason == Reason.SYNCED


def test_a_url_that_spiders_were_killed_with_is_not_taken_for_poison_for_one_bad_answer(knowledge: Knowledge) -> None:
    """A death is no attempt: the first answer that never came is the first, and it is asked for again."""
    ledger, claim = knowledge.start(knowledge.add_site())
    for _ in range(knowledge.settings.work.attempts - 2):
        ledger.take(1)
        knowledge.clock.forward(seconds=1)
        knowledge.services.crawls.release(claim, burn=True)
        ledger, claim = knowledge.hold(claim.crawl_id)
    (taken,) = ledger.take(1)
    ended = outcome(taken, {"/": Reason.POISON}, knowledge.clock)
    ledger.record([replace(ended, retry_at=knowledge.clock.now)])

    walk(ledger, {"/": SHOP["/0"]}, knowledge.clock)
    knowledge.index()

    assert taken.attempts == 1
    assert knowledge.services.pages.why(at("/"), scope=knowledge.org).reason == Reason.SYNCED


def test_a_url_whose_workers_vanish_is_given_up_half_as_fast(knowledge: Knowledge) -> None:
    """A machine may be restarted meanwhile. One whose spiders die while their worker lives is poison sooner."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SHOP, knowledge.clock, most=1)
    most = 2 * (knowledge.settings.work.attempts - 1)
    taken = []
    for _ in range(most - 1):
        taken = [url.url_key for url in ledger.take(1)]
        knowledge.clock.forward(seconds=31)
        ledger, claim = knowledge.hold(claim.crawl_id)

    with knowledge.services.database.read() as session:
        spared = frontier.get(session, claim.crawl_id, taken[0])
    again = [url.url_key for url in ledger.take(1)]
    knowledge.clock.forward(seconds=31)
    knowledge.hold(claim.crawl_id)

    with knowledge.services.database.read() as session:
        given_up = frontier.get(session, claim.crawl_id, taken[0])
    assert spared is not None
    assert given_up is not None
    assert again == taken
    assert (spared.state, spared.deaths, spared.vanished) == (frontier.WAITING, most // 2 - 1, most - 1)
    assert (given_up.reason, given_up.deaths, given_up.vanished) == (Reason.POISON, most // 2, most)


def test_a_url_that_two_workers_vanished_with_is_asked_for_alone(knowledge: Knowledge) -> None:
    """That costs nothing, and tells one that kills machines from those that stood beside it."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SHOP, knowledge.clock, most=1)
    for _ in range(2):
        ledger.take(3)
        knowledge.clock.forward(seconds=31)
        ledger, claim = knowledge.hold(claim.crawl_id)

    (first,) = ledger.take(8)
    beside = ledger.take(8)

    with knowledge.services.database.read() as session:
        entry = frontier.get(session, claim.crawl_id, first.url_key)
    assert entry is not None
    assert (entry.deaths, entry.losses) == (1, 2)
    assert beside == []


def test_a_page_whose_workers_vanish_is_set_aside_half_as_fast(knowledge: Knowledge) -> None:
    """Every second one counts as an attempt; its dead letter tells how often it was taken."""
    knowledge.crawl({"/": SHOP["/0"]}, index=False)
    taken = 0
    while knowledge.take_texts():
        taken += 1
        knowledge.clock.forward(seconds=61)
    knowledge.services.upkeep.tick()
    (letter,) = knowledge.services.dead_letters.list_letters(scope=knowledge.org)

    assert taken == 2 * knowledge.settings.work.attempts - 1
    assert (letter.kind, letter.attempts) == ("page", taken)


def test_a_url_that_spiders_die_with_is_asked_for_alone(knowledge: Knowledge) -> None:
    """After two deaths nobody knows which of several it was: one at a time is in hand, and the others are spared."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SHOP, knowledge.clock, most=1)
    for _ in range(2):
        together = {url.url_key for url in ledger.take(3)}
        knowledge.services.crawls.release(claim, burn=True, detail="killed")
        ledger, claim = knowledge.hold(claim.crawl_id)

    (first,) = ledger.take(8)
    beside = ledger.take(8)
    knowledge.services.crawls.release(claim, burn=True, detail="killed")
    ledger, claim = knowledge.hold(claim.crawl_id)
    walk(ledger, SHOP, knowledge.clock)
    knowledge.index()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert len(together) == 3
    assert first.url_key in together
    assert beside == []
    with knowledge.services.database.read() as session:
        entries = frontier.by_key(session, claim.crawl_id, sorted(together))
    assert sorted(entry.deaths for entry in entries.values()) == [2, 2, 3]
    assert (job.status, job.new_pages, job.failed_pages) == (CrawlStatus.COMPLETED, len(SHOP), 0)


def test_pages_of_a_worker_that_vanished_come_before_new_ones(knowledge: Knowledge) -> None:
    """They are taken up as soon as its lease is over, few at a time, so that one that killed it is found out."""
    knowledge.crawl(SHOP, index=False)
    lost = knowledge.take_texts()
    knowledge.clock.forward(seconds=61)
    first, second, third = (knowledge.take_texts() for _ in range(3))

    assert first | second == lost
    assert [len(lost), len(first), len(second), len(third)] == [2, 1, 1, 2]
    assert not third & lost


def test_where_there_is_no_room_nothing_is_begun_and_jobs_say_why(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crawl is paused while the disk is full, goes on when it is not, and no attempt was counted."""
    ledger, claim = knowledge.start(knowledge.add_site())
    walk(ledger, SHOP, knowledge.clock, most=3)
    knowledge.services.crawls.release(claim, burn=False)
    crawls = knowledge.services.crawls
    with monkeypatch.context() as disk:
        disk.setattr(space, "LEAST_FREE", 2**63)
        refused = crawls.claim_in_turn(claim.crawl_id, owner="spider")
        indexed = knowledge.services.index.index_waiting(limit=16, owner="indexer")
        paused = crawls.job(claim.crawl_id, scope=knowledge.org)
        (listed,) = crawls.list_running(scope=knowledge.org)

    goes_on = crawls.claim_in_turn(claim.crawl_id, owner="spider")

    assert refused is None
    assert (indexed.pages, indexed.more) == (0, False)
    assert paused.is_paused
    assert listed.is_paused
    assert "are free in" in (paused.error_message or "")
    assert goes_on is not None
    again = crawls.job(claim.crawl_id, scope=knowledge.org)
    assert (again.attempts, again.error_message) == (1, None)


def test_servers_elsewhere_need_no_room_here(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows and vectors are kept by servers, this machine's disk says nothing."""
    monkeypatch.setattr(space, "LEAST_FREE", 2**63)
    kept_here = knowledge.settings
    database = kept_here.database.model_copy(update={"url": "postgresql://elsewhere/db"})
    upsert = kept_here.upsert.model_copy(update={"qdrant_url": SITE})

    assert space.shortage(kept_here)
    assert space.shortage(kept_here.model_copy(update={"database": database}))
    assert space.shortage(kept_here.model_copy(update={"database": database, "upsert": upsert})) is None
