"""On PostgreSQL, transactions that meet wait for each other in one order: none is ended as a deadlock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.db import generations, orgs, page_versions, pages
from pipeline.db.generations import KEPT, SERVING
from pipeline.errors import LeaseLost
from tests.fakes.knowledge import Answer, Knowledge, outcome, walk
from tests.fakes.two_models import NEW, Changing, change, model_of, states
from tests.lab.locks import meeting

pytestmark = pytest.mark.needs("postgres")

SITE: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
}


@pytest.fixture
def named(migrated_postgres_url: str, tmp_path: Path) -> Iterator[Knowledge]:
    """A knowledge base of an org that its partner calls by an id, which goes when the org is erased.

    The database sees a key in it: while that changes, no row that refers to the org is written.
    """
    knowledge = Knowledge(tmp_path, database_url=migrated_postgres_url)
    with knowledge.services.database.write() as session:
        orgs.get(session, knowledge.org.org_id).external_id = "customer-7"
    yield knowledge
    knowledge.services.close()


def test_an_org_is_erased_while_its_spider_writes(named: Knowledge) -> None:
    """What the spider was writing is kept first; its next write is refused."""
    ledger, _ = named.start(named.add_site())
    walk(ledger, SITE, named.clock, most=1)
    taken = ledger.take(1)

    database, erasure = named.services.database, named.services.erasure
    with meeting(database, lambda: erasure.request(named.org), before="INSERT INTO pages") as erased:
        ledger.record([outcome(url, SITE, named.clock) for url in taken])

    assert erased.exception() is None
    with pytest.raises(LeaseLost):
        ledger.record([])


@pytest.mark.parametrize("changing", ["postgres"], indirect=True)
def test_what_is_gone_back_to_is_not_dropped(changing: Changing) -> None:
    """Not even in the moment when the time for going back is over: whoever drops it looks again."""
    change(changing)
    changing.clock.forward(seconds=changing.settings.work.keep_generation.total_seconds())

    database, drop = changing.services.database, changing.process().reembedding.settle
    with meeting(database, lambda: drop(lasting=timedelta(0)), before="UPDATE generations") as settled:
        changing.services.reembedding.roll_back()

    assert settled.exception() is None
    assert states(changing) == {1: SERVING, 2: KEPT}
    assert model_of(changing) == "old"


@pytest.mark.parametrize("changing", ["postgres"], indirect=True)
def test_texts_are_indexed_while_they_are_claimed_for_another_model(changing: Changing) -> None:
    """Both say first whose texts they decide about, and touch rows of them after that."""
    changing.process(NEW).reembedding.start()
    database, org_id = changing.services.database, changing.org.org_id
    with database.write() as session:
        for page in session.scalars(select(pages.Page)):
            page_versions.cut_anew(session, page_versions.get(session, page.live_version or page.id))

    def fill() -> int:
        lease, now = timedelta(minutes=1), changing.clock.now
        with database.write() as session:
            return len(generations.claim(session, 2, org_id, limit=8, attempts=5, now=now, lease=lease, owner="w")[1])

    with meeting(database, fill, before="pg_advisory_xact_lock") as filled:
        report = changing.services.index.index_waiting(limit=8, owner="indexer")

    assert (report.pages, filled.result()) == (4, 4)
