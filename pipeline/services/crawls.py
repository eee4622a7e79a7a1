"""Crawls: add a website, start a run over it, hold it while a spider works, read how it went."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from pipeline import metrics, tracing
from pipeline.db import backlog, crawls, datasources, frontier, hosts, index_queue, orgs, outbox, page_versions, pages
from pipeline.db import leases as row_leases
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.paging import Listed, Place
from pipeline.errors import CrawlAlreadyRunning, CrawlNotFound, LeaseLost
from pipeline.model import CrawlStatus, CrawlTrigger, Discovered, OrgScope
from pipeline.services import endings, holding, moving, revisiting
from pipeline.services.clock import Clock
from pipeline.services.dead_letters import note_url
from pipeline.services.hints import Hints, relay
from pipeline.services.space import shortage
from pipeline.services.webhooks import announce_start
from pipeline.services.websites import NewDatasource as NewDatasource  # noqa: PLC0414 - where callers look for it
from pipeline.services.websites import check_datasource
from pipeline.settings import Settings
from pipeline.urls import split, url_key

FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class CrawlClaim:
    """A crawl held by one worker. `token` fences its writes."""

    crawl_id: UUID
    org_id: UUID
    token: UUID
    lease: timedelta
    attempt: int = 1
    traceparent: str | None = None
    """What the crawl belongs to, if that is traced."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A URL that could not be read."""

    url: str
    reason: str
    http_status: int | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class CrawlJob:
    """A crawl as the outside sees it. Counts are pages."""

    id: UUID
    datasource_id: UUID
    status: str
    trigger: str
    started_at: datetime | None
    completed_at: datetime | None
    total_pages: int
    completed_pages: int
    new_pages: int
    updated_pages: int
    removed_pages: int
    unchanged_pages: int
    failed_pages: int
    held_pages: int
    limit_reached: bool
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    fetched_pages: int = 0
    refused_pages: int = 0
    waiting_pages: int = 0
    not_due_pages: int = 0
    pending_pages: int = 0
    chunks: int = 0
    embedded_chunks: int = 0
    current_url: str | None = None
    attempts: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in {CrawlStatus.COMPLETED, CrawlStatus.FAILED, CrawlStatus.CANCELLED}

    @property
    def is_paused(self) -> bool:
        """Whether nobody works on it until its hosts may be asked again; `error_message` says until when, and why."""
        return not self.has_ended and (self.error_message or "").startswith(crawls.PAUSED)


class CrawlService:
    """Everything about crawls except what a spider does."""

    def __init__(self, database: Database, settings: Settings, hints: Hints, clock: Clock) -> None:
        """Work on this database, and tell workers through these hints."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock

    def add(self, new: NewDatasource, *, scope: OrgScope) -> Datasource:
        """Add a website, or update the one the org has at this address.

        Raises:
            InvalidUrl: If the address, or a sitemap's, is not one.
            AddressRefused: If it is not public, and not allowed.
            InvalidHost: If an added host is none.
            InvalidPattern: If a rule cannot be read.
            InvalidInput: If a number is out of its bounds, or the rules leave nothing.
        """
        url = check_datasource(new, self._settings)
        now = self._clock()
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            key = url_key(url)
            datasource = datasources.formerly_at(session, url_key=key, org_id=scope.org_id) or datasources.ensure(
                session, url=url, url_key=key, org_id=scope.org_id, now=now
            )
            is_new = not datasource.display_name
            before = _rules(datasource)
            datasource.display_name = new.display_name or datasource.display_name or split(url).netloc
            datasource.page_limit = new.page_limit
            datasource.include_paths = list(new.include_paths)
            datasource.exclude_paths = list(new.exclude_paths)
            datasource.sitemap_urls = list(new.sitemap_urls)
            datasource.subdomains = new.subdomains
            datasource.extra_hosts = list(new.extra_hosts)
            was_due_every = datasource.crawl_interval_hours
            datasource.crawl_interval_hours = new.crawl_interval_hours
            if not is_new and was_due_every != new.crawl_interval_hours:
                datasource.next_crawl_at = endings.next_crawl_at(datasource, now=now)
            datasource.render_js = new.render_js
            datasource.documents = new.documents
            datasource.updated_at = now
            if not is_new and _rules(datasource) != before:
                pages.wake(session, datasource.id)
            return datasource

    def is_settled(self, new: NewDatasource, *, scope: OrgScope) -> bool:
        """Whether the org has this website already, with the same rules: nothing new to vet.

        Raises:
            InvalidUrl: If the address is not one.
        """
        key = url_key(new.url)
        with self._database.read() as session:
            source = next(
                (one for one in datasources.listing(session, org_id=scope.org_id) if one.url_key == key), None
            )
        if source is None:
            return False
        given = (new.include_paths, new.exclude_paths, new.extra_hosts)
        stored = (source.include_paths, source.exclude_paths, source.extra_hosts)
        return new.subdomains == source.subdomains and [list(one) for one in given] == list(stored)

    def start(
        self,
        datasource_id: UUID,
        *,
        scope: OrgScope,
        trigger: CrawlTrigger = CrawlTrigger.MANUAL,
        only_due: bool = False,
        hints: bool = True,
    ) -> CrawlJob:
        """Start a crawl: a row, and a hint that leaves after the commit. With `only_due`, of pages whose time has come.

        Without `hints` none leaves yet: for whoever starts workers at this moment, which ask for what is due.

        Raises:
            CrawlAlreadyRunning: If one is running; its id is among the facts.
        """
        now = self._clock()
        with tracing.span("start crawl", trigger=trigger.value, org=scope.org_id), self._database.write() as session:
            datasource = datasources.get(session, datasource_id, org_id=scope.org_id)
            crawl = crawls.begin(session, datasource, trigger=trigger, now=now, only_due=only_due)
            if crawl is None:
                running = crawls.running(session, datasource_id)
                raise CrawlAlreadyRunning(crawl=running.id if running else None, datasource=datasource_id)
            outbox.put(session, outbox.CRAWL, crawl.id, now=now)
            crawl_id = crawl.id
        if hints:
            relay(self._database, self._hints)
        return self.job(crawl_id, scope=scope)

    def claim_in_turn(self, hinted: UUID, *, owner: str) -> CrawlClaim | None:
        """Hold a crawl of the org whose turn it is, which need not be the one that a hint named.

        An org with crawls enough that run is passed over. None when nothing may be taken, or there is no room for it.
        """
        if shortage(self._settings):
            return None
        most = self._settings.work.org_crawls
        now = self._clock()
        with self._database.write() as session:
            crawl = crawls.in_turn(session, hinted, now=now, most_of_org=most)
            if crawl is None:
                return None
            orgs.hold(session, crawl.org_id)
            crawl = crawls.in_turn(session, hinted, now=now, most_of_org=most, org_id=crawl.org_id)
            if crawl is None:
                return None
            orgs.took_crawl_turn(session, crawl.org_id)
            if crawl.lease_until is not None:
                metrics.LEASES_EXPIRED.add(work="crawl")
            return self._claim(session, crawl.id, owner=owner, now=now)

    def claim(self, crawl_id: UUID, *, owner: str) -> CrawlClaim | None:
        """Hold a crawl that needs a spider; None when it needs none, or somebody has it.

        The first claim seeds the frontier with the start page and every page kept so far; a later
        one puts back what the spider before had leased, but for URLs that all but the last of the allowed
        attempts died of: one page must not cost the others. A crawl whose spiders die, one after the other,
        before they have written anything fails in the end.
        """
        with self._database.write() as session:
            return self._claim(session, crawl_id, owner=owner, now=self._clock())

    def _claim(self, session: Session, crawl_id: UUID, *, owner: str, now: datetime) -> CrawlClaim | None:
        lease = self._settings.crawl.lease
        vanished = crawls.is_orphaned(session, crawl_id)
        crawl = crawls.claim(session, crawl_id, now=now, lease=lease, owner=owner)
        if crawl is None or crawl.lease_token is None:
            return None
        datasource = session.get_one(Datasource, crawl.datasource_id)
        problem = self._why_never(crawl, datasource)
        if problem:
            crawls.fail(crawl, now=now, message=problem)
            endings.settle(session, crawl, now=now)
            return None
        if crawl.started_at is None:
            crawl.started_at = now
            datasource.last_crawl_started_at = now
            _seed(session, crawl, datasource, now=now)
            announce_start(session, crawl, now=now)
        if self._settings.work.attempts > 1:
            deaths = self._settings.work.attempts - 1
            given_up = frontier.set_aside(session, crawl_id, token=crawl.lease_token, deaths=deaths, vanished=vanished)
            for entry in given_up:
                note_url(session, crawl, entry, now=now)
        frontier.reclaim(session, crawl_id, token=crawl.lease_token, vanished=vanished)
        crawls.resume(crawl)
        return CrawlClaim(
            crawl_id=crawl.id,
            org_id=crawl.org_id,
            token=crawl.lease_token,
            lease=lease,
            attempt=crawl.attempts,
            traceparent=crawl.traceparent,
        )

    def _why_never(self, crawl: Crawl, datasource: Datasource) -> str | None:
        """Why no spider shall take this crawl any more."""
        if datasource.deleted_at is not None:
            return "its website was deleted"
        if crawls.is_hopeless(crawl, attempts=self._settings.work.attempts):
            return crawl.error_message or "its spider ended too often"
        return None

    def renew(self, claim: CrawlClaim) -> None:
        """Keep holding a crawl.

        Raises:
            LeaseLost: If another worker holds it now, or it was cancelled.
        """
        with self._database.write() as session:
            until = self._clock() + claim.lease
            if not row_leases.renew(session, Crawl, [claim.crawl_id], token=claim.token, until=until):
                raise LeaseLost(crawl=claim.crawl_id)

    def release(self, claim: CrawlClaim, *, burn: bool, detail: str | None = None, soon: bool = False) -> None:
        """Give a crawl back that did not finish. Without `burn` the attempt is not counted.

        The next spider is asked for at once where this one got the crawl on, or if it is wanted `soon`; otherwise
        by a tick: one that died over its URLs waits longer each time, one that had none yet does not.
        """
        now = self._clock()
        with self._database.write() as session:
            if not row_leases.release(session, Crawl, [claim.crawl_id], token=claim.token, burn=burn):
                return
            hosts.leave(session, claim.token)
            if not burn:
                frontier.put_back(session, claim.crawl_id, token=claim.token)
            crawl = crawls.get(session, claim.crawl_id, org_id=claim.org_id)
            crawl.error_message = detail or crawl.error_message
            spent = crawls.fruitless(crawl) if burn else 0
            in_hand, _ = frontier.leased(session, claim.crawl_id)
            if spent and not in_hand:
                crawl.vanished += 1
                spent = 1
            delays = self._settings.work.hint_delays
            crawl.hint_at = row_leases.next_hint(spent - 1, now=now, delays=delays) if spent else now
            if soon or (burn and not spent):
                outbox.put(session, outbox.CRAWL, crawl.id, now=now)
        relay(self._database, self._hints)

    def cancel(self, crawl_id: UUID, *, scope: OrgScope) -> CrawlJob:
        """End a crawl. What it kept so far stays; its spider's next write is refused."""
        with self._database.write() as session:
            now = self._clock()
            crawl = crawls.get(session, crawl_id, org_id=scope.org_id)
            if crawls.cancel(session, crawl, now=now):
                holding.give_up(session, crawl)
                datasource = session.get_one(Datasource, crawl.datasource_id)
                datasource.next_crawl_at = endings.next_crawl_at(datasource, now=now)
        return self.job(crawl_id, scope=scope)

    def job(self, crawl_id: UUID, *, scope: OrgScope) -> CrawlJob:
        """How a crawl stands, with its refusals by reason and its first failures."""
        with self._database.read() as session:
            crawl = crawls.get(session, crawl_id, org_id=scope.org_id)
            chunks, embedded = page_versions.embedded_in(session, crawl_id)
            pending = index_queue.count_waiting_of(session, [crawl_id]).get(crawl_id, 0)
            refusals = frontier.reasons(session, crawl_id)
            failed = frontier.failures(session, crawl_id, limit=FAILURES_SHOWN)
            failures = tuple(
                Failure(url=entry.url, reason=entry.reason or "", http_status=entry.http_status, detail=entry.detail)
                for entry in failed
            )
            job = job_view(
                crawl, chunks=chunks, embedded=embedded, pending=pending, refusals=refusals, failures=failures
            )
        return self._unless_full(job)

    def list_jobs(self, *, scope: OrgScope, limit: int = 20) -> list[CrawlJob]:
        """The org's crawls, newest first, without refusals and failures."""
        with self._database.read() as session:
            found = crawls.listing(session, org_id=scope.org_id, limit=limit)
            pending = index_queue.count_waiting_of(session, [crawl.id for crawl in found])
            return [job_view(crawl, pending=pending.get(crawl.id, 0)) for crawl in found]

    def page_through(
        self, datasource_id: UUID, *, scope: OrgScope, limit: int = 20, after: Place | None = None
    ) -> Listed[CrawlJob]:
        """Some of a website's crawls, newest first, without refusals and failures.

        Raises:
            DatasourceNotFound: If the org has no such website.
        """
        with self._database.read() as session:
            datasources.get(session, datasource_id, org_id=scope.org_id)
            found = crawls.page_through(session, datasource_id, limit=limit, after=after)
            pending = index_queue.count_waiting_of(session, [crawl.id for crawl in found.items])
            return found.each(lambda crawl: job_view(crawl, pending=pending.get(crawl.id, 0)))

    def page_through_org(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[CrawlJob]:
        """Some of the crawls of all the org's websites, newest first, without refusals and failures."""
        with self._database.read() as session:
            found = crawls.of_org(session, scope.org_id, limit=limit, after=after)
            pending = index_queue.count_waiting_of(session, [crawl.id for crawl in found.items])
            return found.each(lambda crawl: job_view(crawl, pending=pending.get(crawl.id, 0)))

    def list_held(self, *, scope: OrgScope, limit: int = 20) -> list[CrawlJob]:
        """The org's crawls that wait for a decision, oldest first, without refusals and failures."""
        with self._database.read() as session:
            return [job_view(crawl) for crawl in crawls.held_of(session, scope.org_id, limit=limit)]

    def job_of(self, datasource_id: UUID, crawl_id: UUID, *, scope: OrgScope) -> CrawlJob:
        """How a crawl of this website stands.

        Raises:
            DatasourceNotFound: If the org has no such website.
            CrawlNotFound: If that has no such crawl.
        """
        with self._database.read() as session:
            datasources.get(session, datasource_id, org_id=scope.org_id)
        job = self.job(crawl_id, scope=scope)
        if job.datasource_id != datasource_id:
            raise CrawlNotFound(crawl=crawl_id)
        return job

    def list_running(self, *, scope: OrgScope) -> list[CrawlJob]:
        """The org's crawls that have not ended, oldest first, without refusals and failures."""
        with self._database.read() as session:
            found = backlog.running_crawls(session, org_id=scope.org_id)
            pending = index_queue.count_waiting_of(session, [crawl.id for crawl in found])
            return [self._unless_full(job_view(crawl, pending=pending.get(crawl.id, 0))) for crawl in found]

    def _unless_full(self, job: CrawlJob) -> CrawlJob:
        """The job; while there is no room for what it brings, paused. No row can say so: there is no room for it."""
        short = None if job.has_ended else shortage(self._settings)
        return job if short is None else replace(job, error_message=f"{crawls.PAUSED} there is room again: {short}")

    def list_datasources(self, *, scope: OrgScope) -> list[Datasource]:
        """The org's websites, oldest first."""
        with self._database.read() as session:
            return datasources.listing(session, org_id=scope.org_id)


def _rules(datasource: Datasource) -> tuple[object, ...]:
    """What decides which pages are kept, how they are read, and when."""
    paths = (tuple(datasource.include_paths), tuple(datasource.exclude_paths))
    reach = (datasource.page_limit, datasource.subdomains, tuple(datasource.extra_hosts))
    return (*paths, *reach, datasource.crawl_interval_hours, datasource.render_js, datasource.documents)


def _seed(session: Session, crawl: Crawl, datasource: Datasource, *, now: datetime) -> None:
    """Put the start page, every page kept so far and every URL fetched before into the frontier.

    Of a scheduled crawl, pages that are not due rest there.
    """
    start = Discovered(url_key=datasource.url_key, url=datasource.url, depth=0)
    kept = (Discovered(page.url_key, page.url, page.depth) for page in pages.kept(session, datasource.id))
    earlier = frontier.seen_before(session, crawls.ended(session, datasource.id))
    seen = (
        Discovered(entry.url_key, entry.url, entry.depth, entry.found_on)
        for entry in earlier
        if not moving.is_former(entry.url, datasource)
    )
    revisiting.rest(session, crawl, datasource, now=now)
    frontier.add(session, crawl.id, kept, now=now, is_new=False)
    frontier.add(session, crawl.id, [start, *seen], now=now)


def job_view(
    crawl: Crawl,
    *,
    chunks: int = 0,
    embedded: int = 0,
    pending: int = 0,
    refusals: dict[str, int] | None = None,
    failures: tuple[Failure, ...] = (),
) -> CrawlJob:
    """A crawl as the outside sees it. `pending` pages wait to be indexed."""
    kept = crawl.new_pages + crawl.updated_pages + crawl.unchanged_pages + crawl.not_due_pages
    return CrawlJob(
        id=crawl.id,
        datasource_id=crawl.datasource_id,
        status=crawl.status,
        trigger=crawl.trigger,
        started_at=crawl.started_at,
        completed_at=crawl.completed_at,
        total_pages=crawl.total_pages,
        completed_pages=kept - pending,
        new_pages=crawl.new_pages,
        updated_pages=crawl.updated_pages,
        removed_pages=crawl.removed_pages,
        unchanged_pages=crawl.unchanged_pages,
        failed_pages=crawl.failed_pages,
        held_pages=crawl.held_pages,
        limit_reached=crawl.limit_reached,
        error_message=crawl.error_message,
        created_at=crawl.created_at,
        updated_at=crawl.updated_at,
        fetched_pages=crawl.fetched_pages,
        refused_pages=crawl.refused_pages,
        waiting_pages=crawl.waiting_pages,
        not_due_pages=crawl.not_due_pages,
        pending_pages=pending,
        chunks=chunks,
        embedded_chunks=embedded,
        current_url=crawl.current_url,
        attempts=crawl.attempts,
        refusals=refusals or {},
        failures=failures,
    )
