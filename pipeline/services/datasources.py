"""Datasources as a platform sees them: added, looked at, changed and deleted, each in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.db import crawls, datasources, dead_letters, index_queue, orgs, outbox, page_versions, pages
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.paging import Listed, Place
from pipeline.errors import DatasourceExists
from pipeline.model import CrawlTrigger, DatasourceStatus, OrgScope, PageStatus
from pipeline.services import endings, holding
from pipeline.services.clock import Clock
from pipeline.services.crawls import CrawlJob, job_view
from pipeline.services.hints import Hints, relay
from pipeline.services.serving import apply_rules
from pipeline.services.websites import DatasourceChange, NewDatasource, check_datasource
from pipeline.settings import Settings
from pipeline.urls import split, url_key


@dataclass(frozen=True, slots=True)
class PageStats:
    """How many pages of a website stand where."""

    total: int
    synced: int
    pending: int
    error: int
    excluded: int


@dataclass(frozen=True, slots=True)
class DatasourceView:
    """A website as the outside sees it, with its pages by status and the crawl that runs now, if one does."""

    id: UUID
    url: str
    display_name: str
    status: str
    page_limit: int | None
    include_paths: tuple[str, ...]
    exclude_paths: tuple[str, ...]
    crawl_interval_hours: int | None
    render_js: str
    documents: bool
    sitemap_urls: tuple[str, ...]
    subdomains: bool
    extra_hosts: tuple[str, ...]
    next_crawl_at: datetime | None
    last_crawl_started_at: datetime | None
    last_crawl_completed_at: datetime | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime
    page_stats: PageStats
    active_crawl_job: CrawlJob | None


class DatasourceService:
    """Websites of one org."""

    def __init__(self, database: Database, settings: Settings, hints: Hints, clock: Clock) -> None:
        """Work on this database, and tell workers through these hints."""
        self._database = database
        self._settings = settings
        self._hints = hints
        self._clock = clock

    def add(self, new: NewDatasource, *, scope: OrgScope, starts: bool = True) -> DatasourceView:
        """Add a website, and start its first crawl unless told not to.

        Raises:
            DatasourceExists: If the org has one at this address; its id is among the facts.
            InvalidInput: If it cannot be added as given; the field is named.
            OrgNotFound: If there is no such org.
        """
        url = check_datasource(new, self._settings)
        now = self._clock()
        with self._database.write() as session:
            orgs.get(session, scope.org_id)
            key = url_key(url)
            there = datasources.formerly_at(session, url_key=key, org_id=scope.org_id)
            added = None
            if there is None:
                added = datasources.add(session, url=url, url_key=key, org_id=scope.org_id, now=now)
            if added is None:
                there = there or datasources.find(session, url_key=key, org_id=scope.org_id)
                raise DatasourceExists(field="url", given=url, datasource=there.id if there else None)
            source = datasources.get(session, added, org_id=scope.org_id)
            _write(source, new)
            source.next_crawl_at = endings.next_crawl_at(source, now=now)
            session.flush()
            if starts:
                crawl = crawls.begin(session, source, trigger=CrawlTrigger.API, now=now)
                if crawl is not None:
                    outbox.put(session, outbox.CRAWL, crawl.id, now=now)
            session.flush()
            view = _views(session, [source])[0]
        relay(self._database, self._hints)
        return view

    def get(self, datasource_id: UUID, *, scope: OrgScope) -> DatasourceView:
        """The org's website.

        Raises:
            DatasourceNotFound: If it has none of this id.
        """
        with self._database.read() as session:
            return _views(session, [datasources.get(session, datasource_id, org_id=scope.org_id)])[0]

    def check(self, datasource_id: UUID, *, scope: OrgScope) -> None:
        """Make sure that the org has this website.

        Raises:
            DatasourceNotFound: If it has not.
        """
        with self._database.read() as session:
            datasources.get(session, datasource_id, org_id=scope.org_id)

    def count(self, *, scope: OrgScope) -> int:
        """How many websites the org has."""
        with self._database.read() as session:
            return datasources.count(session, org_id=scope.org_id)

    def page_through(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[DatasourceView]:
        """Some of the org's websites, oldest first."""
        with self._database.read() as session:
            found = datasources.page_through(session, org_id=scope.org_id, limit=limit, after=after)
            return Listed(tuple(_views(session, found.items)), found.next)

    def change(self, datasource_id: UUID, change: DatasourceChange, *, scope: OrgScope) -> DatasourceView:
        """Change a website. Pages that its new rules leave out answer no more, from this commit on.

        Those that they let in again answer with what they said last, without being read again.

        Raises:
            DatasourceNotFound: If the org has none of this id.
            InvalidInput: If a field has a value that cannot be; it is named, and nothing is changed.
        """
        now = self._clock()
        with self._database.write() as session:
            datasources.hold(session, [datasource_id])
            source = datasources.get(session, datasource_id, org_id=scope.org_id)
            session.refresh(source)
            new = change.of(source)
            check_datasource(new, self._settings)
            before = _reading(source), _rules(source), source.crawl_interval_hours
            _write(source, new)
            self._reschedule(source, change, interval_before=before[2], now=now)
            source.updated_at = now
            session.flush()
            if _rules(source) != before[1]:
                apply_rules(session, source, self._settings, now=now)
            if (_reading(source), _rules(source), source.crawl_interval_hours) != before:
                pages.wake(session, source.id)
            session.flush()
            view = _views(session, [source])[0]
        relay(self._database, self._hints)
        return view

    def delete(self, datasource_id: UUID, *, scope: OrgScope) -> None:
        """Delete a website: from this commit on nothing of it answers. Upkeep removes its points and its rows.

        Raises:
            DatasourceNotFound: If the org has none of this id, or it was deleted before.
        """
        now = self._clock()
        with self._database.write() as session:
            datasources.hold(session, [datasource_id])
            source = datasources.get(session, datasource_id, org_id=scope.org_id)
            session.refresh(source)
            source.deleted_at = source.updated_at = now
            source.next_crawl_at = None
            running = crawls.running(session, datasource_id)
            if running is not None and crawls.cancel(session, running, now=now):
                holding.give_up(session, running)
            page_versions.supersede_all(session, org_id=scope.org_id, datasource_id=datasource_id)
            dead_letters.forget_datasource(session, datasource_id)

    @staticmethod
    def _reschedule(
        source: Datasource, change: DatasourceChange, *, interval_before: int | None, now: datetime
    ) -> None:
        if change.is_paused is not None:
            source.status = DatasourceStatus.PAUSED if change.is_paused else DatasourceStatus.ACTIVE
        was_changed = source.crawl_interval_hours != interval_before
        if was_changed or (change.is_paused is False and source.next_crawl_at is None):
            source.next_crawl_at = endings.next_crawl_at(source, now=now)


def _write(source: Datasource, new: NewDatasource) -> None:
    source.display_name = new.display_name or split(source.url).netloc
    source.page_limit = new.page_limit
    source.include_paths = list(new.include_paths)
    source.exclude_paths = list(new.exclude_paths)
    source.sitemap_urls = list(new.sitemap_urls)
    source.crawl_interval_hours = new.crawl_interval_hours
    source.render_js = new.render_js
    source.documents = new.documents
    source.subdomains = new.subdomains
    source.extra_hosts = list(new.extra_hosts)


def _rules(source: Datasource) -> tuple[object, ...]:
    return tuple(source.include_paths), tuple(source.exclude_paths)


def _reading(source: Datasource) -> tuple[object, ...]:
    """What else decides which pages are kept, and how they are read."""
    how = source.render_js, source.documents, tuple(source.sitemap_urls)
    return source.page_limit, *how, source.subdomains, tuple(source.extra_hosts)


def _views(session: Session, sources: Sequence[Datasource]) -> list[DatasourceView]:
    """These websites, with what is counted of all of them in three statements."""
    ids = [source.id for source in sources]
    counts = pages.counts_of(session, ids)
    running = crawls.running_of(session, ids)
    pending = index_queue.count_waiting_of(session, [crawl.id for crawl in running.values()])
    return [_view(source, counts[source.id], running.get(source.id), pending) for source in sources]


def _view(
    source: Datasource, counts: Mapping[str, int], running: Crawl | None, pending: Mapping[UUID, int]
) -> DatasourceView:
    return DatasourceView(
        id=source.id,
        url=source.url,
        display_name=source.display_name,
        status=source.status,
        page_limit=source.page_limit,
        include_paths=tuple(source.include_paths),
        exclude_paths=tuple(source.exclude_paths),
        crawl_interval_hours=source.crawl_interval_hours,
        render_js=source.render_js,
        documents=source.documents,
        sitemap_urls=tuple(source.sitemap_urls),
        subdomains=source.subdomains,
        extra_hosts=tuple(source.extra_hosts),
        next_crawl_at=source.next_crawl_at,
        last_crawl_started_at=source.last_crawl_started_at,
        last_crawl_completed_at=source.last_crawl_completed_at,
        error_message=source.error_message,
        created_at=source.created_at,
        updated_at=source.updated_at,
        page_stats=PageStats(
            total=sum(counts.values()),
            synced=counts[PageStatus.SYNCED],
            pending=counts[PageStatus.PENDING],
            error=counts[PageStatus.ERROR],
            excluded=counts[PageStatus.EXCLUDED],
        ),
        active_crawl_job=None if running is None else job_view(running, pending=pending.get(running.id, 0)),
    )
