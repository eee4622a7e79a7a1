"""Two at once: whoever comes second finds what the first one did, and nobody sees the database's own errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from pipeline.db.datasources import Datasource
from pipeline.errors import (
    BeingSwept,
    CrawlAlreadyRunning,
    LeaseLost,
    OrgNotFound,
    SitewiseError,
    VectorStoreUnavailable,
)
from pipeline.model import CrawlStatus, OrgScope, PointRecord, Vector, Verification
from pipeline.services.crawls import CrawlJob, NewDatasource
from pipeline.services.training import NewScenario
from tests.fakes.embedder import WordEmbedder
from tests.fakes.hints import RecordedHints
from tests.fakes.knowledge import SITE, Answer, Knowledge, at, paragraphs, walk
from tests.fakes.vector_store import MemoryStore

THREADS = 6
Result = TypeVar("Result")
SHOP: dict[str, Answer] = {
    "/": "<p>Welcome to the shop that sells lamps and chairs.</p>",
    "/shipping": "<p>Shipping a chair costs nine euros and takes four days.</p>",
}


def at_once(call: Callable[[], Result]) -> list[Result]:
    """The results of one call made by several threads at the same moment."""
    barrier = Barrier(THREADS)

    def run() -> Result:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(THREADS) as threads:
        return [future.result() for future in [threads.submit(run) for _ in range(THREADS)]]


def start(knowledge: Knowledge, datasource: Datasource) -> CrawlJob | CrawlAlreadyRunning:
    """A crawl, or why there is none."""
    try:
        return knowledge.services.crawls.start(datasource.id, scope=knowledge.org)
    except CrawlAlreadyRunning as refused:
        return refused


def index_all(knowledge: Knowledge) -> None:
    """Index until nothing is left to claim; pages that another one folded away meanwhile are his."""
    is_more = True
    while is_more:
        with suppress(LeaseLost):
            is_more = knowledge.services.index.index_waiting(limit=2, owner="indexer").pages > 0


class MeetingEmbedder(WordEmbedder):
    """Two workers that have texts to embed wait for each other before they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting = Barrier(2)
        self.have_met = False

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        """Vectors of the texts; the first two calls begin together."""
        if texts and not self.have_met:
            self.meeting.wait(timeout=60)
            self.have_met = True
        return super().encode_documents(texts)


def delete(knowledge: Knowledge, datasource_id: object) -> None:
    """What deleting a website writes."""
    with knowledge.services.database.write() as session:
        session.get_one(Datasource, datasource_id).deleted_at = knowledge.clock.now


def test_an_org_made_by_many_is_one_org(knowledge: Knowledge) -> None:
    """Whoever makes it, all get the same."""
    made = [at_once(lambda: knowledge.services.orgs.ensure(name)) for name in ("first", "second", "third")]  # noqa: B023 - called before the name changes

    assert [len(set(scopes)) for scopes in made] == [1, 1, 1]
    assert len(knowledge.services.orgs.list_all()) == 3


def test_a_text_two_workers_meet_at_once_is_embedded_once(knowledge: Knowledge) -> None:
    """Whoever comes second copies the vector of the first, when it is there."""
    site: dict[str, Answer] = {
        f"/{kind}": "<!doctype html><html><head><title>Shop</title></head><body><main><h1>Shop</h1>"
        f"{paragraphs(6, about='shared')}{paragraphs(6, about=kind)}</main></body></html>"
        for kind in ("lamps", "chairs")
    }
    knowledge.use_embedder(MeetingEmbedder())
    knowledge.crawl(site, index=False)

    with ThreadPoolExecutor(2) as threads:
        index = knowledge.services.index.index_waiting
        reports = [done.result() for done in [threads.submit(index, limit=1, owner=name) for name in ("a", "b")]]

    assert [report.pages for report in reports] == [1, 1]
    assert len(knowledge.embedder.encoded) == len(set(knowledge.embedder.encoded))
    assert sum(report.embedded for report in reports) == len(knowledge.embedder.encoded)
    assert sum(report.chunks for report in reports) > len(knowledge.embedder.encoded)
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_website_added_by_many_is_one_website(knowledge: Knowledge) -> None:
    """All get the same, each with what it asked for or another did."""
    org = knowledge.org

    for site in (SITE, "https://two.example/", "https://three.example/"):
        added = at_once(lambda: knowledge.services.crawls.add(NewDatasource(site), scope=org))  # noqa: B023 - called before the site changes
        assert len({datasource.id for datasource in added}) == 1

    assert len(knowledge.services.crawls.list_datasources(scope=org)) == 3


def test_of_many_starts_one_starts(knowledge: Knowledge) -> None:
    """The others are told which crawl runs."""
    for site in (SITE, "https://two.example/", "https://three.example/"):
        datasource = knowledge.services.crawls.add(NewDatasource(site), scope=knowledge.org)

        results = at_once(lambda: start(knowledge, datasource))  # noqa: B023 - called before the datasource changes

        jobs = [result for result in results if isinstance(result, CrawlJob)]
        refusals = [result for result in results if isinstance(result, CrawlAlreadyRunning)]
        assert len(jobs) == 1
        assert [refusal.facts["crawl"] for refusal in refusals] == [jobs[0].id] * (THREADS - 1)


def test_of_many_ticks_one_starts_what_is_due(knowledge: Knowledge) -> None:
    """A manual start at the same moment is no error either."""
    datasource = knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=24), scope=knowledge.org)
    knowledge.crawl(SHOP)
    knowledge.services.crawls.add(NewDatasource(SITE, crawl_interval_hours=24), scope=knowledge.org)
    knowledge.clock.forward(hours=26)

    reports = at_once(knowledge.services.upkeep.tick)

    assert sum(report.started for report in reports) == 1
    assert isinstance(start(knowledge, datasource), CrawlAlreadyRunning)


def test_of_many_claims_one_holds_the_crawl(knowledge: Knowledge) -> None:
    """One spider works on a crawl at a time."""
    job = knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)

    claims = at_once(lambda: knowledge.services.crawls.claim(job.id, owner="spider"))

    assert sum(claim is not None for claim in claims) == 1


def test_many_indexers_share_the_work_and_do_none_twice(knowledge: Knowledge) -> None:
    """Every page is indexed by one of them, twins fold into one, and the crawl knows what it kept."""
    same = "<!doctype html><html lang=en><title>Same</title><main><p>One sentence stands on all of these pages.</p>"
    twins: dict[str, Answer] = {f"/twin-{'z' * (9 - place)}": same for place in range(8)}
    others: dict[str, Answer] = {f"/page{place}": f"<p>Page number {place} has its own text.</p>" for place in range(8)}
    ledger, claim = knowledge.start(knowledge.add_site())
    for path, text in (twins | others).items():
        walk(ledger, {path: text}, knowledge.clock, most=2)
    ledger.finish()

    at_once(lambda: index_all(knowledge))
    knowledge.index()
    knowledge.services.upkeep.tick()

    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    live = [page.url for page in knowledge.services.pages.list_pages(scope=knowledge.org, limit=99) if page.chunks]
    assert job.status == CrawlStatus.COMPLETED
    assert [url for url in live if "twin" in url] == [at("/twin-zz")]
    assert len(live) == job.new_pages == job.completed_pages == 9
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()


def test_a_deleted_website_stops_no_one(knowledge: Knowledge) -> None:
    """Its crawl ends, its pages do not answer, and the upkeep of all others goes on."""
    datasource_id = knowledge.add_site()
    ledger, claim = knowledge.start(datasource_id)
    walk(ledger, SHOP, knowledge.clock)
    delete(knowledge, datasource_id)

    knowledge.index()
    job = knowledge.services.crawls.job(claim.crawl_id, scope=knowledge.org)
    answer = knowledge.ask("What does shipping a chair cost?")
    knowledge.services.upkeep.tick()

    assert job.status == CrawlStatus.COMPLETED
    assert answer.passages == ()
    assert knowledge.store.count(scope=knowledge.org) == 0


def test_a_waiting_crawl_of_a_deleted_website_fails(knowledge: Knowledge) -> None:
    """Whoever claims it next ends it, so that nobody is asked to again."""
    datasource_id = knowledge.add_site()
    job = knowledge.services.crawls.start(datasource_id, scope=knowledge.org)
    delete(knowledge, datasource_id)

    claim = knowledge.services.crawls.claim(job.id, owner="spider")

    ended = knowledge.services.crawls.job(job.id, scope=knowledge.org)
    assert claim is None
    assert ended.status == CrawlStatus.FAILED
    assert "deleted" in (ended.error_message or "")


def test_a_deleted_website_may_be_added_again(knowledge: Knowledge) -> None:
    """As a new one, without the old pages."""
    datasource_id = knowledge.add_site()
    knowledge.crawl(SHOP)
    delete(knowledge, datasource_id)

    again = knowledge.add_site()

    assert again != datasource_id
    assert knowledge.services.pages.list_pages(scope=knowledge.org, datasource_id=again) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda services, scope: services.crawls.add(NewDatasource(SITE), scope=scope),
        lambda services, scope: services.training.add(
            NewScenario("Tone", "Be kind.", triggers=("hello",)), scope=scope
        ),
    ],
)
def test_nothing_is_written_for_an_org_that_does_not_exist(
    knowledge: Knowledge, call: Callable[[object, OrgScope], object]
) -> None:
    """The error says which org there is not."""
    with pytest.raises(OrgNotFound) as refused:
        call(knowledge.services, OrgScope(uuid4()))

    assert isinstance(refused.value, SitewiseError)


class Meanwhile(MemoryStore):
    """Does something else first, once, when it is told to delete."""

    def __init__(self) -> None:
        super().__init__()
        self.before_delete: list[Callable[[], None]] = []

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Delete, late."""
        while self.before_delete:
            self.before_delete.pop()()
        super().delete(ids, scope=scope)


class Away(MemoryStore):
    """A store that cannot delete now."""

    is_away = True

    def delete(self, ids: Iterable[UUID], *, scope: OrgScope) -> None:
        """Refuse, while away."""
        if self.is_away:
            raise VectorStoreUnavailable
        super().delete(ids, scope=scope)


def test_a_text_wanted_again_while_it_is_swept_keeps_its_points(knowledge: Knowledge) -> None:
    """The page goes back to what it said, in the very moment the old points are removed."""
    store = Meanwhile()
    knowledge.use_store(store)
    knowledge.crawl(SHOP)
    knowledge.crawl({**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros from today on.</p>"})
    knowledge.clock.forward(seconds=600)

    def go_back() -> None:
        knowledge.crawl(SHOP, index=False)
        with suppress(BeingSwept):
            knowledge.index()

    store.before_delete.append(go_back)
    swept = knowledge.services.upkeep.tick(schedules=False).swept
    knowledge.index()

    assert swept == 1
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()
    assert "nine euros" in knowledge.ask("What does shipping a chair cost?").passages[0].text


def test_a_sweep_that_ended_half_way_is_done_again(knowledge: Knowledge) -> None:
    """Points that could not be removed are removed later, also when their text is wanted again by then."""
    store = Away()
    knowledge.use_store(store)
    knowledge.crawl(SHOP)
    knowledge.crawl({**SHOP, "/shipping": "<p>Shipping a chair costs twelve euros from today on.</p>"})
    knowledge.clock.forward(seconds=600)
    knowledge.services.upkeep.tick(schedules=False)
    knowledge.crawl(SHOP, index=False)
    with pytest.raises(BeingSwept):
        knowledge.index()
    store.is_away = False

    at_once = knowledge.services.upkeep.tick(schedules=False).swept
    knowledge.clock.forward(seconds=600)
    later = knowledge.services.upkeep.tick(schedules=False).swept
    knowledge.index()

    assert (at_once, later) == (0, 1)
    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()
    assert "nine euros" in knowledge.ask("What does shipping a chair cost?").passages[0].text


class Writing(RecordedHints):
    """Listeners that write at once."""

    write: Callable[[], object] | None = None

    def crawl(self, crawl_id: UUID) -> None:
        """Somebody writes to the database while the broker is spoken to."""
        if self.write is not None:
            self.write()
        super().crawl(crawl_id)


def test_no_transaction_is_open_while_hints_leave(knowledge: Knowledge) -> None:
    """A slow broker keeps nobody from writing."""
    hints = Writing()
    knowledge.use_hints(hints)
    knowledge.services.crawls.start(knowledge.add_site(), scope=knowledge.org)
    hints.write = lambda: knowledge.services.orgs.ensure("made meanwhile")

    report = knowledge.services.upkeep.tick(schedules=False)

    assert report.hinted == 1
    assert len(knowledge.services.orgs.list_all()) == 2


def test_hints_that_left_before_the_broker_went_away_are_noted(knowledge: Knowledge) -> None:
    """The rest leave at the next tick, those not again."""
    for site in (SITE, "https://two.example/"):
        knowledge.services.crawls.start(knowledge.add_site(site), scope=knowledge.org)
    hints = knowledge.hints
    hints.sent.clear()
    hints.goes_away_after = 1

    first = knowledge.services.upkeep.tick(schedules=False).hinted
    hints.goes_away_after = None
    second = knowledge.services.upkeep.tick(schedules=False).hinted

    assert (first, second) == (1, 1)
    assert len(set(hints.sent)) == len(hints.sent) == 2


class Growing(MemoryStore):
    """Gets new points between the rows being read and the points being read."""

    def __init__(self) -> None:
        super().__init__()
        self.before_scan: list[Callable[[], object]] = []

    def scan(self, *, scope: OrgScope, after: UUID | None = None, limit: int = 1_000) -> list[PointRecord]:
        """Scan, late."""
        while self.before_scan:
            self.before_scan.pop()()
        return super().scan(scope=scope, after=after, limit=limit)


def test_verifying_beside_an_index_task_finds_nothing_wrong(knowledge: Knowledge) -> None:
    """Points that came while it looked are not taken for points nobody knows."""
    store = Growing()
    knowledge.use_store(store)
    knowledge.crawl(SHOP)
    store.before_scan.append(lambda: knowledge.crawl({**SHOP, "/new": "<p>A page that came just now, with words.</p>"}))

    assert knowledge.services.verification.verify(scope=knowledge.org) == Verification()
