"""No org keeps another waiting: turns are counted in claims, and each org has its limits."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest

from pipeline.bootstrap import Services
from pipeline.model import CrawlStatus, OrgScope
from pipeline.services.crawls import CrawlClaim
from tests.fakes.knowledge import Answer, Knowledge, walk

SITE: dict[str, Answer] = {
    f"/{name}": f"<p>Everything about {name}, told at length so that it is kept as a page.</p>" for name in "abcdef"
}


def _limited(knowledge: Knowledge, **work: int) -> Services:
    """The same knowledge base under other limits."""
    limits = knowledge.settings.work.model_copy(update=work)
    knowledge.settings = knowledge.settings.model_copy(update={"work": limits})
    knowledge.services.close()
    knowledge.services = knowledge.open()
    return knowledge.services


def _start_many(knowledge: Knowledge, count: int, *, scope: OrgScope) -> list[UUID]:
    sites = [knowledge.add_site(f"https://site{number}.example/", scope=scope) for number in range(count)]
    return [knowledge.services.crawls.start(site, scope=scope).id for site in sites]


def _claim(knowledge: Knowledge, hinted: UUID) -> CrawlClaim | None:
    return knowledge.services.crawls.claim_in_turn(hinted, owner="worker")


def test_an_org_runs_no_more_crawls_than_its_limit(knowledge: Knowledge) -> None:
    """The next begins when one is over, and is hinted only then."""
    services = _limited(knowledge, org_crawls=2)
    crawl_ids = _start_many(knowledge, 3, scope=knowledge.org)
    knowledge.clock.forward(seconds=1)

    claims = [_claim(knowledge, crawl_id) for crawl_id in crawl_ids]
    hinted_while_full = services.upkeep.tick().hinted
    assert claims[0] is not None
    services.crawls.cancel(claims[0].crawl_id, scope=knowledge.org)
    hinted_then = services.upkeep.tick().hinted

    assert [claim is not None for claim in claims] == [True, True, False]
    assert (hinted_while_full, hinted_then) == (0, 1)
    assert _claim(knowledge, crawl_ids[2]) is not None


def test_an_org_with_many_crawls_does_not_keep_one_waiting(knowledge: Knowledge) -> None:
    """Whoever's hint comes next: the claim decides whose crawl it is."""
    _limited(knowledge, org_crawls=0)
    small = knowledge.services.orgs.ensure("small")
    many = _start_many(knowledge, 5, scope=knowledge.org)
    (one,) = _start_many(knowledge, 1, scope=small)

    claims = [_claim(knowledge, hinted) for hinted in many[:2]]

    assert one in {claim.crawl_id for claim in claims if claim}


def test_a_doubled_hint_takes_one_crawl(knowledge: Knowledge) -> None:
    """When nothing else is due, there is nothing to take."""
    (one,) = _start_many(knowledge, 1, scope=knowledge.org)

    claims = [_claim(knowledge, one) for _ in range(2)]

    assert [claim and claim.crawl_id for claim in claims] == [one, None]


@pytest.mark.parametrize("seed", range(2))
def test_no_order_of_crawls_starves_an_org(knowledge: Knowledge, seed: int) -> None:
    """From the moment a crawl of it is due, an org is served within as many claims as there were orgs."""
    chance = random.Random(seed)  # noqa: S311 - an example to repeat, no secret
    services = _limited(knowledge, org_crawls=0)
    scopes: list[OrgScope] = []
    due: dict[UUID, list[UUID]] = {}
    claims_left: dict[UUID, int] = {}
    for arrival in range(25):
        if chance.random() < 0.3 or not scopes:
            scopes.append(services.orgs.ensure(f"org {len(scopes)}"))
            due[scopes[-1].org_id] = []
        scope = chance.choice(scopes)
        site = knowledge.add_site(f"https://arrival{arrival}.example/", scope=scope)
        due[scope.org_id].append(services.crawls.start(site, scope=scope).id)
        claims_left.setdefault(scope.org_id, len(scopes))
        hinted = chance.choice([crawl for crawls in due.values() for crawl in crawls])

        claim = _claim(knowledge, hinted)

        assert claim is not None
        due[claim.org_id].remove(claim.crawl_id)
        claims_left = {org_id: left - 1 for org_id, left in claims_left.items() if org_id != claim.org_id}
        assert min(claims_left.values(), default=1) > 0
        if due[claim.org_id]:
            claims_left[claim.org_id] = len(scopes)
        if arrival % 3 == 0:
            extra = knowledge.add_site(f"https://extra{arrival}.example/", scope=scopes[0])
            due[scopes[0].org_id].append(services.crawls.start(extra, scope=scopes[0]).id)
            claims_left.setdefault(scopes[0].org_id, len(scopes))


def test_an_org_asks_for_no_more_pages_in_a_day_than_its_limit(knowledge: Knowledge) -> None:
    """Its crawl pauses until midnight UTC, says why, and goes on where it was."""
    services = _limited(knowledge, org_pages_per_day=4)
    ledger, claim = knowledge.start(knowledge.add_site())
    first = walk(ledger, SITE, knowledge.clock, most=99)
    resumes = ledger.next_retry()
    assert resumes is not None
    ledger.pause(resumes - knowledge.clock.now)
    paused = services.crawls.job(claim.crawl_id, scope=knowledge.org)
    knowledge.clock.now = resumes

    again, _ = knowledge.hold(claim.crawl_id)
    walk(again, SITE, knowledge.clock)
    knowledge.index()

    job = services.crawls.job(claim.crawl_id, scope=knowledge.org)
    assert (first, paused.is_paused) == (4, True)
    assert (resumes.hour, resumes.minute, resumes - knowledge.clock.now) == (0, 0, timedelta(0))
    assert "used up its pages of this day" in (paused.error_message or "")
    assert (job.status, job.fetched_pages) == (CrawlStatus.COMPLETED, 7)


def test_what_one_org_uses_of_its_day_is_not_anothers(knowledge: Knowledge) -> None:
    """Nor of the next day."""
    services = _limited(knowledge, org_pages_per_day=4)
    other = services.orgs.ensure("other")
    ledger, _ = knowledge.start(knowledge.add_site())
    walk(ledger, SITE, knowledge.clock, most=99)

    theirs, _ = knowledge.start(knowledge.add_site(scope=other), scope=other)
    fetched = walk(theirs, SITE, knowledge.clock, most=99)
    knowledge.clock.forward(days=1)
    next_day = walk(ledger, SITE, knowledge.clock, most=99)

    assert (fetched, next_day) == (4, 3)
