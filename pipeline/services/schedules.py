"""Schedules: which website is crawled when, by itself, and how that is stopped, resumed and hurried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipeline.db import crawls, datasources
from pipeline.db.crawls import Crawl
from pipeline.db.datasources import Datasource
from pipeline.db.engine import Database, Session
from pipeline.db.paging import Listed, Place
from pipeline.errors import DatasourceNotFound, InvalidUrl
from pipeline.model import DatasourceStatus, OrgScope
from pipeline.services import endings
from pipeline.services.clock import Clock
from pipeline.services.crawls import CrawlJob, CrawlService
from pipeline.urls import url_key


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """When one website is crawled. `every_hours` is None for one that is crawled by hand only."""

    datasource_id: UUID
    url: str
    display_name: str
    every_hours: int | None
    is_paused: bool
    next_crawl_at: datetime | None
    is_overdue: bool
    last_crawl_completed_at: datetime | None
    running_crawl: UUID | None


class ScheduleService:
    """Reads and changes when websites are crawled."""

    def __init__(self, database: Database, crawl_service: CrawlService, clock: Clock) -> None:
        """Work on this database, and start crawls through this service."""
        self._database = database
        self._crawls = crawl_service
        self._clock = clock

    def list_schedules(self, *, scope: OrgScope) -> list[ScheduleView]:
        """The org's websites, oldest first."""
        with self._database.read() as session:
            return _views(session, datasources.listing(session, org_id=scope.org_id), now=self._clock())

    def page_through(self, *, scope: OrgScope, limit: int = 20, after: Place | None = None) -> Listed[ScheduleView]:
        """Some of the org's websites, oldest first."""
        with self._database.read() as session:
            found = datasources.page_through(session, org_id=scope.org_id, limit=limit, after=after)
            return Listed(tuple(_views(session, found.items, now=self._clock())), found.next)

    def upcoming(self, *, scope: OrgScope, limit: int = 20) -> list[ScheduleView]:
        """The websites that are crawled next, the first one first. Paused ones, and those crawled by hand, are not."""
        due = [view for view in self.list_schedules(scope=scope) if view.next_crawl_at and not view.is_paused]
        return sorted(due, key=lambda view: (view.next_crawl_at, view.datasource_id))[:limit]

    def pause(self, website: str, *, scope: OrgScope) -> ScheduleView:
        """Start no crawl of this website by the clock any more. One that runs goes on; by hand it can be crawled.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
        """
        return self._set(website, DatasourceStatus.PAUSED, scope=scope)

    def resume(self, website: str, *, scope: OrgScope) -> ScheduleView:
        """Crawl it by the clock again. What was missed meanwhile runs once, at the next tick.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
        """
        return self._set(website, DatasourceStatus.ACTIVE, scope=scope)

    def run(self, website: str, *, scope: OrgScope) -> CrawlJob:
        """Crawl it now, whenever it is due.

        Raises:
            DatasourceNotFound: If the org has no website of this URL or id.
            CrawlAlreadyRunning: If a crawl of it runs.
        """
        with self._database.read() as session:
            source = _find(session, website, scope=scope)
        return self._crawls.start(source.id, scope=scope)

    def _set(self, website: str, status: DatasourceStatus, *, scope: OrgScope) -> ScheduleView:
        now = self._clock()
        with self._database.write() as session:
            source = _find(session, website, scope=scope)
            source.status, source.updated_at = status, now
            if status == DatasourceStatus.ACTIVE and source.next_crawl_at is None:
                source.next_crawl_at = endings.next_crawl_at(source, now=now)
            session.flush()
            return _views(session, [source], now=now)[0]


def _find(session: Session, website: str, *, scope: OrgScope) -> Datasource:
    """The org's website of this id, or that starts at this URL."""
    sources = datasources.listing(session, org_id=scope.org_id)
    try:
        key = url_key(website)
    except InvalidUrl:
        key = None
    found = next((source for source in sources if str(source.id) == website or source.url_key == key), None)
    if found is None:
        raise DatasourceNotFound(website=website)
    return found


def _views(session: Session, sources: Sequence[Datasource], *, now: datetime) -> list[ScheduleView]:
    """These websites, with the crawls that run of them read in one statement."""
    running = crawls.running_of(session, [source.id for source in sources])
    return [_view(source, running.get(source.id), now=now) for source in sources]


def _view(source: Datasource, running: Crawl | None, *, now: datetime) -> ScheduleView:
    is_paused = source.status == DatasourceStatus.PAUSED
    is_due = source.next_crawl_at is not None and source.next_crawl_at <= now
    return ScheduleView(
        datasource_id=source.id,
        url=source.url,
        display_name=source.display_name,
        every_hours=source.crawl_interval_hours,
        is_paused=is_paused,
        next_crawl_at=source.next_crawl_at,
        is_overdue=is_due and not is_paused and running is None,
        last_crawl_completed_at=source.last_crawl_completed_at,
        running_crawl=running.id if running else None,
    )
