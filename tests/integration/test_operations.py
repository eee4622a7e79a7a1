"""What an operator sees and changes: schedules, workers, queues, leases, and whose turn it is."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import func, select
from structlog.testing import LogCapture

from pipeline.db import datasources, index_queue, orgs
from pipeline.db.leases import free
from pipeline.db.page_versions import PageVersion
from pipeline.db.pages import Page
from pipeline.errors import CrawlAlreadyRunning, DatasourceNotFound
from pipeline.services import upkeep
from pipeline.services.crawls import NewDatasource
from pipeline.services.operations import SILENT_AFTER
from tests.fakes.knowledge import SITE as ADDRESS
from tests.fakes.knowledge import Answer, Knowledge, paragraphs, walk

HOME = "<p>Welcome to the shop that sells lamps and chairs to everybody who asks.</p>"
SITE: dict[str, Answer] = {"/": HOME}


def _every(knowledge: Knowledge, hours: int, url: str = ADDRESS) -> None:
    knowledge.services.crawls.add(NewDatasource(url, crawl_interval_hours=hours), scope=knowledge.org)


def test_a_paused_website_is_not_crawled_by_the_clock(knowledge: Knowledge) -> None:
    """However long it is due; resumed, it is crawled once for all that was missed."""
    _every(knowledge, 24)
    schedules, upkeep = knowledge.services.schedules, knowledge.services.upkeep
    schedules.pause(ADDRESS, scope=knowledge.org)
    schedules.resume(ADDRESS, scope=knowledge.org)
    paused = schedules.pause(ADDRESS, scope=knowledge.org)
    knowledge.clock.forward(days=5)

    while_paused = upkeep.tick().started
    upcoming = schedules.upcoming(scope=knowledge.org)
    schedules.resume(ADDRESS, scope=knowledge.org)
    resumed = [upkeep.tick().started, upkeep.tick().started]

    assert (paused.is_paused, while_paused, upcoming) == (True, 0, [])
    assert resumed == [1, 0]


def test_what_is_crawled_next_comes_first(knowledge: Knowledge) -> None:
    """By its due time; what is crawled by hand only is not among it."""
    _every(knowledge, 48, "https://slow.example/")
    _every(knowledge, 24, "https://quick.example/")
    knowledge.add_site("https://by-hand.example/")
    for url in ("https://slow.example/", "https://quick.example/"):
        knowledge.services.schedules.pause(url, scope=knowledge.org)
        knowledge.services.schedules.resume(url, scope=knowledge.org)

    upcoming = knowledge.services.schedules.upcoming(scope=knowledge.org)

    assert [view.url for view in upcoming] == ["https://quick.example/", "https://slow.example/"]
    assert len(knowledge.services.schedules.list_schedules(scope=knowledge.org)) == 3


def test_a_website_is_crawled_now_by_its_id_or_address(knowledge: Knowledge) -> None:
    """Once at a time; one that the org has not is an error."""
    datasource_id = knowledge.add_site()
    schedules = knowledge.services.schedules

    job = schedules.run(str(datasource_id), scope=knowledge.org)

    assert (job.datasource_id, job.status) == (datasource_id, "pending")
    with pytest.raises(CrawlAlreadyRunning):
        schedules.run(ADDRESS, scope=knowledge.org)
    with pytest.raises(DatasourceNotFound, match="nowhere"):
        schedules.run("nowhere", scope=knowledge.org)


def test_a_worker_is_seen_while_it_speaks(knowledge: Knowledge) -> None:
    """Silent, it is named so; ended, or silent for long, it is gone."""
    operations = knowledge.services.operations
    lives, falls_silent, ends = (operations.enter("index", sends_ticks=False) for _ in range(3))
    knowledge.clock.forward(seconds=SILENT_AFTER.total_seconds() + 1)
    operations.beat(lives.at("index.pages", knowledge.clock.now))
    operations.leave(ends)

    silent = {worker.id: worker.is_silent for worker in operations.list_workers()}
    knowledge.clock.forward(hours=1)
    operations.beat(lives)
    knowledge.services.upkeep.tick()

    assert silent == {lives.id: False, falls_silent.id: True}
    assert [worker.id for worker in operations.list_workers()] == [lives.id]


def test_a_worker_that_was_forgotten_comes_back_with_its_next_word(knowledge: Knowledge) -> None:
    """A frozen process that wakes is seen again."""
    operations = knowledge.services.operations
    worker = operations.enter("crawl", sends_ticks=False)
    knowledge.services.upkeep.take_over()
    gone = operations.list_workers()

    operations.beat(worker)

    assert gone == []
    assert [seen.id for seen in operations.list_workers()] == [worker.id]


def test_a_queue_nobody_listens_to_is_named(knowledge: Knowledge) -> None:
    """With what waits in it, and for how long; a worker that listens ends that."""
    knowledge.crawl(SITE, index=False)
    knowledge.clock.forward(minutes=2)
    operations = knowledge.services.operations

    before = {queue.name: queue for queue in operations.overview(scope=knowledge.org).queues}
    operations.enter("index", sends_ticks=False)
    after = {queue.name: queue for queue in operations.overview(scope=knowledge.org).queues}

    assert (before["index"].waiting, before["index"].waiting_seconds) == (1, 120)
    assert (before["index"].is_unheard, after["index"].is_unheard) == (True, False)
    assert not before["crawl"].is_unheard


def test_upkeep_says_which_queue_nobody_listens_to(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a minute, not with every tick."""
    told = LogCapture()
    monkeypatch.setattr(upkeep, "log", structlog.wrap_logger(structlog.ReturnLogger(), processors=[told]))
    knowledge.crawl(SITE, index=False)
    knowledge.clock.forward(minutes=2)

    for _ in range(3):
        knowledge.services.upkeep.tick(schedules=False)

    assert [line["event"] for line in told.entries].count("no worker listens") == 1


def test_the_overview_tells_leases_beats_and_parts(knowledge: Knowledge) -> None:
    """A broker that is away is named, and waited for no longer than a hint would be."""
    knowledge.crawl(SITE)
    knowledge.start(knowledge.add_site())
    operations = knowledge.services.operations
    beat = operations.enter("upkeep", sends_ticks=True)
    operations.beat(beat.at(None, knowledge.clock.now))

    seen = operations.overview(scope=knowledge.org)

    assert (seen.beats, seen.last_tick_at) == (1, knowledge.clock.now)
    assert {lease.kind: (lease.held, lease.expired) for lease in seen.leases} == {"crawl": (1, 0), "index": (0, 0)}
    assert (seen.stores["database"], seen.stores["vectors"]) == ("ok", "ok")
    assert seen.stores["broker"] != "ok"


def test_one_page_is_indexed_right_after_one_claim_of_a_large_org(knowledge: Knowledge) -> None:
    """However many pages waited before it."""
    large = {f"/{number}": paragraphs(1, about=f"large{number}") for number in range(30)}
    knowledge.crawl({"/": HOME, **large}, index=False)
    small = knowledge.services.orgs.ensure("small")
    ledger, _ = knowledge.start(knowledge.add_site(scope=small), scope=small)
    walk(ledger, SITE, knowledge.clock)

    claims = 0
    while knowledge.services.pages.count(scope=small).get("synced", 0) == 0:
        knowledge.services.index.index_waiting(limit=2, owner="indexer")
        claims += 1

    assert claims <= 2


@pytest.mark.parametrize("seed", range(2))
def test_no_order_of_arrivals_starves_an_org(knowledge: Knowledge, seed: int) -> None:
    """From the moment its page waits, an org is served within as many claims as there were orgs, itself included."""
    chance = random.Random(seed)  # noqa: S311 - an example to repeat, no secret
    known: list[UUID] = []
    claims_left: dict[UUID, int] = {}
    for arrival in range(60):
        if chance.random() < 0.2 or not known:
            known.append(knowledge.services.orgs.ensure(f"org {len(known)}").org_id)
        for org_id in chance.sample(known, k=min(len(known), chance.randint(0, 3))):
            _wait(knowledge, org_id, pages=chance.choice((1, 1, 8)), first=100 * arrival)
            claims_left.setdefault(org_id, len(known))

        served = _claim_one(knowledge, limit=2)

        claims_left = {org_id: left - 1 for org_id, left in claims_left.items() if org_id != served}
        assert min(claims_left.values(), default=1) > 0
        if served is not None and _claimable(knowledge, served):
            claims_left[served] = len(known)


def _wait(knowledge: Knowledge, org_id: UUID, *, pages: int, first: int) -> None:
    """Let texts of a page of this org wait; its rows are as small as they may be."""
    now, text = knowledge.clock.now, {"title": "", "markdown": "", "text_hash": "", "fact_hash": "", "body_sha256": ""}
    with knowledge.services.database.write() as session:
        source = datasources.ensure(session, url=ADDRESS, url_key=ADDRESS, org_id=org_id, now=now)
        page = session.get(Page, org_id) or Page(
            id=org_id,
            org_id=org_id,
            datasource_id=source.id,
            url_key=ADDRESS,
            url=ADDRESS,
            depth=0,
            status="pending",
            reason="pending",
            created_at=now,
            updated_at=now,
        )
        session.add(page)
        session.flush()
        for number in range(first, first + pages):
            version = PageVersion(
                id=uuid4(),
                page_id=page.id,
                org_id=org_id,
                datasource_id=source.id,
                number=number,
                extractor="",
                fetched_at=now,
                created_at=now,
                **text,
            )
            session.add(version)


def _claim_one(knowledge: Knowledge, *, limit: int) -> UUID | None:
    """What a worker does, without the indexing: the org whose turn it was."""
    now = knowledge.clock.now
    with knowledge.services.database.write() as session:
        served = index_queue.org_in_turn(session, now=now, attempts=5)
        if served is not None:
            lease = timedelta(minutes=1)
            index_queue.claim(session, served, limit=limit, now=now, lease=lease, owner="worker", attempts=5)
            orgs.took_turn(session, served, now=now)
        return served


def _claimable(knowledge: Knowledge, org_id: UUID) -> int:
    """How many texts of the org may be claimed."""
    with knowledge.services.database.read() as session:
        waiting = (PageVersion.org_id == org_id, free(PageVersion, now=knowledge.clock.now))
        return session.scalar(select(func.count()).where(*waiting)) or 0
