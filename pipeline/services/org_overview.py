"""What an org may know of how its own work stands: what waits, who listens, what is held, and what comes next.

Nothing in it is another org's, and no machine is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.db import backlog, dead_letters, workers
from pipeline.db.backlog import Due
from pipeline.db.engine import Database
from pipeline.model import OrgScope
from pipeline.services.clock import Clock
from pipeline.services.crawls import CrawlJob, CrawlService
from pipeline.services.operations import CRAWL, INDEX, SILENT_AFTER
from pipeline.services.schedules import ScheduleService, ScheduleView
from pipeline.settings import WorkSettings

HELD_SHOWN = 20


@dataclass(frozen=True, slots=True)
class OwnQueue:
    """An org's own work of one kind: how much may be taken now, counted up to 10,000, and since when the oldest waits.

    `is_heard` says whether anybody takes such work.
    """

    name: str
    waiting: int
    waiting_since: datetime | None
    waiting_seconds: float
    is_heard: bool


@dataclass(frozen=True, slots=True)
class Schedules:
    """An org's websites, by when they are crawled by themselves, and the next of these moments."""

    active: int
    paused: int
    by_hand: int
    overdue: int
    next_crawl_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrgOverview:
    """How an org's work stands."""

    queues: tuple[OwnQueue, ...]
    running: tuple[CrawlJob, ...]
    held: tuple[CrawlJob, ...]
    schedules: Schedules
    dead_letters: int


class OrgOverviewService:
    """Reads how one org's work stands."""

    def __init__(
        self, database: Database, work: WorkSettings, clock: Clock, *, crawls: CrawlService, schedules: ScheduleService
    ) -> None:
        """Read this database."""
        self._database = database
        self._work = work
        self._clock = clock
        self._crawls = crawls
        self._schedules = schedules

    def overview(self, *, scope: OrgScope) -> OrgOverview:
        """How the org's work stands now."""
        now, org_id = self._clock(), scope.org_id
        with self._database.read() as session:
            heard = workers.queues_heard(session, since=now - SILENT_AFTER)
            crawls = backlog.due_crawls(session, now=now, most_of_org=self._work.org_crawls, org_id=org_id)
            pages = backlog.due_pages(session, attempts=self._work.attempts, now=now, org_id=org_id)
            dead = dead_letters.count(session, org_id=org_id)
        due = {CRAWL: crawls, INDEX: pages}
        return OrgOverview(
            queues=tuple(_queue(name, *found, is_heard=name in heard, now=now) for name, found in due.items()),
            running=tuple(self._crawls.list_running(scope=scope)),
            held=tuple(self._crawls.list_held(scope=scope, limit=HELD_SHOWN)),
            schedules=_counted(self._schedules.list_schedules(scope=scope)),
            dead_letters=dead,
        )


def _queue(name: str, waiting: int, oldest: Due | None, *, is_heard: bool, now: datetime) -> OwnQueue:
    since = oldest.since if oldest else None
    seconds = max((now - since).total_seconds(), 0.0) if since else 0.0
    return OwnQueue(name, waiting, since, seconds, is_heard)


def _counted(views: Sequence[ScheduleView]) -> Schedules:
    timed = [view for view in views if not view.is_paused and view.every_hours is not None]
    return Schedules(
        active=len(timed),
        paused=sum(view.is_paused for view in views),
        by_hand=sum(not view.is_paused and view.every_hours is None for view in views),
        overdue=sum(view.is_overdue for view in views),
        next_crawl_at=min((view.next_crawl_at for view in timed if view.next_crawl_at), default=None),
    )
