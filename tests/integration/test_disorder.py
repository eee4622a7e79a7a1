"""Hints that come in any order, twice or never, and beats that disagree about the time, change nothing."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from pipeline.bootstrap import Services
from pipeline.db.crawls import Crawl
from pipeline.model import OrgScope, Verification
from pipeline.services.crawls import NewDatasource
from tests.chaos.deployment import knowledge as known_of
from tests.fakes.clock import SetClock
from tests.fakes.knowledge import SITE, Knowledge, walk

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

EDITIONS = [
    {
        f"/{place}": f"<p>Chair {place} of edition {edition // (1 + place % 3)} costs {place * 7} euros.</p>"
        for place in range(7)
    }
    for edition in range(3)
]
WEBSITES = 12
DAYS = 6
MOST_ROUNDS = 40


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_hints_in_disorder_lead_where_hints_in_order_do(knowledge: Knowledge, seed: int) -> None:
    """Shuffled, doubled and dropped: the rows are those of an org whose hints came one by one."""
    random = Random(seed)  # noqa: S311 - dice, not secrets
    serial, disorder = knowledge.services.orgs.ensure("serial"), knowledge.services.orgs.ensure("disorder")
    for edition in EDITIONS:
        knowledge.crawl(edition, scope=serial)
        crawl = knowledge.services.crawls.start(knowledge.add_site(scope=disorder), scope=disorder)
        for _ in range(MOST_ROUNDS):
            deliver_some(knowledge, edition, random)
            if knowledge.services.crawls.job(crawl.id, scope=disorder).has_ended:
                break
            knowledge.clock.forward(minutes=6)
            knowledge.services.upkeep.tick(schedules=False)
        knowledge.clock.forward(days=1)
    knowledge.services.upkeep.tick(schedules=False)

    assert known_of(knowledge.services, disorder) == known_of(knowledge.services, serial)
    assert knowledge.services.verification.verify(scope=disorder) == Verification()


def deliver_some(knowledge: Knowledge, edition: dict[str, str], random: Random) -> None:
    """Deliver the hints there are in any order: some twice, some never."""
    hints = [hint for hint in knowledge.hints.sent for _ in range(random.choice((0, 1, 1, 2)))]
    knowledge.hints.sent.clear()
    random.shuffle(hints)
    for kind, target in hints:
        if kind == "index":
            knowledge.services.index.index_waiting(target, limit=2, owner="indexer")
        elif (claim := knowledge.services.crawls.claim_in_turn(target, owner="spider")) is not None:
            knowledge.services.crawls.release(claim, burn=False)
            ledger, _ = knowledge.hold(claim.crawl_id, scope=OrgScope(claim.org_id))
            walk(ledger, edition, knowledge.clock)


@pytest.mark.parametrize("knowledge", ["sqlite"], indirect=True)
def test_beats_that_disagree_start_each_due_crawl_once(knowledge: Knowledge) -> None:
    """Two beats five minutes apart, dead for hours now and then: once a day each, once after an outage, spread out."""
    random = Random(4)  # noqa: S311 - dice, not secrets
    ahead = SetClock()
    beats = [
        knowledge.services,
        Services(
            knowledge.settings, hints=knowledge.hints, store=knowledge.store, embedder=knowledge.embedder, clock=ahead
        ),
    ]
    for number in range(WEBSITES):
        new = NewDatasource(f"{SITE}{number}/", crawl_interval_hours=24)
        knowledge.services.crawls.start(knowledge.services.crawls.add(new, scope=knowledge.org).id, scope=knowledge.org)
    end_all(knowledge)
    due = {source.next_crawl_at for source in knowledge.services.crawls.list_datasources(scope=knowledge.org)}
    began = knowledge.clock.now

    while knowledge.clock.now < began + timedelta(days=DAYS):
        is_outage = timedelta(days=1.5) < knowledge.clock.now - began < timedelta(days=4)
        knowledge.clock.forward(hours=6 if is_outage else random.uniform(0.5, 3))
        ahead.now = knowledge.clock.now + timedelta(minutes=5)
        if not is_outage:
            for beat in random.sample(beats, k=random.choice((1, 2, 2))):
                beat.upkeep.tick()
            end_all(knowledge)
    beats[1].close()

    begun = starts(knowledge)
    assert len(begun) == WEBSITES
    for moments in begun.values():
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert len(moments) == 4  # by hand, a day later, once for two days that were missed, and a day later
        assert min(gaps) >= timedelta(hours=24) - timedelta(minutes=5)
    assert len(due) == WEBSITES  # however alike they began


def end_all(knowledge: Knowledge) -> None:
    """End every crawl that runs."""
    for job in knowledge.services.crawls.list_running(scope=knowledge.org):
        knowledge.services.crawls.cancel(job.id, scope=knowledge.org)


def starts(knowledge: Knowledge) -> dict[UUID, list[datetime]]:
    """When each website's crawls began, in order."""
    begun: dict[UUID, list[datetime]] = {}
    with knowledge.services.database.read() as session:
        for source, moment in session.execute(select(Crawl.datasource_id, Crawl.created_at).order_by(Crawl.created_at)):
            begun.setdefault(source, []).append(moment)
    return begun
